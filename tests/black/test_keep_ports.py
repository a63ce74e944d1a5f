# SPDX-License-Identifier: BSD-3-Clause
"""--keep-ports: what was added at run time is there again after a crash, from the list beside the pid
file; what was removed is not. A list that must not be used harms nothing."""

import os
import re
import shutil
import socket
import subprocess

import pytest

from lib.net import Veth
from lib.peer import counted
from lib.proc import wait_until
from lib.vhostuser import Connection, Frontend
from lib.vioclient import CLIENT, SERVER
from lib.wire import ADD, ADD_SOCK, REMOVE, REMOVE_SOCK, Daemon

# Endless sources and sinks.
SINGLE, OTHER = {"device": ["net_null0,size=64"]}, {"device": ["net_null1,size=64"]}
BOND = {"device": ["net_null2,size=64", "net_null3,size=64"], "name": "net_bonding0", "mode": 2}

pytestmark = pytest.mark.asan


class Keeper(Daemon):
    """A daemon that keeps its ports, unless told otherwise."""

    def __init__(self, directory, *options, keep=True, **arguments):
        super().__init__(directory, *(["--keep-ports"] if keep else []), *options, **arguments)

    @property
    def list(self):
        return self.directory / "virtio-forwarder.ports"

    @property
    def old_list(self):
        return self.directory / "virtio-forwarder.ports.old"

    def ports(self):
        """What can be seen of the relays that have a device."""
        return {number: (relay.device, relay.ident, relay.vhost.vhost_socket_name, relay.vm_listens)
                for number, relay in ((number, self.relay(number)) for number in self.devices())}

    def crash(self):
        """kill -9, and a new start."""
        self.kill()
        return self.start()


def restarted(daemon, *options, **arguments):
    """The same directory's daemon with other options."""
    daemon.kill()
    return Keeper(daemon.directory, *options, **arguments)


def forwards(daemon, relay, frontend):
    """Frames pass both ways between the relay's device and a VM."""
    with frontend:
        frontend.start()
        daemon.wait_vm(relay)
        before = counted(daemon, "vm_to_vf", relay).sent[0]
        for _ in range(8):
            frontend.send(bytes(60))
        frontend.wait_sent(timeout=20)
        wait_until(lambda: counted(daemon, "vm_to_vf", relay).sent[0] == before + 8, 20,
                   "frames of the VM")
        wait_until(lambda: counted(daemon, "vf_to_vm", relay).sent[0] > 0, 20, "frames to the VM")


@pytest.mark.sanitizers
def test_relays_come_back(workdir, stack):
    daemon = stack.enter_context(Keeper(workdir))
    assert not daemon.list.exists()
    daemon.done(ADD, virtio_id=2, ident="port 2", **SINGLE)
    daemon.done(ADD, virtio_id=63, **BOND)
    daemon.done(ADD, virtio_id=5, **OTHER)
    daemon.done(REMOVE, virtio_id=5, **OTHER)
    daemon.done(ADD, virtio_id=7, **OTHER)
    before = daemon.ports()
    assert sorted(before) == [2, 7, 63]
    assert daemon.list.stat().st_mode & 0o777 == 0o600

    daemon.crash()
    assert "3 of 3 relays that were added at run time are restored" in daemon.output.text
    assert daemon.ports() == before
    for relay in before:
        forwards(daemon, relay, Frontend(daemon.socket(relay)))

    # They are what requests have made them: adding them changes nothing, and they can be removed.
    daemon.done(ADD, virtio_id=63, conditional=True, **BOND)
    assert "already" in daemon.refused(ADD, virtio_id=2, conditional=False, **SINGLE)[1]
    daemon.refused(ADD, virtio_id=63, conditional=True, **{**BOND, "mode": 1})
    daemon.done(REMOVE, virtio_id=63, name=BOND["name"], conditional=False)
    daemon.stop()
    daemon.start()
    assert sorted(daemon.ports()) == [2, 7]
    daemon.done(REMOVE, virtio_id=2, **SINGLE)
    daemon.done(REMOVE, virtio_id=7, **OTHER)
    assert not list(workdir.glob("*.ports*"))
    daemon.crash()
    assert daemon.devices() == {}


