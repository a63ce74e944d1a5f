# SPDX-License-Identifier: BSD-3-Clause
"""The AppArmor profile in force, in a Debian machine with Debian's kernel: the packaged service
runs, and only what must be denied is denied."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from lib import netboot
from lib.machine import Machine
from lib.proc import wait_until
from lib.qemu import Image, Qemu
from lib.tree import Tree
from packaged import Service, download, install

PACKAGES = ["systemd", "systemd-sysv", "dbus", "apparmor", "linux-image-cloud-amd64", "iproute2",
            "ethtool", "dnsmasq-base", "libvirt-daemon-system", "libvirt-clients", "qemu-system-x86",
            "seabios", "ipxe-qemu"]
PROFILE = "virtio-forwarder"
# The commands of docs/packaging.md.
PUT_IN_FORCE = """cd /usr/share/doc/virtio-forwarder
cp usr.bin.virtio-forwarder /etc/apparmor.d/
cat libvirt-qemu.local >>/etc/apparmor.d/local/abstractions/libvirt-qemu"""
NO_RESTART = "[Service]\nRestart=no\n"  # so that the first failure shows
SITE = "/etc/apparmor.d/local/usr.bin.virtio-forwarder"
WIRE = f"""ip netns add wire
ip link add veth0 type veth peer name veth1 netns wire
ethtool -K veth0 tx off && ip link set veth0 up
ip netns exec wire ethtool -K veth1 tx off
ip -n wire addr add {netboot.CIDR} dev veth1 && ip -n wire link set veth1 up"""
DEVICE = "net_af_packet0,iface=veth0"
FILES = "/srv/netboot"
DOMAIN_TIMEOUT_S = 600  # QEMU in QEMU
SOCKET = "/tmp/virtio-forwarder/virtio-forwarder0.sock"

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    image = Image.make()
    with Tree("bookworm", PACKAGES) as tree:
        download(tree)
        install(tree)
        tree.run(PUT_IN_FORCE)
        netboot.write_files(tree.root / FILES.lstrip("/"))
        with Machine(Qemu.find(image), tree, tmp_path_factory.mktemp("machine")) as machine:
            machine.wait_ready()
            machine.run("echo 0 >/proc/sys/kernel/printk_ratelimit")  # so that no denial is left out
            machine.run(WIRE)
            yield machine


@pytest.fixture
def daemon(machine):
    service = Service(machine)
    machine.run("dmesg --clear")
    yield service
    service("stop")


def denied(machine):
    """The denials that the kernel has logged."""
    return [line for line in machine.run("dmesg").splitlines() if 'apparmor="DENIED"' in line]


def test_the_service_is_confined(machine, daemon):
    """It is confined by itself, since its unit does not mention the profile. It starts, opens a
    relay's socket, answers a client and stops."""
    daemon.configure(drop_ins=[NO_RESTART], VIRTIOFWD_CPU_MASK=1, VIRTIOFWD_MASTER_LCORE=0,
                     VIRTIOFWD_STATIC_VFS=f"{DEVICE}=0")
    daemon("start")
    assert machine.run(f"cat /proc/{daemon.pid()}/attr/current").strip() == f"{PROFILE} (enforce)"
    machine.run(f"test -S {SOCKET}")
    assert daemon.relay(0)["vf"]["pci_addr_str"].startswith("net_af_packet0")  # over ZeroMQ
    daemon("stop")
    assert daemon.state() == "inactive"
    assert denied(machine) == []


@pytest.fixture
def server(machine):
    """A server from which a VM boots through the relay's device: the path of its log."""
    log = "/run/netboot.log"
    machine.run("systemd-run --unit=netboot --collect --property=NetworkNamespacePath=/run/netns/wire "
                f"--property=StandardError=truncate:{log} -- "
                f"{' '.join(netboot.server('veth1', FILES))}")
    yield log
    machine.run("systemctl stop netboot")


@pytest.mark.parametrize("client, memory", [
    pytest.param("", "", id="daemon-is-server"),
    pytest.param("y", "--hugepages", id="daemon-is-client-hugepages"),
])
def test_a_libvirt_domain(machine, daemon, server, client, memory):
    """Under a profile made by libvirt, with an addition of ours; it reaches its network through a
    relay."""
    machine.run("rm -rf /tmp/virtio-forwarder")  # an earlier run has created it for another owner
    daemon.configure(drop_ins=[NO_RESTART], VIRTIOFWD_CPU_MASK=1, VIRTIOFWD_MASTER_LCORE=0,
                     VIRTIOFWD_SOCKET_OWNER="libvirt-qemu", VIRTIOFWD_SOCKET_GROUP="kvm",
                     VIRTIOFWD_VHOST_CLIENT=client, VIRTIOFWD_STATIC_VFS=f"{DEVICE}=0")
    daemon("start")
    domain = ElementTree.fromstring(machine.run(
        f"vio4wd guest-config 0 --memory {netboot.MEMORY_MIB} {memory}"))
    domain.set("type", "qemu")
    ElementTree.SubElement(domain.find("devices/interface"), "boot", order="1")
    name = domain.find("name").text
    machine.run("cat >/root/domain.xml <<'END'\n"
                f"{ElementTree.tostring(domain, encoding='unicode')}\nEND\n")
    machine.run("virsh create /root/domain.xml", timeout=DOMAIN_TIMEOUT_S)
    try:
        uuid = machine.run(f"virsh domuuid {name}").strip()
        assert machine.run(f"cat /proc/$(cat /run/libvirt/qemu/{name}.pid)/attr/current"
                           ).strip() == f"libvirt-{uuid} (enforce)"
        wait_until(lambda: re.search(netboot.BOOTED, machine.run(f"cat {server}"), re.S),
                   DOMAIN_TIMEOUT_S, "the domain has booted", interval=1)
    finally:
        machine.run(f"virsh destroy {name}", timeout=DOMAIN_TIMEOUT_S)
    assert denied(machine) == []


@pytest.mark.parametrize("deed", [
    pytest.param(": </etc/shadow", id="read-shadow"),
    pytest.param(": >/etc/cron.d/new", id="write-cron"),
    pytest.param(": >>/usr/bin/virtio-forwarder", id="write-itself"),
    pytest.param("/bin/true", id="execute"),
    pytest.param(": </proc/1/mem", id="read-memory"),
])
def test_what_is_forbidden(machine, deed):
    """A shell in place of the daemon may not do what the same shell may do outside; what the daemon
    may do, it may."""
    machine.run(f"echo '/usr/bin/dash mr,' >{SITE} && apparmor_parser -r "
                "/etc/apparmor.d/usr.bin.virtio-forwarder && dmesg --clear")

    def do(deed, profile):
        return machine.run(f"aa-exec -p {profile} -- dash -c '{deed}' && echo done || true")

    assert "done" in do(": </etc/default/virtioforwarder", PROFILE)
    assert denied(machine) == []
    assert "done" in do(deed, "unconfined")
    assert "done" not in do(deed, PROFILE)
    assert denied(machine)
