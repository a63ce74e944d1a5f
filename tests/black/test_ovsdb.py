# SPDX-License-Identifier: BSD-3-Clause
"""Relays follow the database: a real ovsdb-server, an operator's commands and their effects. The
monitor runs alone, in ovsdb-follow, which prints the operations that it would apply."""

import os
import re
from datetime import datetime, timedelta

import pytest
from lib.net import Netns
from lib.ovsdb import Database
from lib.paths import build_dir
from lib.proc import Process, run, wait_until

WAIT_S = 20
PROBE_MS = 1000
PROBLEMS_AT_ONCE = 100  # that are logged; then one a second
OPERATION = re.compile(r"^((?:refused )?(?:add|remove) .*)\n", re.M)


class Follower:
    """The monitor alone. As a context manager it must end cleanly on SIGTERM."""

    def __init__(self, directory, endpoint, credentials=(), netns=None, tty=False):
        self.sysfs = directory / "sys"
        self.refuse = directory / "refuse"  # additions fail while this file exists
        argv = [build_dir() / "src" / "control" / "ovsdb" / "ovsdb-follow", endpoint, self.sysfs,
                PROBE_MS, self.refuse, *credentials]
        self._process = Process(netns.argv(argv) if netns else argv, "ovsdb-follow",
                                log_path=directory / "follower.log", tty=tty)
        self._done = 0

    @property
    def output(self):
        return self._process.output.text

    def says(self, text, times=1):
        """Waits until the log contains the text so many times."""
        wait_until(lambda: self.output.count(text) >= times, WAIT_S, f"{times} * {text!r}")

    def does(self, *operations):
        """Waits for operations; they must be the next ones, with none before them."""
        for operation in operations:
            wait_until(lambda: len(OPERATION.findall(self.output)) > self._done, WAIT_S, operation)
            assert OPERATION.findall(self.output)[self._done] == operation
            self._done += 1

    def __enter__(self):
        return self

    def __exit__(self, exception_type, *_):
        code = self._process.terminate()
        self._process.__exit__()
        assert exception_type or code == 0, self.output


@pytest.fixture
def follower(workdir, stack, database):
    return stack.enter_context(Follower(workdir, f"unix:{database.socket}"))


def null_device(relay):
    """The keys of an interface that wants a DPDK device, net_null<relay>."""
    return {"virtio_forwarder": 1, "virtio_forwarder_id": relay,
            "virtio_forwarder_device": f"net_null{relay}"}


@pytest.fixture
def barrier(database, follower):
    """Waits until all earlier changes of the database have been handled; nothing else may be done."""
    relays = iter(range(63, 32, -1))

    def wait():
        relay = next(relays)
        database.add_port(f"barrier{relay}", **null_device(relay))
        follower.does(f"add {relay} net_null{relay}")

    return wait


def make_vf(sysfs, pf, vf, number):
    """The functions of a PF and its VF, as the kernel shows them."""
    devices = sysfs / "bus" / "pci" / "devices"
    for name in (pf, vf):
        (devices / name).mkdir(parents=True, exist_ok=True)
    (devices / pf / "sriov_numvfs").write_text(f"{number + 1}\n")
    (devices / pf / f"virtfn{number}").symlink_to(devices / vf)
    (devices / vf / "physfn").symlink_to(devices / pf)


def make_interface(sysfs, name, device=None, **attributes):
    """Creates an interface, which is complete before it can be seen."""
    hidden = sysfs / "devices" / name
    hidden.mkdir(parents=True)
    for attribute, value in attributes.items():
        (hidden / attribute).write_text(f"{value}\n")
    if device:
        (hidden / "device").symlink_to(sysfs / "bus" / "pci" / "devices" / device)
    (sysfs / "class" / "net").mkdir(parents=True, exist_ok=True)
    (sysfs / "class" / "net" / name).symlink_to(hidden)


@pytest.mark.asan
def test_operator(database, follower, barrier):
    """add-port, set, remove and del-port, each with its effect."""
    database.start()
    follower.says("connected; 0 interfaces")
    database.add_port("plain", some="thing")
    database.add_port("vm1", **null_device(1), iface_id="port-1")
    follower.does("add 1 net_null1 port-1")
    database.set("plain", **null_device(2))
    follower.does("add 2 net_null2")
    database.set("plain", something="else")
    database.vsctl("set", "Interface", "plain", "type=dpdk")
    barrier()
    database.set("vm1", iface_id="port-2")
    follower.does("add 1 net_null1 port-2")
    database.set("vm1", virtio_forwarder_id=3)
    follower.does("remove 1 net_null1", "add 3 net_null1 port-2")
    database.remove("plain", "virtio_forwarder")
    follower.does("remove 2 net_null2")
    database.set("plain", virtio_relay="any")  # the key's older name
    follower.does("add 2 net_null2")
    database.del_port("plain")
    follower.does("remove 2 net_null2")
    database.vsctl("del-br", "br0")
    operations = {"remove 3 net_null1", "remove 63 net_null63"}
    wait_until(lambda: operations <= set(OPERATION.findall(follower.output)), WAIT_S, operations)


