# SPDX-License-Identifier: BSD-3-Clause
"""The results: a table for people (Markdown), JSON for programs, plots."""

import json
import os
import platform
import statistics
import time
from pathlib import Path

import plots
from cells import Load

OURS, ZERO_COPY, ALONE, COPIES = "ours", "zero-copy", "one-relay", "copies"
TESTPMD, OVS, CONTROL = "testpmd", "ovs", "testpmd2"
PEERS = {OURS: "ours", ZERO_COPY: "zero copy", ALONE: "one relay", COPIES: "copying alone",
         TESTPMD: "testpmd", OVS: "OVS"}
RATIOS = {  # key: (column title, of whom, relative to whom)
    "vs_testpmd": ("ours ÷ testpmd", OURS, TESTPMD),
    "vs_ovs": ("ours ÷ OVS", OURS, OVS),
    "zero_copy_vs_testpmd": ("zero copy ÷ testpmd", ZERO_COPY, TESTPMD),
    "vs_one_relay": ("ours ÷ one relay", OURS, ALONE),
    "vs_copies": ("ours ÷ copying", OURS, COPIES),
    "control": ("A/A", TESTPMD, CONTROL),
}

# What is shown for a cell: (key of a window, unit, whether more is better)
MEASURES = {
    Load.SATURATED: [("mpps", "Mpps", True)],
    Load.HALF: [("cycles", "cycles/packet", False), ("p50", "us p50", False),
                ("p99", "us p99", False), ("p99.9", "us p99.9", False),
                ("lost", "percent lost", False)],
    Load.IDLE: [("p50", "us p50", False), ("p99", "us p99", False), ("p99.9", "us p99.9", False)],
}
DIRECTION_NAMES = {"vf_to_vm": "VF→VM", "vm_to_vf": "VM→VF", "both": "both"}


def _cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _governor(cpu):
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor")
    return path.read_text().strip() if path.exists() else "none (fixed, or the host's)"


def cpu_times():
    """Times of all CPUs since boot, in ticks: (user, nice, system, idle, iowait, irq, softirq,
    steal)."""
    return [int(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]


def facts(machine, timing, kinds):
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "CPU": f"{_cpu_model()}, {os.cpu_count()} CPUs",
        "kernel": platform.release(),
        "governor of the relay's CPU": _governor(machine.worker),
        "CPUs": f"{machine.worker} relay, {machine.vm} VMs, {machine.control} everything else",
        "memory": "hugepages" if machine.huge_dir else "ordinary pages (no hugepages to be had)",
        "windows": f"{timing.starts * timing.rotations} of {timing.window_s * 1000:.0f} ms a cell and peer, in "
                   f"rotation, each {timing.settle_s * 1000:.0f} ms after the load has begun; all are started "
                   f"anew {timing.starts} times",
        "versions": "; ".join(kind.version() for kind in kinds),
        "load average before": " ".join(Path("/proc/loadavg").read_text().split()[:3]),
    }


def noise(before):
    """How much of the CPUs' time the host has taken since."""
    spent = [b - a for a, b in zip(before, cpu_times())]
    return {"stolen by the host": f"{100 * spent[7] / max(1, sum(spent)):.1f} %"}


def _better(result, a, b, key, more):
    """How many times better a is than b."""
    return result.ratio(a, b, key) if more else result.ratio(b, a, key)


def rows(results):
    """One row for each cell and measure."""
    for result in results:
        cell = result.cell
        for key, unit, more in MEASURES[cell.load]:
            yield {
                "rings": str(cell.setup), "direction": cell.direction, "size": cell.size,
                "load": cell.load.value,
                "offered_mpps": statistics.median(result.offered_pps) / 1e6 or None,
                "unit": unit,
                **{peer: result.median(peer, key) for peer in PEERS},
                **{name: _better(result, a, b, key, more) for name, (_, a, b) in RATIOS.items()},
            }


def _number(value):
    if value is None:
        return "–"
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _table(all_rows):
    texts = ["rings", "direction", "bytes", "load", "unit"]
    numbers = [*PEERS.values(), *(head for head, _, _ in RATIOS.values())]
    lines = ["| " + " | ".join(texts + numbers) + " |",
             "|" + "---|" * len(texts) + "---:|" * len(numbers)]
    for row in all_rows:
        load = row["load"]
        if row["offered_mpps"]:
            load += f", {row['offered_mpps']:.2g} Mpps"
        cells = [row["rings"], DIRECTION_NAMES[row["direction"]], row["size"], load, row["unit"],
                 *(_number(row[key]) for key in (*PEERS, *RATIOS))]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _text(facts_, all_rows, skipped):
    lines = [f"- {name}: {value}" for name, value in facts_.items()]
    lines += ["", "Ratios are medians over the rotations; above 1 we are better. A/A is testpmd against "
              "a second instance of itself: what noise does.", "", _table(all_rows)]
    if skipped:
        lines += ["", "Not measured, in so many of the starts:", ""]
        lines += [f"- {n}: {setup}, {peer}: {' / '.join(reason.strip().splitlines())}"
                  for (setup, peer, reason), n in skipped.items()]
    return "\n".join(lines) + "\n"


def write(directory, facts_, results, skipped):
    """Writes results.md, results.json and the plots; returns the text. skipped: {(setup, peer, reason):
    starts}."""
    directory.mkdir(parents=True, exist_ok=True)
    all_rows = list(rows(results))
    text = _text(facts_, all_rows, skipped)
    (directory / "results.md").write_text(text, encoding="utf-8")
    (directory / "results.json").write_text(json.dumps({
        "facts": facts_, "rows": all_rows,
        "windows": [{"rings": str(r.cell.setup), "direction": r.cell.direction,
                     "size": r.cell.size, "load": r.cell.load.value,
                     "offered_pps": r.offered_pps, "starts": r.starts}
                    for r in results],
        "skipped": [[*what, n] for what, n in skipped.items()]}, indent=1), encoding="utf-8")
    plots.write(directory, all_rows, PEERS)
    return text + f"\nWritten to {directory}\n"
