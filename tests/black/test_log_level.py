# SPDX-License-Identifier: BSD-3-Clause
"""SIGUSR1 raises the log level of a daemon that runs to 7, DPDK's too; SIGUSR2 sets it back."""

import os
import signal

from lib.wire import ADD, REMOVE, Daemon

DEVICE = "net_null1"


def lines_of_dpdk(daemon):
    """What DPDK says while a device comes and goes."""
    before = len(daemon.output.text)
    daemon.done(ADD, virtio_id=1, device=[DEVICE])
    daemon.done(REMOVE, virtio_id=1, device=[DEVICE])
    daemon.output.expect(f"{DEVICE} detached", 10)
    return [line for line in daemon.output.text[before:].splitlines() if " DPDK: " in line]


def test_signals_change_the_level(workdir, stack):
    daemon = stack.enter_context(Daemon(workdir, "--loglevel=6"))
    assert not lines_of_dpdk(daemon)
    os.kill(daemon.pid, signal.SIGUSR1)
    daemon.output.expect("notice SIGUSR1: the log level is 7 ", 10)
    assert [line for line in lines_of_dpdk(daemon) if " debug " in line]
    os.kill(daemon.pid, signal.SIGUSR2)
    daemon.output.expect("notice SIGUSR2: the log level is 6, as configured", 10)
    assert not lines_of_dpdk(daemon)
