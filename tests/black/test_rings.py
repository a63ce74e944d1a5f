# SPDX-License-Identifier: BSD-3-Clause
"""What a frontend does with rings that are in use."""

import os
import time

from lib.packet_socket import raw_frame
from lib.proc import wait_until
from lib.vhostuser import Frontend, Request, u64

FRAME = raw_frame(bytes(46))


def test_call_eventfd_is_replaced(make_forwarder, stack):
    """A frontend may have stopped listening to the old eventfd before the last call by it. So the guest
    is called by the new one even if there is nothing new, and by the first one of a ring as well: an
    earlier daemon may have died before it called."""
    forwarder = make_forwarder()
    frontend = stack.enter_context(Frontend(forwarder.socket(0)))
    frontend.start()
    ring = frontend.tx()
    wait_until(ring.calls, 5, "the guest is called by its first eventfd")
    frontend.send(FRAME)
    frontend.wait_sent()
    wait_until(ring.calls, 5, "the guest is called because its frame is taken")
    old, ring.call = ring.call, os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    os.close(old)
    frontend.tell(Request.SET_VRING_CALL, u64(1), [ring.call])
    wait_until(ring.calls, 5, "the guest is called by its new eventfd")
    assert ring.calls() == 0


def test_disabled_rings_are_emptied(make_forwarder, stack):
    """What a guest sends on rings that it has disabled is consumed and dropped, on all of them, even if the
    worker is asleep."""
    forwarder = make_forwarder()
    frontend = stack.enter_context(Frontend(forwarder.socket(0), queue_pairs=4, enabled={0}))
    frontend.start()
    for count in (1, frontend.queue_size):
        time.sleep(0.3)  # the worker falls asleep
        for queue in (1, 2, 3):
            for _ in range(count):
                frontend.send(FRAME, queue)
        for queue in (1, 2, 3):
            frontend.wait_sent(queue)
    state = forwarder.stats(0)["vm_to_vf"]
    assert state["pkts_rx_from_vm"] == state["pkts_dropped_vf_not_connected"] == 3 * (1 + frontend.queue_size)
