#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""compare.py [--write] [--only daemon|testpmd] [NAME...]: runs the catalogue of attacks, or those whose
names contain one of the given, against the daemon and against dpdk-testpmd's vhost port, and prints
who survives what; --write puts the table into docs/security.md."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "hostile"), str(ROOT / "tests")]

from arena import Arena, Daemon, VhostPort  # noqa: E402
from catalogue import load  # noqa: E402

DOCUMENT = ROOT / "docs" / "security.md"
BEGIN, END = "<!-- written by tests/hostile/compare.py -->", "<!-- end -->"
PROGRAMS = {"daemon": Daemon, "testpmd": VhostPort}


def strike_all(attacks, program):
    """{name: verdict}, and what the neighbour lost while the program lived."""
    directory = Path(tempfile.mkdtemp(prefix="vio4wd-"))
    directory.chmod(0o755)
    arena = Arena(directory, program)
    verdicts = {}
    try:
        for attack in attacks:
            verdicts[attack.name] = verdict = arena.strike(attack)
            print(f"{attack.name:45} {verdict.answer:14} {verdict.seconds:5.2f} s  {verdict}",
                  flush=True)
        result = arena.finish()
    finally:
        arena.abandon()
        shutil.rmtree(directory, ignore_errors=True)
    lost = None
    if result:
        lost = sum(result[direction]["lost"] for direction in ("vm_to_vf", "vf_to_vm"))
    return verdicts, lost


def table(attacks, columns):
    """columns: {program: verdicts}"""
    lines = ["| attack | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"]
    for attack in attacks:
        cells = [str(verdicts[attack.name]).replace("survives", "✓") for verdicts in
                 columns.values()]
        lines.append(f"| {attack.what} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", choices=PROGRAMS)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()

    attacks = [attack for attack in load().values()
               if not options.names or any(part in attack.name for part in options.names)]
    columns, summary = {}, []
    for name, program in PROGRAMS.items():
        if options.only in (None, name):
            columns[name], lost = strike_all(attacks, program)
            survived = sum(not verdict.faults for verdict in columns[name].values())
            summary.append(f"{name}: nobody suffers in {survived} of {len(attacks)} attacks")
            if lost is not None:
                summary.append(f"packets that its neighbour lost since its last start: {lost}")
    text = "\n".join(f"- {line}" for line in summary) + "\n\n" + table(attacks, columns)
    print("\n" + "\n".join(summary))
    if options.write:
        before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        DOCUMENT.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


main()
