# SPDX-License-Identifier: BSD-3-Clause
"""The driver's side of load.h: what is to be sent in one direction, and what has been counted."""

import ctypes
import mmap

QUEUES = 4
SLOTS = 1024
SIZES = 12
LATENCY_STEPS = 32
LATENCY_BUCKETS = 40 * LATENCY_STEPS


class _Count(ctypes.Structure):
    _fields_ = [("packets", ctypes.c_uint64), ("bytes", ctypes.c_uint64),
                ("missed", ctypes.c_uint64), ("reserved", ctypes.c_uint64 * 5)]


class _Load(ctypes.Structure):
    """struct load; the C side refuses a file of another size."""
    _fields_ = [("size_bytes", ctypes.c_uint32), ("n_sizes", ctypes.c_uint32),
                ("sizes", ctypes.c_uint16 * SIZES), ("flows", ctypes.c_uint32),
                ("probe_every", ctypes.c_uint32), ("pps", ctypes.c_double),
                ("on", ctypes.c_uint32), ("generation", ctypes.c_uint32),
                ("stalled", ctypes.c_uint32), ("written", ctypes.c_uint32),
                ("read", ctypes.c_uint32), ("reserved", ctypes.c_uint32 * 13),
                ("sent", _Count * SLOTS),
                ("received", _Count * SLOTS), ("latency", ctypes.c_uint64 * LATENCY_BUCKETS)]


class Load:
    """A load file in a directory of the caller's."""

    def __init__(self, path, relays, queues):
        self.path = path
        self._slots = [relay * QUEUES + queue for relay in range(relays)
                       for queue in range(queues)]
        path.write_bytes(bytes(ctypes.sizeof(_Load)))
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._load = _Load.from_buffer(self._map)
        self._load.size_bytes = ctypes.sizeof(_Load)

    def start(self, sizes, pps=0, probe_every=0, written=False, read=False):
        """pps: of all sources together; 0: as fast as it goes. written: the sources write whole
        packets, not only their headers. read: the sinks read whole packets."""
        load = self._load
        load.n_sizes = len(sizes)
        load.sizes[:len(sizes)] = sizes
        load.flows = 1 if len(self._slots) == 1 else 64
        load.probe_every = probe_every
        load.pps = pps / len(self._slots)
        load.written = written
        load.read = read
        load.on = 1
        load.generation += 1

    def stop(self):
        self._load.on = 0
        self._load.generation += 1

    def stall(self, *queues):
        """Makes the VMs read all queues but these."""
        self._load.stalled = sum(1 << queue for queue in queues)

    def counted(self):
        """The counters so far. Takes some microseconds, which with two CPUs are the VM's time."""
        return Counted(_Load.from_buffer_copy(self._map), self._slots)


class Counted:
    """The counters of a load file at one time."""

    def __init__(self, load, slots):
        self._load = load
        self._slots = slots

    def received(self, but_queue=None):
        """Packets received, of all queues or of all but one."""
        return sum(self._load.received[slot].packets for slot in self._slots
                   if slot % QUEUES != but_queue)

    def due(self):
        """Packets that were due by now, whether they were sent or not."""
        counts = (self._load.sent[slot] for slot in self._slots)
        return sum(count.packets + count.missed for count in counts)

    def latency(self):
        """The histogram of the probes that have arrived."""
        return list(self._load.latency)


def _bucket_ns(index):
    """The middle of a bucket of the latency histogram."""
    if index < LATENCY_STEPS:
        return float(index)
    log2, step = divmod(index, LATENCY_STEPS)
    width = 2 ** (log2 - 1)
    return (LATENCY_STEPS + step + 0.5) * width


def percentiles_us(before, after, lost, lost_us, wanted=(50, 99, 99.9)):
    """Percentiles of the probes between two snapshots of a histogram. The share `lost` of all
    probes has not arrived, and counts as lost_us. None if no probe has arrived."""
    counts = [b - a for a, b in zip(before, after)]
    due = sum(counts) / (1 - lost)
    if due == 0:
        return None
    result, seen, index = {}, 0, -1
    for percent in sorted(wanted):
        while seen < due * percent / 100 and index < len(counts) - 1:
            index += 1
            seen += counts[index]
        result[f"p{percent:g}"] = lost_us if seen < due * percent / 100 else _bucket_ns(index) / 1000
    return result
