# SPDX-License-Identifier: BSD-3-Clause
"""Devices, VMs and traffic come and go at random on several relays at once. The daemon's counters
stay balanced throughout, in the end it serves every relay, and no sanitizer complains."""

import os
import random

import pytest
from lib.forwarder import Forwarder
from lib.peer import (Peer, assert_balanced, attach, detach, memif_device, net_socket, wait_active)

STEPS = int(os.environ.get("VIO4WD_TORTURE_STEPS", 60))
SEED = int(os.environ.get("VIO4WD_SEED", 20))
RELAYS = 3
LOAD_PPS = 5_000  # each way and relay; seven processes poll on two CPUs, possibly with sanitizers
SLOW_S = 60       # for what takes a second elsewhere

pytestmark = [pytest.mark.timeout(900 + 10 * STEPS), pytest.mark.sanitizers]


class Relay:
    """One relay and what is attached to it at the moment."""

    def __init__(self, number, forwarder, stack, workdir, chance):
        self.number = number
        self.forwarder = forwarder
        self.stack = stack
        self.workdir = workdir
        self.chance = chance
        self.device = memif_device(workdir, number, role="client")
        self.peers = 0
        self.network = None  # running while the device is attached
        self.vm = None

    def _peer(self, kind, **options):
        self.peers += 1
        return self.stack.enter_context(Peer(
            self.workdir, f"{kind}{self.number}.{self.peers}", count=0, rate=LOAD_PPS, drain_ms=200,
            **options))

    def attach(self):
        self.network = self._peer("network", net=net_socket(self.workdir, self.number),
                                  net_server=True)
        self.network.wait_event("open", SLOW_S)
        attach(self.forwarder, self.number, self.device)
        self.network.start(SLOW_S)

    def detach(self):
        detach(self.forwarder, self.number, self.device)
        self.network.kill()
        self.network = None

    def boot(self):
        self.vm = self._peer("vm", vm=self.forwarder.socket(self.number),
                             server=self.forwarder.client, packed=self.chance.random() < 0.5,
                             no_mrg=self.chance.random() < 0.5)
        self.vm.start(SLOW_S)

    def kill(self):
        self.vm.kill()
        self.vm = None

    def shut_down(self):
        self.vm.stop()
        self.vm.result()
        self.vm.finish()
        self.vm = None

    def check_traffic(self):
        self.network.wait_event("first", SLOW_S, stream="vm_to_vf")
        self.vm.wait_event("first", SLOW_S, stream="vf_to_vm")

    def actions(self):
        """The actions that are possible now."""
        actions = [self.detach if self.network else self.attach]
        actions += [self.kill, self.shut_down] if self.vm else [self.boot]
        if self.network and self.vm:
            actions.append(self.check_traffic)
        return actions

    def complete(self):
        """Attaches and boots whatever is missing; then packets must flow both ways."""
        if not self.network:
            self.attach()
        if not self.vm:
            self.boot()
        wait_active(self.forwarder, self.number, timeout=SLOW_S)
        self.check_traffic()

    def check_packets(self):
        """Nothing may have reached the present ends altered or out of order."""
        for peer, stream in ((self.network, "vm_to_vf"), (self.vm, "vf_to_vm")):
            peer.stop()
            result = peer.result(SLOW_S)[stream]
            assert result["received"] > 0
            assert not any(result[fault] for fault in ("altered", "reordered", "duplicated")), \
                (peer.name, result)


@pytest.mark.parametrize("client", [False, True], ids=["server", "client"])
def test_torture(workdir, stack, client):
    chance = random.Random(SEED)
    forwarder = stack.enter_context(Forwarder(workdir, client=client))
    relays = [Relay(number, forwarder, stack, workdir, chance) for number in range(RELAYS)]
    for _ in range(STEPS):
        relay = chance.choice(relays)
        action = chance.choice(relay.actions())
        print(relay.number, action.__name__)
        action()
        for number in range(RELAYS):
            assert_balanced(forwarder, number)
    for relay in relays:
        relay.complete()
    for relay in relays:
        relay.check_packets()
    forwarder.stop(SLOW_S)  # checks the exit code, which sanitizers change
    assert "Sanitizer" not in forwarder.output.text
    assert "runtime error" not in forwarder.output.text
