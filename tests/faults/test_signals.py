# SPDX-License-Identifier: BSD-3-Clause
"""Signals at any time, and a clock that jumps."""

import contextlib
import os
import random
import signal
import struct
import time

import pytest
from lib import vioclient
from lib.forwarder import Forwarder
from lib.paths import build_dir
from lib.peer import assert_nothing_lost, attach, attached_peer, detach, end, memif_device
from lib.proc import Process, wait_until
from lib.wire import ADD

SEED = int(os.environ.get("VIO4WD_SEED", 9))
STARTS = int(os.environ.get("VIO4WD_STARTS", 3))
TURNS = int(os.environ.get("VIO4WD_TURNS", 1))
YEAR_S = 365 * 24 * 3600
DELAY_MS = 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_while_starting(workdir, number):
    """At any moment: it ends at once or cleanly, and leaves nothing behind."""
    chance = random.Random(SEED)
    forwarder = Forwarder(workdir, {0: "net_null0,size=64"})
    for start in range(STARTS):
        with Process(forwarder.argv, f"start{start}") as process:
            time.sleep(chance.uniform(0, 0.6))  # the moment is what is being tested
            for _ in range(chance.choice((1, 20))):
                process.signal(number)
            code = process.wait(30)
        # It has created nothing before it handles signals.
        assert code in (0, -number), process.output.tail()
        left = [*workdir.glob("sockets/*"), *workdir.glob("*.pid"), *workdir.glob("stats"),
                *workdir.glob("port_control")]
        assert not left, left


def loaded(workdir, stack, wrapper=(), **arguments):
    """wrapper: a command that runs the daemon."""
    forwarder = Forwarder(workdir, {0: memif_device(workdir)}, **arguments)
    forwarder.argv[:0] = wrapper
    stack.enter_context(forwarder)
    peer = attached_peer(stack, workdir, forwarder, count=0, rate=20_000)
    peer.start()
    return forwarder, peer


def finish(forwarder, peer):
    peer.stop()
    assert_nothing_lost(forwarder, peer.result())
    end(forwarder, peer)


def more_packets(forwarder, count=2000):
    """Waits for packets both ways."""
    def passed():
        state = vioclient.relay(forwarder.stats_endpoint, 0)
        return state.vm_to_vf.pkts_tx_to_vf, state.vf_to_vm.pkts_tx_to_vm

    before = passed()
    wait_until(lambda: all(now > then + count for now, then in zip(passed(), before)), 20,
               "packets both ways")


def test_signals_under_load(workdir, stack):
    """SIGHUP has no effect yet; SIGPIPE, SIGIO and SIGWINCH do no harm, nor do SIGUSR1 and SIGUSR2,
    which change the log level. After being stopped and continued, it goes on where it was and has lost
    nothing."""
    forwarder, peer = loaded(workdir, stack)
    for _ in range(200):
        for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGIO, signal.SIGWINCH, signal.SIGCONT,
                       signal.SIGUSR1, signal.SIGUSR2):
            os.kill(forwarder.pid, number)
    more_packets(forwarder)
    for stopped_s in (0.01, 0.3, 1.5):
        os.kill(forwarder.pid, signal.SIGSTOP)
        time.sleep(stopped_s)  # nothing must happen for so long
        os.kill(forwarder.pid, signal.SIGCONT)
        more_packets(forwarder)
    finish(forwarder, peer)


def test_ended_while_attaching(workdir):
    """SIGTERM with requests under way: they are answered or not, and it ends cleanly."""
    chance = random.Random(SEED)
    for turn in range(TURNS):
        directory = workdir / f"turn{turn}"
        directory.mkdir()
        with Forwarder(directory) as forwarder, contextlib.ExitStack() as clients:
            for relay in range(8):
                client = clients.enter_context(vioclient.Session(forwarder.port_control_endpoint))
                client.send(vioclient.port_control_request(ADD, virtio_id=relay,
                                                           device=[f"net_null{relay}"]))
            time.sleep(chance.uniform(0, 0.05))  # the moment is what is being tested
            forwarder.stop(300)  # it finishes the operation that it has begun


def check_rate(forwarder):
    """A rate is packets over the time they took: at least the delay, at most the time of the
    answer. By another clock it could be anything."""
    def passed():
        return vioclient.relay(forwarder.stats_endpoint, 0).vm_to_vf.pkts_tx_to_vf

    before, begin = passed(), time.monotonic()
    rate = vioclient.relay(forwarder.stats_endpoint, 0, delay=DELAY_MS).vm_to_vf.pkt_rate_tx_to_vf
    most_s = time.monotonic() - begin
    packets = passed() - before
    if rate == 0:
        return False  # no packet came just then
    assert rate * most_s >= 1 and rate * DELAY_MS / 1000 <= packets + 1, (rate, packets, most_s)
    return True


def test_clock_jumps(workdir, stack):
    """The time of day jumps a year forward and back. Packets, rates, delayed answers and VMs that
    reconnect are not affected."""
    clock = workdir / "clock"
    clock.write_bytes(bytes(8))
    forwarder, peer = loaded(workdir, stack, [
        "env", f"LD_PRELOAD={build_dir() / 'tests/faults/clock.so'}", f"CLOCK_AHEAD={clock}"])
    for jump in (YEAR_S, -YEAR_S, 1, -1, 0):
        with clock.open("r+b") as file:
            file.write(struct.pack("=q", jump))
        more_packets(forwarder)
        wait_until(lambda: check_rate(forwarder), 60, "a rate")
        attach(forwarder, 1, "net_null1")
        detach(forwarder, 1, "net_null1")
        os.kill(forwarder.pid, signal.SIGHUP)  # causes a log line with a timestamp
        year = time.gmtime(time.time() + jump).tm_year
        forwarder.output.expect(f"{year}-\\S+ notice SIGHUP is ignored", 10)
    finish(forwarder, peer)
