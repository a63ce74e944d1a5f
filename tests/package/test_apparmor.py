# SPDX-License-Identifier: BSD-3-Clause
"""The AppArmor profile in force, in a Debian machine with Debian's kernel: the packaged service runs,
and nothing is denied but what must be."""

import pytest

from lib.machine import Machine
from lib.qemu import Image, Qemu
from lib.tree import Tree
from packaged import Service, download, install

PACKAGES = ["systemd", "systemd-sysv", "dbus", "apparmor", "linux-image-cloud-amd64", "iproute2"]
PROFILE = "virtio-forwarder"
# What docs/packaging.md says.
PUT_IN_FORCE = "cp /usr/share/doc/virtio-forwarder/usr.bin.virtio-forwarder /etc/apparmor.d/"
NO_RESTART = "[Service]\nRestart=no\n"  # the first failure is told
SITE = "/etc/apparmor.d/local/usr.bin.virtio-forwarder"
SOCKET = "/tmp/virtio-forwarder/virtio-forwarder0.sock"

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    image = Image.make()
    with Tree("bookworm", PACKAGES) as tree:
        download(tree)
        install(tree)
        tree.run(PUT_IN_FORCE)
        with Machine(Qemu.find(image), tree, tmp_path_factory.mktemp("machine")) as machine:
            machine.wait_ready()
            machine.run("echo 0 >/proc/sys/kernel/printk_ratelimit")  # no denial is left out
            machine.run("ip link add veth0 type veth peer name wire && ip link set veth0 up")
            yield machine


@pytest.fixture
def daemon(machine):
    service = Service(machine)
    machine.run("dmesg --clear")
    yield service
    service("stop")


def denied(machine):
    """What the kernel says that it has denied."""
    return [line for line in machine.run("dmesg").splitlines() if 'apparmor="DENIED"' in line]


def test_the_service_is_confined(machine, daemon):
    """By itself, since its unit says nothing about it; it comes, opens a relay's socket, answers a
    client and goes."""
    daemon.configure(drop_ins=[NO_RESTART], VIRTIOFWD_CPU_MASK=1, VIRTIOFWD_MASTER_LCORE=0,
                     VIRTIOFWD_STATIC_VFS="net_af_packet0,iface=veth0=0")
    daemon("start")
    assert machine.run(f"cat /proc/{daemon.pid()}/attr/current").strip() == f"{PROFILE} (enforce)"
    machine.run(f"test -S {SOCKET}")
    assert daemon.relay(0)["vf"]["pci_addr_str"].startswith("net_af_packet0")  # over ZeroMQ
    daemon("stop")
    assert daemon.state() == "inactive"
    assert denied(machine) == []


@pytest.mark.parametrize("deed", [
    pytest.param(": </etc/shadow", id="read-shadow"),
    pytest.param(": >/etc/cron.d/new", id="write-cron"),
    pytest.param(": >>/usr/bin/virtio-forwarder", id="write-itself"),
    pytest.param("/bin/true", id="execute"),
    pytest.param(": </proc/1/mem", id="read-memory"),
])
def test_what_is_forbidden(machine, deed):
    """A shell in the daemon's place may not what the same shell may outside of it; what the daemon
    may, it may."""
    machine.run(f"echo '/usr/bin/dash mr,' >{SITE} && apparmor_parser -r "
                "/etc/apparmor.d/usr.bin.virtio-forwarder && dmesg --clear")

    def do(deed, profile):
        return machine.run(f"aa-exec -p {profile} -- dash -c '{deed}' && echo done || true")

    assert "done" in do(": </etc/default/virtioforwarder", PROFILE)
    assert denied(machine) == []
    assert "done" in do(deed, "unconfined")
    assert "done" not in do(deed, PROFILE)
    assert denied(machine)
