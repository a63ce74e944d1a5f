# SPDX-License-Identifier: BSD-3-Clause
"""Devices that fail, and what relays tell devices."""

import os
import time

import pytest

from lib import vioclient
from lib.forwarder import Forwarder
from lib.metrics import scrape, value
from lib.net import Veth
from lib.packet_socket import ETHERTYPE, PacketSocket, raw_frame
from lib.peer import attach, detach
from lib.preload import preload, preload_absent
from lib.proc import memory_kib, wait_until
from lib.vhostuser import Frontend, Request
from lib.virtqueue import Memory
from lib.wire import ADD, OK, UPDATE, Daemon

FRAME = raw_frame(bytes(1486))
REFUSED = raw_frame(bytes(1486), 0x88b6)  # see choosy.c
PACKETS = 20
AF_PACKET_FRAMES = 512  # in the rings of a device of AF_PACKET by default
ROUNDS = 4
SEVERAL = 8
SLOW_S = 0.3  # see stuck.c


def test_device_that_does_not_send(workdir, stack):
    """With --zero-copy, the device keeps packets in a VM's memory. The VM leaves all the same, the
    device is restarted, and the next VM is served, with copies until the device is attached again.
    Nothing is kept for ever, and the daemon can stop while the device keeps packets."""
    stuck = workdir / "stuck"
    forwarder = Forwarder(workdir, {0: "net_null0"}, options=["--zero-copy"])
    preload(forwarder, "stuck", stuck)
    stack.enter_context(forwarder)
    memory = []
    for count in range(1, ROUNDS + 1):
        stuck.touch()
        before = forwarder.stats()["vm_to_vf"]["pkts_tx_to_vf"]
        vm = stack.enter_context(Frontend(forwarder.socket(), packed=bool(count % 2)))
        vm.start()
        forwarder.wait_vm()
        for _ in range(PACKETS):
            vm.send(FRAME)
        wait_until(lambda: forwarder.stats()["vm_to_vf"]["pkts_tx_to_vf"] == before + PACKETS, 10,
                   "the device has the packets")
        vm.reclaim()
        assert vm.under_way() == PACKETS
        if count == ROUNDS:
            break
        vm.close()
        wait_until(lambda: forwarder.output.text.count(
            "device net_null0 has not sent what lies in the memory of the VM") == count, 10,
            "the device is restarted")
        stuck.unlink()
        with Frontend(forwarder.socket()) as vm:
            vm.start()
            forwarder.wait_vm()
            vm.send(FRAME)
            vm.wait_sent()
        forwarder.wait_vm(attached=False)
        detach(forwarder, 0, "net_null0")
        attach(forwarder, 0, "net_null0")
        memory.append(memory_kib(forwarder.pid))
    assert memory[-1] - memory[0] < 1024, memory
    forwarder.stop()
    assert "some memory is kept" not in forwarder.output.text


def test_devices_that_do_not_send_take_turns(workdir, stack):
    """Many VMs leave at once: while the devices are restarted, one after the other, the daemon answers."""
    stuck = workdir / "stuck"
    forwarder = Forwarder(workdir, {i: f"net_null{i}" for i in range(SEVERAL)}, options=["--zero-copy"])
    preload(forwarder, "stuck", stuck)
    stack.enter_context(forwarder)
    stuck.touch()
    (workdir / "stuck.slow").touch()
    vms = [stack.enter_context(Frontend(forwarder.socket(i))).start() for i in range(SEVERAL)]
    for i, vm in enumerate(vms):
        forwarder.wait_vm(i)
        vm.send(FRAME)
    for i in range(SEVERAL):
        wait_until(lambda i=i: forwarder.stats(i)["vm_to_vf"]["pkts_tx_to_vf"] == 1, 10,
                   "the device has the packet")
    for vm in vms:
        vm.close()
    answers = []

    def all_restarted():
        began = time.monotonic()
        vioclient.stats(forwarder.stats_endpoint)
        answers.append(time.monotonic() - began)
        return forwarder.output.text.count("has not sent what lies in the memory of the VM") == SEVERAL

    wait_until(all_restarted, 30, "all devices are restarted")
    assert max(answers) < 4 * SLOW_S, answers


