# SPDX-License-Identifier: BSD-3-Clause
"""Signals under load."""

import os
import signal
import time

from lib import vioclient
from lib.forwarder import Forwarder
from lib.peer import Peer, assert_nothing_lost, memif_device, net_socket, wait_active
from lib.proc import wait_until


def loaded(workdir, stack, **arguments):
    forwarder = stack.enter_context(Forwarder(workdir, {0: memif_device(workdir)}, **arguments))
    peer = stack.enter_context(Peer(workdir, vm=forwarder.socket(), net=net_socket(workdir),
                                    count=0, rate=20_000))
    peer.start()
    wait_active(forwarder)
    return forwarder, peer


def finish(forwarder, peer):
    peer.stop()
    assert_nothing_lost(forwarder, peer.result())
    forwarder.stop()
    assert peer.finish() == 0


def more_packets(forwarder, count=2000):
    """Waits for packets both ways."""
    def passed():
        state = vioclient.relay(forwarder.stats_endpoint, 0)
        return state.vm_to_vf.pkts_tx_to_vf, state.vf_to_vm.pkts_tx_to_vm

    before = passed()
    wait_until(lambda: all(now > then + count for now, then in zip(passed(), before)), 20,
               "packets both ways")


def test_signals_under_load(workdir, stack):
    """SIGHUP is for nothing yet, SIGPIPE and SIGWINCH are no reason; stopped and continued, it goes
    on where it was and has lost nothing."""
    forwarder, peer = loaded(workdir, stack)
    for _ in range(200):
        for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGWINCH, signal.SIGCONT):
            os.kill(forwarder.pid, number)
    more_packets(forwarder)
    for stopped_s in (0.01, 0.3, 1.5):
        os.kill(forwarder.pid, signal.SIGSTOP)
        time.sleep(stopped_s)  # so long nothing is to happen
        os.kill(forwarder.pid, signal.SIGCONT)
        more_packets(forwarder)
    finish(forwarder, peer)
