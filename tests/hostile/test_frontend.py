# SPDX-License-Identifier: BSD-3-Clause
"""A driver written by hand, against the daemon: what a guest may do, and what it must get for it. One
daemon serves the VMs of all tests, one after the other."""

import random
import struct
from contextlib import ExitStack

import pytest

from lib import vioclient
from lib.forwarder import Forwarder
from lib.metrics import scrape, value
from lib.net import Netns, Veth
from lib.packet_socket import ETHERTYPE, PacketSocket
from lib.paths import work_directory
from lib.peer import assert_counted
from lib.proc import wait_until
from lib.vhostuser import (F_EVENT_IDX, F_LOG_ALL, F_MRG_RXBUF, F_MTU, F_PROTOCOL, LOG_PAGE, P_NET_MTU,
                           P_STATUS, Connection, Disconnected, Frontend, Request, u64)
from lib.virtqueue import Memory
from lib.wire import ADD, OK

RARP = 0x8035
BACKLOG_PACKETS = 512  # that may wait for one ring while the others move: see backlog.h
GUEST_MAC, WIRE_MAC = bytes.fromhex("020000000002"), bytes.fromhex("020000000001")
NOWHERE = 1 << 50  # outside the guest's memory


def frame(number, size=100, source=GUEST_MAC):
    """A numbered frame whose contents differ from the next one's."""
    body = random.Random(number).randbytes(size - 18)
    return (WIRE_MAC if source == GUEST_MAC else GUEST_MAC) + source + struct.pack(
        ">HI", ETHERTYPE, number) + body


@pytest.fixture(scope="module")
def workdir():
    with work_directory() as path:
        yield path


@pytest.fixture(scope="module")
def host():
    with Netns("vio4wd-host", ipv6=False) as host:
        yield host


@pytest.fixture(scope="module")
def wire():
    """Nobody but the tests sends on it."""
    with Netns("vio4wd-wire", ipv6=False) as wire:
        yield wire


@pytest.fixture(scope="module")
def veth(wire, host):
    return Veth(wire, host, "10.0.0.1/24")


@pytest.fixture
def wire_socket(wire, veth, stack):
    return stack.enter_context(PacketSocket(wire.name, veth.inner))


@pytest.fixture(scope="module", params=[(), ("--zero-copy",)], ids=["copied", "lent"])
def daemon(request, workdir, host, veth):
    path = workdir / "metrics"
    daemon = Forwarder(workdir, {0: f"net_af_packet0,iface={veth.outer}"}, netns=host,
                       options=["--enable-mrgbuf", f"--metrics-ep=ipc://{path}", *request.param])
    daemon.metrics_path = path
    with daemon:
        yield daemon


@pytest.fixture
def forwarder(daemon):
    """Has no VM yet."""
    return daemon if daemon.running() else daemon.start()


@pytest.fixture
def just_started(forwarder):
    """For tests that read the log: lines of a relay that has logged many are held back."""
    forwarder.stop()
    forwarder.start()


@pytest.fixture
def attach(forwarder):
    """Starts a frontend on relay 0; the arguments are Frontend's."""
    with ExitStack() as frontends:
        def attach(start=True, **arguments):
            frontend = frontends.enter_context(Frontend(forwarder.socket(0), **arguments))
            if start:
                frontend.start()
                forwarder.wait_vm(0)
            return frontend

        yield attach
    forwarder.wait_vm(0, attached=False)


