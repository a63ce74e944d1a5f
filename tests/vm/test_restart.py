# SPDX-License-Identifier: BSD-3-Clause
"""The daemon is killed and started again under a running guest that communicates: how long until
the first packet? testpmd's vhost port, treated in the same way, for comparison."""

import statistics
import time

import pytest

from lib.forwarder import Forwarder, default_cpus
from lib.pinger import Pinger
from lib.proc import wait_until
from lib.qemu import Nic, feature_names
from lib.testpmd import Testpmd
from lib.traffic import tcp_from_guest, tcp_to_guest

WIRE_IP, GUEST_IP = "10.0.0.1", "10.0.0.2"
GUEST_CIDR = f"{GUEST_IP}/24"
GUEST_MAC = "52:54:00:00:00:01"
QEMU_LOOKS_AGAIN_S = 1.0  # if QEMU is the client (Qemu.reconnect())

modes = pytest.mark.parametrize("client", [False, True], ids=["server", "client"])


class TestpmdRelay:
    """A testpmd that forwards between a vhost-user socket and a device."""

    __test__ = False

    def __init__(self, directory, netns, device, client, path=None):
        self.path = path or directory / "testpmd.sock"
        self._vdevs = [f"net_vhost0,iface={self.path},client={int(client)},tso=1", device]
        self._client = client
        self._arguments = {"netns": netns, "directory": directory, "cores": default_cpus(),
                           "options": ["--auto-start", "--forward-mode=io"]}
        self._process = None

    def start(self):
        self._process = Testpmd(self._vdevs, **self._arguments)

    def kill(self):
        self._process.kill()
        self._process.__exit__()
        if not self._client:
            self.path.unlink(missing_ok=True)  # it does not start while the old one exists

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()


def restart(relay, pinger, times):
    """The seconds from the start of the new process to the first reply, for each restart."""
    seconds = []
    for _ in range(times):
        relay.kill()
        start = time.time()
        relay.start()
        seconds.append(pinger.wait_reply(after=start) - start)
    return seconds


def report(what, seconds):
    print(f"{what}: {len(seconds)} restarts, first packet after {statistics.median(seconds):.2f} s "
          f"(median), {max(seconds):.2f} s (longest)")


@modes
@pytest.mark.parametrize("times", [pytest.param(3, marks=pytest.mark.ci), 50])
@pytest.mark.timeout(900)
def test_killed_under_traffic(make_forwarder, boot, wire, veth, client, times):
    forwarder = make_forwarder({0: f"net_af_packet0,iface={veth.outer},framecnt=4096"},
                               client=client)
    guest = boot(forwarder)
    features = guest.features()
    with Pinger(wire, GUEST_IP) as pinger:
        seconds = restart(forwarder, pinger, times)
    report(f"virtio-forwarder, {'client' if client else 'server'} mode", seconds)
    assert guest.features() == features
    assert tcp_to_guest(wire, guest, GUEST_IP).intact
    assert tcp_from_guest(wire, guest, WIRE_IP).intact
    # The bound leaves room for DPDK's own start, which takes longer with sanitizers and on a loaded
    # machine.
    assert statistics.median(seconds) < 5 + (0 if client else QEMU_LOOKS_AGAIN_S)


@pytest.mark.parametrize("client", [False, pytest.param(True, marks=pytest.mark.ci)],
                         ids=["server", "client"])
@pytest.mark.parametrize("rings", ["disable-legacy=on", "disable-modern=on"])
def test_replaces_another_backend(make_forwarder, workdir, host, boot, wire, veth, client, rings):
    """On its socket, under a running guest, with all that DPDK's library has offered to that."""
    device = f"net_af_packet0,iface={veth.outer},framecnt=4096"
    forwarder = make_forwarder({0: device}, client=client,
                               options=["--enable-mrgbuf", "--enable-tso"])
    forwarder.stop()
    with TestpmdRelay(workdir, host, device, client, forwarder.socket(0)):
        guest = boot(forwarder, nic={"options": (rings,)})
        assert wire.ping(GUEST_IP) == 5
        features = guest.features()
        assert {"HOST_UFO", "HOST_ECN", "GUEST_UFO", "GUEST_ECN"} <= set(feature_names(features))
    forwarder.start()
    wait_until(lambda: wire.ping(GUEST_IP, count=1, wait=1), 30, "the guest answers")
    assert guest.features() == features
    assert tcp_to_guest(wire, guest, GUEST_IP).intact
    assert tcp_from_guest(wire, guest, WIRE_IP).intact


@modes
@pytest.mark.timeout(900)
def test_beside_testpmd(workdir, stack, host, boot, wire, veth, client):
    """In turns on the same machine: not slower than testpmd by more than a fifth of a second."""
    device = f"net_af_packet0,iface={veth.outer},framecnt=4096"
    directory = workdir / "forwarder"
    directory.mkdir()
    forwarder = Forwarder(directory, {0: device}, client=client, netns=host)
    testpmd = TestpmdRelay(workdir, host, device, client)
    ours, theirs = [], []
    turns = [("virtio-forwarder", forwarder, forwarder.socket(0), ours),
             ("testpmd", testpmd, testpmd.path, theirs)]
    for name, relay, path, seconds in turns + turns[::-1]:
        with relay:
            # The MAC that the wire knows from the guest before.
            guest = boot(nics=[Nic(path, server=client, address=GUEST_CIDR, mac=GUEST_MAC)], name=name)
            with Pinger(wire, GUEST_IP) as pinger:
                seconds += restart(relay, pinger, 5)
            guest.quit()
    for name, _, _, seconds in turns:
        report(f"{name}, {'client' if client else 'server'} mode", seconds)
    assert statistics.median(ours) < statistics.median(theirs) + 0.2
