# SPDX-License-Identifier: BSD-3-Clause
"""Every kind of guest and ring works: pings, and TCP both ways unaltered with the guest's offloads
on and off, over IPv4 and IPv6, with an MTU of 1500 and of 9000."""

import itertools

import pytest

from lib.net import Veth
from lib.proc import wait_until
from lib.qemu import feature_names
from lib.traffic import tcp_from_guest, tcp_to_guest

WIRE = {4: "10.0.0.1", 6: "fd00::1"}
GUEST = {4: "10.0.0.2", 6: "fd00::2"}
JUMBO = 9000
MIB = 1  # of each TCP transfer

RINGS = {
    "legacy": ("disable-modern=on", "disable-legacy=off"),
    "modern": ("disable-legacy=on",),
    "packed": ("disable-legacy=on", "packed=on"),
}
CI = {("legacy", "mrg", "server", 1), ("modern", "mrg", "client", 4),
      ("packed", "single", "client", 1), ("packed", "mrg", "server", 32)}


def cases():
    for case in itertools.product(RINGS, ("mrg", "single"), ("server", "client"), (1, 4, 32)):
        yield pytest.param(*case, id="-".join(map(str, case)),
                           marks=[pytest.mark.ci] if case in CI else [])


def set_mtu(guest, veth, mtu):
    guest.run(f"ip link set eth0 mtu {mtu}")
    for netns, name in ((veth.wire, veth.inner), (veth.host, veth.outer)):
        netns.ip("link", "set", name, "mtu", str(mtu))


def set_offloads(guest, on):
    """Sets all offloads of virtio-net; those that the daemon does not offer stay off."""
    value = "on" if on else "off"
    for name in ("tx", "tso", "gso", "gro"):
        guest.run(f"ethtool -K eth0 {name} {value}")


def assert_tcp(wire, guest, family, what):
    for transfer in (tcp_to_guest, tcp_from_guest):
        address = (GUEST if transfer is tcp_to_guest else WIRE)[family]
        assert transfer(wire, guest, address, mib=MIB).intact, f"{transfer.__name__} {what}"


def assert_features(guest, rings, buffers, queues):
    """The features that were asked for have been negotiated."""
    features = guest.features()
    expected = {"CSUM": True, "GUEST_CSUM": True, "HOST_TSO4": True, "HOST_TSO6": True,
                "GUEST_TSO4": True, "GUEST_TSO6": True, "GSO": rings == "legacy", "MTU": True,
                "HOST_ECN": True, "HOST_UFO": True, "GUEST_ECN": True, "GUEST_UFO": True,
                "VERSION_1": rings != "legacy", "RING_PACKED": rings == "packed",
                "MRG_RXBUF": buffers == "mrg", "MQ": queues > 1}
    agreed = set(feature_names(features))
    assert {name: name in agreed for name in expected} == expected, sorted(agreed)


@pytest.fixture
def veth(wire, host):
    veth = Veth(wire, host, "10.0.0.1/24", mtu=JUMBO)
    wire.ip("addr", "add", "fd00::1/64", "dev", veth.inner, "nodad")
    return veth


@pytest.mark.parametrize("rings, buffers, mode, queues", cases())
def test_guest(make_forwarder, boot, wire, veth, rings, buffers, mode, queues):
    client = mode == "client"
    forwarder = make_forwarder(
        {0: f"net_pcap0,rx_iface_in={veth.outer},tx_iface={veth.outer}"},
        client=client, options=["--enable-jumbo", "--enable-mrgbuf", "--enable-tso"])
    # Without mergeable buffers, a driver that accepts TSO posts 68 KiB for each of 256 descriptors.
    memory_mib = 256 + (0 if buffers == "mrg" else 24 * queues)
    guest = boot(forwarder, memory_mib=memory_mib, nic={
        "queues": queues,
        "options": (*RINGS[rings], f"host_mtu={JUMBO}",
                    f"mrg_rxbuf={'on' if buffers == 'mrg' else 'off'}")})
    guest.run("echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad; ip addr add fd00::2/64 dev eth0")
    if queues > 1:
        guest.run(f"ethtool -L eth0 combined {queues}")
    assert_features(guest, rings, buffers, queues)
    assert guest.run("cat /sys/class/net/eth0/mtu").strip() == str(JUMBO)
    # The guest may still be busy posting hundreds of MiB.
    wait_until(lambda: wire.ping(GUEST[4], count=1), 60, "the guest's first answer")

    for mtu in (JUMBO, 1500):
        set_mtu(guest, veth, mtu)
        for family in (4, 6):
            assert wire.ping(GUEST[family]) == 5 == guest.ping(WIRE[family])
        for offloads in (True, False):
            set_offloads(guest, offloads)
            for family in (4, 6):
                assert_tcp(wire, guest, family, f"IPv{family} mtu {mtu} offloads {offloads}")

    state = forwarder.stats(0)
    assert state["vm_to_vf"]["pkts_tx_to_vf"] == state["vm_to_vf"]["pkts_rx_from_vm"]
