# SPDX-License-Identifier: BSD-3-Clause
"""Live migration under a ping every 10 ms and a TCP stream: between two daemons, and between a daemon
and another backend (testpmd's vhost port, QEMU's own tap)."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from lib.capture import Capture
from lib.forwarder import Forwarder, default_cpus
from lib.net import Veth
from lib.pinger import Pinger
from lib.proc import Process, memory_kib, open_files, wait_until
from lib.qemu import Guest, Nic, feature_names, migrate
from lib.testpmd import Testpmd
from lib.traffic import tcp_from_guest

WIRE_IP, GUEST_IP = "10.0.0.1", "10.0.0.2"
GUEST_MAC = "52:54:00:00:00:01"
STREAM_PORT = 5003
QUEUES = 4
OFFLOADS = {"GUEST_TSO4", "GUEST_TSO6", "GUEST_ECN", "GUEST_UFO", "HOST_TSO4", "HOST_TSO6", "HOST_ECN",
            "HOST_UFO"}
# For tcpdump. Of ARP, an answer to nobody's question: the guest tells its own address.
BY_GUEST = f"ether src {GUEST_MAC} and arp[14:4] = arp[24:4]"
BY_DAEMON = f"ether src {GUEST_MAC} and rarp"
SENDER = Path(__file__).resolve().parents[1] / "lib" / "stream_sender.py"

pytestmark = pytest.mark.timeout(600)


@dataclass
class TapNic:
    """A guest's device on a tap of the bridge, without a backend process."""

    tap: str
    options: tuple = ()

    def arguments(self, index, qemu):
        vectors = "" if qemu.msix_works() else ",vectors=0"
        return ["-netdev", f"tap,id=n{index},ifname={self.tap},script=no,downscript=no,vhost=off",
                "-device", ",".join([f"virtio-net-pci,romfile=,netdev=n{index},mac={GUEST_MAC}"
                                     f"{vectors}", *self.options])]

    def kernel_arguments(self, index):
        return [f"ip{index}={GUEST_IP}/24"]


class Place:
    """A machine on which a guest may run: a port of the bridge `br0`, and a backend."""

    def __init__(self, kind, name, workdir, stack, host, wire, daemon=None):
        """kind: "forwarder", "testpmd" or "tap". daemon: a forwarder's arguments."""
        self.kind, self.name, self.port = kind, name, f"port{name}"
        self.netns = None
        self.backend = None
        if kind == "tap":
            wire.ip("tuntap", "add", "dev", self.port, "mode", "tap", "vnet_hdr")
            wire.ip("link", "set", self.port, "up")
            self.netns = wire
        else:
            veth = Veth(wire, host, inner=self.port)
            directory = workdir / name
            directory.mkdir()
            self._start(directory, f"net_af_packet0,iface={veth.outer},framecnt=4096", stack, host,
                        daemon or {})
        wire.ip("link", "set", self.port, "master", "br0")

    def _start(self, directory, device, stack, host, daemon):
        if self.kind == "forwarder":
            self.backend = stack.enter_context(Forwarder(
                directory, {0: device}, netns=host, name=f"forwarder{self.name}",
                **{"options": ["--enable-mrgbuf"], **daemon}))
            self.socket = self.backend.socket(0)
        else:
            self.socket = directory / "testpmd.sock"
            self.backend = stack.enter_context(Testpmd(
                [f"net_vhost0,iface={self.socket},tso=1", device], netns=host, directory=directory,
                cores=default_cpus(), options=["--auto-start", "--forward-mode=io"]))

    def nic(self, queues, options):
        if self.kind == "tap":
            return TapNic(self.port, options)
        server = self.kind == "forwarder" and self.backend.client
        return Nic(self.socket, server=server, queues=queues, mac=GUEST_MAC,
                   address=f"{GUEST_IP}/24", options=options)


# A daemon that offers all that other backends do.
GENEROUS = {"options": ["--enable-mrgbuf", "--enable-tso"]}


