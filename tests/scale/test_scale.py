# SPDX-License-Identifier: BSD-3-Clause
"""64 relays at once, eight of them with bonds: 80 ports, which needs the DPDK of
scripts/build-dpdk. Packets pass both ways through every relay."""

import pytest
from crowd import Crowd, attach_bond

from lib.forwarder import Forwarder
from lib.net import Netns
from lib.paths import stock_dpdk
from lib.peer import assert_nothing_lost, memif_device

RELAYS = range(64)
BONDS = range(56, 64)
RATE_PPS = 300      # each way and relay; in total what two shared CPUs carry besides 64 peers
PACKETS = 1000
TIMEOUT_S = 120

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(stock_dpdk(), reason="make DPDK=build/dpdk"),
]


def test_64_relays_with_traffic(workdir, host, stack):
    wires = {relay: stack.enter_context(Netns("vio4wd-far", ipv6=False)) for relay in BONDS}
    singles = {relay: memif_device(workdir, relay) for relay in RELAYS if relay not in BONDS}
    with Forwarder(workdir, singles, netns=host) as forwarder:
        far_ends = {relay: attach_bond(forwarder, relay, host, wire) for relay, wire in wires.items()}
        with Crowd(forwarder, RELAYS, RATE_PPS, far_ends, netns=host) as crowd:
            crowd.open(TIMEOUT_S)
            crowd.start()
            crowd.wait_moved(PACKETS, TIMEOUT_S)
            results = crowd.stop()
            assert sorted(results) == list(RELAYS)
            for relay, result in results.items():
                assert_nothing_lost(forwarder, result, relay)
                assert all(result[way]["sent"] >= PACKETS for way in ("vm_to_vf", "vf_to_vm")), result
