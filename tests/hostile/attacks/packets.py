# SPDX-License-Identifier: BSD-3-Clause
"""Descriptors and headers: chains that loop, lengths that lie, offloads nobody agreed to."""

import itertools
import random
import struct

from catalogue import add, attack

from lib.virtqueue import DESC_INDIRECT, DESC_NEXT, DESC_WRITE, PACKED_AVAIL, Memory

NEEDS_CSUM, DATA_VALID = 1, 2
GSO_TCPV4, GSO_UDP, GSO_TCPV6, GSO_ECN = 1, 3, 4, 0x80


def _offered(descriptors, receive, heads=(0,)):
    """Split rings: these descriptors as (gpa, length, flags, next), these heads available."""
    def run(target):
        frontend = target.ready(post=False)
        ring, gpa = frontend.rings[0 if receive else 1], frontend.memory.regions[1].gpa
        for index, (at, length, flags, following) in enumerate(descriptors):
            flags |= DESC_WRITE if receive else 0
            ring.write_desc(index, gpa + at if at < 1 << 32 else at, length, flags, following)
        for head in heads:
            ring.publish(head)
        ring.notify()
        target.work()
    return run


for _name, _what, _descriptors, _heads in (
        ("loop_of_one", "A descriptor that is its own successor", [(0, 64, DESC_NEXT, 0)], [0]),
        ("loop_of_two", "Two descriptors that follow each other",
         [(0, 64, DESC_NEXT, 1), (64, 64, DESC_NEXT, 0)], [0]),
        ("loop_without_bytes", "A loop of descriptors of length 0", [(0, 0, DESC_NEXT, 0)], [0]),
        ("next_out_of_range", "A successor beyond the ring", [(0, 64, DESC_NEXT, 64)], [0]),
        ("next_at_the_limit", "A successor of 65535", [(0, 64, DESC_NEXT, 65535)], [0]),
        ("head_out_of_range", "Heads beyond the ring", [(0, 64, 0, 0)], [64, 65535, 32768]),
        ("head_repeated", "One chain, available 64 times", [(0, 64, 0, 0)], [0] * 64),
        ("no_length", "A chain of no bytes", [(0, 0, 0, 0)], [0]),
        ("shorter_than_header", "A chain shorter than the header", [(0, 5, 0, 0)], [0]),
        ("header_alone", "A header without a frame", [(0, 12, 0, 0)], [0]),
        ("huge_length", "A length of 4 GiB", [(0, 0xffffffff, 0, 0)], [0]),
        ("sum_overflows", "Lengths whose sum overflows 32 bits",
         [(0, 0xffffffff, DESC_NEXT, 1), (0, 2, 0, 0)], [0]),
        ("address_outside", "A buffer that is nowhere", [(1 << 60, 64, 0, 0)], [0]),
        ("address_at_the_limit", "A buffer that wraps around the address space",
         [((1 << 64) - 16, 64, 0, 0)], [0]),
        ("end_outside", "A buffer that begins in memory and ends outside",
         [((4 << 20) - 16, 64, 0, 0)], [0]),
        ("unknown_flags", "Every flag at once", [(0, 64, 0xffff, 1)], [0]),
        ("bytes_in_bytes", "A chain of 64 descriptors of one byte",
         [(i, 1, DESC_NEXT if i < 63 else 0, i + 1) for i in range(64)], [0]),
        ("indirect_of_nothing", "An indirect table of length 0", [(0, 0, DESC_INDIRECT, 0)], [0]),
        ("indirect_of_half", "An indirect table of 15 bytes", [(0, 15, DESC_INDIRECT, 0)], [0]),
        ("indirect_outside", "An indirect table that is nowhere",
         [(1 << 60, 64, DESC_INDIRECT, 0)], [0]),
        ("indirect_huge", "An indirect table of 4 GiB", [(0, 0xfffffff0, DESC_INDIRECT, 0)], [0]),
        ("indirect_end_outside", "An indirect table that ends outside memory",
         [((4 << 20) - 16, 64, DESC_INDIRECT, 0)], [0]),
        ("indirect_and_next", "An indirect descriptor with a successor",
         [(0, 64, DESC_INDIRECT | DESC_NEXT, 0)], [0])):
    add(f"tx_{_name}", f"{_what}, to send", _offered(_descriptors, False, _heads))
    add(f"rx_{_name}", f"{_what}, to receive into", _offered(_descriptors, True, _heads))