@pytest.mark.sanitizers
def test_dynamic_sockets_come_back(workdir, stack):
    """With their relays' numbers, and each in its own mode, whatever the daemon's is by then."""
    daemon = Keeper(workdir, "--dynamic-sockets").start()
    first, server, client, bond = (str(workdir / name) for name in ("first", "server", "client", "bond"))
    daemon.done(ADD_SOCK, vhost_path=first, device=["net_null9"])
    daemon.done(ADD_SOCK, vhost_path=server, ident="s", **SINGLE)
    daemon.done(ADD_SOCK, vhost_path=client, socket_mode=CLIENT, **OTHER)
    daemon.done(ADD_SOCK, vhost_path=bond, socket_mode=SERVER, **BOND)
    daemon.done(REMOVE_SOCK, vhost_path=first)
    before = daemon.ports()
    assert sorted(before) == [1, 2, 3]

    daemon = stack.enter_context(restarted(daemon, "--dynamic-sockets", client=True))
    assert daemon.ports() == before
    forwards(daemon, 1, Frontend(server))
    forwards(daemon, 3, Frontend(bond))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(client)
        listener.listen()
        forwards(daemon, 2, Frontend(client, connection=Connection.accept(listener)))
    daemon.done(REMOVE_SOCK, vhost_path=server)
    daemon.done(REMOVE_SOCK, vhost_path=bond)


def test_off_by_default(workdir, stack):
    daemon = Keeper(workdir, keep=False).start()
    before = sorted(path.name for path in workdir.iterdir())
    daemon.done(ADD, virtio_id=2, **SINGLE)
    daemon.crash()
    assert sorted({path.name for path in workdir.iterdir()} - {"forwarder.2.log"}) == before
    assert daemon.devices() == {}

    # A list that was written before is not taken for the present one once it is switched on again.
    daemon = restarted(daemon).start()
    daemon.done(ADD, virtio_id=2, **SINGLE)
    text = daemon.list.read_bytes()
    subprocess.run([*map(str, daemon.argv), "--check-config"], check=True, timeout=60,
                   capture_output=True)
    assert daemon.list.read_bytes() == text
    daemon = restarted(daemon, keep=False).start()
    assert daemon.old_list.read_bytes() == text and not daemon.list.exists()
    daemon = stack.enter_context(restarted(daemon))
    assert daemon.devices() == {}


def cut(path):
    os.truncate(path, path.stat().st_size - 1)


def empty(path):
    os.truncate(path, 0)


def give_away(path):
    shutil.chown(path, "nobody")


def open_to_all(path):
    path.chmod(0o666)


def link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def grow(path):
    os.truncate(path, 1 << 20)


@pytest.mark.parametrize("spoil, reason", [
    (cut, "no list of ports"), (empty, "no list of ports"), (give_away, "belongs neither to root"),
    (open_to_all, "everybody may write"), (link, "symbolic link"), (grow, "longer than")])
def test_list_that_must_not_be_used(workdir, stack, spoil, reason):
    daemon = stack.enter_context(Keeper(workdir))
    daemon.done(ADD, virtio_id=2, **SINGLE)
    daemon.kill()
    spoil(daemon.list)
    status = daemon.list.lstat()
    daemon.start()
    assert re.search(f"error {daemon.list} is refused: .*{reason}", daemon.output.text)
    assert daemon.devices() == {}
    assert daemon.old_list.lstat().st_ino == status.st_ino and not daemon.list.exists()
    daemon.done(ADD, virtio_id=3, **OTHER)
    daemon.crash()
    assert sorted(daemon.devices()) == [3]


