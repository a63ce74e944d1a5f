# SPDX-License-Identifier: BSD-3-Clause
"""A Linux guest under QEMU reaches the network through a relay, whatever happens to either of them."""

import re
import time

import pytest

from lib.forwarder import accepts
from lib.net import Netns, Veth
from lib.pinger import Pinger
from lib.proc import wait_until
from lib.qemu import Nic
from lib.traffic import tcp_from_guest, tcp_to_guest

WIRE_IP, GUEST_IP = "10.0.0.1", "10.0.0.2"
RETURN_TIMEOUT_S = 15  # DPDK and QEMU look for a lost peer once a second

both_modes = pytest.mark.parametrize(
    "client", [pytest.param(False, id="server", marks=pytest.mark.ci),
               pytest.param(True, id="client", marks=pytest.mark.ci)])


def device(veth):
    """The veth as a device, with a ring that holds more than a TCP window."""
    return f"net_af_packet0,iface={veth.outer},framecnt=8192"


def wait_ping(wire, address=GUEST_IP):
    wait_until(lambda: wire.ping(address, count=1, wait=1), RETURN_TIMEOUT_S, f"{address} answers a ping")


def assert_works(wire, guest):
    """Pings and TCP both ways: nothing lost, nothing altered."""
    assert wire.ping(GUEST_IP) == 5
    assert guest.ping(WIRE_IP) == 5
    assert tcp_to_guest(wire, guest, GUEST_IP).intact
    assert tcp_from_guest(wire, guest, WIRE_IP).intact


@both_modes
def test_ping_and_tcp_both_ways(make_forwarder, boot, wire, veth, client):
    forwarder = make_forwarder({0: device(veth)}, client=client)
    guest = boot(forwarder)
    assert_works(wire, guest)
    state = forwarder.stats(0)
    assert state["active"]
    to_vm, to_vf = state["vf_to_vm"], state["vm_to_vf"]
    assert to_vm["bytes_rx_from_vf"] > 4 << 20 and to_vf["bytes_rx_from_vm"] > 4 << 20
    # Packets from before the VM was there may have been dropped; nothing else.
    assert (to_vm["pkts_tx_to_vm"] + to_vm["pkts_dropped_vm_not_connected"]
            == to_vm["pkts_rx_from_vf"])
    assert to_vf["pkts_tx_to_vf"] == to_vf["pkts_rx_from_vm"]


@pytest.mark.ci
def test_zero_copy(make_forwarder, boot, wire, veth):
    """The device reads packets from the guest's memory."""
    forwarder = make_forwarder({0: device(veth)},
                               options=["--zero-copy", "--enable-mrgbuf", "--enable-tso"])
    assert_works(wire, boot(forwarder))
    assert "sent without a copy" in forwarder.output.text


@pytest.mark.parametrize("options", [(), ("--zero-copy",)], ids=["copied", "lent"])
def test_tap(make_forwarder, boot, host, options):
    """A device whose driver claims to segment, and does not (DPDK 22.11)."""
    forwarder = make_forwarder({0: "net_tap0,iface=vtap"},
                               options=["--enable-mrgbuf", "--enable-tso", *options])
    host.ip("addr", "add", f"{WIRE_IP}/24", "dev", "vtap")
    host.ip("link", "set", "vtap", "up")
    assert_works(host, boot(forwarder, nic={"options": ("packed=on", "disable-legacy=on")}))


@both_modes
def test_guest_reboots(make_forwarder, boot, wire, veth, client):
    guest = boot(make_forwarder({0: device(veth)}, client=client))
    assert wire.ping(GUEST_IP) == 5
    guest.reboot()
    wait_ping(wire)
    assert_works(wire, guest)


def test_guest_is_reset(make_forwarder, boot, wire, veth):
    """Under load, so that its rings are in use at that moment."""
    guest = boot(make_forwarder({0: device(veth)}))
    with Pinger(wire, GUEST_IP, interval=0.002):
        for _ in range(3):
            guest.reset()
            wait_ping(wire)
    assert_works(wire, guest)


@pytest.mark.ci
def test_guest_is_paused(make_forwarder, boot, wire, veth):
    """QEMU stops its rings, so what arrives for it is dropped; its network is back when it
    continues."""
    forwarder = make_forwarder({0: device(veth)})
    guest = boot(forwarder)
    for _ in range(2):
        guest.qmp("stop")
        assert wire.ping(GUEST_IP, count=500, interval=0.002, wait=0.1) == 0
        forwarder.wait_vm(0, attached=False)
        guest.qmp("cont")
        wait_ping(wire)
    assert_works(wire, guest)


@pytest.mark.ci
def test_driver_is_unloaded_and_loaded(make_forwarder, boot, wire, veth):
    forwarder = make_forwarder({0: device(veth)})
    guest = boot(forwarder)
    features = guest.features()
    with Pinger(wire, GUEST_IP):
        for _ in range(3):
            guest.run("rmmod virtio_net")
            forwarder.wait_vm(0, attached=False)
            guest.run("insmod /modules/virtio_net.ko")
            guest.run(f"ip addr add {GUEST_IP}/24 dev eth0; ip link set eth0 up")
            wait_ping(wire)
    assert guest.features() == features
    assert_works(wire, guest)


