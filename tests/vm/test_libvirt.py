# SPDX-License-Identifier: BSD-3-Clause
"""The domain in docs/guests.md starts as printed there under a private libvirtd, and has its
network."""

import re
import shutil
import xml.etree.ElementTree as ElementTree

import pytest

from lib.paths import ROOT
from lib.proc import Process, run, wait_until
from lib.qemu import BOOT_TIMEOUT_S, KERNEL_ARGUMENTS

WIRE_IP, GUEST_IP = "10.0.0.1", "10.0.0.2"
QEMU_NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"

pytestmark = pytest.mark.skipif(
    not (shutil.which("libvirtd") and shutil.which("virsh")),
    reason="libvirt is not installed (libvirt-daemon-system, libvirt-clients)")

QEMU_CONF = """\
security_driver = "none"
user = "root"
group = "root"
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
remember_owner = 0
"""

# /run, /var/lib/libvirt and /etc/libvirt of its own, in a mount namespace that ends with it.
START_LIBVIRTD = """\
set -e
for directory in /run /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do
    mkdir -p $directory
    mount -t tmpfs none $directory
done
mkdir -p "$1/etc"
printf %s "$2" >"$1/etc/qemu.conf"
printf 'unix_sock_dir = "%s/run"\\nauth_unix_rw = "none"\\n' "$1" >"$1/etc/libvirtd.conf"
mkdir -p "$1/run"
mount --bind "$1/etc" /etc/libvirt
exec libvirtd -f /etc/libvirt/libvirtd.conf
"""


class Libvirt:
    """A private libvirtd."""

    def __init__(self, directory):
        self._uri = f"qemu+unix:///system?socket={directory}/run/libvirt-sock"
        self._process = Process(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", START_LIBVIRTD, "sh",
             directory, QEMU_CONF], "libvirtd", log_path=directory / "libvirtd.log")

    def __enter__(self):
        wait_until(lambda: "QEMU" in self("version", check=False), 60, "libvirtd answers")
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.__exit__()

    def __call__(self, *command, check=True):
        return run(["virsh", "--connect", self._uri, *command], timeout=60, check=check)


def documented_domain():
    text = (ROOT / "docs" / "guests.md").read_text(encoding="utf-8")
    return ElementTree.fromstring(re.search(r"```xml\n(.*?)```", text, re.S)[1])


def adapt(domain, qemu, image, socket, client):
    """What must differ here: it boots from a kernel instead of a disk, with an accelerator that
    works, as a smaller machine and with another socket path; for a daemon in server mode, also what
    the comment says."""
    domain.set("type", "kvm" if qemu.accel == "kvm" else "qemu")
    domain.find("memory").text = "256"
    os = domain.find("os")
    append = f"{KERNEL_ARGUMENTS} ip0={GUEST_IP}/24"
    for name, text in (("kernel", str(image.kernel)), ("initrd", str(image.initramfs)),
                       ("cmdline", append)):
        ElementTree.SubElement(os, name).text = text
    interface = domain.find("devices/interface")
    source = interface.find("source")
    source.set("path", str(socket))
    if not client:
        source.set("mode", "client")
        ElementTree.SubElement(source, "reconnect", enabled="yes", timeout="1")
    ElementTree.SubElement(interface, "rom", enabled="no")
    if not qemu.msix_works():
        override = ElementTree.SubElement(domain, f"{{{QEMU_NAMESPACE}}}override")
        device = ElementTree.SubElement(override, f"{{{QEMU_NAMESPACE}}}device", alias="net0")
        frontend = ElementTree.SubElement(device, f"{{{QEMU_NAMESPACE}}}frontend")
        ElementTree.SubElement(frontend, f"{{{QEMU_NAMESPACE}}}property", name="vectors",
                               type="unsigned", value="0")
    return ElementTree.tostring(domain, encoding="unicode")


@pytest.mark.parametrize("client", [pytest.param(True, id="daemon-is-client", marks=pytest.mark.ci),
                                    pytest.param(False, id="daemon-is-server")])
def test_documented_domain(make_forwarder, qemu, image, wire, veth, workdir, stack, client):
    forwarder = make_forwarder({0: f"net_af_packet0,iface={veth.outer}"}, client=client,
                               options=["--enable-mrgbuf"])
    libvirt = stack.enter_context(Libvirt(workdir))
    path = workdir / "domain.xml"
    path.write_text(adapt(documented_domain(), qemu, image, forwarder.socket(0), client),
                    encoding="utf-8")
    stack.callback(libvirt, "destroy", "guest", check=False)
    libvirt("create", path)
    wait_until(lambda: wire.ping(GUEST_IP, count=1), BOOT_TIMEOUT_S, "the guest answers a ping")
    assert wire.ping(GUEST_IP, count=20) == 20  # it is still booting
    assert re.search(r"guest\s+running", libvirt("list"))
