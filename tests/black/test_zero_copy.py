# SPDX-License-Identifier: BSD-3-Clause
"""--zero-copy: what the VM sends is read by the device from the VM's memory, without a copy.
Nothing is lost, altered or kept, whoever comes and goes."""

import pytest
from lib.peer import Peer, assert_balanced, assert_nothing_lost, attach, detach, wait_active
from lib.proc import growth_allowed_kib, memory_kib, wait_until

PACKETS = 8000  # each way; fits into the socket's ring
LOAD_PPS = 10_000  # what a socket can take while the CPU serves others
TIMEOUT_S = 120
ROUNDS = 10

pytestmark = [pytest.mark.silent_wire, pytest.mark.timeout(900)]


@pytest.fixture
def device(veth):
    return f"net_af_packet0,iface={veth.outer},framecnt=8192"


@pytest.fixture
def forwarder(make_forwarder, device):
    forwarder = make_forwarder({0: device}, options=["--zero-copy", "--enable-mrgbuf"])
    assert "sent without a copy" in forwarder.output.text
    return forwarder


@pytest.fixture
def make_peer(workdir, stack, forwarder, wire, veth):
    """Starts a peer that plays both ends."""
    def make(name="peer", **options):
        arguments = {"rate": LOAD_PPS, "flows": 16, "sizes": "random", **options}
        return stack.enter_context(Peer(
            workdir, name, vm=forwarder.socket(), netns=wire,
            net_device=f"net_af_packet9,iface={veth.inner},framecnt=8192", **arguments))

    return make


@pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
@pytest.mark.parametrize("mergeable", [True, False], ids=["mergeable", "single"])
@pytest.mark.sanitizers
def test_nothing_is_lost(forwarder, make_peer, packed, mergeable):
    peer = make_peer(count=PACKETS, packed=packed, no_mrg=not mergeable)
    peer.start()
    result = peer.result(TIMEOUT_S)
    assert_nothing_lost(forwarder, result)
    assert result["vm_to_vf"]["sent"] == PACKETS
    assert peer.finish() == 0


def wait_more_packets(forwarder):
    """Waits until more packets of the VM have reached the device."""
    def passed():
        return forwarder.stats()["vm_to_vf"]["pkts_tx_to_vf"]

    before = passed()
    wait_until(lambda: passed() > before + LOAD_PPS / 10, 20, "the VM's packets reach the device")


@pytest.mark.sanitizers
def test_device_comes_and_goes(forwarder, make_peer, device):
    """Under load. What the VM sends while the device is away is dropped, as without zero copy."""
    peer = make_peer(count=0)
    peer.start()
    wait_active(forwarder)
    for _ in range(ROUNDS):
        wait_more_packets(forwarder)
        detach(forwarder, 0, device)
        attach(forwarder, 0, device)
        assert_balanced(forwarder)
    wait_more_packets(forwarder)
    peer.kill()
    forwarder.wait_vm(attached=False)


@pytest.mark.sanitizers
def test_killed_vm(forwarder, make_peer):
    """Its memory vanishes in the middle of a burst; the next VM is served, and nothing grows."""
    memory = []
    for count in range(ROUNDS):
        peer = make_peer(f"peer{count}", count=0, packed=bool(count % 2))
        peer.start()
        peer.wait_event("first", stream="vm_to_vf")
        peer.kill()
        forwarder.wait_vm(attached=False)
        assert_balanced(forwarder)
        memory.append(memory_kib(forwarder.pid, "RssAnon"))
    assert memory[-1] - memory[2] < growth_allowed_kib(1024), memory


def test_other_devices_get_copies(make_forwarder):
    """A device that might never give back what it is lent; the log says so, and why."""
    forwarder = make_forwarder({0: "net_ring0"}, options=["--zero-copy"])
    assert "device net_ring0: packets of the VM are copied: its driver does not tell of each packet " \
           "that it has sent" in forwarder.output.text
