# SPDX-License-Identifier: BSD-3-Clause
"""A VM may come and go, and begin and end migrations, and break the protocol, as often as it likes: the
log stays short, ends in the true state, and tells of other VMs at once."""

import re
import time

import pytest

from lib.forwarder import Forwarder
from lib.proc import wait_until
from lib.vhostuser import F_LOG_ALL, Connection, Frontend, Request, u64
from lib.wire import ADD_SOCK, REMOVE_SOCK, Daemon

TOGGLES = 5000
CYCLES = 400
BURST = 20  # lines of a relay that are logged at once; then one a second
OTHERS = 5  # times that the second VM comes and goes meanwhile
AT_ONCE_S = 5  # all of those; if they had to share the limit they would take twice as long
LAST_S = 20
DEVICE = "net_null0"

ATTACHED, DETACHED = "VM attached to", "VM detached from"
MIGRATES, STAYED = "is being migrated away", "the migration of the VM on"


@pytest.fixture
def forwarder(workdir, stack):
    return stack.enter_context(Forwarder(workdir))


def events(forwarder, relay):
    """The lines about a relay."""
    return re.findall(rf"^.* relay {relay}: .*$", forwarder.output.text, re.M)


def wait_last(forwarder, relay, text, timeout=LAST_S):
    """Waits until this is the last that is said of a relay."""
    wait_until(lambda: text in (events(forwarder, relay) or [""])[-1], timeout,
               f"relay {relay}: the last line is {text!r}")


def toggle_log_all(frontend):
    """As at the beginning or the end of a migration."""
    frontend.features ^= F_LOG_ALL
    frontend.tell(Request.SET_FEATURES, u64(frontend.features))


def attach_again(frontend):
    """As when a driver resets the device and starts it."""
    for index, base in enumerate(frontend.stop()):
        frontend.start_ring(index, base=base)
    frontend.enable_rings()


def second_vm_is_logged(forwarder):
    begin = time.monotonic()
    for _ in range(OTHERS):
        with Frontend(forwarder.socket(1)) as other:
            other.start()
            wait_last(forwarder, 1, ATTACHED)
        wait_last(forwarder, 1, DETACHED)
    assert time.monotonic() - begin < AT_ONCE_S
    assert len(events(forwarder, 1)) == 2 * OTHERS


@pytest.mark.parametrize("deed, times, last", [
    (toggle_log_all, TOGGLES + 1, MIGRATES), (toggle_log_all, TOGGLES, STAYED),
    (attach_again, CYCLES, ATTACHED)], ids=["migrations", "ended-migrations", "resets"])
def test_flood(forwarder, deed, times, last):
    begin = time.monotonic()
    with Frontend(forwarder.socket(0)) as frontend:
        frontend.start()
        wait_last(forwarder, 0, ATTACHED)
        for number in range(times):
            deed(frontend)
            if number == times // 2:
                second_vm_is_logged(forwarder)
        wait_last(forwarder, 0, last)
    wait_last(forwarder, 0, STAYED if last == MIGRATES else DETACHED)
    seconds = time.monotonic() - begin
    assert len(events(forwarder, 0)) <= BURST + seconds + 1
    assert "held back" not in forwarder.output.text  # what was not said at once was said later


def test_removed_socket(workdir, stack):
    """The log ends in the true state, although the VM has caused all the lines that it may."""
    path = workdir / "vm.sock"
    daemon = stack.enter_context(Daemon(workdir, "--dynamic-sockets"))
    daemon.done(ADD_SOCK, device=[DEVICE], vhost_path=str(path))
    with Frontend(path) as frontend:
        frontend.start()
        while len(events(daemon, 0)) <= BURST or not frontend.features & F_LOG_ALL:
            toggle_log_all(frontend)
        wait_last(daemon, 0, MIGRATES)
        daemon.done(REMOVE_SOCK, vhost_path=str(path))
    wait_last(daemon, 0, f"device {DEVICE} detached")
    attachment, migration, _ = events(daemon, 0)[-3:]
    assert DETACHED in attachment and STAYED in migration


def test_ordinary_life(forwarder):
    """Firmware, boot loader and kernel reset the device; a migration begins and is given up; the VM
    reboots. Each is logged at once."""
    expected = []

    def logged(*texts):
        expected.extend(texts)
        wait_until(lambda: len(events(forwarder, 0)) == len(expected), LAST_S, texts)

    with Frontend(forwarder.socket(0)) as frontend:
        frontend.start()
        logged(ATTACHED)
        for boot in range(2):
            for reset in range(3):
                attach_again(frontend)
                logged(DETACHED, ATTACHED)
            if boot == 0:
                frontend.start_log()
                logged(MIGRATES)
                frontend.stop_log()
                logged(STAYED)
    logged(DETACHED)
    lines = events(forwarder, 0)
    assert all(text in line for text, line in zip(expected, lines, strict=True)), lines
    assert "held back" not in forwarder.output.text


def broken_messages(forwarder, relay):
    return len(re.findall(rf"socket {forwarder.socket(relay)}: .* breaks the protocol",
                          forwarder.output.text))


def test_broken_messages(forwarder):
    """What one VM does is held back, what another does is not."""
    begin = time.monotonic()
    for relay, times in (0, 3 * BURST), (1, BURST):
        for _ in range(times):
            with Connection.connect(forwarder.socket(relay)) as connection:
                connection.send(Request.SET_FEATURES)  # without its payload
                assert connection.closed_by_peer()
    seconds = time.monotonic() - begin
    wait_until(lambda: broken_messages(forwarder, 1) == BURST, LAST_S, "the second VM's lines")
    assert broken_messages(forwarder, 0) <= BURST + seconds + 1
