# SPDX-License-Identifier: BSD-3-Clause
"""What a guest leaves to its device is completed: a device without any offload sends exactly what
scapy makes of the same packet with its checksums, or of its segments. Scapy is slow: what both daemons
are given is made only once."""

import functools
import itertools
import socket
import struct

import pytest
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import (IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
                                IPv6ExtHdrRouting, PadN)
from scapy.layers.l2 import GRE, Dot1AD, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN

from lib.capture import Capture
from lib.packet_socket import socket_in
from lib.proc import wait_until
from lib.vhostuser import (F_CSUM, F_HOST_ECN, F_HOST_TSO4, F_HOST_TSO6, F_HOST_UFO, F_MRG_RXBUF,
                           F_PROTOCOL, F_VERSION_1, Frontend)
from lib.virtqueue import Memory

NEEDS_CSUM = 1
GSO_NONE, GSO_TCPV4, GSO_UDP, GSO_TCPV6, GSO_ECN = 0, 1, 3, 4, 0x80
GUEST_MAC, WIRE_MAC = "02:00:00:00:00:02", "02:00:00:00:00:01"
ETHERNET = Ether(src=GUEST_MAC, dst=WIRE_MAC)

TAGS = {
    "untagged": ETHERNET,
    "vlan": ETHERNET / Dot1Q(vlan=5),
    "qinq": ETHERNET / Dot1AD(vlan=5) / Dot1Q(vlan=6),
    "vlan-vlan": ETHERNET / Dot1Q(vlan=5) / Dot1Q(vlan=6),
}
IPV4 = IP(src="10.0.0.2", dst="10.0.0.1", id=0xfffe)
IPV6 = IPv6(src="fd00::2", dst="fd00::1")
NETWORK = {
    "ipv4": IPV4,
    "ipv4-options": IP(src="10.0.0.2", dst="10.0.0.1", id=7, options=[IPOption_NOP()] * 40),
    "ipv6": IPV6,
    "ipv6-hop-by-hop": IPV6 / IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 20)]),
    "ipv6-routing": IPV6 / IPv6ExtHdrRouting(type=2, segleft=1, addresses=["fd00::77"]),
    "ipv6-chain": IPV6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt()
    / IPv6ExtHdrRouting(type=2, segleft=1, addresses=["fd00::77"]) / IPv6ExtHdrDestOpt(),
    "ipv6-long-chain": IPV6 / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 200)] * 3),
}
SEGMENTED = [name for name in NETWORK if name != "ipv6-long-chain"]
TRANSPORT = {
    "tcp": TCP(sport=40000, dport=5001, seq=0xfffffff0, flags="PA",
               options=[("NOP", None), ("NOP", None), ("Timestamp", (1, 2))]),
    "udp": UDP(sport=40000, dport=5001),
}

pytestmark = pytest.mark.silent_wire


def payload(length):
    return bytes(i * 7 % 251 for i in range(length))


