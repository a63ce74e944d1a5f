# SPDX-License-Identifier: BSD-3-Clause
"""Lanes move between workers at random, again and again, while packets go both ways as fast as they
can: none is lost, and none overtakes another of its flow. `make test-cpus` makes 10,000 moves."""

import os
import random
import time

import pytest

from lib import vioclient
from lib.paths import program
from lib.peer import Peer, assert_nothing_lost, memif_device, net_socket, wait_active
from lib.proc import Process
from lib.wire import OK, UPDATE

MOVES = int(os.environ.get("VIO4WD_MOVES", 300))
SEED = int(os.environ.get("VIO4WD_SEED", 6))
RELAYS = 2
CPUS = sorted(os.sched_getaffinity(0))
WORKERS = CPUS[-2:]  # if there are only two, one is the control thread's too
POLL_S = 2


class Mover(vioclient.Session):
    """Moves both directions of relays to workers drawn at random."""

    def __init__(self, endpoint, chance):
        super().__init__(endpoint)
        self.chance = chance
        self.at = {}    # (relay, direction): CPU
        self.moves = 0  # lanes that got another worker

    def move(self, relay):
        cpus = [self.chance.choice(WORKERS) for _ in range(2)]
        request = vioclient.compat.CoreSchedRequest(op=UPDATE)
        request.relay_cpu_map.add(relay_number=relay, vf2virtio_cpu=cpus[0],
                                  virtio2vf_cpu=cpus[1])
        response = vioclient.compat.CoreSchedResponse.FromString(
            self.exchange(request.SerializeToString()))
        assert response.status == OK, response
        for direction, cpu in enumerate(cpus):
            self.moves += self.at.get((relay, direction), cpu) != cpu
            self.at[relay, direction] = cpu


@pytest.fixture
def sources():
    """Relays that are kept busy all the time, besides those that are watched."""
    return 0


@pytest.fixture
def forwarder(workdir, make_forwarder, sources):
    """In the test's own network namespace, together with the peers."""
    devices = {relay: memif_device(workdir, relay) for relay in range(RELAYS)}
    devices.update({relay: f"net_null{relay}" for relay in range(RELAYS, RELAYS + sources)})
    return make_forwarder(
        devices, netns=None,
        cpus=(CPUS[0], WORKERS), config="VIO4WD_CORE_SCHED_ENABLE=true\n",
        options=[f"--zmq-core-sched-ep=ipc://{workdir}/core_sched"])


@pytest.fixture
def load(workdir, stack, forwarder):
    """Peers at both ends of every relay that send as fast as they can; on return, packets have come
    through."""
    peers = [stack.enter_context(Peer(
        workdir, f"peer{relay}", vm=forwarder.socket(relay), net=net_socket(workdir, relay), count=0,
        flows=16, packed=relay % 2 == 1, drain_ms=20000)) for relay in range(RELAYS)]
    for relay, peer in enumerate(peers):
        peer.wait_event("ready")
        wait_active(forwarder, relay)
        peer.start()
    for peer in peers:
        for stream in ("vm_to_vf", "vf_to_vm"):
            peer.wait_event("first", stream=stream)
    return peers


def end(forwarder, peers):
    """Checks that nothing was lost, reordered, duplicated or altered, and that the daemon has
    counted the same."""
    for peer in peers:
        peer.stop()
    for relay, peer in enumerate(peers):
        result = peer.result()
        print(f"relay {relay}: {result}")
        assert_nothing_lost(forwarder, result, relay)
    forwarder.stop()
    for peer in peers:
        assert peer.finish() == 0


@pytest.mark.timeout(120 + MOVES)
def test_moves_under_load(workdir, forwarder, load):
    chance = random.Random(SEED)
    with Mover(f"ipc://{workdir}/core_sched", chance) as mover:
        begin = time.monotonic()
        while mover.moves < MOVES:
            mover.move(chance.randrange(RELAYS))
        print(f"{mover.moves} lanes moved in {time.monotonic() - begin:.1f} s")
    end(forwarder, load)


@pytest.mark.parametrize("sources", [2])
def test_skew_is_balanced_without_loss(workdir, stack, forwarder, load, sources):
    """All lanes are on one worker, which is saturated: the scheduler's very first plan, made after
    one poll interval, relieves it."""
    sched = f"ipc://{workdir}/core_sched"
    for relay in range(RELAYS + sources):
        vioclient.core_sched(sched, UPDATE, [(relay, WORKERS[1], WORKERS[1])])
    process = stack.enter_context(Process(
        [program("vio4wd_core_scheduler"), f"--config={forwarder.config_file}",
         f"--stats-ep={forwarder.stats_endpoint}", f"--sched-ep={sched}",
         f"--poll-interval={POLL_S}"], "scheduler",
        log_path=workdir / "scheduler.log"))
    process.expect(rf"CPU {WORKERS[1]} -> CPU {WORKERS[0]}", 60)
    assert process.terminate() == 0
    first, _, _ = process.output.text.partition(" -> CPU ")
    assert first.count("worst CPU") == 1, process.output.text
    end(forwarder, load)