class Machines:
    """Two places and the guest that moves between them."""

    def __init__(self, places, qemu, image, workdir, stack, queues, options):
        self.places, self._stack, self._queues, self._options = places, stack, queues, options
        self._arguments = (qemu, image)
        self._workdir = workdir
        self._count = 0
        self.at = 0  # index of the place where the guest is
        self.guest = self._make(0, incoming=False).wait_ready()

    def _make(self, at, incoming):
        place = self.places[at]
        self._count += 1
        return self._stack.enter_context(Guest(
            *self._arguments, [place.nic(self._queues, self._options)], self._workdir,
            f"vm{self._count}{place.name}", memory_mib=192, incoming=incoming, netns=place.netns))

    def move(self):
        """Moves the guest to the other place; returns QEMU's statistics."""
        destination = self._make(1 - self.at, incoming=True)
        account = migrate(self.guest, destination)
        self.guest.quit()
        self.guest, self.at = destination, 1 - self.at
        return account

    def start_and_cancel(self):
        """Starts to move, and cancels when much of the memory has been transferred."""
        destination = self._make(1 - self.at, incoming=True)
        path = self._workdir / "cancelled"
        destination.qmp("migrate-incoming", uri=f"unix:{path}")
        source = self.guest.qmp
        source("migrate-set-parameters", **{"max-bandwidth": 10 << 20})
        source("migrate", uri=f"unix:{path}")
        wait_until(lambda: source("query-migrate").get("ram", {}).get("transferred", 0) > 10 << 20,
                   30, "10 MiB migrated")
        source("migrate_cancel")
        wait_until(lambda: source("query-migrate")["status"] == "cancelled", 30, "cancelled")
        source("migrate-set-parameters", **{"max-bandwidth": 1 << 30})
        destination.kill()


@pytest.fixture
def bridge(wire):
    wire.ip("link", "add", "br0", "type", "bridge")
    wire.run(["ethtool", "-K", "br0", "tx", "off", "gso", "off", "tso", "off"])
    wire.ip("link", "set", "br0", "up")
    wire.ip("addr", "add", f"{WIRE_IP}/24", "dev", "br0")


@pytest.fixture
def machines(qemu, image, workdir, stack, host, wire, bridge):
    def machines(kinds=("forwarder", "forwarder"), queues=1, options=(), daemon=None, qemu=qemu):
        places = [Place(kind, name, workdir, stack, host, wire, daemon)
                  for kind, name in zip(kinds, "AB", strict=True)]
        return Machines(places, qemu, image, workdir, stack, queues, options)

    return machines


class Stream:
    """Random bytes over TCP from the namespace to the guest, wherever it is, until finish()."""

    def __init__(self, wire, machines, workdir):
        self._machines = machines
        machines.guest.run(
            f"rm -f /tmp/stream; (nc -l -p {STREAM_PORT} -e sh -c 'exec sha256sum >/tmp/stream' &)")
        wait_until(lambda: f":{STREAM_PORT} " in machines.guest.run("netstat -ltn"), 10,
                   "nc listens in the guest")
        self._sender = Process(wire.argv(["/usr/bin/python3", SENDER, GUEST_IP, STREAM_PORT]),
                               "stream", tty=True, log_path=workdir / "stream.log")

    def __enter__(self):
        self._sender.expect("connected", 20)
        return self

    def finish(self):
        """Returns the number of bytes sent; all must have arrived unaltered."""
        self._sender.send("over\n")
        match = self._sender.expect(r"sent (\d+) (\w+)", 60)
        received = wait_until(lambda: self._machines.guest.run("cat /tmp/stream"), 60,
                              "end of the stream in the guest")
        assert match[2] in received
        return int(match[1])

    def __exit__(self, *_):
        self._sender.__exit__()


def move_under_load(machines, wire, workdir):
    """Moves the guest once; returns (lost pings, longest silence in s, QEMU's statistics)."""
    with Pinger(wire, GUEST_IP) as pinger, Stream(wire, machines, workdir) as stream:
        wait_until(lambda: len(pinger.replies()) > 50, 20, "pings beside the stream")
        account = machines.move()
        pinger.wait_reply(after=pinger.replies()[-1][0])
        assert stream.finish() > 1 << 20
        lost, longest_s = pinger.stop()
    return lost, longest_s, account


def report(what, lost, longest_s, account):
    print(f"{what}: {lost} pings lost, longest silence {longest_s * 1000:.0f} ms, QEMU: downtime "
          f"{account['downtime']} ms of {account['total-time']} ms")


@pytest.mark.parametrize("options, announcement", [
    pytest.param((), BY_GUEST, id="announced-by-guest", marks=pytest.mark.ci),
    pytest.param(("guest_announce=off",), BY_DAEMON, id="announced-by-daemon", marks=pytest.mark.ci),
    pytest.param(("guest_announce=off", "packed=on"), BY_DAEMON, id="packed")])
def test_between_daemons(machines, wire, workdir, options, announcement):
    moving = machines(options=options)
    features = moving.guest.features()
    with Capture(wire, moving.places[1].port, workdir, announcement) as capture:
        lost, longest_s, account = move_under_load(moving, wire, workdir)
        capture.wait(1)
    report("between daemons", lost, longest_s, account)
    assert moving.guest.features() == features
    assert longest_s < 5
    assert moving.guest.ping(WIRE_IP) == 5


