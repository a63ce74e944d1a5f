# SPDX-License-Identifier: BSD-3-Clause
"""A VM that changes its rings without end costs only the workers that run its relay, and little."""

import os
import time
from pathlib import Path

import pytest
from lib.forwarder import worker_threads
from lib.vhostuser import Frontend

SECONDS = 2
SWEEPS = 10  # in a second, by a worker that sleeps
CPUS = sorted(os.sched_getaffinity(0))

pytestmark = pytest.mark.skipif(len(CPUS) < 2, reason="there is only one CPU")


def wakeups(forwarder):
    """How often each worker has slept, by its CPU."""
    def read(thread):
        status = Path(f"/proc/{forwarder.pid}/task/{thread}/status").read_text()
        return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])

    return {cpu: read(thread) for thread in worker_threads(forwarder.pid)
            for cpu in os.sched_getaffinity(thread)}


def test_only_the_workers_of_the_relay_are_woken(make_forwarder):
    own, other = CPUS[0], CPUS[-1]
    forwarder = make_forwarder(cpus=(own, [own, other]), options=[f"--virtio-cpu=0:{own},{own}"])
    with Frontend(forwarder.socket(0)) as frontend:
        frontend.start()
        forwarder.wait_vm(0)
        time.sleep(0.5)  # the workers fall asleep
        before, began, n = wakeups(forwarder), time.monotonic(), 0
        while time.monotonic() < began + SECONDS:
            frontend.enable_ring(0, n % 2)
            n += 1
        passed, after = time.monotonic() - began, wakeups(forwarder)
    assert n > 150 * SECONDS  # more than the worker may have woken up
    woken = {cpu: after[cpu] - before[cpu] for cpu in after}
    assert 10 < woken[own] < passed * (100 + SWEEPS) + 50
    assert woken[other] < passed * SWEEPS + 50
