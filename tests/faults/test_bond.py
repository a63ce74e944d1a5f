# SPDX-License-Identifier: BSD-3-Clause
"""Bonds that lose members and links."""

import time
from contextlib import ExitStack

import pytest

from lib.metrics import scrape, value
from lib.packet_socket import ETHERTYPE, PacketSocket, raw_frame
from lib.peer import counted
from lib.preload import preload_absent
from lib.proc import wait_until
from lib.vhostuser import Frontend
from lib.wire import ADD, Daemon

FRAME = raw_frame(bytes(1486))
VM_MAC = bytes.fromhex("020000000002")
RARP = 0x8035
PACKETS = 20


class Bond:
    """A bond of two taps on relay 0, and its VM. Members are lost, and links go, at will."""

    names, interfaces = ["net_tap0", "net_tap1"], ["vtap0", "vtap1"]

    def __init__(self, workdir, stack, host, mode, *files):
        self._netns = host
        self._endpoint = workdir / "metrics"
        daemon = self._daemon = Daemon(workdir, f"--metrics-ep=ipc://{self._endpoint}", netns=host)
        self._absent = preload_absent(daemon, workdir, *files)
        stack.enter_context(daemon)
        daemon.done(ADD, virtio_id=0, name="net_bonding0", mode=mode,
                    device=[f"{name},iface={interface}"
                            for name, interface in zip(self.names, self.interfaces)])
        self.vm = stack.enter_context(Frontend(daemon.socket())).start()
        daemon.wait_vm()
        self._wait_states([2, 0, 0])

    @property
    def log(self):
        return self._daemon.output.text

    def _wait_states(self, states):
        """Waits until so many members are up, down and away."""
        def now():
            samples = scrape(self._endpoint)
            return [value(samples, "device_members", relay=0, state=state)
                    for state in ("up", "down", "away")]

        wait_until(lambda: now() == states, 40, f"members: {states}", interval=0.5)

    def lose(self, member):
        (self._absent / self.names[member]).touch()
        self._wait_states([1, 0, 1])

    def find(self, member):
        (self._absent / self.names[member]).unlink()
        self._wait_states([2, 0, 0])

    def exchange(self, lost, found):
        """The last member is lost, and then the other one found."""
        (self._absent / self.names[lost]).touch()
        wait_until(lambda: scrape(self._endpoint) and "reaches nobody" in self.log, 40,
                   "all members are away", interval=0.5)
        (self._absent / self.names[found]).unlink()
        wait_until(lambda: "is back" in self.log, 40, "the member is back")

    def sent(self):
        """Packets that the relay has sent to the network."""
        return counted(self._daemon, "vm_to_vf", 0).sent[0]

    def set_links(self, *links):
        """True: the member's link is up; False: down; None: the member is away."""
        for name, link in zip(self.names, links):
            if link is False:
                (self._absent / f"{name}.down").touch()
            else:
                (self._absent / f"{name}.down").unlink(missing_ok=True)
        self._wait_states([links.count(state) for state in (True, False, None)])

    def link(self, member):
        return self._netns.link(self.interfaces[member])

    def send_to(self, member, frame):
        with PacketSocket(self._netns.name, self.interfaces[member]) as wire:
            wire.send(frame)

    def counted(self):
        """What the device has sent and received, by the metrics."""
        time.sleep(1)  # the age that a view may have
        samples = scrape(self._endpoint)
        return [value(samples, f"device_queue_{what}_packets_total", relay=0, queue=0)
                for what in ("sent", "received")]

    def report_lost(self, member):
        """Its driver reports it, and nobody has asked for its counters before."""
        (self._absent / f"{self.names[member]}.lost").touch()
        wait_until(lambda: "is away" in self.log, 10, "the member is away")

    def passes_by(self, member):
        """A packet of the VM leaves by that member."""
        with PacketSocket(self._netns.name, self.interfaces[member]) as wire:
            self.vm.send(FRAME)
            return wire.wait_frames(1, ETHERTYPE) == [FRAME]

    def mac_in_use(self):
        """The MAC of the member by which a packet of the VM leaves."""
        with ExitStack() as stack:
            wires = [stack.enter_context(PacketSocket(self._netns.name, name))
                     for name in self.interfaces]
            self.vm.send(FRAME)
            return next(self.link(member)["address"] for member, wire in enumerate(wires)
                        if wire.frames(ETHERTYPE, timeout=1))


