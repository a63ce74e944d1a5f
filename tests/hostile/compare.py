#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""compare.py [--only PATTERN] [--write] [PROGRAM...]: runs the catalogue of attacks (or a part of it)
against the daemon and against dpdk-testpmd's vhost port, or one of them (daemon, testpmd), and
says who survives what. Verdicts are kept in the build directory; --write makes of the latest ones
the table in docs/security.md, which has the attacks that are not survived, and by whom."""

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "hostile"), str(ROOT / "tests")]

from arena import Arena, Daemon, VhostPort  # noqa: E402
from catalogue import load  # noqa: E402
from lib.paths import build_dir, work_directory  # noqa: E402

DOCUMENT = ROOT / "docs" / "security.md"
BEGIN, END = "<!-- written by tests/hostile/compare.py -->", "<!-- end -->"
PROGRAMS = {"daemon": Daemon, "testpmd": VhostPort}


def verdicts_file(name):
    return build_dir() / f"hostile-{name}.json"


def kept(name):
    """{"verdicts": {attack: verdict}, "starts": {pattern: n}, "lost": {pattern: packets, or None}}"""
    try:
        return json.loads(verdicts_file(name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"verdicts": {}, "starts": {}, "lost": {}}


def measure(name, pattern, attacks):
    """Runs the attacks and keeps the outcome."""
    verdicts = {}
    with work_directory() as directory, Arena(directory, PROGRAMS[name]) as arena:
        for attack in attacks:
            verdict = arena.strike(attack)
            verdicts[attack.name] = str(verdict)
            print(f"{attack.name:45} {verdict.answer:14} {verdict.seconds:5.2f} s  {verdict}",
                  flush=True)
        result = arena.finish()
    lost = result and sum(result[direction]["lost"] for direction in ("vm_to_vf", "vf_to_vm"))
    column = kept(name) if pattern else {"verdicts": {}, "starts": {}, "lost": {}}
    column["verdicts"].update(verdicts)
    column["starts"][pattern] = arena.starts
    column["lost"][pattern] = lost
    verdicts_file(name).write_text(json.dumps(column), encoding="utf-8")


def describe(attacks, columns):
    """columns: {program: what measure() has kept}"""
    parts = Counter(attack.run.__module__.removeprefix("attacks.") for attack in attacks)
    lines = ["- attacks by part: " + ", ".join(f"{part} {n}" for part, n in parts.items())]
    for name, column in columns.items():
        survived = sum(column["verdicts"][attack.name] == "survives" for attack in attacks)
        restarts = sum(column["starts"].values()) - len(column["starts"])
        neighbour = (f"had to be started anew {restarts} times" if restarts else
                     f"the neighbour lost {sum(column['lost'].values())} packets in all of them")
        lines.append(f"- {name}: survives {survived} of {len(attacks)}; {neighbour}")
    victims = {name: column for name, column in columns.items()
               if any(column["verdicts"][attack.name] != "survives" for attack in attacks)}
    lines += ["", "| attack | " + " | ".join(victims) + " |", "|---" * (1 + len(victims)) + "|"]
    for attack in attacks:
        verdicts = [column["verdicts"][attack.name] for column in victims.values()]
        if any(verdict != "survives" for verdict in verdicts):
            cells = [verdict.replace("survives", "✓") for verdict in verdicts]
            lines.append(f"| {attack.what} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="PATTERN", help="attacks with such a name")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM")
    options = parser.parse_args()
    attacks = list(load().values())
    for name in options.programs or PROGRAMS:
        measure(name, options.only, [attack for attack in attacks
                                     if re.search(options.only, attack.name)])
    if options.write:
        columns = {name: kept(name) for name in PROGRAMS}
        before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        DOCUMENT.write_text(f"{before}{BEGIN}\n\n{describe(attacks, columns)}\n\n{END}{after}",
                            encoding="utf-8")


main()
