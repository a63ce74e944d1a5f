# SPDX-License-Identifier: BSD-3-Clause
"""A virtio driver's memory and virtqueues, by hand: the basis of vhostuser.Frontend.

Memory is the guest's, in regions of shared memory; SplitRing and PackedRing are the driver's side
of a virtqueue in it. Their methods keep the rules; for tests that do not want to, there are their
addresses, Memory.write() and the like.

Addresses: `gpa` is a guest physical address (as in descriptors), `uva` the frontend's own (as in
SET_VRING_ADDR). Both are made up, and differ so that a backend that confuses them is found out."""

import contextlib
import mmap
import os
import struct

DESC_NEXT, DESC_WRITE, DESC_INDIRECT = 1, 2, 4
PACKED_AVAIL, PACKED_USED = 1 << 7, 1 << 15
MAX_U64 = (1 << 64) - 1


def memfd(size, name="guest"):
    """Creates a file of shared memory."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    return fd


class Region:
    """One region of guest memory, mapped here and (once announced) in the backend."""

    def __init__(self, gpa, uva, size, offset=0):
        """offset: where it begins in its file."""
        self.gpa, self.uva, self.size, self.offset = gpa, uva, size, offset
        self.fd = memfd(offset + size)
        self._map = mmap.mmap(self.fd, offset + size)
        self.bytes = memoryview(self._map)[offset:]
        self.u16 = self.bytes.cast("H")  # written with a single store, since the other side polls it

    def entry(self):
        """Its entry in SET_MEM_TABLE."""
        return (self.gpa, self.size, self.uva, self.offset)

    def close(self):
        self.u16.release()
        self.bytes.release()
        self._map.close()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Memory:
    """The guest's memory. Pieces of it are allocated and never freed."""

    GPA, UVA = 0x1_0000_0000, 0x7000_0000_0000

    def __init__(self, sizes=(4 << 20,), offset=0):
        self.regions = []
        self._used = [0] * len(sizes)
        for i, size in enumerate(sizes):
            # Far apart, so that nothing runs from one region into the next.
            self.regions.append(Region(self.GPA + (i << 32), self.UVA + (i << 32), size, offset))

    def alloc(self, size, align=16, region=0):
        """Allocates a piece of a region; returns its gpa."""
        start = -(-self._used[region] // align) * align
        if start + size > self.regions[region].size:
            raise MemoryError(f"region {region} of the guest's memory is used up")
        self._used[region] = start + size
        return self.regions[region].gpa + start

    def end(self, region=-1):
        """The first gpa after a region."""
        return self.regions[region].gpa + self.regions[region].size

    def _find(self, gpa):
        for region in self.regions:
            if region.gpa <= gpa < region.gpa + region.size:
                return region, gpa - region.gpa
        raise IndexError(f"gpa {gpa:#x} is not in the guest's memory")

    def uva(self, gpa):
        region, at = self._find(gpa)
        return region.uva + at

    def read(self, gpa, size):
        region, at = self._find(gpa)
        return bytes(region.bytes[at:at + size])

    def write(self, gpa, data):
        region, at = self._find(gpa)
        region.bytes[at:at + len(data)] = data

    def load16(self, gpa):
        region, at = self._find(gpa)
        return region.u16[at // 2]

    def store16(self, gpa, value):
        region, at = self._find(gpa)
        region.u16[at // 2] = value & 0xffff

    def close(self):
        for region in self.regions:
            region.close()


class Ring:
    """Common to split and packed rings. A chain is a list of (gpa, length, writable)."""

    def __init__(self, memory, size, region=0):
        self.memory, self.size, self.region = memory, size, region
        self.kick = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.call = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.indirect = False  # offer chains as indirect tables

    def notify(self):
        os.eventfd_write(self.kick, 1)

    def calls(self):
        """How often the backend has called since the last time we asked."""
        try:
            return os.eventfd_read(self.call)
        except BlockingIOError:
            return 0

    def close(self):
        for fd in (self.kick, self.call):
            with contextlib.suppress(OSError):
                os.close(fd)


class SplitRing(Ring):
    packed = False

    def __init__(self, memory, size, region=0):
        super().__init__(memory, size, region)
        self.desc = memory.alloc(16 * size, 16, region)
        self.avail = memory.alloc(6 + 2 * size, 2, region)
        self.used = memory.alloc(6 + 8 * size, 4, region)
        self.reset()

    def reset(self):
        """As after the driver's start: nothing offered, nothing used."""
        self._free = list(range(self.size))
        self._chains = {}  # head: its descriptors
        self.avail_idx = self.used_idx = 0
        for part, size in ((self.desc, 16), (self.avail, 2), (self.used, 8)):
            self.memory.write(part, bytes(size * self.size + (0 if part == self.desc else 6)))

    @property
    def base(self):
        """The value for SET_VRING_BASE."""
        return self.used_idx

    def write_desc(self, index, gpa, length, flags=0, following=0):
        self.memory.write(self.desc + 16 * index,
                          struct.pack("=QIHH", gpa & MAX_U64, length, flags, following))

    def publish(self, head):
        """Puts the head of a chain into the available ring."""
        self.memory.store16(self.avail + 4 + 2 * (self.avail_idx % self.size), head)
        self.avail_idx = self.avail_idx + 1 & 0xffff
        self.memory.store16(self.avail + 2, self.avail_idx)

    def set_avail_idx(self, value):
        """Sets the available index without adding entries."""
        self.avail_idx = value & 0xffff
        self.memory.store16(self.avail + 2, self.avail_idx)

    def offer(self, chain):
        """Makes a chain available to the device; returns its id."""
        if self.indirect:
            indices = [self._free.pop()]
            table = self.memory.alloc(16 * len(chain), 16, self.region)
            for i, (gpa, length, writable) in enumerate(chain):
                last = i == len(chain) - 1
                self.memory.write(table + 16 * i, struct.pack(
                    "=QIHH", gpa, length, (DESC_WRITE if writable else 0)
                    | (0 if last else DESC_NEXT), 0 if last else i + 1))
            self.write_desc(indices[0], table, 16 * len(chain), DESC_INDIRECT)
        else:
            indices = [self._free.pop() for _ in chain]
            for i, (gpa, length, writable) in enumerate(chain):
                last = i == len(chain) - 1
                self.write_desc(indices[i], gpa, length, (DESC_WRITE if writable else 0)
                                | (0 if last else DESC_NEXT), 0 if last else indices[i + 1])
        self._chains[indices[0]] = indices
        self.publish(indices[0])
        return indices[0]

    def take_used(self):
        """[(id, bytes written)] of the chains that the device has used since the last call."""
        end = self.memory.load16(self.used + 2)
        returned = []
        while self.used_idx != end:
            entry = self.memory.read(self.used + 4 + 8 * (self.used_idx % self.size), 8)
            head, length = struct.unpack("=II", entry)
            self._free += self._chains.pop(head, [])
            returned.append((head, length))
            self.used_idx = self.used_idx + 1 & 0xffff
        return returned

    def suppress_calls(self, suppress=True):
        self.memory.store16(self.avail, int(suppress))

    def call_after(self, index):
        """EVENT_IDX: asks the device to call once it has used chain number `index` (mod 2**16)."""
        self.memory.store16(self.avail + 4 + 2 * self.size, index)

    def parts(self):
        """(descriptors, used, available) as gpas."""
        return self.desc, self.used, self.avail


class PackedRing(Ring):
    packed = True

    def __init__(self, memory, size, region=0):
        super().__init__(memory, size, region)
        self.desc = memory.alloc(16 * size, 16, region)
        self.driver_event = memory.alloc(4, 4, region)
        self.device_event = memory.alloc(4, 4, region)
        self.reset()

    def reset(self):
        self._ids = list(range(self.size))
        self._lengths = {}  # id: descriptors in its chain
        self.next, self.wrap = 0, 1
        self.used_next, self.used_wrap = 0, 1
        self.memory.write(self.desc, bytes(16 * self.size))
        self.memory.write(self.driver_event, bytes(4))
        self.memory.write(self.device_event, bytes(4))

    @property
    def base(self):
        """Where a buffer is available next, and above it where one is used next."""
        position = self.used_next | self.used_wrap << 15
        return position | position << 16

    def _flags(self):
        return PACKED_AVAIL if self.wrap else PACKED_USED

    def write_desc(self, index, gpa, length, chain_id, flags):
        """The flags come last: they make the descriptor available."""
        at = self.desc + 16 * index
        self.memory.write(at, struct.pack("=QIH", gpa, length, chain_id))
        self.memory.store16(at + 14, flags)

    def advance(self):
        self.next += 1
        if self.next == self.size:
            self.next, self.wrap = 0, 1 - self.wrap

    def offer(self, chain):
        chain_id = self._ids.pop()
        if self.indirect:
            table = self.memory.alloc(16 * len(chain), 16, self.region)
            for i, (gpa, length, writable) in enumerate(chain):
                self.memory.write(table + 16 * i, struct.pack(
                    "=QIHH", gpa, length, 0, DESC_WRITE if writable else 0))
            chain = [(table, 16 * len(chain), None)]
        self._lengths[chain_id] = len(chain)
        head = None
        for i, (gpa, length, writable) in enumerate(chain):
            flags = self._flags() | (0 if i == len(chain) - 1 else DESC_NEXT)
            flags |= {True: DESC_WRITE, False: 0, None: DESC_INDIRECT}[writable]
            if i == 0:
                head = (self.next, gpa, length, chain_id, flags)
            else:
                self.write_desc(self.next, gpa, length, chain_id, flags)
            self.advance()
        self.write_desc(*head)
        return chain_id

    def take_used(self):
        returned = []
        while True:
            at = self.desc + 16 * self.used_next
            flags = self.memory.load16(at + 14)
            avail, used = bool(flags & PACKED_AVAIL), bool(flags & PACKED_USED)
            if avail != used or used != bool(self.used_wrap):
                return returned
            _, length, chain_id = struct.unpack("=QIH", self.memory.read(at, 14))
            if chain_id not in self._lengths:
                raise AssertionError(f"the device returned id {chain_id}, which it does not have")
            self.used_next += self._lengths.pop(chain_id)
            self._ids.append(chain_id)
            if self.used_next >= self.size:
                self.used_next -= self.size
                self.used_wrap = 1 - self.used_wrap
            returned.append((chain_id, length))

    def suppress_calls(self, suppress=True):
        self.memory.store16(self.driver_event + 2, 1 if suppress else 0)

    def call_after(self, index):
        """EVENT_IDX: asks the device to call once it has used the descriptor at `index` in the
        current lap of the ring."""
        self.memory.store16(self.driver_event, index | self.used_wrap << 15)
        self.memory.store16(self.driver_event + 2, 2)

    def parts(self):
        return self.desc, self.device_event, self.driver_event