@pytest.mark.parametrize("receive, transmit", [
    (512, 1024), (256, 256), (1024, 256), (256, 1024), (1024, 1024)])
def test_ring_sizes(make_forwarder, boot, wire, veth, receive, transmit):
    """512 and 1024 are what Nova sets."""
    guest = boot(make_forwarder({0: device(veth)}, options=["--enable-mrgbuf"]), nic={
        "options": (f"rx_queue_size={receive}", f"tx_queue_size={transmit}")})
    sizes = dict(re.findall(r"^(RX|TX):\s+(\d+)", guest.run("ethtool -g eth0"), re.M))
    assert sizes == {"RX": str(receive), "TX": str(transmit)}
    assert_works(wire, guest)


@both_modes
def test_guest_is_killed_and_another_comes(make_forwarder, boot, wire, veth, client):
    forwarder = make_forwarder({0: device(veth)}, client=client)
    first = boot(forwarder, name="first")
    assert wire.ping(GUEST_IP) == 5
    first.kill()
    forwarder.wait_vm(0, attached=False)
    if client:
        forwarder.socket(0).unlink()  # QEMU's file, which it had no time to remove
    second = boot(forwarder, name="second")
    wait_ping(wire)
    assert_works(wire, second)


def test_running_guest_has_its_network_again_after_a_stop(make_forwarder, boot, wire, veth):
    """Client mode: QEMU's socket still exists when the next daemon looks for it. (test_restart.py kills
    the daemon.)"""
    forwarder = make_forwarder({0: device(veth)}, client=True)
    guest = boot(forwarder)
    assert wire.ping(GUEST_IP) == 5
    forwarder.stop()
    assert wire.ping(GUEST_IP, count=1, wait=1) == 0
    forwarder.start()
    wait_ping(wire)
    assert_works(wire, guest)


@both_modes
def test_daemon_comes_back_with_fewer_features(make_forwarder, boot, wire, veth, client):
    """QEMU refuses them, about once a second. The log says so, once."""
    forwarder = make_forwarder({0: device(veth)}, client=client, options=["--enable-mrgbuf"])
    guest = boot(forwarder)
    forwarder.stop()
    forwarder.argv.remove("--enable-mrgbuf")
    forwarder.start()
    refusal = "vhost lacks feature mask"
    wait_until(lambda: guest.process.output.text.count(refusal) >= 3, 30, "QEMU tries again and again")
    said = forwarder.output.tail()
    assert said.count(f'if its QEMU says "{refusal}"') == said.count("set VIRTIOFWD_MRGBUF") == 1
    before = guest.process.output.text.count(refusal)
    time.sleep(2)
    assert guest.process.output.text.count(refusal) - before < 10
    forwarder.stop()
    forwarder.argv.append("--enable-mrgbuf")
    forwarder.start()
    wait_ping(wire)
    assert_works(wire, guest)


@pytest.mark.parametrize("client", [False, pytest.param(True, marks=pytest.mark.ci)],
                         ids=["server", "client"])
def test_packed_rings_go_on_with_the_next_daemon(make_forwarder, boot, wire, veth, client):
    """QEMU does not know how far the rings have got: it reports the start, or where the VM was last stopped."""
    forwarder = make_forwarder({0: device(veth)}, client=client, options=["--enable-mrgbuf"])
    guest = boot(forwarder, nic={"options": ("disable-legacy=on", "packed=on")})
    for size in (16, 300, 40):  # positions before, after and anywhere in the next round
        assert wire.ping(GUEST_IP, count=size, interval=0.01) == size
        forwarder.kill()
        forwarder.start()
        wait_ping(wire)
    for size in (40, 300):  # in the round of the stop, and after all of it was used
        guest.qmp("stop")
        guest.qmp("cont")
        assert wire.ping(GUEST_IP, count=size, interval=0.01) == size
        forwarder.stop()
        forwarder.start()
        wait_ping(wire)
    assert_works(wire, guest)


def test_guest_is_there_before_the_daemon(make_forwarder, boot, wire, veth):
    forwarder = make_forwarder({0: device(veth)}, client=True)
    forwarder.stop()
    guest = boot(forwarder, wait=False)
    wait_until(lambda: accepts(forwarder.socket(0)), 20, "QEMU listens")
    forwarder.start()
    guest.wait_ready()
    assert_works(wire, guest)


@pytest.mark.ci
def test_two_relays_do_not_mix(make_forwarder, boot, host, wire, veth, stack):
    """A guest on each relay; their networks use the same addresses, and one guest dies."""
    other_wire = stack.enter_context(Netns("vio4wd-wire"))
    other_veth = Veth(other_wire, host, f"{WIRE_IP}/24")
    forwarder = make_forwarder({0: device(veth),
                                63: f"net_af_packet1,iface={other_veth.outer}"})
    first = boot(forwarder, name="first")
    second = boot(name="second", nics=[Nic(forwarder.socket(63), address=f"{GUEST_IP}/24")])
    assert_works(wire, first)
    assert_works(other_wire, second)

    before = forwarder.stats(63)["vm_to_vf"]["pkts_rx_from_vm"]
    first.kill()
    assert other_wire.ping(GUEST_IP, count=20) == 20
    assert wire.ping(GUEST_IP, count=1, wait=1) == 0
    assert forwarder.stats(63)["vm_to_vf"]["pkts_rx_from_vm"] >= before + 20