def test_device_that_cannot_be_started_again(workdir, stack):
    """It is lost when the VM leaves, and opened anew when that is possible."""
    stuck, dead = workdir / "stuck", workdir / "stuck.dead"
    forwarder = Forwarder(workdir, {0: "net_null0"}, options=["--zero-copy"])
    preload(forwarder, "stuck", stuck)
    stack.enter_context(forwarder)
    stuck.touch()
    vm = stack.enter_context(Frontend(forwarder.socket())).start()
    forwarder.wait_vm()
    vm.send(FRAME)
    wait_until(lambda: forwarder.stats()["vm_to_vf"]["pkts_tx_to_vf"] == 1, 10, "the device has the packet")
    dead.touch()
    vm.close()
    wait_until(lambda: "device net_null0 is away: it could not be restarted" in forwarder.output.text,
               10, "the device is lost")
    assert "relay 0: device net_null0: cannot be stopped: Input/output error" in forwarder.output.text
    dead.unlink()
    stuck.unlink()
    wait_until(lambda: "device net_null0 is back" in forwarder.output.text, 40, "the device is back")
    vm = stack.enter_context(Frontend(forwarder.socket())).start()
    vm.send(FRAME)
    wait_until(lambda: forwarder.stats()["vm_to_vf"]["pkts_tx_to_vf"] == 2, 10, "the next VM is served")


def test_device_that_refuses_a_packet(workdir, stack):
    """It holds up the packets behind it, those of the next VM included, for a second or so; then it
    is dropped, counted, and logged."""
    forwarder = Forwarder(workdir, {0: "net_null0"})
    preload(forwarder, "choosy", workdir)
    stack.enter_context(forwarder)

    def wait_passed(sent, refused):
        def passed():
            lane = vioclient.relay(forwarder.stats_endpoint, 0).vm_to_vf
            drops = {drop.name: drop.packets for drop in lane.drop if drop.packets}
            return lane.pkts_tx_to_vf == sent and drops == {"malformed": refused}

        wait_until(passed, 10, f"{sent} packets sent and {refused} refused")

    vm = stack.enter_context(Frontend(forwarder.socket())).start()
    forwarder.wait_vm()
    for frame in (FRAME, REFUSED, FRAME, REFUSED, FRAME):
        vm.send(frame)
    wait_passed(3, 2)
    vm.send(REFUSED)
    vm.wait_sent()
    vm.close()
    with Frontend(forwarder.socket()) as vm:
        vm.start()
        vm.send(FRAME)
        wait_passed(4, 3)
    wait_until(lambda: "device net_null0 refuses packets: it takes others instead, or nothing for 10 s "
                       "while its link is up; packets that the relay has dropped for that so far: 3"
               in forwarder.output.text, 10, "a line about all of them")
    with Frontend(forwarder.socket()) as vm:
        vm.start()
        vm.send(REFUSED)
        vm.send(FRAME)
        wait_passed(5, 4)
        detach(forwarder, 0, "net_null0")
        attach(forwarder, 0, "net_null1")
        wait_until(lambda: "dropped for that so far: 4" in forwarder.output.text, 10, "a line about the last one")
        time.sleep(1.5)  # lines are written once a second
    assert "net_null1 refuses" not in forwarder.output.text


def test_devices_that_do_not_tell_their_counters(workdir, stack):
    """A scrape does not wait for all devices, but every device is asked in its turn: those that do
    not answer have no counters, the others have theirs all the time."""
    silent = workdir / "silent"
    silent.mkdir()
    endpoint = workdir / "metrics"
    relays = range(4)
    forwarder = Forwarder(workdir, {relay: f"net_null{relay}" for relay in relays},
                          options=[f"--metrics-ep=ipc://{endpoint}"])
    preload(forwarder, "silent", silent)
    stack.enter_context(forwarder)

    def told():
        """The relays whose devices have counters, from a fresh view; all have their pool."""
        time.sleep(1)  # the age that a view may have
        start = time.monotonic()
        samples = scrape(endpoint)
        assert time.monotonic() - start < 3, "several devices were waited for"
        assert all(value(samples, "pool_packets", relay=relay) > 0 for relay in relays)
        return {relay for relay in relays
                if ("device_missed_packets_total", frozenset({("relay", str(relay))})) in samples}

    wait_until(lambda: told() == set(relays), 20, "all devices have counters")
    for relay in relays[1:]:
        (silent / f"net_null{relay}").touch()
    rounds = [set(relays)]
    while rounds[-1] != {0}:
        rounds.append(told())
        assert rounds[-1] <= rounds[-2] and len(rounds) < 20, rounds
    assert len(rounds) >= len(relays), "several devices were asked at once"
    for path in silent.iterdir():
        path.unlink()
    wait_until(lambda: told() == set(relays), 20, "all devices have counters again")


