# SPDX-License-Identifier: BSD-3-Clause
"""Measurement windows, in rotation over the peers, and their results."""

import statistics
import time
from dataclasses import dataclass, field

from cells import SIZES, Load
from load import Counted, percentiles_us

IDLE_PPS = 20_000
PROBE_EVERY = 16  # packets, at half load


@dataclass
class Timing:
    """The times of one window in seconds, how many windows each peer has in a cell per start, and
    how often all are started."""
    settle_s: float
    window_s: float
    rotations: int
    starts: int


def _median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


@dataclass
class Result:
    """The result of one cell. For each start of the peers: the windows of each peer, {"mpps": ...,
    "cycles": ..., "p50": ...}, and the offered load in packets a second (0: as much as goes)."""
    cell: object
    starts: list = field(default_factory=list)
    offered_pps: list = field(default_factory=list)

    def add(self, windows, offered_pps):
        """Adds what measure() has returned for another start."""
        self.starts.append(windows)
        self.offered_pps.append(offered_pps)

    def median(self, peer, what):
        """The median of all windows of a peer; None if it has none."""
        return _median(window.get(what) for windows in self.starts for window in windows.get(peer, []))

    def ratio(self, a, b, what):
        """The median over the rotations of the ratio of a to b; None if one of them has nothing."""
        return _median(x[what] / y[what] for windows in self.starts
                       for x, y in zip(windows.get(a, []), windows.get(b, []))
                       if x.get(what) and y.get(what))


def _loads(peer, direction):
    return {"vf_to_vm": [peer.vf_to_vm], "vm_to_vf": [peer.vm_to_vf],
            "both": [peer.vf_to_vm, peer.vm_to_vf]}[direction]


def _window(peer, cell, timing, offered_pps):
    """Measures one window of a peer that is paused before and after."""
    loads = _loads(peer, cell.direction)
    probe_every = {Load.SATURATED: 0, Load.HALF: PROBE_EVERY, Load.IDLE: 1}[cell.load]
    # A VM's CPU writes what it sends and reads what it receives, if it has the time; a device does
    # not.
    whole = cell.load is Load.HALF
    peer.resume()
    for load in loads:
        load.start(SIZES[cell.size], offered_pps, probe_every,
                   written=whole and load is peer.vm_to_vf, read=whole and load is peer.vf_to_vm)
    time.sleep(timing.settle_s)
    if cell.load is Load.HALF:
        peer.cycles_begin()
        time.sleep(timing.settle_s)  # that took CPU time of the VM
    # Evaluated later, since that takes CPU time of the VM.
    before, start = [load.counted() for load in loads], time.monotonic()
    time.sleep(timing.window_s)
    after, seconds = [load.counted() for load in loads], time.monotonic() - start
    packets, due = (sum(map(what, after)) - sum(map(what, before)) for what in (Counted.received, Counted.due))
    result = {"mpps": packets / seconds / 1e6}
    if probe_every and packets:
        lost = max(0, 1 - packets / due)  # or are still under way
        result["lost"] = 100 * lost
        result.update(percentiles_us(before[0].latency(), after[0].latency(), lost, seconds * 1e6) or {})
    if cell.load is Load.HALF and packets:
        result["cycles"] = peer.cycles_per_packet()
    for load in loads:
        load.stop()
    peer.pause()
    return result


def capacity_mpps(peer, cell, timing):
    """A peer's rate at saturation, with VMs that treat packets as in this cell."""
    return _median(_window(peer, cell, timing, 0)["mpps"] for _ in range(timing.rotations))


def measure(cell, peers, timing, offered_pps):
    """Measures the windows of each peer in a cell. peers: running and paused, in the order of the
    rotation."""
    windows = {peer.name: [] for peer in peers}
    for _ in range(timing.rotations):
        for peer in peers:
            windows[peer.name].append(_window(peer, cell, timing, offered_pps))
    return windows
