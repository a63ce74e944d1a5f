# SPDX-License-Identifier: BSD-3-Clause
"""What is measured: the cells, grouped by setups that share the same running relays."""

from dataclasses import dataclass
from enum import Enum

from peers import Setup

IMIX = (64, 64, 570, 64, 570, 64, 64, 570, 64, 64, 570, 1514)  # 7 : 4 : 1
SIZES = {"64": (64,), "256": (256,), "1500": (1500,), "IMIX": IMIX, "9000": (9000,)}
DIRECTIONS = ("vf_to_vm", "vm_to_vf", "both")


class Load(Enum):
    """The offered load."""
    SATURATED = "saturated"  # as much as goes: the rate is measured
    HALF = "half"  # half of what testpmd can do: cycles per packet and latency are measured
    IDLE = "idle"  # an occasional probe: latency is measured


@dataclass(frozen=True)
class Cell:
    setup: Setup
    direction: str
    size: str
    load: Load = Load.SATURATED
    control: bool = False  # also measured against a second instance of testpmd

    @property
    def zero_copy(self):
        """Whether ours is also measured with --zero-copy: where long packets leave a VM."""
        return (self.direction != "vf_to_vm" and self.size in ("1500", "IMIX", "9000") and
                self.setup.queues == 1)

    @property
    def many_relays(self):
        """Whether a single relay of ours, and a loop that only copies, are measured too."""
        return self.setup.relays > 1


def _saturated(setup, sizes, control=False):
    return [Cell(setup, direction, size, control=control)
            for direction in DIRECTIONS for size in sizes]


def _paced(setup, sizes):
    """Cells at half load, and the smallest packets with almost no load."""
    return [Cell(setup, direction, size, load) for direction in DIRECTIONS[:2] for size in sizes
            for load in (Load.HALF, Load.IDLE) if load is Load.HALF or size == "64"]


def short():
    """Takes a minute: the most common rings, the smallest packets and the largest usual ones."""
    setup = Setup()
    return _saturated(setup, ("64", "1500"), control=True) + _paced(setup, ("64", "1500"))


def full():
    """Every cell."""
    cells = []
    for packed in (False, True):
        for mergeable in (True, False):
            setup = Setup(packed, mergeable)
            cells += _saturated(setup, ("64", "256", "1500", "IMIX"), control=mergeable)
            cells += _paced(setup, ("64", "1500"))
        # Without mergeable buffers a VM accepts jumbo frames only if its frontend sets an MTU,
        # which virtio_user does not.
        cells += _saturated(Setup(packed, jumbo=True), ("9000",))
        cells += [Cell(Setup(packed, jumbo=True, spread=True), "vf_to_vm", "9000")]
        cells += _saturated(Setup(packed, queues=4), ("64", "1500"))
    cells += _saturated(Setup(packed=True, in_order=True), ("64", "1500"))
    for relays in (8, 16, 64):
        cells += _saturated(Setup(relays=relays), ("64", "1500"))
    cells += _saturated(Setup(relays=64, ring=256), ("64", "1500"))  # QEMU's default
    return cells


def smoke():
    """Checks that the benchmark works, with all that can be measured."""
    return [*_saturated(Setup(), ("64",)), *_paced(Setup(), ("64",)), Cell(Setup(relays=2), "vm_to_vf", "1500")]