def test_static_device_that_is_missing_at_start(workdir, stack):
    """The other relay has its device and serves its VM; the missing one is logged once, and opened
    when it is there."""
    forwarder = Forwarder(workdir, {0: "net_null0", 1: "net_null1"})
    absent = preload_absent(forwarder, workdir, "net_null0")
    stack.enter_context(forwarder)
    assert forwarder.stats(0)["vf_to_vm"]["internal_state"] == "DPDK_ADDED"
    vms = [stack.enter_context(Frontend(forwarder.socket(relay))).start() for relay in range(2)]
    vms[1].send(FRAME)
    wait_until(lambda: forwarder.stats(1)["vm_to_vf"]["pkts_tx_to_vf"] == 1, 10, "the other VM is served")
    wait_until(lambda: len((absent / "net_null0").read_text(encoding="ascii").split()) >= 3, 20,
               "it is tried again")
    (absent / "net_null0").unlink()
    wait_until(lambda: forwarder.stats(0)["vf_to_vm"]["internal_state"] == "DPDK_READY", 20,
               "the device is opened")
    vms[0].send(FRAME)
    wait_until(lambda: forwarder.stats(0)["vm_to_vf"]["pkts_tx_to_vf"] == 1, 10, "its VM is served")
    text = forwarder.output.text
    assert text.count("device net_null0 cannot be attached: ") == 1 and text.count("; trying again") == 1
    assert "relay 0: device net_null0 is back" in text


def test_device_whose_driver_finds_it_dead(workdir, stack):
    """It does so in a timer that the daemon has to run. The device is opened anew, and again the next time."""
    dead = workdir / "dead"
    forwarder = Forwarder(workdir, {0: "net_null0"})
    preload(forwarder, "dead", dead)
    stack.enter_context(forwarder)
    for count in 1, 2:
        dead.touch()
        wait_until(lambda: forwarder.output.text.count(
            "device net_null0 is away: its PF has reset it, or it has stopped answering") == count, 10, "it is lost")
        wait_until(lambda: forwarder.output.text.count("device net_null0 is back") == count, 20, "it is back")


def test_device_that_comes_back_with_less(workdir, stack):
    """The log says so with what it has lost, and what to do."""
    endpoint = workdir / "metrics"
    forwarder = Forwarder(workdir, {0: "net_null0"},
                          options=["--enable-jumbo", f"--metrics-ep=ipc://{endpoint}"])
    absent = preload_absent(forwarder, workdir)
    stack.enter_context(forwarder)
    (absent / "poor").touch()
    (absent / "net_null0").touch()
    scrape(endpoint)
    wait_until(lambda: "device net_null0 is away" in forwarder.output.text, 10, "it is lost")
    (absent / "net_null0").unlink()
    wait_until(lambda: "an MTU of 1500 of 9000" in forwarder.output.text, 40, "a line about what it has")
    (absent / "poor").unlink()
    (absent / "net_null0").touch()
    scrape(endpoint)
    wait_until(lambda: forwarder.output.text.count("device net_null0 is away") == 2, 10, "it is lost again")
    (absent / "net_null0").unlink()
    wait_until(lambda: forwarder.output.text.count("device net_null0 is back") == 2, 40, "it is back")
    assert forwarder.output.text.count("has less than before: ") == 1


def test_unlike_members_come_back(workdir, stack, host, taps):
    """All members of a bond are lost, and the one that can do more is back first."""
    endpoint = workdir / "metrics"
    names = ["net_tap0", "net_null0"]
    devices = [taps[0], "net_null0"]
    daemon = Daemon(workdir, f"--metrics-ep=ipc://{endpoint}", netns=host)
    absent = preload_absent(daemon, workdir)
    stack.enter_context(daemon)
    daemon.done(ADD, virtio_id=0, name="net_bonding0", mode=1, device=devices)

    def wait_for(text):
        wait_until(lambda: text in daemon.output.text, 60, text)

    for name in names:
        (absent / name).touch()
    scrape(endpoint)
    for name, device in zip(names, devices):
        wait_for(f"device {device} is away")
    for name, device in zip(names, devices):
        (absent / name).unlink()
        wait_for(f"device {device} is back")
    assert "does not take member" not in daemon.output.text
    assert "has less than before" not in daemon.output.text