def _indirect(entries, packed, receive):
    """Indirect tables with entries (offset, length, flags, next), four times the same one."""
    def run(target):
        frontend = target.ready(packed=packed, post=not receive)
        table = frontend.memory.alloc(16 * len(entries), 16, 1)
        direction = DESC_WRITE if receive else 0
        for index, (at, length, flags, following) in enumerate(entries):
            at = table if at is None else frontend.memory.regions[1].gpa + at
            fields = (following, flags | direction) if packed else (flags | direction, following)
            frontend.memory.write(table + 16 * index, struct.pack("=QIHH", at, length, *fields))
        ring = frontend.rings[0 if receive else 1]
        for index in range(4):
            if packed:
                ring.write_desc(index, table, 16 * len(entries), index,
                                PACKED_AVAIL | DESC_INDIRECT)
            else:
                ring.write_desc(index, table, 16 * len(entries), DESC_INDIRECT)
                ring.publish(index)
        target.work()
    return run


for _name, _what, _entries in (
        ("loop", "that loops", [(0, 64, DESC_NEXT, 0)] * 4),
        ("nested", "that holds another", [(None, 64, DESC_INDIRECT, 0)] * 4),
        ("next_outside", "whose successors are outside", [(0, 64, DESC_NEXT, 60000)] * 4),
        ("longer_than_ring", "of more descriptors than the ring has",
         [(64 * i, 64, DESC_NEXT, i + 1) for i in range(300)])):
    for _packed, _receive in itertools.product((False, True), (False, True)):
        _kind = "packed" if _packed else "split"
        add(f"{'rx_' if _receive else ''}indirect_{_name}_{_kind}",
            f"An indirect table {_what}{', to receive into' if _receive else ''} ({_kind} ring)",
            _indirect(_entries, _packed, _receive))


@attack()
def indirect_across_regions(target):
    """An indirect table that crosses from one region into the next, whose length changes."""
    memory = Memory((1 << 20, 4 << 20, 1 << 20))
    memory.regions[2].gpa = memory.end(1)
    frontend = target.ready(memory=memory)
    ring, table = frontend.tx(), memory.end(1) - 32
    for index in range(64):
        ring.write_desc(index, table, 64, DESC_INDIRECT)
        ring.publish(index)

    def change_length():
        for index in range(64):
            memory.write(ring.desc + 16 * index + 8, struct.pack("=I", 1024 if index % 2 else 32))

    target.work(0.1, change_length)


def _packed(descriptors, receive):
    """Packed rings: these descriptors as (offset, length, id, flags), the whole ring of them."""
    def run(target):
        frontend = target.ready(packed=True, post=False)
        ring, gpa = frontend.rings[0 if receive else 1], frontend.memory.regions[1].gpa
        for index in range(ring.size):
            at, length, chain_id, flags = descriptors[index % len(descriptors)]
            flags |= PACKED_AVAIL | (DESC_WRITE if receive else 0)
            ring.write_desc(index, gpa + at if at < 1 << 32 else at, length, chain_id, flags)
        target.work()
    return run


