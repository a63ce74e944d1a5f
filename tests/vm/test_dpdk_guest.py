# SPDX-License-Identifier: BSD-3-Clause
"""A guest in which DPDK takes the network device, polls its rings, and gives it back to the guest's
kernel."""

import pytest

from lib.nichost import RUN, OwnRoot, Program
from lib.proc import wait_until
from lib.qemu import Nic

GUEST_IP = "10.0.0.2"
HUGEPAGES = 80  # of 2 MiB

pytestmark = pytest.mark.timeout(600)


def wait_for_eth0(guest):
    wait_until(lambda: guest.run("ls /sys/class/net").count("eth0"), 60, "eth0")


@pytest.mark.parametrize("options", [
    pytest.param(("disable-modern=on", "disable-legacy=off"), id="legacy"),
    pytest.param(("disable-legacy=on", "packed=on"), id="packed")])
def test_device_is_taken_by_dpdk_and_given_back(make_forwarder, qemu, wire, veth, workdir, stack, options):
    forwarder = make_forwarder({0: f"net_af_packet0,iface={veth.outer}"}, options=["--enable-mrgbuf"])
    guest = stack.enter_context(OwnRoot(
        qemu, workdir, [Nic(forwarder.socket(0), options=options)], memory_mib=1024))
    guest.wait_ready()
    guest.run(f"mkdir -p {RUN}; echo {HUGEPAGES} >/proc/sys/vm/nr_hugepages; "
              "modprobe -a uio_pci_generic virtio_net")
    wait_for_eth0(guest)
    address = guest.run("basename $(realpath /sys/class/net/eth0/device/..)").strip()
    for _ in range(2):
        guest.run(f"ip addr replace {GUEST_IP}/24 dev eth0; ip link set eth0 up")
        wait_until(lambda: wire.ping(GUEST_IP, count=1), 60, "the kernel answers a ping")
        guest.run("ip link set eth0 down")
        guest.bind(address, "uio_pci_generic")
        dpdk = Program(guest, "testpmd", [
            "env", "LD_LIBRARY_PATH=/run/dpdk-all", "dpdk-testpmd", "--lcores=0@0,1@0", "-m", "64", "--iova-mode=pa",
            "--no-telemetry", f"--allow={address}", "--", "--forward-mode=icmpecho", "--auto-start",
            "--total-num-mbufs=4096", "--stats-period=3600"])
        wait_until(lambda: wire.ping(GUEST_IP, count=1), 120, "DPDK answers a ping")
        assert wire.ping(GUEST_IP, count=50, interval=0.02) == 50
        assert dpdk.terminate() == 0, dpdk.output()
        guest.bind(address, "virtio-pci")
        wait_for_eth0(guest)