@pytest.mark.silent_wire
@pytest.mark.parametrize("bond", [False, True], ids=["single", "bond"])
def test_wire_that_is_too_slow(workdir, stack, wire, host, bond):
    """A device of AF_PACKET whose wire takes a frame every 1.5 s is full. Its VM waits; the other VM of
    the same worker does not notice, and the first one can leave."""
    slow, fast = (Veth(wire, host, inner=inner) for inner in ("slow", "fast"))
    slow.throttle("8kbit", burst="2kb")
    daemon = stack.enter_context(Daemon(workdir, netns=host))
    device = f"net_af_packet0,iface={slow.outer},qdisc_bypass=0"
    if bond:
        daemon.done(ADD, virtio_id=0, device=[device, "net_null0"], name="net_bonding0", mode=1)
    else:
        daemon.done(ADD, virtio_id=0, device=[device])
    daemon.done(ADD, virtio_id=1, device=[f"net_af_packet1,iface={fast.outer}"])
    waiting, other = (stack.enter_context(Frontend(daemon.socket(relay), queue_size=1024,
                                                   memory=Memory((16 << 20,)))).start()
                      for relay in range(2))
    for relay in range(2):
        daemon.wait_vm(relay)
    for _ in range(AF_PACKET_FRAMES + 200):
        waiting.send(FRAME)
    wait_until(lambda: daemon.stats()["vm_to_vf"]["pkts_tx_to_vf"] >= AF_PACKET_FRAMES, 10, "the device is full")
    with PacketSocket(wire.name, fast.inner) as far_end:
        for _ in range(PACKETS):
            other.send(FRAME)
            assert far_end.wait_frames(1, ETHERTYPE) == [FRAME]
    waiting.reclaim()
    assert waiting.under_way() > 100
    waiting.close()
    daemon.wait_vm(0, attached=False, timeout=5)


@pytest.mark.silent_wire
@pytest.mark.parametrize("qpairs", [1, 2])
def test_burst_that_a_socket_does_not_take_at_once(workdir, stack, wire, host, veth, qpairs):
    """A VM sends to a device of AF_PACKET more than fits into the send buffer of its socket, and then
    nothing. All of it arrives."""
    veth.throttle("10mbit", burst="4kb")
    daemon = stack.enter_context(Daemon(workdir, netns=host))
    daemon.done(ADD, virtio_id=0,
                device=[f"net_af_packet0,iface={veth.outer},qdisc_bypass=0,qpairs={qpairs}"])
    vm = stack.enter_context(Frontend(daemon.socket(), queue_size=1024, memory=Memory((16 << 20,)))).start()
    daemon.wait_vm()
    with PacketSocket(wire.name, veth.inner) as far_end:
        for _ in range(AF_PACKET_FRAMES):
            vm.send(FRAME)
        far_end.wait_frames(AF_PACKET_FRAMES, ETHERTYPE)


def test_announcement_waits_for_another_device(workdir, stack):
    """A VM that has migrated here while its device was away is announced by the one that is attached
    instead."""
    forwarder = Forwarder(workdir, {0: "net_null0", 1: "net_null1"})
    preload_absent(forwarder, workdir, "net_null0")
    stack.enter_context(forwarder)
    vm = stack.enter_context(Frontend(forwarder.socket())).start()
    forwarder.wait_vm()
    vm.tell(Request.SEND_RARP, bytes([2, 0, 0, 0, 0, 1, 0, 0]))
    wait_until(lambda: forwarder.stats()["vm_to_vf"]["pkts_rx_from_vm"] == 1, 10, "the announcement")
    detach(forwarder, 0, "net_null0")
    attach(forwarder, 0, "net_null2")
    wait_until(lambda: forwarder.stats()["vm_to_vf"]["pkts_tx_to_vf"] == 1, 10, "it is sent")