for _name, _what, _descriptors in (
        ("endless_chain", "A chain that fills the ring and never ends", [(0, 64, 0, DESC_NEXT)]),
        ("endless_empty_chain", "An endless chain of length 0", [(0, 0, 0, DESC_NEXT)]),
        ("ids_out_of_range", "Buffer ids of 65535", [(0, 64, 65535, 0)]),
        ("same_id", "The same id for every buffer", [(0, 2048, 7, 0)]),
        ("no_length", "Buffers of no bytes", [(0, 0, 0, 0)]),
        ("short", "Buffers shorter than the header", [(0, 11, 0, 0)]),
        ("huge", "Buffers of 4 GiB", [(0, 0xffffffff, 0, 0)]),
        ("outside", "Buffers that are nowhere", [(1 << 60, 64, 0, 0)]),
        ("address_at_the_limit", "Buffers that wrap around the address space",
         [((1 << 64) - 16, 64, 0, 0)]),
        ("end_outside", "Buffers that begin in memory and end outside",
         [((4 << 20) - 16, 64, 0, 0)]),
        ("indirect_of_nothing", "Indirect tables of length 0", [(0, 0, 0, DESC_INDIRECT)]),
        ("indirect_outside", "Indirect tables that are nowhere",
         [(1 << 60, 1024, 0, DESC_INDIRECT)]),
        ("indirect_of_half", "Indirect tables of 15 bytes", [(0, 15, 0, DESC_INDIRECT)]),
        ("indirect_end_outside", "Indirect tables that end outside memory",
         [((4 << 20) - 16, 64, 0, DESC_INDIRECT)]),
        ("indirect_huge", "Indirect tables of 4 GiB", [(0, 0xfffffff0, 0, DESC_INDIRECT)]),
        ("indirect_chained", "Indirect tables in endless chains",
         [(0, 64, 0, DESC_INDIRECT | DESC_NEXT)]),
        ("unknown_flags", "Every flag at once", [(0, 64, 0, 0x7f7f)])):
    add(f"tx_packed_{_name}", f"{_what}, to send (packed ring)",
        _packed(_descriptors, False))
    add(f"rx_packed_{_name}", f"{_what}, to receive into (packed ring)",
        _packed(_descriptors, True))


def _tcp(payload=b"", ip_version=4, l4_length=20):
    """An Ethernet frame of TCP."""
    tcp = struct.pack(">HHIIBBHHH", 1, 2, 0, 0, 0x50, 0x10, 65535, 0, 0)[:l4_length] + payload
    return _ip(ip_version, 6, tcp)


def _udp(payload=b"", ip_version=4, length=None, protocol=17, fragment=0):
    """An Ethernet frame of UDP. length: what its header says. protocol: what the IP header says."""
    length = 8 + len(payload) if length is None else length
    return _ip(ip_version, protocol, struct.pack(">HHHH", 1, 2, length, 0) + payload, fragment)


def _ip(version, protocol, payload, fragment=0):
    """An Ethernet frame of IP. fragment: flags and offset of an IPv4 fragment."""
    if version == 4:
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, fragment, 64, protocol, 0,
                         b"\n\0\0\1", b"\n\0\0\2")
    else:
        ip = struct.pack(">IHBB16s16s", 6 << 28, len(payload), protocol, 64, bytes(16), bytes(16))
    kind = b"\x08\x00" if version == 4 else b"\x86\xdd"
    return bytes.fromhex("020000000001020000000002") + kind + ip + payload


def _header(flags=0, gso_type=0, hdr_len=0, gso_size=0, csum_start=0, csum_offset=0, buffers=0):
    return struct.pack("=BBHHHHH", flags, gso_type, hdr_len, gso_size, csum_start, csum_offset,
                       buffers)


def _lie(frame, **fields):
    def run(target):
        for packed in (False, True):
            # All offloads on offer are accepted, so that the header counts.
            frontend = target.ready(packed=packed, features=target.FEATURES | target.OFFLOADS)
            for _ in range(8):
                frontend.send(frame, header=_header(**fields)[:frontend.header_bytes])
            target.work(0.03)
    return run


