# SPDX-License-Identifier: BSD-3-Clause
"""Many relays at once, with a packet-peer at the far ends of each."""

from contextlib import ExitStack

from lib import vioclient
from lib.net import Veth
from lib.peer import Peer, net_socket, wait_active
from lib.proc import wait_until
from lib.wire import ADD, OK

ACTIVE_BACKUP = 1
NAP_US = 1000  # the peers share two CPUs with the daemon
# AF_PACKET drops packets for which its rings have no room, so the peers never send more than fits.
RING = "framecnt=4096"
COUNT = 4000
BOND_RATE_PPS = 100


def attach_bond(forwarder, relay, host, wire):
    """Attaches a bond of two interfaces in the daemon's namespace; returns the options of a peer at
    the far end of the member that carries the traffic. (Memif devices would not do: a bond gives
    its members its MAC, and they cannot take one.) wire: a namespace of its own, since DPDK's
    fanout number of a socket is not unique among processes."""
    veths = [Veth(wire, host, inner=f"far{i}") for i in range(2)]
    answer = vioclient.port_control(
        forwarder.port_control_endpoint, ADD, virtio_id=relay, name=f"net_bonding{relay}",
        mode=ACTIVE_BACKUP, conditional=False,
        device=[f"net_af_packet{relay}{i},iface={veth.outer},{RING}" for i, veth in enumerate(veths)])
    assert answer.status == OK, answer
    return {"net_device": f"net_af_packet0,iface={veths[0].inner},{RING}", "netns": wire,
            "count": COUNT, "rate": BOND_RATE_PPS}


class Crowd:
    """The peers of the relays, one process each. They send at `rate_pps` each way until stop()."""

    def __init__(self, forwarder, relays, rate_pps, far_ends=None, **options):
        """far_ends: {relay: options of its peer}, for relays whose device is not memif_device()."""
        self.forwarder = forwarder
        self.relays = list(relays)
        self.peers = {}
        self._far_ends = far_ends or {}
        self._options = {"rate": rate_pps, "count": 0, "drain_ms": 20000, "nap": NAP_US, **options}
        self._stack = ExitStack()

    def open(self, timeout):
        """Starts all peers; returns when every relay has both ends."""
        for relay in self.relays:
            ends = self._far_ends.get(relay, {"net": net_socket(self.forwarder.directory, relay)})
            self.peers[relay] = self._stack.enter_context(
                Peer(self.forwarder.directory, f"peer{relay}", vm=self.forwarder.socket(relay),
                     **{**self._options, **ends}))
        for relay, peer in self.peers.items():
            peer.wait_event("ready", timeout)
            wait_active(self.forwarder, relay, timeout=timeout)

    def start(self):
        """Makes all peers send; returns when packets have come through every relay both ways."""
        for peer in self.peers.values():
            peer.start()
        for peer in self.peers.values():
            for stream in ("vm_to_vf", "vf_to_vm"):
                peer.wait_event("first", 60, stream=stream)

    def moved(self):
        """(VM to VF, VF to VM) packets so far, by relay."""
        answer = vioclient.stats(self.forwarder.stats_endpoint, relay=self.relays)
        return {relay.id: (relay.vm_to_vf.pkts_tx_to_vf, relay.vf_to_vm.pkts_tx_to_vm)
                for relay in answer.relay}

    def wait_moved(self, packets, timeout):
        """Waits until every relay has passed on so many packets each way."""
        wait_until(lambda: min(map(min, self.moved().values())) >= packets, timeout,
                   f"{packets} packets each way through every relay", interval=0.2)

    def stop(self):
        """Stops the peers; returns their results by relay."""
        for peer in self.peers.values():
            peer.stop()
        return {relay: peer.result() for relay, peer in self.peers.items()}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._stack.__exit__(*exception)
