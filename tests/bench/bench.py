#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark: our daemon against testpmd's vhost port and OVS-DPDK. See docs/benchmark.md."""

import argparse
import itertools
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cells  # noqa: E402
import report  # noqa: E402
from lib.hugepages import hugepages  # noqa: E402
from lib.paths import build_dir  # noqa: E402
from lib.proc import end_on_sigterm  # noqa: E402
from measure import IDLE_PPS, Result, Timing, capacity_mpps, measure  # noqa: E402
from peers import CannotRun, Copies, Machine, Ours, OursAlone, OursZeroCopy, Ovs, TestpmdPeer  # noqa: E402

PLANS = {
    "short": (cells.short, Timing(settle_s=0.05, window_s=0.12, rotations=2, starts=2)),
    "full": (cells.full, Timing(settle_s=0.05, window_s=0.12, rotations=2, starts=3)),
    "smoke": (cells.smoke, Timing(settle_s=0.02, window_s=0.05, rotations=1, starts=2)),
}
PEERS = [(report.OURS, Ours), (report.TESTPMD, TestpmdPeer), (report.OVS, Ovs),  # in rotation
         (report.ZERO_COPY, OursZeroCopy), (report.ALONE, OursAlone),
         (report.COPIES, Copies), (report.CONTROL, TestpmdPeer)]
HUGE_MEBIBYTES = 3072


def pin(huge_dir):
    """The relay gets the last CPU, the VMs the one before it if there are three."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        sys.exit("bench: the relay and the VMs need a CPU each")
    os.sched_setaffinity(0, {cpus[0]})
    return Machine(control=cpus[0], vm=cpus[-2], worker=cpus[-1], huge_dir=huge_dir)


def _is_measured(name, cell):
    return {report.ZERO_COPY: cell.zero_copy, report.ALONE: cell.many_relays,
            report.COPIES: cell.many_relays, report.CONTROL: cell.control}.get(name, True)


def _peers_of(group):
    """The peers with which some of these cells are measured."""
    return [(name, kind) for name, kind in PEERS if any(_is_measured(name, cell) for cell in group)]


def _start_peers(stack, setup, machine, directory, kinds, skipped):
    """Starts the peers that can do this setup; returns them paused."""
    running = []
    for name, kind in kinds:
        peer = kind(name, setup, machine, directory / name)
        stack.callback(peer.stop)
        try:
            peer.start()
        except (CannotRun, AssertionError, RuntimeError, OSError) as error:
            skipped[str(setup), name, str(error)] += 1
            peer.stop()
            continue
        peer.pause()
        running.append(peer)
    return running


def _offered_pps(cell, peers, timing):
    """The load offered to all of these peers in a cell, packets a second; 0: as much as goes. None
    if it is not known."""
    if cell.load is not cells.Load.HALF:
        return {cells.Load.SATURATED: 0, cells.Load.IDLE: IDLE_PPS}[cell.load]
    testpmd = next((peer for peer in peers if peer.name == report.TESTPMD), None)
    mpps = testpmd and capacity_mpps(testpmd, cell, timing)
    return mpps * 1e6 / 2 if mpps else None


def _measure_setup(results, timing, machine, directory, skipped):
    """Starts the peers, adds their windows to the results of these cells, which share a setup, and
    ends the peers."""
    setup = results[0].cell.setup
    begin = time.monotonic()
    with ExitStack() as stack:
        kinds = _peers_of([result.cell for result in results])
        peers = _start_peers(stack, setup, machine, directory, kinds, skipped)
        started = time.monotonic()
        for result in results:
            cell = result.cell
            measured = [peer for peer in peers if _is_measured(peer.name, cell)]
            offered_pps = _offered_pps(cell, measured, timing)
            if offered_pps is None:
                skipped[str(setup), f"{cell.direction} {cell.size} half load",
                        "testpmd, whose half it is, has done nothing saturated"] += 1
                continue
            result.add(measure(cell, measured, timing, offered_pps), offered_pps)
    print(f"{setup}: {len(results)} cells in {time.monotonic() - begin:.0f} s, "
          f"{started - begin:.0f} of them to start", flush=True)


def _run(plan, timing, machine, directory, skipped):
    results = [Result(cell) for cell in plan]
    for start in range(timing.starts):
        for number, (_, group) in enumerate(itertools.groupby(results, key=lambda r: r.cell.setup)):
            place = directory / f"{start}-{number}"
            place.mkdir()
            _measure_setup(list(group), timing, machine, place, skipped)
    return [result for result in results if result.starts]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", choices=PLANS)
    parser.add_argument("--output", type=Path, default=build_dir() / "bench")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("bench: as root, please: for hugepages and Open vSwitch")
    end_on_sigterm()
    make_cells, timing = PLANS[arguments.plan]
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    skipped = Counter()  # number of starts by (setup, peer, reason)
    before = report.cpu_times()
    try:
        with hugepages(HUGE_MEBIBYTES, directory / "huge") as huge_dir:
            machine = pin(huge_dir)
            facts = report.facts(machine, timing, [Ours, TestpmdPeer, Ovs])
            done = _run(make_cells(), timing, machine, directory, skipped)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    facts.update(report.noise(before))
    print(report.write(arguments.output, facts, done, skipped))


if __name__ == "__main__":
    main()
