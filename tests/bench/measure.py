# SPDX-License-Identifier: BSD-3-Clause
"""Windows of measurement, in rotation over the peers, and what they come to."""

import statistics
import time
from dataclasses import dataclass, field

from cells import SIZES, Load
from load import percentiles_us

IDLE_PPS = 20_000
PROBE_EVERY = 16  # packets, at half load


@dataclass
class Timing:
    """Of one window, seconds; and how many windows each peer has in a cell."""
    settle_s: float
    window_s: float
    rotations: int


@dataclass
class Result:
    """Of one cell: for each peer its windows, {"mpps": ..., "cycles": ..., "p50": ...}."""
    cell: object
    windows: dict = field(default_factory=dict)
    offered_pps: float = 0

    def median(self, peer, what):
        values = [w[what] for w in self.windows.get(peer, []) if w.get(what) is not None]
        return statistics.median(values) if values else None

    def ratio(self, a, b, what):
        """Median over the rotations of a to b; None where one of them has nothing."""
        pairs = [(x[what], y[what]) for x, y in zip(self.windows.get(a, []),
                                                    self.windows.get(b, []))
                 if x.get(what) and y.get(what)]
        return statistics.median(x / y for x, y in pairs) if pairs else None


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
    latency = loads[0].latency()
    due = sum(load.due() for load in loads)
    packets, start = sum(load.received() for load in loads), time.monotonic()
    time.sleep(timing.window_s)
    packets = sum(load.received() for load in loads) - packets
    seconds = time.monotonic() - start
    # Read before the relay is asked for its cycles: that takes the VM's CPU for a while.
    probes = percentiles_us(latency, loads[0].latency()) or {}
    due = sum(load.due() for load in loads) - due
    result = {"mpps": packets / seconds / 1e6}
    if cell.load is Load.HALF and packets:
        result["cycles"] = peer.cycles_per_packet()
        result["lost"] = max(0, 100 * (1 - packets / due))  # or still under way
    if probe_every:
        result.update(probes)
    for load in loads:
        load.stop()
    peer.pause()
    return result


def measure(cell, peers, timing, offered_pps=0):
    """All windows of a cell. peers: running and paused, in the order of the rotation."""
    result = Result(cell, {peer.name: [] for peer in peers}, offered_pps)
    for _ in range(timing.rotations):
        for peer in peers:
            result.windows[peer.name].append(_window(peer, cell, timing, offered_pps))
    return result
