#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""seeds.py NAME DIRECTORY: writes the first inputs of a fuzzer whose inputs are no text (those of the
others are in corpus/)."""

import itertools
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.vhostuser import (F_IN_ORDER, F_LOG_ALL, F_MRG_RXBUF, F_PACKED, F_PROTOCOL,  # noqa: E402
                           F_VERSION_1, NEED_REPLY, NO_FD, P_LOG_SHMFD, P_MQ, P_NET_MTU, P_RARP,
                           P_REPLY_ACK, P_STATUS, VERSION, Request)

MEMORY, MEMORY_2, EVENTFD, PAGE, READ_ONLY, SOCKET = range(6)  # guest_fds()
MEMORY_BYTES = 1 << 20
UVA, GPA = 0x7f0000000000, 0x100000000
FEATURES = F_PROTOCOL | F_VERSION_1 | F_MRG_RXBUF
PROTOCOL = P_MQ | P_LOG_SHMFD | P_RARP | P_REPLY_ACK | P_NET_MTU | P_STATUS


def u64(number):
    return struct.pack("<Q", number)


def ring_state(index, number):
    return struct.pack("<II", index, number)


def memory_table(*regions):
    return struct.pack("<II", len(regions), 0) + b"".join(struct.pack("<4Q", *r) for r in regions)


def ring_addr(index, flags=0):
    at = UVA + 0x8000 * index
    return struct.pack("<II4Q", index, flags, at, at + 0x4000, at + 0x6000, 0)


def handshake(packed=False, pairs=1, size=256):
    """The messages of an honest frontend: [(request, payload, descriptors)]."""
    features = FEATURES | (F_PACKED if packed else 0)
    say = [(Request.GET_FEATURES, b"", ()),
           (Request.GET_PROTOCOL_FEATURES, b"", ()),
           (Request.SET_PROTOCOL_FEATURES, u64(PROTOCOL), ()),
           (Request.GET_QUEUE_NUM, b"", ()),
           (Request.SET_OWNER, b"", ()),
           (Request.SET_FEATURES, u64(features), ()),
           (Request.SET_MEM_TABLE, memory_table((GPA, MEMORY_BYTES, UVA, 0)), (MEMORY,))]
    for ring in range(2 * pairs):
        say += [(Request.SET_VRING_NUM, ring_state(ring, size), ()),
                (Request.SET_VRING_BASE, ring_state(ring, 0x80008000 if packed else 0), ()),
                (Request.SET_VRING_ADDR, ring_addr(ring), ()),
                (Request.SET_VRING_KICK, u64(ring), (EVENTFD,)),
                (Request.SET_VRING_CALL, u64(ring), (EVENTFD,)),
                (Request.SET_VRING_ERR, u64(ring | NO_FD), ()),
                (Request.SET_VRING_ENABLE, ring_state(ring, 1), ())]
    return say + [(Request.SET_STATUS, u64(15), ()), (Request.GET_STATUS, b"", ())]


def farewell(pairs=1):
    return [message for ring in range(2 * pairs) for message in (
        (Request.SET_VRING_ENABLE, ring_state(ring, 0), ()),
        (Request.GET_VRING_BASE, ring_state(ring, 0), ()))]


def migration():
    return [(Request.SET_LOG_BASE, struct.pack("<QQ", 4096, 0), (PAGE,)),
            (Request.SET_FEATURES, u64(FEATURES | F_LOG_ALL), ()),
            (Request.SET_VRING_ADDR, ring_addr(0, flags=1), ()),
            (Request.SET_FEATURES, u64(FEATURES), ()),
            (Request.SEND_RARP, bytes(8), ())]


LIVES = {
    "split": handshake() + farewell(),
    "packed": handshake(packed=True) + farewell(),
    "multiqueue": handshake(pairs=4, size=64) + farewell(4),
    "migration": handshake() + migration() + farewell(),
    "two_regions": handshake()[:6] + [
        (Request.SET_MEM_TABLE, memory_table((GPA, MEMORY_BYTES, UVA, 0),
                                             (GPA + MEMORY_BYTES, 4096, UVA + MEMORY_BYTES, 0)),
         (MEMORY, PAGE))] + handshake()[7:],
    "bad_descriptors": handshake()[:6] + [
        (Request.SET_MEM_TABLE, memory_table((GPA, MEMORY_BYTES, UVA, 0)), (READ_ONLY,)),
        (Request.SET_VRING_CALL, u64(0), (SOCKET,)),
        (Request.SET_BACKEND_REQ_FD, b"", (SOCKET,)),
        (Request.NET_SET_MTU, u64(1500), ())],
    "in_order": [(Request.SET_FEATURES, u64(FEATURES | F_IN_ORDER), ()),
                 (Request.RESET_OWNER, b"", ())] + handshake(),
}


def gate_rules(life):
    """The format that gate_rules.c reads."""
    out = b""
    for request, payload, fds in life:
        length = bytes([len(payload)]) if len(payload) < 255 else bytes([255, len(payload) - 255])
        out += bytes([request, 0, len(fds), *fds]) + length + payload
    return out


def gate_connection(life):
    """The format that gate_connection.c reads: each message with the library's answer, if it has
    one."""
    out = b""
    called = set()  # rings
    for request, payload, fds in life:
        header = struct.pack("<III", request, VERSION | NEED_REPLY, len(payload))
        out += bytes([len(fds) << 2, *fds, len(header)]) + header
        if payload:
            out += bytes([0, len(payload)]) + payload
        # Behind the first word that a ring is to run, the gate says itself that it has no calls.
        uncalled = request == Request.SET_VRING_KICK and payload not in called
        if request == Request.SET_VRING_CALL:
            called.add(payload)
        elif request == Request.GET_VRING_BASE:  # forgets it
            called.discard(u64(struct.unpack_from("<I", payload)[0]))
        for answered in [request] + [Request.SET_VRING_CALL] * uncalled:
            answer = struct.pack("<IIIQ", answered, VERSION | 4, 8, 0)
            out += bytes([3, len(answer)]) + answer
    return out


def packets():
    """Frames of all kinds, by name."""
    from scapy.all import (Dot1Q, Ether, IP, IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
                           IPv6ExtHdrRouting, SCTP, TCP, UDP, ARP)
    ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    four, six = IP(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="fe80::1", dst="fe80::2")
    tcp, udp = TCP(sport=1, dport=2, options=[("MSS", 1460)]), UDP(sport=1, dport=2)
    load = bytes(range(256)) * 3
    return {name: bytes(frame) for name, frame in {
        "tcp4": ether / four / tcp / load, "udp4": ether / four / udp / load,
        "tcp6": ether / six / tcp / load, "udp6": ether / six / udp / load,
        "sctp4": ether / four / SCTP(sport=1, dport=2) / load,
        "tagged": ether / Dot1Q(vlan=5) / four / tcp / load,
        "tagged_twice": Ether(type=0x88a8) / Dot1Q(vlan=5, type=0x8100) / Dot1Q(vlan=6) / six / udp,
        "options4": ether / IP(options=[bytes(b"\x94\x04\0\0")]) / tcp / load,
        "fragment4": ether / IP(flags="MF", frag=3) / udp / load,
        "hop_by_hop": ether / six / IPv6ExtHdrHopByHop() / tcp / load,
        "routing": ether / six / IPv6ExtHdrRouting(addresses=["fe80::3"]) / tcp / load,
        "fragment6": ether / six / IPv6ExtHdrFragment(m=1) / udp / load,
        "arp": ether / ARP(), "nothing": ether}.items()}


def steer():
    return {name: struct.pack("<I4B", 0b1011, 14, 8, 40, 0) + frame
            for name, frame in packets().items()}


def offload():
    return {f"{name}.{asked}": struct.pack("<BH4B", asked, 100, *pieces) + frame
            for name, frame in packets().items()
            for asked, pieces in ((1, (0, 0, 0, 0)), (2, (120, 33, 1, 0)), (7, (90, 90, 0, 0)),
                                  (17, (0, 0, 0, 0)))}


RING_WRITE, RING_DESCRIBE, RING_ENTRY, RING_OFFER, RING_TAKE, RING_GIVE, RING_NOTIFY = range(7)
RING_SENT, RING_END, RING_HOLD = 8, 9, 10
RING_GIVE_PAST = 1 << 7
RING_PACKED, RING_MERGEABLE, RING_EVENTS, RING_LOGGED, RING_CALLED, RING_LENT = 1, 2, 4, 32, 64, 128
NEXT, WRITABLE, INDIRECT = 1, 2, 4


def ring_memory(offset, data):
    return b"".join(struct.pack("<BBHB", RING_WRITE, 0, offset + at, len(data[at:at + 255]))
                    + data[at:at + 255] for at in range(0, len(data), 255))


def ring_sender(options, pieces, table, size=0, hold=0):
    """Frames that leave checksums and segmentation to the device, in so many pieces. size: the byte
    that ring.c makes the ring's size of. hold: used buffers are held until
    the next burst (1) or for ever (2)."""
    out, offset = bytes([options, size]), 0x800
    for number, frame in enumerate(packets().values()):
        checksum, segments = (1, 1) if number == 0 else (0, 0)
        frame = struct.pack("<BBHHHHH", checksum, segments, 54, 100, 34, 16, 0) + frame
        out += ring_memory(offset, frame)
        step, slot = -(-len(frame) // pieces), number * (1 if table else pieces)
        kind = RING_ENTRY if table else RING_DESCRIBE
        first = 4 * number if table else slot
        for piece in range(pieces):
            at, last = piece * step, piece == pieces - 1
            following = (0 if table else first) + piece + 1
            out += struct.pack("<BHHHBB", kind, first + piece, offset + at,
                               min(step, len(frame) - at), 0 if last else NEXT, following)
        if table:
            out += struct.pack("<BHHHBB", RING_DESCRIBE, slot, 64 * number, 16 * pieces, INDIRECT, slot)
        out += bytes([RING_OFFER, slot])
        offset += len(frame)
    out += bytes([RING_HOLD, hold, RING_NOTIFY, 0])
    for step in ((RING_TAKE, 1), (RING_NOTIFY, 1), (RING_END,)):
        out += bytes([RING_TAKE, 2, *step])
    return out + bytes([RING_NOTIFY, 1, RING_TAKE, 3, RING_TAKE, 32, RING_NOTIFY, 0, RING_SENT, 2,
                        RING_TAKE, 32, RING_END])


def ring_receiver(options, length, past, size=0):
    """Buffers of that length, and packets of several lengths for them, twice around the ring."""
    out = bytes([options, size])
    for turn in range(4):
        for number in range(turn % 2 * 16, 16 + turn % 2 * 16):
            out += struct.pack("<BHHHBB", RING_DESCRIBE, number, 256 * number, length, WRITABLE, number)
            out += bytes([RING_OFFER, number])
        out += struct.pack("<BBHH", RING_GIVE, 5 | past, 60 + 300 * turn, 0xffff)
        out += struct.pack("<BBHHBB", RING_GIVE, 20 | past, 60, 20, RING_NOTIFY, turn)
    return out


def ring():
    kinds = {"split": 0, "packed": RING_PACKED}
    options = {"": 0, ".all": RING_MERGEABLE | RING_EVENTS | RING_LOGGED | RING_CALLED,
               ".lent": RING_EVENTS | RING_LOGGED | RING_LENT}
    out = {}
    for (kind, packed), (name, more) in itertools.product(kinds.items(), options.items()):
        for pieces, table in ((1, False), (2, False), (2, True), (4, True)):
            out[f"send.{kind}{name}.{pieces}.{table}"] = ring_sender(packed | more, pieces, table)
        for length, past in itertools.product((40, 512, 2048), (0, RING_GIVE_PAST)):
            out[f"receive.{kind}{name}.{length}.{past}"] = ring_receiver(packed | more, length, past)
        if not (packed or more & RING_LENT):
            for hold in (1, 2):
                out[f"send{name}.held.{hold}"] = ring_sender(more, 1, False, hold=hold)
        two = 226 if packed else 4  # descriptors
        out[f"send.{kind}{name}.two"] = ring_sender(packed | more, 1, False, two)
        out[f"receive.{kind}{name}.two"] = ring_receiver(packed | more, 512, 0, two)
    return out


def wire():
    from lib import vioclient
    pb = vioclient.extended
    members = [dict(domain=0, bus=5, slot=8, function=i) for i in range(2)]
    requests = {
        "add": (0, pb.PortControlRequest(op=0, pci_addrs=members[:1], virtio_id=3)),
        "add_bond": (0, pb.PortControlRequest(op=0, pci_addrs=members, virtio_id=3,
                                              name="net_bonding0", mode=4)),
        "add_sock": (0, pb.PortControlRequest(op=2, vhost_path="/tmp/a", device=["net_null0"],
                                              socket_mode=1, ident="port-1", conditional=False)),
        "remove_sock": (0, pb.PortControlRequest(op=3, vhost_path="/tmp/a")),
        "query": (0, pb.PortControlRequest(op=4, vhost_path="/tmp/a")),
        "stats": (1, pb.StatsRequest(relay=[0, 1, 63], delay=200, include_inactive=False)),
        "update": (2, pb.CoreSchedRequest(op=0, relay_cpu_map=[
            dict(relay_number=1, vf2virtio_cpu=1, virtio2vf_cpu=2)])),
        "cores": (2, pb.CoreSchedRequest(op=1)),
        "answer": (4, pb.PortControlResponse(status=0, error_code=22, error_code_source="wrong")),
        "cores_answer": (6, pb.CoreSchedResponse(status=1, eal_cores=[1, 2, 3])),
    }
    direction = dict(active=True, internal_state="DPDK_READY")
    rates = {name: 1.5 for name in ("pkt_rate_rx_from_vf", "byte_rate_rx_from_vf",
                                    "pkt_rate_tx_to_vm", "byte_rate_tx_to_vm")}
    rates_back = {name: 1e20 for name in ("pkt_rate_rx_from_vm", "byte_rate_rx_from_vm",
                                          "pkt_rate_tx_to_vf", "byte_rate_tx_to_vf")}
    requests["stats_answer"] = (5, pb.StatsResponse(status=0, relay=[dict(
        id=1, active=True, ident="x", cpu=dict(vf_to_vm=1, vm_to_vf=2), socket_id=0,
        vhost=dict(vhost_socket_name="/tmp/a"), vf=dict(pci_addr_str="0000:05:08.1"),
        vf_to_vm={**direction, **rates, "pkts_rx_from_vf": 1 << 40},
        vm_to_vf={**direction, **rates_back})]))
    return {name: bytes([kind]) + message.SerializeToString()
            for name, (kind, message) in requests.items()}


SEEDS = {
    "gate_connection": lambda: {name: gate_connection(life) for name, life in LIVES.items()},
    "gate_rules": lambda: {name: gate_rules(life) for name, life in LIVES.items()},
    "offload": offload,
    "ring": ring,
    "steer": steer,
    "wire": wire,
}


def main():
    name, directory = sys.argv[1], Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    for seed, data in SEEDS.get(name, dict)().items():
        (directory / seed).write_bytes(data)


main()