@pytest.mark.parametrize("mode", [0, 1, 2, 3, 5, 6])
def test_bond_loses_its_first_member(workdir, stack, host, mode):
    """It goes on with the other one, with its own MAC, and receives frames to all addresses."""
    bond = Bond(workdir, stack, host, mode)
    mac = bond.link(0)["address"]
    bond.lose(0)
    assert bond.passes_by(1)
    assert bond.link(1)["address"] == mac
    assert {"PROMISC", "ALLMULTI"} <= set(bond.link(1)["flags"])


@pytest.mark.parametrize("mode", [1, 5])
def test_backup_takes_over_empty(workdir, stack, host, mode):
    """What it has received until then is old."""
    bond = Bond(workdir, stack, host, mode)
    *old, new = [FRAME[:-1] + bytes([number]) for number in range(8)]
    for backup, links in (1, (False, True)), (0, (True, False)):
        for frame in old:
            bond.send_to(backup, frame)
        bond.set_links(*links)
        assert bond.passes_by(backup)
        bond.send_to(backup, new)
        assert [data for _, data in bond.vm.wait_frames(1)] == [new]
        bond.set_links(True, True)


@pytest.mark.parametrize("why", ["link", "lost"])
def test_takeover_is_announced(workdir, stack, host, why):
    """Once, for a VM that sends nothing any more. What nobody can have sent is not announced."""
    bond = Bond(workdir, stack, host, mode=1)
    bond.vm.send(bytes.fromhex("02000000000a") + VM_MAC + FRAME[12:])
    bond.vm.wait_sent()
    bond.vm.send(FRAME)
    bond.vm.wait_sent()
    with PacketSocket(host.name, bond.interfaces[1]) as wire:
        if why == "link":
            bond.set_links(False, True)
        else:
            bond.lose(0)
        announcement, = wire.wait_frames(1, RARP)
        assert announcement[:6] == bytes([255] * 6) and announcement[22:28] == VM_MAC
        assert wire.frames(RARP, timeout=2) == []


def test_return_is_announced(workdir, stack, host):
    """The first member of a bond that had none left may be another than its last."""
    bond = Bond(workdir, stack, host, mode=1)
    bond.vm.send(bytes.fromhex("02000000000a") + VM_MAC + FRAME[12:])
    bond.vm.wait_sent()
    wait_until(lambda: bond.sent() == 1, 10, "the packet")
    bond.lose(0)
    wait_until(lambda: bond.sent() == 2, 10, "the announcement by the second member")
    bond.exchange(1, 0)
    wait_until(lambda: bond.sent() == 3, 10, "the announcement by the first")


@pytest.mark.parametrize("mode", [0, 1])
def test_counters_of_a_lost_member(workdir, stack, host, mode):
    """What it has counted since the last scrape, and what the other one counts until the next."""
    bond = Bond(workdir, stack, host, mode)

    def pass_packets(n):
        for _ in range(n):
            bond.vm.send(FRAME)
            bond.vm.wait_sent()
            bond.send_to(0, FRAME)
        bond.vm.wait_frames(n)

    pass_packets(PACKETS)
    assert bond.counted() == [PACKETS, PACKETS]
    pass_packets(PACKETS)
    bond.report_lost(0)
    for _ in range(2 * PACKETS):
        bond.vm.send(FRAME)
    bond.vm.wait_sent()
    assert bond.counted() == [4 * PACKETS, 2 * PACKETS]


def test_bond_forgets_its_first_member(workdir, stack, host):
    """When that is lost, and the last link goes, the bond does not receive from whatever has the
    port number now."""
    bond = Bond(workdir, stack, host, mode=1)
    bond.lose(0)
    bond.set_links(None, False)
    bond.set_links(None, True)
    assert bond.passes_by(1)
    assert "not ready port" not in bond.log


def test_bond_stays_with_its_member(workdir, stack, host):
    """It does not return to another one, whose MAC would not be the bond's, because the first one
    was lost at some time."""
    bond = Bond(workdir, stack, host, mode=1)
    mac = bond.link(0)["address"]
    bond.lose(0)
    bond.find(0)
    bond.set_links(True, False)
    assert bond.passes_by(0)
    bond.set_links(True, True)
    assert bond.passes_by(0)
    assert bond.link(0)["address"] == mac


def test_bond_is_not_told_of_links(workdir, stack, host):
    """Not every driver reports to the daemon that a link has changed. The member in use has the bond's
    MAC all the same, whichever it is."""
    bond = Bond(workdir, stack, host, 1, "mute")
    mac = bond.link(0)["address"]
    bond.lose(0)
    bond.find(0)
    for links in ((True, False), (True, True)):
        bond.set_links(*links)
        wait_until(lambda: bond.mac_in_use() == mac, 10, "the member in use has the bond's MAC")
    assert "Link up" not in bond.log and "Link down" not in bond.log