_FRAME = _tcp(bytes(1000))
for _name, _what, _frame, _fields in (
        ("csum_start_outside", "A checksum that begins behind the frame", _FRAME,
         {"flags": NEEDS_CSUM, "csum_start": 65535, "csum_offset": 16}),
        ("csum_offset_outside", "A checksum that is written behind the frame", _FRAME,
         {"flags": NEEDS_CSUM, "csum_start": 34, "csum_offset": 65535}),
        ("csum_wraps", "A checksum whose place overflows 16 bits", _FRAME,
         {"flags": NEEDS_CSUM, "csum_start": 1000, "csum_offset": 64600}),
        ("csum_in_headers", "A checksum over the Ethernet header", _FRAME,
         {"flags": NEEDS_CSUM, "csum_start": 0, "csum_offset": 0}),
        ("csum_of_nothing", "A checksum on a frame of 14 bytes", _FRAME[:14],
         {"flags": NEEDS_CSUM, "csum_start": 14, "csum_offset": 6}),
        ("csum_of_truncated_ip", "A checksum on half of an IP header", _FRAME[:24],
         {"flags": NEEDS_CSUM, "csum_start": 34, "csum_offset": 16}),
        ("gso_size_zero", "Segments of 0 bytes", _FRAME,
         {"flags": NEEDS_CSUM, "gso_type": GSO_TCPV4, "gso_size": 0, "csum_start": 34,
          "csum_offset": 16, "hdr_len": 54}),
        ("gso_size_one", "Segments of 1 byte, a thousand of them", _FRAME,
         {"flags": NEEDS_CSUM, "gso_type": GSO_TCPV4, "gso_size": 1, "csum_start": 34,
          "csum_offset": 16, "hdr_len": 54}),
        ("gso_size_huge", "Segments of 65535 bytes", _FRAME,
         {"flags": NEEDS_CSUM, "gso_type": GSO_TCPV4, "gso_size": 65535, "csum_start": 34,
          "csum_offset": 16, "hdr_len": 54}),
        ("gso_without_csum", "Segments without a checksum", _FRAME,
         {"gso_type": GSO_TCPV4, "gso_size": 500, "hdr_len": 54}),
        ("gso_wrong_family", "IPv6 segments of an IPv4 frame", _FRAME,
         {"flags": NEEDS_CSUM, "gso_type": GSO_TCPV6, "gso_size": 500, "csum_start": 34,
          "csum_offset": 16, "hdr_len": 54}),
        ("gso_wrong_protocol", "UDP segments of a TCP frame", _FRAME,
         {"flags": NEEDS_CSUM, "gso_type": GSO_UDP, "gso_size": 500, "csum_start": 34,
          "csum_offset": 16, "hdr_len": 54}),
        ("gso_unknown", "An unknown kind of segments", _FRAME,
         {"flags": 0xff, "gso_type": 0xff, "gso_size": 500, "csum_start": 34, "csum_offset": 16}),
        ("gso_of_truncated_tcp", "Segments of a frame whose TCP header is cut off",
         _tcp(l4_length=10), {"flags": NEEDS_CSUM, "gso_type": GSO_TCPV4 | GSO_ECN,
                              "gso_size": 100, "csum_start": 34, "csum_offset": 16}),
        ("gso_headers_only", "Segments of a frame that is all headers", _tcp(),
         {"flags": NEEDS_CSUM, "gso_type": GSO_TCPV4, "gso_size": 100, "csum_start": 34,
          "csum_offset": 16, "hdr_len": 54}),
        ("gso_tcp_options_lie", "Segments of a frame whose TCP header claims 60 bytes",
         _FRAME[:46] + b"\xf0" + _FRAME[47:60],
         {"flags": NEEDS_CSUM, "gso_type": GSO_TCPV4, "gso_size": 100, "csum_start": 34,
          "csum_offset": 16, "hdr_len": 54}),
        ("header_length_lies", "Headers of 65535 bytes", _tcp(bytes(1000), 6),
         {"flags": NEEDS_CSUM | DATA_VALID, "gso_type": GSO_TCPV6, "gso_size": 500,
          "csum_start": 54, "csum_offset": 16, "hdr_len": 65535}),
        ("ufo_size_small", "Fragments of 7 bytes, which can only be 0", _udp(bytes(1000)),
         {"flags": NEEDS_CSUM, "gso_type": GSO_UDP, "gso_size": 7, "csum_start": 34,
          "csum_offset": 6}),
        ("ufo_size_smallest", "Fragments of 8 bytes, a hundred of them", _udp(bytes(1000), 6),
         {"flags": NEEDS_CSUM, "gso_type": GSO_UDP, "gso_size": 8, "csum_start": 54,
          "csum_offset": 6}),
        ("ufo_length_lies", "Fragments of a datagram that says to be longer",
         _udp(bytes(1000), length=65535),
         {"flags": NEEDS_CSUM, "gso_type": GSO_UDP, "gso_size": 500, "csum_start": 34,
          "csum_offset": 6}),
        ("ufo_of_fragment", "Fragments of a fragment", _udp(bytes(1000), fragment=0x3fff),
         {"gso_type": GSO_UDP, "gso_size": 500}),
        ("ufo_without_header", "Fragments of half a UDP header", _udp()[:38],
         {"gso_type": GSO_UDP, "gso_size": 8}),
        ("ufo_behind_extension", "Fragments of IPv6 whose UDP header is an extension's as well",
         _udp(bytes(1000), 6, protocol=60), {"gso_type": GSO_UDP, "gso_size": 500}),
        ("buffers_counted_by_guest", "A count of buffers, which only the device may give", _FRAME,
         {"buffers": 65535})):
    add(f"lie_{_name}", _what, _lie(_frame, **_fields))