@pytest.mark.ci
def test_between_clients(machines, wire, workdir):
    """The daemons connect to QEMU's sockets; several queues, and segmentation on both sides."""
    moving = machines(queues=QUEUES, daemon={"client": True, **GENEROUS})
    moving.guest.run(f"ethtool -L eth0 combined {QUEUES}")
    features = moving.guest.features()
    assert "HOST_TSO4" in feature_names(features)
    lost, longest_s, account = move_under_load(moving, wire, workdir)
    report("between clients", lost, longest_s, account)
    assert moving.guest.features() == features
    assert longest_s < 5
    assert moving.guest.ping(WIRE_IP) == 5
    assert tcp_from_guest(wire, moving.guest, WIRE_IP).intact


@pytest.mark.parametrize("kinds, options", [
    ("testpmd testpmd", ()), ("forwarder testpmd", ()),
    ("testpmd forwarder", ()), ("testpmd forwarder", ("disable-modern=on",)),
    ("forwarder tap", ()), ("tap forwarder", ("queue_reset=off",))],
    ids=lambda value: "-".join(value.split()) if isinstance(value, str) else ",".join(value) or "all")
def test_other_backends(machines, wire, workdir, kinds, options):
    """With all that they offer, but for what QEMU offers on its own taps only."""
    moving = machines(kinds.split(), daemon=GENEROUS, options=options)
    features = moving.guest.features()
    legacy = "disable-modern=on" in options
    assert set(feature_names(features)) >= OFFLOADS | ({"GSO"} if legacy else set())
    lost, longest_s, account = move_under_load(moving, wire, workdir)
    report(kinds.replace(" ", " to "), lost, longest_s, account)
    assert moving.guest.features() == features
    assert moving.guest.ping(WIRE_IP) == 5


def test_packed_rings_to_a_tap(machines, qemu_backports, wire):
    """QEMU itself goes on in the rings, where the daemon says that buffers are used next."""
    moving = machines(("forwarder", "tap"), options=("packed=on",), qemu=qemu_backports)
    assert wire.ping(GUEST_IP, count=100, interval=0.005) == 100
    moving.move()
    wait_until(lambda: wire.ping(GUEST_IP, count=1, wait=1), 20, "the guest answers")
    assert wire.ping(GUEST_IP, count=600, interval=0.005) == 600  # more than a round
    assert moving.guest.ping(WIRE_IP) == 5


@pytest.mark.ci
def test_cancelled(machines, wire, workdir):
    """Nothing changes, and the next attempt succeeds."""
    moving = machines()
    before = moving.places[0].backend.stats(0)
    with Pinger(wire, GUEST_IP) as pinger, Stream(wire, moving, workdir) as stream:
        for _ in range(2):
            moving.start_and_cancel()
            pinger.wait_reply(after=pinger.replies()[-1][0])
        assert stream.finish() > 1 << 20
        lost, longest_s = pinger.stop()
    print(f"cancelled twice: {lost} pings lost, longest silence {longest_s * 1000:.0f} ms")
    assert longest_s < 5  # as for finished ones; what follows shows that nothing has changed
    after = moving.places[0].backend.stats(0)
    assert after["active"] and before["vhost"] == after["vhost"]
    assert not moving.places[1].backend.stats(0)["active"]
    lost, longest_s, account = move_under_load(moving, wire, workdir)
    report("after the cancelled ones", lost, longest_s, account)


def test_to_and_fro(machines, wire):
    """20 times; neither daemon holds more memory or descriptors than after the second."""
    moving = machines()
    backends = [place.backend for place in moving.places]
    holds = []
    with Pinger(wire, GUEST_IP) as pinger:
        for _ in range(20):
            moving.move()
            pinger.wait_reply(after=pinger.replies()[-1][0])
            left = backends[1 - moving.at]
            left.wait_vm(0, attached=False)
            holds.append([(memory_kib(backend.pid), open_files(backend.pid))
                          for backend in backends])
        lost, longest_s = pinger.stop()
    print(f"20 migrations: {lost} pings lost, longest silence {longest_s * 1000:.0f} ms; "
          f"KiB and descriptors of the daemons at first {holds[1]}, at last {holds[-1]}")
    for (first_kib, first_files), (last_kib, last_files) in zip(holds[1], holds[-1], strict=True):
        assert last_kib < first_kib + 4096 and last_files <= first_files