@pytest.mark.silent_wire
def test_member_that_does_not_come_back(workdir, stack, wire, host):
    """A bond serves its VM through the other member all the time, by the worker that it was moved
    to. This also holds while the missing member is retried, which happens less and less often and
    is logged once."""
    endpoint = workdir / "metrics"
    first, second = workers = sorted(os.sched_getaffinity(0))[-2:]
    veths = [Veth(wire, host, inner=f"member{i}") for i in range(2)]
    names = [f"net_af_packet{i}" for i in range(2)]
    devices = [f"{name},iface={veth.outer}" for name, veth in zip(names, veths)]
    daemon = Daemon(workdir, f"--metrics-ep=ipc://{endpoint}", netns=host, cpus=(first, workers))
    away = preload_absent(daemon, workdir)
    members = [stack.enter_context(PacketSocket(wire.name, veth.inner)) for veth in veths]
    stack.enter_context(daemon)
    daemon.done(ADD, virtio_id=0, name="net_bonding0", mode=1, device=devices)
    vm = stack.enter_context(Frontend(daemon.socket()))
    vm.start()
    daemon.wait_vm()
    moved = {"vf_to_vm": second, "vm_to_vf": second}
    assert vioclient.core_sched(daemon.core_sched_endpoint, UPDATE, [(0, second, second)]).status == OK
    assert daemon.stats()["cpu"] == moved

    def wait_for(text):
        wait_until(lambda: text in daemon.output.text, 60, text)

    def lose(member):
        (away / names[member]).touch()
        said = f"device {devices[member]} is away: the host wants it back; its bond goes on without it"
        wait_until(lambda: scrape(endpoint) and said in daemon.output.text, 10, said, interval=0.5)

    def passing(member):
        """How long a packet of the VM takes."""
        vm.send(raw_frame(bytes(46)))
        start = time.monotonic()
        wait_until(lambda: members[member].frames(ETHERTYPE), 20, "the frame", interval=0.001)
        return time.monotonic() - start

    def tries():
        return [float(line) for line in (away / names[1]).read_text(encoding="ascii").split()]

    def states():
        samples = scrape(endpoint)
        return [value(samples, "device_members", relay=0, state=state)
                for state in ("up", "down", "away")]

    passing(0)
    assert states() == [2, 0, 0]
    lose(1)
    wait_until(lambda: states() == [1, 0, 1], 10, "the metrics tell of it", interval=0.5)
    times = []
    end = time.monotonic() + 60
    while len(tries()) < 5:
        assert time.monotonic() < end, tries()
        times.append(passing(0))
    # Tries take a second each. If packets waited for them, four had waited for as long.
    assert sorted(times)[-4] < 0.5, times
    assert tries()[4] - tries()[3] > 1.5 * (tries()[1] - tries()[0]), tries()
    assert daemon.output.text.count("; trying again") == 1
    (away / names[1]).unlink()
    wait_for(f"device {devices[1]} is back")
    assert min(passing(0) for _ in range(3)) < 0.5
    sent = value(scrape(endpoint), "device_queue_sent_packets_total", relay=0, queue=0)
    assert sent > 0
    lose(0)
    passing(1)
    time.sleep(1)  # the age that a view may have
    assert value(scrape(endpoint), "device_queue_sent_packets_total", relay=0, queue=0) >= sent
    assert daemon.stats()["cpu"] == moved


def test_device_that_comes_after_its_vm(workdir, stack):
    """Its RSS table is set up for the queues that the VM already has, also when the device comes
    back."""
    table = workdir / "table"
    forwarder = Forwarder(workdir)
    preload(forwarder, "table", table)
    stack.enter_context(forwarder)
    vm = stack.enter_context(Frontend(forwarder.socket(), queue_pairs=3))
    vm.start()
    forwarder.wait_vm()
    for _ in range(2):
        attach(forwarder, 0, "net_null0,no-rx=1")
        wait_until(lambda: table.exists() and table.read_text(encoding="ascii") == "3\n", 5,
                   "a table of three queues")
        detach(forwarder, 0, "net_null0,no-rx=1")
        table.unlink()


def test_driver_that_refuses_a_queue(workdir, stack, host, veth):
    """Not every reason that a driver calls ENOMEM is a lack of memory."""
    daemon = stack.enter_context(Daemon(workdir, netns=host))
    _, why = daemon.refused(ADD, virtio_id=0, device=[
        f"net_af_packet0,iface={veth.outer},blocksz=65536,framesz=16384,framecnt=512"])
    assert "will not fit in mbuf" in why and "out of memory" not in why