@attack()
def runts(target):
    """Frames of 0 to 13 bytes, too short for an Ethernet header."""
    for packed in (False, True):
        frontend = target.ready(packed=packed)
        for length in range(14):
            frontend.send(bytes(length))
        frontend.wait_sent()


@attack()
def giants(target):
    """Frames of 64 KiB to 4 MiB in one chain: more than the pool has buffers for."""
    for packed in (False, True):
        frontend = target.ready(packed=packed, queue_size=256)
        for length in (1 << 16, 1 << 20, 4 << 20):
            for _ in range(4):
                frontend.tx().offer([(frontend.memory.regions[1].gpa, length, False)])
            target.work(0.03)


@attack()
def chain_of_giants(target):
    """A chain of 256 buffers of 4 MiB each: a frame of 1 GiB."""
    frontend = target.ready(queue_size=256)
    frontend.tx().offer([(frontend.memory.regions[1].gpa, 4 << 20, False)] * 256)
    target.work()


@attack()
def buffers_that_may_not_be_written(target):
    """Receive buffers that the device may only read, and transmit buffers that it may only write."""
    for packed in (False, True):
        frontend = target.ready(packed=packed, post=False)
        gpa = frontend.memory.regions[1].gpa
        for index in range(32):
            frontend.rx().offer([(gpa + 2048 * index, 2048, False)])
            frontend.tx().offer([(gpa + 2048 * index, 76, True)])
        target.work()


@attack()
def tiny_receive_buffers(target):
    """Receive buffers of 1 to 12 bytes: less than a header."""
    for packed in (False, True):
        frontend = target.ready(packed=packed, post=False)
        for index in range(60):
            frontend.rx().offer([(frontend.memory.regions[1].gpa + index, 1 + index % 12, True)])
        target.work()


@attack()
def random_descriptors(target):
    """Descriptors of random values, 64 at a time, 20 times; split and packed."""
    for packed in (False, True):
        chance = random.Random(11)
        for _ in range(4):
            frontend = target.ready(packed=packed, post=False)
            gpa = frontend.memory.regions[1].gpa
            for _ in range(5):
                for ring in frontend.rings:
                    for index in range(ring.size):
                        at = chance.choice((gpa, gpa + (4 << 20) - 8, 0, 1 << 63))
                        length = chance.choice((0, 1, 12, 64, 2048, 65536, 0xffffffff))
                        fields = (chance.randrange(70), chance.choice((0, 1, 2, 3, 4, 5, 7)))
                        if packed:
                            ring.write_desc(index, at, length, fields[0],
                                            fields[1] | PACKED_AVAIL)
                        else:
                            ring.write_desc(index, at, length, fields[1], fields[0])
                            ring.publish(chance.randrange(70))
                target.work(0.01)


@attack()
def more_buffers_than_the_ring_has(target):
    """The index jumps over a ring of empty buffers, so that one burst seems to find thousands of
    them: the library notes each in a table as long as the ring."""
    for _ in range(10):
        frontend = target.ready(post=False, queue_size=64)
        ring, gpa = frontend.rx(), frontend.memory.regions[1].gpa
        for index in range(ring.size):
            ring.write_desc(index, gpa, 2 if index % 32 else 64, DESC_WRITE)
            ring.publish(index)
        for jump in range(4):
            ring.set_avail_idx(ring.avail_idx + 40000 * (jump + 1))
            target.work(0.01)


@attack()
def index_jumps_over_a_small_ring(target):
    """The same with rings of 32, 16 and 2, the smallest there may be, and frames to send."""
    for size in (32, 16, 2):
        frontend = target.frontend(queue_size=size)
        frontend.share_memory()
        for ring in frontend.rings:
            for index in range(ring.size):
                ring.write_desc(index, frontend.memory.regions[1].gpa, 76,
                                DESC_WRITE if ring is frontend.rx() else 0)
                ring.publish(index)
        target.attempt(frontend.set_up_rings)
        target.attempt(frontend.enable_rings)
        for ring in frontend.rings:
            ring.set_avail_idx(ring.avail_idx + 30000)
        target.work(0.02)