@pytest.mark.asan
def test_initial_rows(database, workdir):
    database.start()
    for relay in range(64):
        database.add_port(f"vm{relay}", **null_device(relay))
    with Follower(workdir, str(database.socket)) as follower:
        follower.does(*(f"add {relay} net_null{relay}" for relay in range(64)))


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_restart(database, follower, barrier, end):
    """What exists stays; what has changed meanwhile is followed."""
    database.start()
    database.add_port("vm1", **null_device(1))
    database.add_port("vm2", **null_device(2))
    follower.does("add 1 net_null1", "add 2 net_null2")
    getattr(database, end)()
    follower.says("connection lost")
    database.start()
    follower.says("connected", times=2)
    barrier()

    getattr(database, end)()
    follower.says("connection lost", times=2)
    database.transact({"op": "mutate", "table": "Interface", "where": [["name", "==", "vm1"]],
                       "mutations": [["external_ids", "delete", ["set", ["virtio_forwarder"]]]]})
    database.start()
    follower.does("remove 1 net_null1")
    barrier()


def test_dead_connection(database, follower, barrier):
    """A server that keeps its connections but says nothing."""
    database.start()
    database.add_port("vm1", **null_device(1))
    follower.does("add 1 net_null1")
    database.freeze()
    follower.says("no answer")
    database.thaw()
    follower.says("connected", times=2)
    barrier()


def test_more_problems_than_are_logged_at_once(database, follower):
    """The log is limited, and in the end it has told of every row."""
    names = [f"eth{number}" for number in range(PROBLEMS_AT_ONCE + 3)]
    database.start()
    database.vsctl(*(word for name in names for word in
                     ("--", "add-port", "br0", name, "--", "set", "Interface", name,
                      "external_ids:virtio_forwarder=1")))
    follower.says("is not relayed", times=len(names))
    first, *_, last = re.findall(r"^(\S+) .* is not relayed", follower.output, re.M)
    assert datetime.fromisoformat(last) - datetime.fromisoformat(first) > timedelta(seconds=2)
    assert "held back" not in follower.output
    for name in names:
        assert follower.output.count(f"interface {name} is not relayed") == 1


@pytest.mark.asan
def test_row_before_device(database, follower, barrier):
    """The row of a representor comes first, then the interface, and finally the VF."""
    database.start()
    database.add_port("eth7", virtio_forwarder=1, iface_id="port-7")
    follower.says("interface eth7 is not relayed: there is no interface eth7")
    make_vf(follower.sysfs, "0000:05:00.0", "0000:05:08.0", 0)
    make_interface(follower.sysfs, "p0", "0000:05:00.0", phys_switch_id="aa", phys_port_name="p0")
    make_interface(follower.sysfs, "eth7", phys_switch_id="aa", phys_port_name="pf0vf7")
    follower.says("0000:05:00.0 has no VF 7")
    make_vf(follower.sysfs, "0000:05:00.0", "0000:05:08.7", 7)
    follower.does("add 7 0000:05:08.7 port-7")
    follower.says("interface eth7 is relayed now")
    assert follower.output.count("interface eth7 is not relayed") == 2, "each problem is said once"
    # a VF's own interface disappears when vfio-pci takes the VF
    os.unlink(follower.sysfs / "class" / "net" / "eth7")
    barrier()
    database.stop()
    follower.says("connection lost")
    database.start()
    follower.says("connected", times=2)
    barrier()


def test_device_is_announced(database, workdir, stack):
    """A device whose interface has come is tried at once, however long the row has waited; others are not."""
    netns = stack.enter_context(Netns("vio4wd-host"))
    database.start()
    follower = stack.enter_context(Follower(workdir, str(database.socket), netns=netns))
    follower.refuse.touch()
    database.add_port("vm1", **null_device(1))
    database.add_port("vm2", virtio_forwarder=1, virtio_forwarder_id=2,
                      virtio_forwarder_device="net_af_packet2,iface=veth0")
    for refused in "1 net_null1", "2 net_af_packet2,iface=veth0":
        follower.says(f"refused add {refused}", times=6)  # the next attempt is 8 s away
    follower.refuse.unlink()
    netns.ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
    wait_until(lambda: "\nadd 2 net_af_packet2,iface=veth0\n" in follower.output, 6, "another try")
    assert "\nadd 1 net_null1\n" not in follower.output


