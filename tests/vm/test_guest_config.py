# SPDX-License-Identifier: BSD-3-Clause
"""The output of vio4wd guest-config starts a guest that has its network."""

import shlex
import shutil

import pytest

from lib.paths import program
from lib.proc import run
from lib.qemu import Guest

WIRE_IP, GUEST_IP = "10.0.0.1", "10.0.0.2"
MEMORY_MIB = 256


def guest_config(forwarder, *options):
    return run([program("vio4wd"), "guest-config", "0", "--memory", MEMORY_MIB,
                "--stats-ep", forwarder.stats_endpoint, *options])


@pytest.mark.parametrize("client", [pytest.param(True, marks=pytest.mark.ci), False])
def test_qemu_starts_as_printed(make_forwarder, qemu_backports, image, wire, veth, workdir, stack, client):
    """The line replaces the harness's own memory and network; kernel, consoles and CPU stay. A remark
    says what a newer QEMU takes instead of reconnect=1.
    Without KVM, QEMU 7.2 would also need vectors=0, so QEMU 10 is used."""
    forwarder = make_forwarder({0: f"net_af_packet0,iface={veth.outer}"}, client=client)
    text = guest_config(forwarder, "--qemu", "--queues", 2).replace("\\\n", " ")
    assert ("reconnect-ms=1000 instead of reconnect=1\n" in text) != client
    line = shlex.split(text.replace("reconnect=1", qemu_backports.reconnect()), comments=True)
    memory_at = line.index("-m")
    assert line[memory_at + 1] == f"{MEMORY_MIB}M"
    guest = stack.enter_context(Guest(
        qemu_backports, image, [], workdir, "vm", memory_mib=None,
        kernel_arguments=f"ip0={GUEST_IP}/24",
        extra=[*line, "-global", "virtio-net-pci.romfile="])).wait_ready()
    assert wire.ping(GUEST_IP) == 5
    assert guest.ping(WIRE_IP) == 5


@pytest.mark.skipif(not shutil.which("virt-xml-validate"), reason="libvirt-clients is not installed")
@pytest.mark.parametrize("client", [True, False])
def test_domain_is_valid(make_forwarder, workdir, client):
    forwarder = make_forwarder({}, client=client)
    path = workdir / "domain.xml"
    for options in ([], ["--queues", "4", "--hugepages", "--mtu", "9000"]):
        path.write_text(guest_config(forwarder, *options), encoding="utf-8")
        assert "<memballoon model='none'/>" in path.read_text(encoding="utf-8")
        run(["virt-xml-validate", path, "domain"])
