# SPDX-License-Identifier: BSD-3-Clause
"""Windows of measurement, in rotation over the peers, and what they come to."""

import statistics
import time
from dataclasses import dataclass, field

from cells import SIZES, Load
from load import Counted, percentiles_us

IDLE_PPS = 20_000
PROBE_EVERY = 16  # packets, at half load


@dataclass
class Timing:
    """Of one window, seconds; how many windows each peer has in a cell each time it is started, and how
    often all are started."""
    settle_s: float
    window_s: float
    rotations: int
    starts: int


def _median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


@dataclass
class Result:
    """Of one cell. For each start of the peers: the windows of each, {"mpps": ..., "cycles": ..., "p50":
    ...}, and what was offered, packets a second (0: all that goes)."""
    cell: object
    starts: list = field(default_factory=list)
    offered_pps: list = field(default_factory=list)

    def add(self, windows, offered_pps):
        """What measure() has returned for another start."""
        self.starts.append(windows)
        self.offered_pps.append(offered_pps)

    def median(self, peer, what):
        """Of all windows of a peer; None where it has nothing."""
        return _median(window.get(what) for windows in self.starts for window in windows.get(peer, []))

    def ratio(self, a, b, what):
        """Median over the rotations of a to b; None where one of them has nothing."""
        return _median(x[what] / y[what] for windows in self.starts
                       for x, y in zip(windows.get(a, []), windows.get(b, []))
                       if x.get(what) and y.get(what))


def _loads(peer, direction):
    return {"vf_to_vm": [peer.vf_to_vm], "vm_to_vf": [peer.vm_to_vf],
            "both": [peer.vf_to_vm, peer.vm_to_vf]}[direction]


def _window(peer, cell, timing, offered_pps):
    """One window of a peer that is paused before and after."""
    loads = _loads(peer, cell.direction)
    probe_every = {Load.SATURATED: 0, Load.HALF: PROBE_EVERY, Load.IDLE: 1}[cell.load]
    # A VM's CPU writes what it sends and reads what it gets, if it has the time; a device does not.
    whole = cell.load is Load.HALF
    peer.resume()
    for load in loads:
        load.start(SIZES[cell.size], offered_pps, probe_every,
                   written=whole and load is peer.vm_to_vf, read=whole and load is peer.vf_to_vm)
    time.sleep(timing.settle_s)
    if cell.load is Load.HALF:
        peer.cycles_begin()
        time.sleep(timing.settle_s)  # that took the VM's CPU too
    # Evaluated later: that takes the VM's CPU for a while.
    before, start = [load.counted() for load in loads], time.monotonic()
    time.sleep(timing.window_s)
    after, seconds = [load.counted() for load in loads], time.monotonic() - start
    packets, due = (sum(map(what, after)) - sum(map(what, before)) for what in (Counted.received, Counted.due))
    result = {"mpps": packets / seconds / 1e6}
    if probe_every and packets:
        lost = max(0, 1 - packets / due)  # or still under way
        result["lost"] = 100 * lost
        result.update(percentiles_us(before[0].latency(), after[0].latency(), lost, seconds * 1e6) or {})
    if cell.load is Load.HALF and packets:
        result["cycles"] = peer.cycles_per_packet()
    for load in loads:
        load.stop()
    peer.pause()
    return result


def capacity_mpps(peer, cell, timing):
    """What a peer does where all is offered that goes, and the VMs do with it what they do in this cell."""
    return _median(_window(peer, cell, timing, 0)["mpps"] for _ in range(timing.rotations))


def measure(cell, peers, timing, offered_pps):
    """The windows of each peer in a cell. peers: running and paused, in the order of the rotation."""
    windows = {peer.name: [] for peer in peers}
    for _ in range(timing.rotations):
        for peer in peers:
            windows[peer.name].append(_window(peer, cell, timing, offered_pps))
    return windows
