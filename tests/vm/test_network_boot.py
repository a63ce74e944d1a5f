# SPDX-License-Identifier: BSD-3-Clause
"""A guest whose driver is not Linux's but iPXE's, which accepts none of the features and uses no
interrupts."""

import pytest

from lib import netboot
from lib.proc import Process
from lib.qemu import BOOT_TIMEOUT_S, Nic, memory_arguments


@pytest.fixture
def server(wire, veth, workdir):
    files = workdir / "files"
    netboot.write_files(files)
    with Process(wire.argv(netboot.server(veth.inner, files)), "dnsmasq",
                 log_path=workdir / "dnsmasq.log") as server:
        yield server


@pytest.mark.parametrize("option", [pytest.param("disable-legacy=on", id="modern"),
                                    pytest.param("disable-modern=on", id="legacy")])
def test_network_boot(make_forwarder, qemu, server, veth, workdir, stack, option):
    forwarder = make_forwarder({0: f"net_af_packet0,iface={veth.outer}"})
    nic = Nic(forwarder.socket(), rom=True, options=[option])
    stack.enter_context(Process(
        [qemu.binary, *qemu.machine_arguments(), "-nodefaults", "-nographic",
         *memory_arguments(netboot.MEMORY_MIB), *nic.arguments(0, qemu)],
        "qemu", log_path=workdir / "qemu.log"))
    server.expect(netboot.BOOTED, BOOT_TIMEOUT_S)
