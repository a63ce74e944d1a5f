# SPDX-License-Identifier: BSD-3-Clause
"""A guest against a daemon that has hugepages, as daemons in production do."""

import os
import random
import threading
import time

import pytest

from lib.forwarder import Forwarder
from lib.vhostuser import Frontend, Request, vring_state

MEBIBYTES = 256
VICTIMS = 24  # a relay each: one whose memory has vanished is not let in again for a second
RINGS = 64


@pytest.fixture
def forwarder(workdir, stack, huge_dir):
    return stack.enter_context(Forwarder(
        workdir, {0: "net_null0"}, huge=True,
        options=["--enable-mrgbuf", f"--huge-dir={huge_dir}"]))


class Allocator(threading.Thread):
    """Has DPDK's library get hugepages and give them back, again and again."""

    def __init__(self, path):
        super().__init__()
        self._path = path
        self.ended = threading.Event()
        self.failure = None

    def run(self):
        try:
            while not self.ended.is_set():
                with Frontend(self._path) as frontend:
                    frontend.connect().negotiate()
                    for ring in range(RINGS):
                        frontend.tell(Request.SET_VRING_NUM, vring_state(ring, 4096))
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.failure = error


def test_memory_vanishes_while_pages_are_allocated(forwarder):
    """DPDK installs a handler for bus errors meanwhile, which must not get those of workers."""
    chance = random.Random(1)
    allocator = Allocator(forwarder.socket(VICTIMS))
    allocator.start()
    try:
        for relay in range(VICTIMS):
            with Frontend(forwarder.socket(relay)) as victim:
                victim.start()
                time.sleep(chance.uniform(0, 0.02))
                for region in victim.memory.regions:
                    os.ftruncate(region.fd, 0)
                assert victim.connection.closed_by_peer(timeout=10)
    finally:
        allocator.ended.set()
        allocator.join()
    assert allocator.failure is None
    assert forwarder.stats(0)  # it lives