def one_complement(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data[:len(data) // 2 * 2]))
    if len(data) % 2:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def unfinished(frame, start, offset):
    """The frame with the sum of the pseudo-header in place of the checksum at start + offset, as it
    is handed to a device."""
    at = start + offset
    complement = 0xffff - struct.unpack_from(">H", frame, at)[0]
    rest = one_complement(frame[start:at] + b"\0\0" + frame[at + 2:])
    pseudo = (complement - rest) % 0xffff
    return frame[:at] + struct.pack(">H", pseudo) + frame[at + 2:]


def locate(packet, layer):
    """The offset of the last layer of this kind, and that of its checksum within it."""
    inner = packet
    while layer in inner.payload:
        inner = inner.payload
    inner = inner[layer]
    return len(packet) - len(inner), 16 if layer is TCP else 6


def net_header(start, offset, gso_type=GSO_NONE, gso_size=0, header_bytes=0):
    return struct.pack("<BBHHHHH", NEEDS_CSUM, gso_type, header_bytes, gso_size, start, offset, 0)


@pytest.fixture(params=[(), ("--zero-copy",)], ids=["copied", "lent"])
def forwarder(request, make_forwarder, veth):
    return make_forwarder({0: f"net_af_packet0,iface={veth.outer}"},
                          options=["--enable-mrgbuf", "--enable-tso", *request.param])


@pytest.fixture
def frontend(forwarder, stack):
    features = (F_VERSION_1 | F_PROTOCOL | F_MRG_RXBUF | F_CSUM | F_HOST_TSO4 | F_HOST_TSO6
                | F_HOST_ECN | F_HOST_UFO)
    frontend = stack.enter_context(Frontend(forwarder.socket(0), features=features,
                                            memory=Memory((1 << 20, 16 << 20))))
    frontend.start()
    assert frontend.features & features == features
    forwarder.wait_vm(0)
    return frontend


@pytest.fixture
def capture(wire, veth, workdir, stack):
    return stack.enter_context(Capture(wire, veth.inner, workdir))


def send(frontend, frame, header, parts=1):
    """Puts a frame of any length on the transmit ring, in so many buffers, and waits until the
    device has taken it."""
    data = header + frame
    gpa = frontend.memory.alloc(len(data), 64, -1)
    frontend.memory.write(gpa, data)
    step = -(-len(data) // parts)
    ring = frontend.tx()
    ring.offer([(gpa + at, min(step, len(data) - at), False) for at in range(0, len(data), step)])
    ring.notify()
    wait_until(ring.take_used, 5, "frame taken", interval=0.001)


def send_all(frontend, packets):
    for packet in packets:
        send(frontend, *packet)


def padded(frame):
    """As it is on the wire: no shorter than Ethernet allows."""
    return frame.ljust(60, b"\0")


def assert_frames(capture, expected):
    """expected: [(what, frame)]"""
    for (what, wanted), frame in zip(expected, capture.wait(len(expected)), strict=True):
        assert frame == padded(wanted), what


@functools.cache
def checksums(tags):
    """[what send() sends], [(what, frame)]"""
    packets, expected = [], []
    for (network, headers), (transport, l4), length in itertools.product(
            NETWORK.items(), TRANSPORT.items(), (0, 1, 2, 3, 100, 601)):
        packet = TAGS[tags] / headers / l4 / payload(length)
        frame = bytes(packet)
        start, offset = locate(packet, l4.__class__)
        packets.append((unfinished(frame, start, offset), net_header(start, offset), 1 + length % 5))
        expected.append((f"{network} {transport} {length}", frame))
    return packets, expected


@pytest.mark.parametrize("tags", TAGS)
def test_checksum(frontend, capture, tags):
    """For all kinds of headers, with odd and even lengths, in one buffer and in several."""
    packets, expected = checksums(tags)
    send_all(frontend, packets)
    assert_frames(capture, expected)


def test_udp_checksum_of_zero_is_not_sent_as_none(frontend, capture):
    packet = ETHERNET / IPV4 / UDP(sport=40000, dport=5001) / b"\0\0"
    missing = struct.pack(">H", Ether(bytes(packet))[UDP].chksum)
    frame = bytes(ETHERNET / IPV4 / UDP(sport=40000, dport=5001) / missing)
    start, offset = locate(packet, UDP)
    assert frame[start + offset:start + offset + 2] == b"\xff\xff"
    send(frontend, unfinished(frame, start, offset), net_header(start, offset))
    assert capture.wait(1) == [padded(frame)]


@pytest.mark.parametrize("tunnel", [
    UDP(sport=9, dport=4789, chksum=0) / VXLAN(vni=42, flags=8), GRE(proto=0x6558)],
    ids=["vxlan", "gre"])
def test_tunnels(frontend, capture, tunnel):
    """The inner checksum is completed; the outer headers are left as they are."""
    expected = []
    for headers, (transport, l4) in itertools.product((IPV4, IPV6), TRANSPORT.items()):
        packet = ETHERNET / IPV4 / tunnel / ETHERNET / headers / l4 / payload(99)
        frame = bytes(packet)
        start, offset = locate(packet, l4.__class__)
        send(frontend, unfinished(frame, start, offset), net_header(start, offset))
        expected.append((f"{headers.name} {transport}", frame))
    assert_frames(capture, expected)


def segments(headers, transport, data, size):
    """The segments that TCP segmentation makes of it (RFC 9293, 3168)."""
    cut = [data[at:at + size] for at in range(0, max(len(data), 1), size)]
    for i, part in enumerate(cut):
        packet = headers.copy() / transport.copy() / part
        packet[TCP].seq = (transport.seq + i * size) % (1 << 32)
        if i > 0:
            packet[TCP].flags = str(packet[TCP].flags).replace("C", "")
        if i < len(cut) - 1:
            packet[TCP].flags = str(packet[TCP].flags).replace("P", "").replace("F", "")
        if IP in packet:
            packet[IP].id = (packet[IP].id + i) % (1 << 16)
        yield bytes(packet)


@functools.cache
def segmentations(tags):
    """[what send() sends], [(what, frame)]"""
    packets, expected = [], []
    for network, (flags, length, size) in itertools.product(SEGMENTED, (
            ("PA", 20000, 1000), ("FPACE", 1001, 1000), ("A", 8999, 701), ("PA", 40, 1),
            ("PA", 500, 1000), ("FPA", 1000, 60000), ("PA", 0, 1))):
        headers, transport = TAGS[tags] / NETWORK[network], TRANSPORT["tcp"].copy()
        transport.flags = flags
        packet = headers / transport / payload(length)
        start, offset = locate(packet, TCP)
        gso_type = GSO_TCPV4 if IP in packet else GSO_TCPV6
        header = net_header(start, offset, gso_type | (GSO_ECN if "C" in flags else 0), size,
                            len(packet) - length)
        packets.append((unfinished(bytes(packet), start, offset), header, 1 + length % 5))
        expected += [(f"{network} {flags} {length} by {size}", frame)
                     for frame in segments(headers, transport, payload(length), size)]
    return packets, expected


@pytest.mark.parametrize("tags", ["untagged", "vlan", "qinq"])
def test_segmentation(frontend, capture, tags):
    packets, expected = segmentations(tags)
    send_all(frontend, packets)
    assert_frames(capture, expected)


def fragments(headers, datagram, size):
    """The fragments of a datagram, each with `size` bytes of it but the last."""
    for at in range(0, len(datagram), size):
        part, more = datagram[at:at + size], at + size < len(datagram)
        packet = headers.copy()
        if IP in packet:
            packet[IP].flags, packet[IP].frag, packet[IP].proto = int(more), at // 8, 17
        else:
            packet /= IPv6ExtHdrFragment(nh=17, offset=at // 8, m=int(more), id=0)
        yield bytes(packet / part)


@functools.cache
def fragmentations(tags):
    """[what send() sends], [(what, where the fragment header of IPv6 is, if it is that, frame)]"""
    packets, expected = [], []
    for network, (length, size) in itertools.product(("ipv4", "ipv4-options", "ipv6"), (
            (1, 8), (500, 128), (1993, 1000), (20000, 1005), (500, 1000), (992, 1000))):
        headers, udp = TAGS[tags] / NETWORK[network], TRANSPORT["udp"]
        packet = headers / udp / payload(length)
        start, offset = locate(packet, UDP)
        packets.append((unfinished(bytes(packet), start, offset),
                        net_header(start, offset, GSO_UDP, size, start), 1 + length % 5))
        wanted = ([bytes(packet)] if length + 8 <= size
                  else fragments(headers, bytes(packet)[start:], size // 8 * 8))
        expected += [(f"{network} {length} by {size} from {at}", start if "6" in network else 0, frame)
                     for at, frame in enumerate(wanted)]
    return packets, expected


@pytest.mark.parametrize("tags", ["untagged", "vlan", "qinq"])
def test_fragmentation(frontend, capture, tags):
    """Of UDP: the datagram has its checksum only as a whole. With one that fits there is nothing to
    do."""
    packets, expected = fragmentations(tags)
    send_all(frontend, packets)
    ids = set()
    for (what, start, wanted), frame in zip(expected, capture.wait(len(expected)), strict=True):
        if start and frame[start - 34] == 44:  # any identification will do
            ids.add(frame[start + 4:start + 8])
            frame = frame[:start + 4] + bytes(4) + frame[start + 8:]
        assert frame == padded(wanted), what
    assert len(ids) == 4


@pytest.mark.parametrize("length", [9000, 60000])
@pytest.mark.parametrize("network, family", [("ipv4", socket.AF_INET), ("ipv6", socket.AF_INET6)])
def test_kernel_reassembles_fragments(frontend, wire, veth, stack, network, family, length):
    """To the datagram with a good checksum: one with a bad one does not arrive."""
    wire.sysctl("net.ipv6.conf.all.disable_ipv6", 0)
    wire.ip("addr", "add", f"{IPV6.dst}/64", "dev", veth.inner, "nodad")
    headers = Ether(src=GUEST_MAC, dst=wire.link(veth.inner)["address"]) / NETWORK[network]
    receiver = stack.enter_context(socket_in(wire.name, family, socket.SOCK_DGRAM,
                                             address=(NETWORK[network].dst, 5001)))
    bad = headers / UDP(sport=40000, dport=5001, chksum=1) / payload(length)
    good = headers / TRANSPORT["udp"] / payload(length - 1)
    start, offset = locate(good, UDP)
    room = (1500 - len(NETWORK[network]) - (8 if family == socket.AF_INET6 else 0)) // 8 * 8
    send(frontend, bytes(bad), struct.pack("<BBHHHHH", 0, GSO_UDP, start, room, 0, 0, 0))
    send(frontend, unfinished(bytes(good), start, offset),
         net_header(start, offset, GSO_UDP, room, start))
    receiver.settimeout(5)
    received, (sender, port, *_) = receiver.recvfrom(65536)
    assert (received, sender, port) == (payload(length - 1), NETWORK[network].src, 40000)


def test_short_segments_are_padded(frontend, capture):
    """The packet itself is too short for a frame, too."""
    headers, transport = ETHERNET / IPV4, TCP(sport=40000, dport=5001, seq=1, flags="PA")
    packet = headers / transport / payload(5)
    start, offset = locate(packet, TCP)
    send(frontend, unfinished(bytes(packet), start, offset),
         net_header(start, offset, GSO_TCPV4, 1, len(packet) - 5))
    assert_frames(capture, [(f"byte {i}", frame) for i, frame in enumerate(
        segments(headers, transport, payload(5), 1))])


def test_senseless_requests_are_dropped(frontend, capture):
    """They leave no trace on the wire, unlike the good packet after them."""
    tcp = ETHERNET / IPV4 / TRANSPORT["tcp"]
    start, offset = locate(tcp, TCP)
    udp = ETHERNET / IPV4 / TRANSPORT["udp"]
    chain = ETHERNET / NETWORK["ipv6-hop-by-hop"] / TRANSPORT["udp"]
    wrong_length = ETHERNET / IPV4 / UDP(sport=40000, dport=5001, len=2999) / payload(3000)
    short_header = bytearray(bytes(tcp / payload(3000)))
    short_header[14] = 0x41  # an IPv4 header of 4 bytes
    no_data_offset = bytearray(bytes(tcp / payload(3000)))
    no_data_offset[start + 12] = 0
    for frame, header in (
            (bytes(udp / payload(3000)), net_header(34, 6, GSO_TCPV4, 1000, 42)),
            (bytes(udp / payload(3000)), net_header(34, 6, GSO_UDP, 2000, 34)),
            (bytes(udp / payload(3000)), net_header(34, 6, GSO_UDP, 7, 34)),
            (bytes(chain / payload(3000)), net_header(len(chain) - 8, 6, GSO_UDP, 1000)),
            (bytes(wrong_length), net_header(34, 6, GSO_UDP, 1000, 34)),
            (bytes(tcp / payload(3000)), net_header(start, offset, GSO_TCPV4, 2000, len(tcp))),
            (bytes(tcp / payload(3000)), net_header(start, offset, GSO_TCPV4, 0, len(tcp))),
            (bytes(short_header), net_header(start, offset, GSO_TCPV4, 1000, len(tcp))),
            (bytes(no_data_offset), net_header(start, offset, GSO_TCPV4, 1000, len(tcp)))):
        send(frontend, frame, header)
    good = bytes(tcp / payload(10))
    send(frontend, unfinished(good, start, offset), net_header(start, offset))
    assert capture.wait(1) == [good]