def assert_frames_pass(frontend, wire_socket, count=200, sizes=(60, 1514), queue=0, parts=1):
    """Sends numbered frames both ways; all must arrive once, in order and unaltered."""
    lengths = [random.Random(i).randint(*sizes) for i in range(count)]
    out = [frame(i, length) for i, length in enumerate(lengths)]
    step = min(8, frontend.queue_size // (2 * parts) or 1)
    for at in range(0, count, step):
        for one in out[at:at + step]:
            frontend.send(one, queue, parts=parts)
        frontend.wait_sent(queue)
    assert wire_socket.wait_frames(count, ETHERTYPE) == out

    back = [frame(i, length, source=WIRE_MAC) for i, length in enumerate(lengths)]
    received = []
    for at in range(0, count, step):
        for one in back[at:at + step]:
            wire_socket.send(one)
        received += frontend.wait_frames(len(back[at:at + step]), queue)
    assert [data for _, data in received] == back


@pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
@pytest.mark.parametrize("mergeable", [False, True], ids=["single", "mergeable"])
@pytest.mark.parametrize("indirect", [False, True], ids=["direct", "indirect"])
def test_frames_both_ways(attach, wire_socket, packed, mergeable, indirect):
    features = Frontend.FEATURES & ~(0 if mergeable else F_MRG_RXBUF)
    frontend = attach(start=False, packed=packed, features=features,
                      memory=Memory((2 << 20, 2 << 20)))
    for ring in frontend.rings:
        ring.indirect = indirect
    frontend.start()
    assert bool(frontend.features & F_MRG_RXBUF) == mergeable
    assert_frames_pass(frontend, wire_socket)
    # The header in a buffer of its own, the frame in two pieces: chains of several descriptors.
    assert_frames_pass(frontend, wire_socket, count=20, parts=3)


@pytest.mark.parametrize("size", [2, 4, 8, 16, 256, 1024])
def test_ring_sizes(attach, wire_socket, size):
    frontend = attach(queue_size=size, memory=Memory((1 << 20, 8 << 20)))
    assert_frames_pass(frontend, wire_socket, count=100)


@pytest.mark.parametrize("size", [2, 3, 5, 100])
def test_packed_ring_of_any_size(attach, wire_socket, size):
    """The size of a packed ring need not be a power of two."""
    assert_frames_pass(attach(packed=True, queue_size=size), wire_socket)


def test_memory_in_eight_regions(attach, wire_socket):
    """A frame crosses from the end of one region into the next, in guest physical addresses."""
    memory = Memory((1 << 20,) * 8)
    assert_frames_pass(attach(memory=memory), wire_socket)


@pytest.mark.usefixtures("just_started")
def test_memory_in_nine_regions(attach, forwarder):
    """One more than the protocol's message has room for: the log says so, and what helps."""
    frontend = attach(start=False, memory=Memory((1 << 20,) * 9))
    frontend.connect().negotiate()
    with pytest.raises(Disconnected):
        frontend.share_memory()
    forwarder.output.expect("more than 8 regions", 10)


def test_memory_at_an_offset_of_its_file(attach, wire_socket):
    assert_frames_pass(attach(memory=Memory((2 << 20, 2 << 20), offset=0x200000)), wire_socket)


def test_many_small_buffers_take_one_frame(attach, wire_socket, forwarder):
    """Mergeable buffers: a frame spans as many as it needs, and the header counts them."""
    frontend = attach(start=False)
    frontend.connect().negotiate().share_memory()
    frontend.post(count=32, size=256)
    frontend.set_up_rings().enable_rings()
    forwarder.wait_vm(0)
    expected = frame(1, 1514, source=WIRE_MAC)
    wire_socket.send(expected)
    [(header, received)] = frontend.wait_frames(1)
    assert received == expected
    assert struct.unpack_from("=H", header, 10)[0] == -(-(len(header) + len(expected)) // 256)


@pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
def test_calls_come_when_wanted(attach, wire_socket, packed):
    """No calls while the driver suppresses them; one as soon as it does not."""
    frontend = attach(packed=packed)
    frontend.rx().suppress_calls()
    frontend.rx().calls()
    wire_socket.send(frame(1, source=WIRE_MAC))
    frontend.wait_frames(1)
    frontend.rx().suppress_calls(False)
    assert frontend.rx().calls() == 0
    wire_socket.send(frame(2, source=WIRE_MAC))
    frontend.wait_frames(1)
    wait_until(frontend.rx().calls, 5, "a call for a frame")


@pytest.mark.parametrize("without, protocol", [(0, Frontend.PROTOCOL), (F_PROTOCOL, 0)],
                         ids=["enabled", "enabled-from-the-start"])
def test_guest_that_is_not_called(attach, wire_socket, without, protocol):
    """Cloud Hypervisor sends no SET_VRING_CALL for a guest that polls, nor when it starts a ring
    again."""
    frontend = attach(features=Frontend.FEATURES & ~without, protocol=protocol, called=False)
    assert_frames_pass(frontend, wire_socket, count=20)
    for index, base in enumerate(frontend.stop()):
        frontend.start_ring(index, base=base)
    frontend.enable_rings()
    assert_frames_pass(frontend, wire_socket, count=20)


@pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
def test_event_index(attach, wire_socket, packed):
    """The driver says for which frame it wants to be called."""
    frontend = attach(packed=packed, features=Frontend.FEATURES | F_EVENT_IDX)
    assert frontend.features & F_EVENT_IDX
    wire_socket.send(frame(0, source=WIRE_MAC))  # the first frame always calls
    frontend.wait_frames(1)
    wait_until(frontend.rx().calls, 5, "the first call")
    frontend.rx().call_after(4)  # the fifth frame, counted from 0
    for number in range(1, 4):
        wire_socket.send(frame(number, source=WIRE_MAC))
        frontend.wait_frames(1)
    assert frontend.rx().calls() == 0
    wire_socket.send(frame(4, source=WIRE_MAC))
    frontend.wait_frames(1)
    wait_until(frontend.rx().calls, 5, "the call for the fifth")


@pytest.mark.parametrize("idle_latency, used_flags", [(0, 1), (1000, 0)])
def test_kicks_are_asked_for_by_a_daemon_that_sleeps(
        make_forwarder, veth, stack, idle_latency, used_flags):
    """A worker that always polls says so (VRING_USED_F_NO_NOTIFY), which spares the guest a VM exit
    for each kick."""
    forwarder = make_forwarder({0: f"net_af_packet0,iface={veth.outer}"}, name=f"sleeps{idle_latency}",
                               options=[f"--idle-latency={idle_latency}"])
    frontend = stack.enter_context(Frontend(forwarder.socket(0)))
    frontend.memory.store16(frontend.tx().used, 1 - used_flags)
    frontend.start()
    forwarder.wait_vm(0)
    wait_until(lambda: frontend.memory.load16(frontend.tx().used) == used_flags, 10,
               f"used flags {used_flags}")


def test_disabled_transmit_ring_sends_nothing(attach, wire_socket):
    """Receiving goes on meanwhile, and sending does once the ring is enabled again."""
    frontend = attach()
    assert_frames_pass(frontend, wire_socket, count=8)
    frontend.enable_ring(1, False)
    frontend.send(frame(1000))
    for number in range(8):
        wire_socket.send(frame(number, source=WIRE_MAC))
    frontend.wait_frames(8)
    frontend.wait_sent()  # it is dropped
    frontend.enable_ring(1)
    frontend.send(frame(1001))
    assert wire_socket.wait_frames(1, ETHERTYPE) == [frame(1001)]


def test_disabled_transmit_ring_is_emptied(attach, forwarder):
    """As vhost-user demands: its frames are dropped and counted, while another ring sends."""
    frontend = attach(queue_pairs=2)
    frontend.enable_ring(1, False)
    before = forwarder.stats(0)["vm_to_vf"]
    frontend.send(frame(1000))
    frontend.send(frame(1001), queue=1)  # its kick wakes the worker

    def grown(counter):
        return forwarder.stats(0)["vm_to_vf"][counter] - before[counter]

    def returned():
        frontend.reclaim(0)
        frontend.reclaim(1)
        return frontend.under_way() == 0

    wait_until(returned, 5, "both frames are returned")
    assert_counted(lambda: (grown("pkts_tx_to_vf"), grown("pkts_dropped_vf_not_connected")), (1, 1))


def test_disabled_receive_ring_is_not_written(attach, wire_socket, forwarder):
    frontend = attach()
    frontend.enable_ring(0, False)
    used = frontend.memory.read(frontend.rx().used, 4)
    dropped = forwarder.stats(0)["vf_to_vm"]["pkts_dropped_vm_not_connected"]
    for number in range(8):
        wire_socket.send(frame(number, source=WIRE_MAC))
    wait_until(lambda: forwarder.stats(0)["vf_to_vm"]["pkts_dropped_vm_not_connected"]
               >= dropped + 8, 5, "the frames are dropped")
    assert frontend.memory.read(frontend.rx().used, 4) == used
    frontend.enable_ring(0)
    assert_frames_pass(frontend, wire_socket, count=8)


@pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
def test_stopped_and_started_where_it_stopped(attach, wire_socket, packed):
    """The base returned by the daemon is where to continue: nothing is sent twice."""
    frontend = attach(packed=packed)
    assert_frames_pass(frontend, wire_socket, count=8)
    receive_base, transmit_base = frontend.stop()
    assert transmit_base == frontend.tx().base
    assert receive_base == frontend.rx().base
    frontend.set_up_rings().enable_rings()
    assert_frames_pass(frontend, wire_socket, count=50)


@pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
def test_written_pages_are_logged(attach, wire_socket, packed):
    """During a migration, exactly the pages that the daemon writes are logged."""
    frontend = attach(packed=packed)
    assert_frames_pass(frontend, wire_socket, count=8)
    assert frontend.start_log() == u64(0)  # rust-vmm's frontends wait for a payload
    for number in range(20):
        before = [bytes(region.bytes) for region in frontend.memory.regions]
        wire_socket.send(frame(number, 1000, source=WIRE_MAC))
        frontend.wait_frames(1, repost=False)
        written = {region.gpa + at
                   for region, old in zip(frontend.memory.regions, before)
                   for at in range(0, region.size, LOG_PAGE)
                   if bytes(region.bytes[at:at + LOG_PAGE]) != old[at:at + LOG_PAGE]}
        assert frontend.take_dirty() == written
        frontend.post(count=1)
    frontend.stop_log()
    assert_frames_pass(frontend, wire_socket, count=8)


def test_queue_pair_whose_features_are_forgotten(attach, wire_socket, forwarder):
    """QEMU 4.2 to 5.1 after a reconnection: it sends the features for each queue pair as it starts it, and
    when a migration begins or ends, but for all pairs except the first it has forgotten them."""
    frontend = attach(start=False, queue_pairs=2)
    frontend.connect().negotiate().share_memory()

    def forget(more=0):
        frontend.tell(Request.SET_FEATURES, u64(F_PROTOCOL | more))

    def assert_both_pairs_work():
        for queue in (0, 1):
            frontend.enable(1 - queue, False)
            assert_frames_pass(frontend, wire_socket, count=8, queue=queue)
            frontend.enable(1 - queue)

    for queue in (0, 1):
        if queue == 1:
            forget()
        frontend.post(queue)
        frontend.start_ring(2 * queue)
        frontend.start_ring(2 * queue + 1)
        frontend.enable(queue)
    forwarder.wait_vm(0)
    assert_both_pairs_work()
    frontend.start_log()
    forget(F_LOG_ALL)
    assert_both_pairs_work()
    frontend.stop_log()
    assert frontend.take_dirty()  # also what a worker has written before it rests
    forget()
    assert_both_pairs_work()
    assert not frontend.take_dirty()


def test_runts_do_not_reach_the_device(attach, wire_socket, forwarder):
    """Too short for an Ethernet header: some devices stop at such a descriptor."""
    frontend = attach()
    before = forwarder.stats(0)["vm_to_vf"]["pkts_tx_to_vf"]
    for length in range(14):
        frontend.send(bytes(length))
    frontend.send(frame(1))
    frontend.wait_sent()
    assert wire_socket.wait_frames(1, ETHERTYPE) == [frame(1)]
    assert_counted(lambda: forwarder.stats(0)["vm_to_vf"]["pkts_tx_to_vf"], before + 1)


def test_short_frames_are_padded(attach, wire_socket, forwarder):
    """With zeros, not with what lies behind them in the guest's memory or ours. They are counted as
    they are sent."""
    frontend = attach()
    frontend.send(frame(0))
    frontend.wait_sent()
    before = forwarder.stats(0)["vm_to_vf"]
    frames = [frame(number, size) for number, size in enumerate(range(61, 17, -1))]
    frames += [frame(0)[:size] for size in range(17, 13, -1)]
    for one in frames:
        frontend.send(one)
        frontend.wait_sent()
    padded = [one.ljust(60, b"\0") for one in frames]
    assert wire_socket.wait_frames(1 + len(frames), ETHERTYPE)[1:] == padded

    def counted():
        after = forwarder.stats(0)["vm_to_vf"]
        return {name: after[name] - before[name] for name in after
                if name.startswith(("pkts_", "bytes_"))}

    expected = len(frames), sum(map(len, padded))
    wait_until(lambda: counted()["pkts_tx_to_vf"] == len(frames), 5, "the frames are counted")
    assert counted() == {**dict.fromkeys(counted(), 0), **{
        f"{unit}_{what}": number for what in ("rx_from_vm", "tx_to_vf")
        for unit, number in zip(("pkts", "bytes"), expected, strict=True)}}


def test_announcement_after_migration(attach, wire_socket):
    """SEND_RARP: the wire learns where the VM lives now, without waiting for its traffic; and
    nothing of what other packets have left in memory."""
    frontend = attach()
    frontend.send(frame(1))
    wire_socket.wait_frames(1, ETHERTYPE)
    frontend.tell(Request.SEND_RARP, GUEST_MAC + bytes(2))
    [rarp] = wire_socket.wait_frames(1, RARP)
    assert rarp[:14] == b"\xff" * 6 + GUEST_MAC + RARP.to_bytes(2, "big")
    assert rarp[14:22] == bytes.fromhex("0001080006040003")  # Ethernet, IPv4, request reverse
    assert rarp[22:28] == rarp[32:38] == GUEST_MAC
    assert not any(rarp[42:])


def test_announcement_waits_for_a_device(stack, make_forwarder, veth, wire_socket):
    """While its relay has no device, what a VM sends is dropped, except its last announcement; and
    that is kept only if any device could send it."""
    forwarder = make_forwarder({}, name="bare", options=["--enable-mrgbuf", "--enable-tso"])
    frontend = stack.enter_context(Frontend(forwarder.socket(0))).start()
    forwarder.wait_vm(0)
    announcement, body = b"\xff" * 6 + GUEST_MAC + RARP.to_bytes(2, "big"), bytes(46)
    for data in (frame(1), announcement + body, announcement + bytes(1600), announcement):
        frontend.send(data)
    frontend.wait_sent()
    answer = vioclient.port_control(forwarder.port_control_endpoint, ADD, virtio_id=0,
                                    device=[f"net_af_packet0,iface={veth.outer}"])
    assert answer.status == OK, answer
    frontend.send(frame(2))
    assert wire_socket.wait_frames(1, RARP) == [announcement + body]


@pytest.mark.parametrize("mtu, expected", [(68, True), (9000, True), (67, False), (70000, False)])
def test_mtu_is_checked(attach, mtu, expected):
    frontend = attach(start=False).connect().negotiate()
    connection = frontend.connection
    connection.send(Request.NET_SET_MTU, u64(mtu), flags=9)
    assert (connection.receive().u64 == 0) == expected


def test_mtu_that_is_not_told(attach, wire_socket):
    """A frontend may give its driver an MTU and not send NET_SET_MTU, as cloud-hypervisor does."""
    frontend = attach(features=Frontend.FEATURES & ~F_MRG_RXBUF | F_MTU,
                      protocol=Frontend.PROTOCOL & ~P_NET_MTU)
    assert frontend.features & F_MTU
    assert_frames_pass(frontend, wire_socket, count=20)


def test_what_is_offered_does_not_change(attach, forwarder):
    """After a disconnect and after a restart: QEMU does not accept fewer features than it had."""
    def offered():
        with Connection.connect(forwarder.socket(0)) as connection:
            return (connection.ask(Request.GET_FEATURES).u64,
                    connection.ask(Request.GET_PROTOCOL_FEATURES).u64)

    first = offered()
    attach().close()
    assert offered() == first
    forwarder.stop()
    forwarder.start()
    assert offered() == first


def test_ready_only_when_the_driver_says_so(attach, forwarder):
    """With STATUS, enabled rings alone do not make the driver ready."""
    frontend = attach(start=False, protocol=Frontend.PROTOCOL | P_STATUS)
    frontend.connect().negotiate().share_memory()
    assert frontend.protocol & P_STATUS
    frontend.protocol &= ~P_STATUS
    frontend.set_up_rings().enable_rings()
    assert not forwarder.stats(0)["active"]
    frontend.tell(Request.SET_STATUS, u64(0x0f))
    forwarder.wait_vm(0)


def test_without_protocol_features(attach, wire_socket):
    """The oldest frontends: rings are enabled as they are started."""
    frontend = attach(start=False, features=Frontend.FEATURES & ~F_PROTOCOL)
    frontend.connect()
    connection = frontend.connection
    frontend.features &= connection.ask(Request.GET_FEATURES).u64
    frontend.protocol = 0
    connection.send(Request.SET_OWNER)
    connection.send(Request.SET_FEATURES, u64(frontend.features))
    frontend.share_memory()
    frontend.post()
    frontend.set_up_rings()
    assert_frames_pass(frontend, wire_socket, count=20)


def test_latest_of_two_frontends_is_served(attach, wire_socket, forwarder):
    """A VM that was killed and restarted may be there before its former connection is gone."""
    first = attach()
    second = attach()
    assert_frames_pass(second, wire_socket, count=8)
    first.connection.close()
    assert_frames_pass(second, wire_socket, count=8)
    second.connection.close()
    forwarder.wait_vm(0, attached=False)


@pytest.mark.usefixtures("just_started")
def test_the_latest_of_those_that_are_left_is_served(attach, wire_socket, forwarder):
    """Whoever else has connected, by mistake or on purpose, and left. Each change is logged."""
    def said(what):
        return forwarder.output.text.count(f"VM {what}")

    before = {what: said(what) for what in ("attached", "detached")}

    def attached(times):
        wait_until(lambda: said("attached") >= before["attached"] + times, 20, f"attached {times} times")
        assert said("detached") == before["detached"] + times - 1

    frontends = []
    for number in range(3):
        frontends.append(attach())
        attached(number + 1)
    for number in range(2):
        assert_frames_pass(frontends[-1], wire_socket, count=8)
        frontends.pop().connection.close()
        attached(number + 4)
    assert_frames_pass(frontends[0], wire_socket, count=8)
    frontends[0].connection.close()
    forwarder.wait_vm(0, attached=False)


def spread(wire_socket, count=256):
    """Sends frames of many UDP flows towards the VM; returns them."""
    frames = []
    for number in range(count):
        address = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 46, 0, 0, 64, 17, 0,
                              bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
        udp = struct.pack(">HHHH", 1024 + number, 9, 26, 0) + struct.pack(">I", number) + bytes(14)
        frames.append(GUEST_MAC + WIRE_MAC + b"\x08\x00" + address + udp)
        wire_socket.send(frames[-1])
    return frames


def test_only_enabled_queues_are_used(attach, wire_socket):
    """Only queues 1 and 3: every flow goes to one of them, and both are used."""
    frontend = attach(queue_pairs=4, queue_size=512)
    for queue in (0, 2):  # the vhost library waits for the first pair before it starts at all
        frontend.enable(queue, False)
    sent = set(spread(wire_socket))
    received = {1: [], 3: []}

    def all_came():
        for queue, frames in received.items():
            frames += [data for _, data in frontend.receive(queue)]
        return sum(map(len, received.values())) >= len(sent)

    wait_until(all_came, 10, "every frame is on queue 1 or 3", interval=0.005)
    assert set(received[1]) | set(received[3]) == sent
    assert received[1] and received[3]
    assert not frontend.receive(0) and not frontend.receive(2)
    for queue in (1, 3):
        frontend.send(frame(queue), queue)
    assert sorted(wire_socket.wait_frames(2, ETHERTYPE)) == sorted([frame(1), frame(3)])


def test_stalled_queue_holds_back_its_own_flows_only(attach, wire_socket, forwarder):
    """One receive ring has no buffers left: the others get all their frames, even when its share of the
    backlog is full and its own are dropped. In the end, it gets those that have waited."""
    frontend = attach(queue_pairs=4, queue_size=256)
    sent, queue_of = set(spread(wire_socket)), {}

    def receive(stalled=None):
        for queue in range(4):
            for _, data in frontend.receive(queue, repost=queue != stalled):
                queue_of[data] = queue

    def wait_for(frames, stalled=None):
        queue_of.clear()
        wait_until(lambda: receive(stalled) or set(queue_of) >= set(frames), 10, "the frames",
                   interval=0.005)

    def dropped():
        return vioclient.relay(forwarder.stats_endpoint, 0).vf_to_vm.pkts_dropped_vm_queue_full

    dropped_before = dropped()
    wait_for(sent)
    assert set(queue_of.values()) == {0, 1, 2, 3}
    its_own = [data for data in sent if queue_of[data] == 2]
    others = [data for data in sent if queue_of[data] != 2]

    left = frontend.queue_size - 1
    while left > 0:
        round_of_them = its_own[:left]
        for data in round_of_them:
            wire_socket.send(data)
        wait_for(round_of_them, stalled=2)
        left -= len(round_of_them)
    for _ in range(2 * BACKLOG_PACKETS // len(its_own)):
        for data in others + its_own:
            wire_socket.send(data)
        wait_for(others, stalled=2)
        assert 2 not in queue_of.values()
    assert 0 < dropped() - dropped_before < 2 * BACKLOG_PACKETS
    frontend.post(2, count=64)
    wait_for(its_own[:2])


def test_frames_that_wait_for_a_queue_that_is_disabled(attach, wire_socket, forwarder):
    """They go to the queues that are left, and none is lost."""
    frontend = attach(queue_pairs=4, queue_size=64)
    received, sent = [], 0

    def receive():
        for queue in range(4):
            received.extend(frontend.receive(queue, repost=queue != 2))
        return len(received)

    def waiting():
        return vioclient.relay(forwarder.stats_endpoint, 0).vf_to_vm.backlog_packets

    for _ in range(4):
        sent += len(spread(wire_socket))
        wait_until(lambda: receive() + waiting() == sent, 10, "the frames are there or wait")
    assert waiting() > 0
    frontend.enable(2, False)
    wait_until(lambda: receive() == sent, 10, "all frames")


@pytest.mark.usefixtures("just_started")
@pytest.mark.parametrize("sends", [True, False], ids=["sends", "receives"])
def test_ring_that_is_given_up(attach, wire_socket, forwarder, sends):
    """Log and metrics tell of it until the driver stops the ring, and the other ring goes on."""
    frontend = attach(queue_size=64)
    ring = frontend.tx() if sends else frontend.rx()
    ring.offer([(NOWHERE, 100, not sends)])
    ring.notify()
    if not sends:
        for number in range(frontend.queue_size):
            wire_socket.send(frame(number, source=WIRE_MAC))
    wait_until(lambda: "broke the rules of a ring (a buffer outside the guest's memory)"
               in forwarder.output.text, 5, "the reason")
    if sends:
        wire_socket.send(frame(1, source=WIRE_MAC))
        frontend.wait_frames(1)
    else:
        frontend.send(frame(1))
        frontend.wait_sent()

    def broken_rings():
        return value(scrape(forwarder.metrics_path), "relay_vm_broken_rings", relay=0)

    wait_until(lambda: broken_rings() == 1, 10, "the metric tells of it", interval=0.3)
    frontend.stop_ring(1 if sends else 0)
    wait_until(lambda: broken_rings() == 0, 10, "the ring is forgotten", interval=0.3)