def test_what_is_taken_by_then(workdir, stack):
    """A number and a device that the configuration has given to others. The rest is restored."""
    daemon = Keeper(workdir).start()
    daemon.done(ADD, virtio_id=2, **SINGLE)
    daemon.done(ADD, virtio_id=3, **OTHER)
    daemon.done(ADD, virtio_id=5, **BOND)
    daemon = restarted(daemon, devices={2: "net_null8", 9: "net_null3"})
    stack.enter_context(daemon)
    assert sorted(daemon.devices()) == [2, 3, 9]
    text = daemon.output.text
    assert "relay 2 with device net_null0,size=64 is not restored: relay 2 is in use by net_null8" in text
    assert "relay 5 with device net_bonding0 is not restored: device net_null3 is in use" in text
    assert f"is kept as {daemon.old_list}" in text

    # Nor is anything of it restored where sockets are dynamic; what is there is kept.
    daemon.kill()
    for path in daemon.socket_dir.iterdir():
        path.unlink()
    daemon = stack.enter_context(Keeper(workdir, "--dynamic-sockets"))
    assert "is not restored: the daemon runs with dynamic sockets" in daemon.output.text
    assert daemon.devices() == {}


def test_device_that_is_away(workdir, stack, host):
    """It is waited for, as before the crash; a bond goes on with the member that is there."""
    def add(*names):
        for name in names:
            host.ip("link", "add", name, "type", "veth", "peer", "name", f"far-{name}")
            host.ip("link", "set", name, "up")
            host.ip("link", "set", f"far-{name}", "up")

    def state(relay):
        return daemon.relay(relay).vf_to_vm.internal_state

    add("away", "left", "here")
    device = {name: f"net_af_packet{number},iface={name}"
              for number, name in enumerate(("away", "left", "here"))}
    daemon = stack.enter_context(Keeper(workdir, netns=host))
    daemon.done(ADD, virtio_id=1, device=[device["away"]])
    daemon.done(ADD, virtio_id=2, device=[device["left"], device["here"]], name="net_bonding0")
    daemon.kill()
    for name in "away", "left":
        host.ip("link", "del", name)
    daemon.start()
    assert "2 of 2" in daemon.output.text
    wait_until(lambda: state(2) == "DPDK_READY", 60, "the bond, with one member")
    assert state(1) == "DPDK_ADDED"
    daemon.crash()  # once more
    wait_until(lambda: state(2) == "DPDK_READY", 60, "the bond, with one member")
    assert state(1) == "DPDK_ADDED"
    add("away")
    wait_until(lambda: state(1) == "DPDK_READY", 60, "the device")


def test_bond_keeps_its_mac(workdir, stack, host, wire):
    """Although its first member has another one after the crash, as a VF made anew has."""
    veths = [Veth(wire, host, inner=f"member{number}") for number in range(2)]

    def mac():
        return host.run(["cat", f"/sys/class/net/{veths[0].outer}/address"]).strip()

    daemon = stack.enter_context(Keeper(workdir, netns=host))
    before = mac()
    daemon.done(ADD, virtio_id=0, name="net_bonding0", mode=1, device=[
        f"net_af_packet{number},iface={veth.outer}" for number, veth in enumerate(veths)])
    daemon.kill()
    host.ip("link", "set", veths[0].outer, "address", "02:00:00:00:00:77")
    daemon.start()
    assert mac() == before


def test_list_that_cannot_be_written(workdir, stack):
    """Then none is there, rather than one that is out of date. The next that can be is complete."""
    daemon = stack.enter_context(Keeper(workdir))
    daemon.done(ADD, virtio_id=2, **SINGLE)
    obstacle = workdir / "virtio-forwarder.ports.new"
    obstacle.mkdir()
    daemon.done(REMOVE, virtio_id=2, **SINGLE)
    daemon.done(ADD, virtio_id=3, **SINGLE)
    daemon.output.expect("ports cannot be written: ", 10)
    assert not daemon.list.exists()
    obstacle.rmdir()
    daemon.done(ADD, virtio_id=4, **OTHER)
    daemon.crash()
    assert sorted(daemon.devices()) == [3, 4]
