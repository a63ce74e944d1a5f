# SPDX-License-Identifier: BSD-3-Clause
"""Every packet arrives once, in the order of its flow and unaltered, whatever the rings are like;
and the daemon's counters agree with both ends."""

from functools import partial

import pytest
from lib.forwarder import Forwarder, default_cpus
from lib.peer import (Counted, Peer, assert_counted, assert_nothing_lost, attached_peer, counted,
                      end, memif_device, net_socket, wait_active)
from lib.testpmd import Testpmd, virtio_user

PACKETS = 200_000  # each way
TIMEOUT_S = 68  # at a small fraction of the usual rate

modes = pytest.mark.parametrize("client", [False, True], ids=["server", "client"])
rings = pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
buffers = pytest.mark.parametrize("mergeable", [True, False], ids=["mergeable", "single"])


@pytest.fixture
def forwarder(workdir, stack, client):
    return stack.enter_context(Forwarder(workdir, {0: memif_device(workdir)}, client=client))


@pytest.fixture
def make_peer(workdir, stack, forwarder, client):
    """Starts a peer at both ends of relay 0."""
    return partial(attached_peer, stack, workdir, forwarder, server=client)


def run(forwarder, peer, **options):
    """Sends and receives everything; the peer must find no fault. Returns its result."""
    peer.start()
    result = peer.result(TIMEOUT_S)
    assert_nothing_lost(forwarder, result, **options)
    end(forwarder, peer)
    return result


@modes
@rings
@buffers
@pytest.mark.sanitizers
def test_both_ways(forwarder, make_peer, packed, mergeable):
    peer = make_peer(count=PACKETS, packed=packed, no_mrg=not mergeable, flows=16)
    result = run(forwarder, peer)
    assert result["vm_to_vf"]["sent"] == result["vf_to_vm"]["sent"] == PACKETS


@modes
@rings
@buffers
def test_backlog(forwarder, make_peer, packed, mergeable):
    """The VM stops reading for a second while the network keeps sending."""
    peer = make_peer(count=PACKETS, packed=packed, no_mrg=not mergeable, flows=16,
                     sizes="random", pause_vm=f"{PACKETS // 4},1000")
    result = run(forwarder, peer)
    peer.wait_event("pause", timeout=0, vm="end")
    assert result["vf_to_vm"]["sent"] == PACKETS
    assert result["vf_to_vm"]["most_under_way"] > 1024, "the network was not held up"


@pytest.mark.parametrize("client", [False], ids=["server"])
@pytest.mark.parametrize("sizes", [60, 64, 1514, "random"])
def test_sizes(forwarder, make_peer, sizes):
    run(forwarder, make_peer(count=PACKETS // 4, sizes=sizes, no_in_order=True))


@pytest.mark.parametrize("client", [False], ids=["server"])
@pytest.mark.parametrize("direction", ["vm_to_vf", "vf_to_vm"])
def test_one_way(forwarder, make_peer, direction):
    peer = make_peer(count=PACKETS, direction=direction.replace("_", "-"), queue_size=1024)
    run(forwarder, peer, directions=[direction])


@pytest.mark.parametrize("client", [True], ids=["client"])
def test_reflected_by_testpmd(forwarder, workdir, stack, client):
    """testpmd as the VM sends everything back."""
    control, worker = default_cpus()
    vdev = virtio_user(forwarder.socket(), server=client, packed_vq=1, mrg_rxbuf=0)
    vm = stack.enter_context(Testpmd([vdev], cores=(control, worker), directory=workdir))
    vm.command("set fwd io retry")
    vm.command("set burst tx delay 1 retry 4000000000")
    vm.command("start")
    with Peer(workdir, net=net_socket(workdir), reflect=True, count=PACKETS, flows=16) as peer:
        peer.wait_event("ready")
        wait_active(forwarder)
        peer.start()
        result = peer.result(TIMEOUT_S)
        seen = result["round_trip"]
        assert result["ok"] and seen["received"] == PACKETS, result
        amount = (PACKETS, seen["sent_bytes"])
        for direction in ("vf_to_vm", "vm_to_vf"):
            assert_counted(
                lambda: counted(forwarder, direction),
                Counted(received=amount, sent=amount, dropped=(0, 0), backlog=(0, 0)), direction)
        end(forwarder, peer)
