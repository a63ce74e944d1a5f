# SPDX-License-Identifier: BSD-3-Clause
"""Bonds of every mode, member by member on the wire: which member carries what, both ways.
docs/bonds.md states what is shown here of modes 4 and 6."""

import socket
import struct

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from lib import testpmd, vioclient
from lib.forwarder import default_cpus
from lib.metrics import scrape, value
from lib.net import Netns, Veth
from lib.packet_socket import ETHERTYPE, PacketSocket
from lib.peer import assert_counted
from lib.proc import wait_until
from lib.vhostuser import F_CSUM, F_HOST_TSO4, Frontend
from lib.virtqueue import Memory
from lib.wire import ADD, OK, REMOVE

ROUND_ROBIN, ACTIVE_BACKUP, BALANCE, BROADCAST, LACP, TLB, ALB = range(7)
ARP = 0x0806
SLOW_PROTOCOLS = 0x8809  # LACP's
GUEST_MAC, WIRE_MAC, EVERYBODY = (bytes.fromhex(mac) for mac in (
    "020000000002", "020000000001", "ff" * 6))
GUEST_IP = "10.0.0.2"
FRAMES = 64
BOND = "net_bonding0"

pytestmark = pytest.mark.silent_wire


def frame(number, source, destination):
    return destination + source + struct.pack(">HI", ETHERTYPE, number) + bytes(60)


def from_guest():
    """Frames of the VM, each to another destination."""
    return [frame(number, GUEST_MAC, WIRE_MAC[:5] + bytes([number])) for number in range(FRAMES)]


def to_guest(member):
    return [frame(1000 * member + number, WIRE_MAC, GUEST_MAC) for number in range(FRAMES)]


@pytest.fixture
def veths(wire, host):
    return [Veth(wire, host, inner=f"member{i}") for i in range(2)]


@pytest.fixture
def members(wire, veths, stack):
    """The far ends of the members."""
    return [stack.enter_context(PacketSocket(wire.name, veth.inner)) for veth in veths]


@pytest.fixture
def endpoint(workdir):
    """Of the metrics."""
    return workdir / "metrics"


@pytest.fixture
def bond(make_forwarder, veths, stack, endpoint):
    """Puts a bond on relay 0 of a daemon, and a frontend before it."""

    def bond(mode):
        forwarder = make_forwarder(options=[f"--metrics-ep=ipc://{endpoint}"])
        devices = [f"net_af_packet{i},iface={veth.outer}" for i, veth in enumerate(veths)]
        response = vioclient.port_control(
            forwarder.port_control_endpoint, ADD, virtio_id=0, name=BOND, mode=mode, device=devices)
        assert response.status == OK, response
        frontend = stack.enter_context(Frontend(forwarder.socket(0), queue_size=4 * FRAMES))
        frontend.start()
        forwarder.wait_vm(0)
        return forwarder, frontend

    return bond


def send(frontend, frames):
    for one in frames:
        frontend.send(one)
    frontend.wait_sent(timeout=20)


def taken(members, ethertype=ETHERTYPE, count=FRAMES):
    """The frames that came out of each member, once there are so many in total."""
    frames = [[] for _ in members]

    def enough():
        for member, seen in zip(members, frames, strict=True):
            seen += member.frames(ethertype)
        return sum(map(len, frames)) >= count

    wait_until(enough, 10, f"{count} frames on the members", interval=0.01)
    return frames


def assert_accounted(forwarder, frames):
    """The daemon has counted what the VM has sent, whatever the bond made of it."""
    def count():
        state = forwarder.stats(0)["vm_to_vf"]
        return state["pkts_rx_from_vm"], state["pkts_tx_to_vf"]

    assert_counted(count, (frames, frames))


def assert_detaches(forwarder):
    response = vioclient.port_control(
        forwarder.port_control_endpoint, REMOVE, virtio_id=0, name=BOND, conditional=False)
    assert response.status == OK, response
    assert not forwarder.stats(0)["vf_to_vm"]["active"]


@pytest.mark.parametrize("mode", [ROUND_ROBIN, ACTIVE_BACKUP, BALANCE, BROADCAST, TLB, ALB])
def test_members(bond, members, mode):
    forwarder, frontend = bond(mode)
    sent = from_guest()
    send(frontend, sent)
    first, second = taken(members, count=2 * FRAMES if mode == BROADCAST else FRAMES)
    if mode == BROADCAST:
        assert first == second == sent
    else:
        assert sorted(first + second) == sorted(sent), "each frame on one of the two"
        assert first == sorted(first) and second == sorted(second), "in order"
    if mode == ACTIVE_BACKUP:
        assert first == sent
    if mode in (ROUND_ROBIN, BALANCE):
        assert len(first) == len(second)
    assert_accounted(forwarder, FRAMES)

    # The backup of mode 1 is not listened to, and mode 5 listens on one member only.
    heard = [0] if mode in (ACTIVE_BACKUP, TLB) else [0, 1]
    for member in 1, 0:  # when the one that is heard has come, the other one was ignored
        for one in to_guest(member):
            members[member].send(one)
        if member in heard:
            assert [data for _, data in frontend.wait_frames(FRAMES)] == to_guest(member)
    assert_detaches(forwarder)


