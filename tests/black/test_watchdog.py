# SPDX-License-Identifier: BSD-3-Clause
"""systemd's watchdog is fed while the event loop and every worker turn, and only then; and whoever
waits for a worker says for which one."""

import ctypes
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from lib.forwarder import Forwarder, worker_thread, worker_threads
from lib.peer import attach
from lib.proc import few_descriptors, wait_until

WATCHDOG_S = 0.4  # the daemon feeds it four times as often
PTRACE_ATTACH, PTRACE_DETACH = 16, 17

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

MISSED = "the worker on CPU {} has not finished an iteration for [0-9.]+ s; still waiting to tell systemd's watchdog"


class Notified:
    """Systemd's end of the notification socket."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def messages(self):
        """The messages since the last call."""
        found = []
        while True:
            try:
                found += self._socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return found

    def wait_fed(self):
        self.messages()
        wait_until(lambda: "WATCHDOG=1" in self.messages(), 20, "the watchdog to be fed")


@pytest.fixture
def notified(workdir, monkeypatch):
    path = workdir / "notify"
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    monkeypatch.setenv("WATCHDOG_USEC", str(int(WATCHDOG_S * 1e6)))
    return Notified(path)


class Halted:
    """A thread that is halted while the others of its process run."""

    def __init__(self, thread):
        self.thread = thread

    def _ptrace(self, request):
        if libc.ptrace(request, self.thread, None, None) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")

    def __enter__(self):
        self._ptrace(PTRACE_ATTACH)
        os.waitpid(self.thread, 0x40000000)  # __WALL

    def __exit__(self, *_):
        self._ptrace(PTRACE_DETACH)


@pytest.mark.parametrize("who", ["event loop", "worker"])
def test_fed_only_by_progress(workdir, notified, who):
    with Forwarder(workdir, options=["--idle-latency=0"]) as forwarder:
        wait_until(lambda: "READY=1" in notified.messages(), 20, "the daemon says that it is ready")
        notified.wait_fed()
        worker = worker_thread(forwarder.pid)
        cpu, = os.sched_getaffinity(worker)
        with Halted(forwarder.pid if who == "event loop" else worker):
            if who == "event loop":
                time.sleep(WATCHDOG_S)  # what was under way when it was halted ends
            else:
                forwarder.output.expect(MISSED.format(cpu), 20)
            notified.messages()
            time.sleep(3 * WATCHDOG_S)
            assert "WATCHDOG=1" not in notified.messages()
        notified.wait_fed()
        if who == "worker":
            forwarder.output.expect("all workers go on", 20)
    assert ("all workers go on" in forwarder.output.text) == (who == "worker")
    assert "STOPPING=1" in notified.messages()


def test_fed_without_a_descriptor_to_spare(workdir, notified):
    """Those who are there are served, so this is no reason to restart the daemon."""
    with Forwarder(workdir) as forwarder, few_descriptors(forwarder.pid, 0):
        notified.wait_fed()
        notified.wait_fed()


def test_fed_by_an_abstract_name(workdir, notified, monkeypatch):
    """As systemd had it in former times, and as containers have it."""
    name = f"vio4wd-{workdir.name}"
    abstract = Notified(f"\0{name}")
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    with Forwarder(workdir):
        abstract.wait_fed()


def test_the_worker_that_is_waited_for_is_named(make_forwarder):
    forwarder = make_forwarder(options=["--idle-latency=0"])
    worker = worker_thread(forwarder.pid)
    cpu, = os.sched_getaffinity(worker)
    with ThreadPoolExecutor() as pool:
        with Halted(worker):
            pool.submit(attach, forwarder, 0, "net_null0")
            wait_until(lambda: f"the worker on CPU {cpu} has not finished" in forwarder.output.text, 20,
                       "the worker to be named")
        wait_until(lambda: "relay 0: device net_null0 attached" in forwarder.output.text, 20,
                   "the device to be attached")


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is only one CPU")
def test_a_worker_holds_up_its_own_relays_only(make_forwarder):
    *_, own, other = cpus = sorted(os.sched_getaffinity(0))
    forwarder = make_forwarder(cpus=(cpus[0], [own, other]), options=[
        "--idle-latency=0", f"--virtio-cpu=0:{own}"])
    halted, = (thread for thread in worker_threads(forwarder.pid)
               if os.sched_getaffinity(thread) == {other})
    with Halted(halted):
        attach(forwarder, 0, "net_null0")
    assert "has not finished" not in forwarder.output.text
