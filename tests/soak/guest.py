# SPDX-License-Identifier: BSD-3-Clause
"""One relay of the soak: a device that returns what it gets (net_ring), and a VM that comes, goes
and counts.

At every rest, each frame that the daemon has taken is either back, in order, or counted as dropped.
Order is that of a flow on one receive queue. When a guest enables or disables queues, the flow may
continue on another one, and only the reader of both knows which is older; but no frame from before
a rest arrives after it."""

import struct

from lib import vioclient
from lib.peer import attach, counted_in, detach
from lib.proc import WaitTimeout, wait_until
from lib.vhostuser import F_EVENT_IDX, F_LOG_ALL, Connection, Frontend

SLOW_S = 60  # what takes a moment elsewhere
BURST_MAX = 24
MARK = struct.Struct("=HHQ")  # relay, transmit queue, number


class Guest:
    def __init__(self, number, forwarder, chance):
        self.number, self.forwarder, self.chance = number, forwarder, chance
        self.device, self.attached = f"net_ring{number}", True
        self.frontend = None
        self.offered = self.received = 0  # in all lives
        self.withdrawn = 0                # offered but never taken
        self._newest = {}                 # (queue sent on, received on): number of the last frame back
        self._rested = 0                  # number of the first frame after the last rest

    def state(self):
        return vioclient.relay(self.forwarder.stats_endpoint, self.number)

    # What can be done with the relay.

    def attach(self):
        attach(self.forwarder, self.number, self.device)
        self.attached = True

    def detach(self):
        """With an empty device: its packets would be lost with it."""
        self.rest()
        detach(self.forwarder, self.number, self.device)
        self.attached = False

    def boot(self):
        chance = self.chance
        self.frontend = Frontend(
            self.forwarder.socket(self.number), packed=chance.random() < 0.5,
            features=Frontend.FEATURES | chance.choice((0, F_EVENT_IDX)),
            queue_size=chance.choice((8, 64, 256)), queue_pairs=chance.choice((1, 1, 2)),
            connection=Connection.connect(self.forwarder.socket(self.number), SLOW_S))
        self.frontend.start()
        self._wait_vm(True)

    def burst(self):
        for _ in range(self.chance.randrange(1, BURST_MAX)):
            queue = self.chance.randrange(self.frontend.queue_pairs)
            self.frontend.reclaim(queue)
            if self.frontend.under_way() >= self.frontend.queue_size:
                break  # the ring may be full
            frame = b"\x02" * 12 + b"\x88\xb5" + MARK.pack(self.number, queue, self.offered)
            self.frontend.send(frame + bytes(self.chance.randrange(36, 1400)), queue)
            self.offered += 1

    def rest(self):
        """Waits until all frames are accounted for."""
        self._wait(self._settled)
        self._rested = self.offered

    def toggle(self):
        """Disables rings for a while, which holds packets back."""
        index = self.chance.randrange(len(self.frontend.rings))
        self.frontend.enable_ring(index, False)
        self.burst()
        self.frontend.enable_ring(index)
        self.rest()

    def log(self):
        """A migration that is cancelled."""
        self.frontend.start_log()
        self.burst()
        self.rest()
        assert self.frontend.take_dirty() or not self.attached
        self.frontend.stop_log()

    def migrate(self):
        """The rings stop under traffic and continue from there on another connection."""
        self.frontend.start_log()
        self.burst()
        bases = self.frontend.stop()
        self.collect()
        self.frontend.features &= ~F_LOG_ALL
        self.frontend.resume(bases)
        self._wait_vm(True)
        self.burst()
        self.rest()

    def kill(self):
        """The VM vanishes with frames under way."""
        self.burst()
        self._leave()

    def shut_down(self):
        self.rest()
        self.frontend.stop()
        self._leave()

    def actions(self):
        """(action, weight) of everything that is possible now."""
        device = [(self.detach, 1)] if self.attached else [(self.attach, 3)]
        if self.frontend is None:
            return [(self.boot, 12), *device]
        return [(self.burst, 20), (self.rest, 4), (self.toggle, 3), (self.log, 2), (self.migrate, 3),
                (self.kill, 3), (self.shut_down, 2), *device]

    # The books.

    def collect(self):
        """Receives what has arrived, and checks it."""
        for queue in range(self.frontend.queue_pairs):
            self.frontend.reclaim(queue)
            for _, frame in self.frontend.receive(queue):
                relay, sender, number = MARK.unpack_from(frame, 14)
                assert relay == self.number, f"relay {self.number} has got a frame of relay {relay}"
                path = sender, queue
                assert number >= self._rested, f"{path}: {number} is of before {self._rested}"
                assert number > self._newest.get(path, -1), f"{path}: {number} behind {self._newest}"
                self._newest[path] = number
                self.received += 1

    def books(self, state=None):
        """(taken from the VM, given to the VM, dropped, under way): what we have seen, and what the
        daemon has counted."""
        state = state or self.state()
        out, back = (counted_in(state, direction) for direction in ("vm_to_vf", "vf_to_vm"))
        assert out.balanced() and back.balanced(), (self.number, out, back)
        dropped = out.dropped[0] + back.dropped[0]
        taken = self.offered - self.withdrawn
        taken -= self.frontend.under_way() if self.frontend else 0
        return ((taken, self.received, taken - self.received, 0),
                (out.received[0], back.sent[0], dropped, out.sent[0] - back.received[0]))

    def _wait(self, condition):
        try:
            wait_until(condition, SLOW_S, f"relay {self.number} at rest", interval=0.005)
        except WaitTimeout as timeout:
            raise AssertionError(f"{timeout}: {self.books()}") from None

    def _balanced(self):
        if self.frontend:
            self.collect()
        seen, counted = self.books()
        return seen == counted

    def _settled(self):
        return self._balanced() and not (self.frontend and self.frontend.under_way())

    def _wait_vm(self, there):
        wait_until(lambda: self.state().vm_to_vf.active == there, SLOW_S,
                   f"VM {'on' if there else 'off'} relay {self.number}", interval=0.005)

    def _leave(self):
        """Keeps the memory until the daemon has reported that the VM is gone: then the daemon has
        let go of it, and the final counters are known."""
        self.frontend.connection.close()
        self._wait_vm(False)
        self._wait(self._balanced)
        self.withdrawn += self.frontend.under_way()
        self.frontend.close()
        self.frontend = None
        self.rest()

    def end(self):
        """As at the beginning: a device, no VM."""
        if self.frontend:
            self.shut_down()
        if not self.attached:
            self.attach()