def test_members_that_cannot_segment(make_forwarder, host, stack, taps):
    """net_tap claims to, and refuses usual segments (DPDK 22.11). With more than four queues it does
    not even start. A bond tells neither."""
    forwarder = make_forwarder(options=["--enable-tso", "--enable-mrgbuf"])
    response = vioclient.port_control(
        forwarder.port_control_endpoint, ADD, virtio_id=0, name=BOND, mode=ACTIVE_BACKUP, device=taps)
    assert response.status == OK, response
    tap = stack.enter_context(PacketSocket(host.name, "vtap0"))
    frontend = stack.enter_context(Frontend(
        forwarder.socket(0), features=Frontend.FEATURES | F_CSUM | F_HOST_TSO4,
        memory=Memory((1 << 20, 1 << 20)))).start()
    forwarder.wait_vm(0)
    packet = Ether(src=GUEST_MAC.hex(":"), dst=WIRE_MAC.hex(":")) / IP(
        src=GUEST_IP, dst="10.0.0.1") / TCP(sport=1, dport=2) / bytes(1900)
    frontend.send(bytes(packet), header=struct.pack("<BBHHHHH", 1, 1, 54, 1460, 34, 16, 0))
    assert [len(segment) for segment in tap.wait_frames(2, 0x0800)] == [1514, 54 + 1900 - 1460]


def test_balance_keeps_flows(bond, members):
    """Mode 2: frames to one destination go over one member, in order."""
    forwarder, frontend = bond(BALANCE)
    flow = [frame(number, GUEST_MAC, WIRE_MAC) for number in range(FRAMES)]
    send(frontend, flow)
    assert sorted(taken(members)) == [[], flow]
    assert_accounted(forwarder, FRAMES)


def arp_reply(address, mac, to_mac):
    return to_mac + mac + struct.pack(">HHHBBH", ARP, 1, 0x0800, 6, 4, 2) + (
        mac + socket.inet_aton(GUEST_IP) + to_mac + socket.inet_aton(address)) + bytes(18)


def test_adaptive_load_balancing_and_arp(bond, veths, members, host):
    """Mode 6 gives the others addresses that are not the VM's: half of them get the second
    member's. If the VM's address is not the bond's, all of them get the first member's."""
    _, frontend = bond(ALB)
    macs = [bytes.fromhex(host.run(["cat", f"/sys/class/net/{veth.outer}/address"])
                          .strip().replace(":", "")) for veth in veths]

    def told(guest_mac):
        """(Ethernet source, VM's address in the answer) as each of four others sees it."""
        answers = set()
        for number in range(4):
            other = WIRE_MAC[:5] + bytes([0x10 + number])
            send(frontend, [arp_reply(f"10.0.0.{10 + number}", guest_mac, other)])
            [answer] = sum(taken(members, ARP, 1), [])
            assert answer[:6] == other
            answers.add((answer[6:12], answer[22:28]))
        return answers

    assert told(macs[0]) == {(mac, mac) for mac in macs}
    assert told(GUEST_MAC) == {(macs[0], macs[0])}


@pytest.fixture
def partner(wire, veths, workdir, stack):
    """Starts the other end of an 802.3ad bond: a testpmd with a network behind it. Returns the
    network's end."""
    far = stack.enter_context(Netns("vio4wd-far", ipv6=False))
    behind = Veth(far, wire, inner="far")
    devices = [f"net_af_packet{i},iface={name}" for i, name in enumerate(
        [*(veth.inner for veth in veths), behind.outer])]
    stack.enter_context(testpmd.Testpmd(
        [*devices, testpmd.bond(BOND, LACP, "net_af_packet0", "net_af_packet1")], netns=wire,
        directory=workdir, cores=default_cpus(),
        options=["--auto-start", "--forward-mode=io", "--portlist=2,3"]))
    return stack.enter_context(PacketSocket(far.name, behind.inner))


def members_by_state(endpoint):
    samples = scrape(endpoint)
    return {state: value(samples, "device_members", relay=0, state=state)
            for state in ("up", "down", "away")}


def test_lacp_without_a_partner(bond, members, endpoint):
    """The members have links and ask for a partner, but do not carry the VM's frames."""
    bond(LACP)
    taken(members, SLOW_PROTOCOLS, 4)
    assert members_by_state(endpoint) == {"up": 0, "down": 2, "away": 0}


def test_lacp(bond, wire, veths, partner, endpoint):
    """Mode 4: the VM's frames wait until the partner has agreed; then both members carry them."""
    forwarder, frontend = bond(LACP)
    sent = from_guest()

    def carried():
        return [wire.counters(veth.inner)["rx"]["packets"] for veth in veths]

    def hear_partner():
        """Whether the VM has heard the network. testpmd sends nothing by itself, not even LACPDUs,
        so the network behind it talks."""
        partner.send(frame(0, WIRE_MAC, EVERYBODY))
        return frontend.receive()

    def passes():
        """All frames must reach the network behind the partner; returns how many each member
        carried."""
        before, arrived = carried(), []
        for one in sent:
            frontend.send(one)

        def all_arrived():
            hear_partner()
            arrived.extend(partner.frames(ETHERTYPE, timeout=0.05))
            return len(arrived) >= FRAMES

        wait_until(all_arrived, 30, "the frames")
        assert sorted(arrived) == sorted(sent)
        return [after - earlier for after, earlier in zip(carried(), before, strict=True)]

    passes()
    # The second member may join a moment after the first.
    wait_until(lambda: min(passes()) >= FRAMES // 4, 30, "both members carry frames", interval=0.5)
    wait_until(lambda: members_by_state(endpoint) == {"up": 2, "down": 0, "away": 0}, 10, "they count as up")
    wait_until(hear_partner, 30, "the VM hears the partner")
    for one in to_guest(0):
        partner.send(one)
    received = []

    def all_received():
        received.extend(data for _, data in frontend.receive() if data[:6] == GUEST_MAC)
        return len(received) >= FRAMES

    wait_until(all_received, 10, "the frames to the VM")
    assert received == to_guest(0)
    state = forwarder.stats(0)["vm_to_vf"]
    assert state["pkts_rx_from_vm"] == state["pkts_tx_to_vf"]
    assert_detaches(forwarder)