def test_refused_addition(database, follower):
    """It is retried, and logged once."""
    follower.refuse.touch()
    database.start()
    database.add_port("vm1", **null_device(1))
    follower.does("refused add 1 net_null1", "refused add 1 net_null1", "refused add 1 net_null1")
    follower.refuse.unlink()
    wait_until(lambda: "\nadd 1 net_null1\n" in follower.output, WAIT_S, "the addition")
    assert follower.output.count("no such device") == 1


@pytest.mark.asan
def test_bad_rows(database, follower, barrier):
    """Each is logged once, and changes nothing else."""
    database.start()
    database.add_port("vm1", **null_device(1))
    follower.does("add 1 net_null1")
    database.add_port("a-copy", **null_device(1))
    follower.says("a-copy is not relayed: relay 1 is claimed by interface vm1")
    database.add_port("far", **{**null_device(9), "virtio_forwarder_id": 64})
    follower.says('far is not relayed: external_ids:virtio_forwarder_id is "64"')
    database.add_port("odd", **{**null_device(9), "virtio_forwarder_device": "rm -rf /"})
    follower.says("odd is not relayed: external_ids:virtio_forwarder_device")
    database.add_port("br-tun", virtio_forwarder=1)
    follower.says("br-tun is not relayed: there is no interface br-tun")
    barrier()
    for name in ("a-copy", "far", "odd", "br-tun"):
        assert follower.output.count(f"{name} is not relayed") == 1
    database.set("far", virtio_forwarder_id=9)
    follower.does("add 9 net_null9")
    database.del_port("vm1")  # the other row wants exactly the same
    follower.says("a-copy is relayed now")
    database.del_port("a-copy")
    follower.does("remove 1 net_null1")


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_tcp(workdir, stack, address):
    netns = stack.enter_context(Netns("vio4wd-host"))
    database = stack.enter_context(Database(workdir, [f"ptcp:6640:{address}"], netns=netns))
    database.start()
    follower = stack.enter_context(Follower(workdir, f"tcp:{address}:6640", netns=netns))
    database.add_port("vm1", **null_device(1))
    follower.does("add 1 net_null1")
    database.stop()
    follower.says("connection lost")
    database.start()
    database.del_port("vm1")
    follower.does("remove 1 net_null1")


class Authority:
    """A certificate authority."""

    def __init__(self, directory, name):
        self._key, self.certificate = directory / f"{name}.key", directory / f"{name}.pem"
        self._directory = directory
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", self._key, "-out", self.certificate, "-subj", f"/CN={name}"])

    def sign(self, name):
        """The files of a new key and its certificate."""
        key, request, certificate = (self._directory / f"{name}.{end}" for end in ("key", "csr", "pem"))
        run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", key, "-out", request, "-subj", f"/CN={name}"])
        run(["openssl", "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key,
             "-CAcreateserial", "-out", certificate])
        return key, certificate


def test_ssl(workdir, stack):
    netns = stack.enter_context(Netns("vio4wd-host"))
    authority, stranger = Authority(workdir, "authority"), Authority(workdir, "stranger")
    key, certificate = authority.sign("server")
    database = stack.enter_context(Database(
        workdir, ["pssl:6640:127.0.0.1"],
        [f"--private-key={key}", f"--certificate={certificate}", f"--ca-cert={authority.certificate}"],
        netns))
    database.start()
    database.add_port("vm1", **null_device(1))
    client = authority.sign("client")

    with Follower(workdir, "ssl:127.0.0.1:6640", [*client, stranger.certificate], netns) as follower:
        follower.says("certificate verify failed")
        assert not OPERATION.findall(follower.output)
    with Follower(workdir, "ssl:127.0.0.1:6640", [*client, authority.certificate], netns) as follower:
        follower.does("add 1 net_null1")
        database.stop()
        follower.says("connection lost")
        database.start()
        database.del_port("vm1")
        follower.does("remove 1 net_null1")
        # more than one TLS record can hold
        for relay in range(64):
            database.add_port(f"vm{relay}", **null_device(relay), comment="x" * 1000)
            follower.does(f"add {relay} net_null{relay}")
        database.stop()
        follower.says("connection lost", times=2)
        database.start()
        follower.says("connected; 64 interfaces")


def test_ssl_with_an_encrypted_key(workdir, stack):
    """Nobody is asked for the pass phrase, not even at a terminal: everything else would wait."""
    netns = stack.enter_context(Netns("vio4wd-host"))
    authority = Authority(workdir, "authority")
    key, certificate = authority.sign("client")
    encrypted = workdir / "encrypted.key"
    run(["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", encrypted])
    with Follower(workdir, "ssl:127.0.0.1:6640", [encrypted, certificate, authority.certificate],
                  netns, tty=True) as follower:
        follower.says(f"{encrypted}: cannot be used as private key: it is encrypted")
