# SPDX-License-Identifier: BSD-3-Clause
"""Where attacks are run and judged.

A relay program (the daemon, or dpdk-testpmd's vhost port for comparison) has two relays. Relay 0 is
attacked; its device is an endless source and a sink. Relay 1 is a neighbour under load: packet-peer
sends numbered packets both ways through it. After each attack the program must still be the same
process, the neighbour's packets must still flow, an honest frontend must be served on the attacked
socket, and no descriptors, no memory and no flood of log lines may be left. At the end the
neighbour must have lost nothing."""

import contextlib
import ctypes
import fcntl
import os
import random
import re
import select
import socket
import threading
import time
from dataclasses import dataclass, field

from catalogue import REFUSED

from lib.forwarder import Forwarder
from lib.peer import Peer, memif_device, net_socket
from lib.proc import WaitTimeout, memory_kib, open_files, wait_until
from lib.testpmd import Testpmd
from lib.vhostuser import (F_CSUM, F_GUEST_CSUM, F_GUEST_TSO4, F_GUEST_TSO6, F_HOST_ECN, F_HOST_TSO4,
                           F_HOST_TSO6, F_HOST_UFO, NEED_REPLY, P_BACKEND_REQ, P_STATUS, VERSION,
                           Connection, Disconnected, Frontend, Refused, Request)

ANSWER_TIMEOUT_S = 20  # on a busy machine
ATTACK_TIMEOUT_S = 60  # on a loaded machine; elsewhere a second
HONEST_TIMEOUT_S = 40
MEMORY_KIB_MAX = 64 << 10  # so much may an attack leave behind
LOG_BYTES_MAX = 256 << 10  # so much may an attack cause
NEIGHBOUR_PPS = 20000      # each way
STARVED_TIMEOUT_S = 20     # in which the neighbour must once have half of its rate, on a busy machine
EVENTFD_MAX = 0xfffffffffffffffe  # of its counter
F_SEAL_WRITE, F_ADD_SEALS = 8, 1033
PUNCH_HOLE_KEEP_SIZE = 3
_libc = ctypes.CDLL(None, use_errno=True)


class Accepted(AssertionError):
    """What had to be refused was accepted."""


class DrawnOut(AssertionError):
    """The other side has drawn the attack out until its time was over."""


class Door:
    """A relay's socket as guests see it: they connect to it or, if the daemon is the client, they
    create it and the daemon connects, to one of them at a time."""

    def __init__(self, path, client):
        self._path, self._listener = path, None
        if client:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen()

    def connect(self, timeout):
        if self._listener is None:
            return Connection.connect(self._path, timeout)
        connection = Connection.accept(self._listener)
        return Connection(connection.socket, timeout)

    def close(self):
        if self._listener:
            self._listener.close()


class Target:
    """The attacker's side. close() closes everything that it has opened."""

    FEATURES = Frontend.FEATURES
    OFFLOADS = (F_CSUM | F_GUEST_CSUM | F_GUEST_TSO4 | F_GUEST_TSO6 | F_HOST_TSO4 | F_HOST_TSO6
                | F_HOST_ECN | F_HOST_UFO)

    def __init__(self, door, answer_timeout_s):
        """answer_timeout_s: after so much silence the other side is expected to say no more."""
        self._door, self._answer_timeout_s = door, answer_timeout_s
        self._deadline = time.monotonic() + ATTACK_TIMEOUT_S
        self.defaults = {}  # for frontends
        self._stack = contextlib.ExitStack()
        self._fds = set()

    # Connections.

    def _check_time(self):
        """Ends the attack if the other side draws it out."""
        if time.monotonic() > self._deadline:
            raise DrawnOut(f"more than {ATTACK_TIMEOUT_S} s")

    def connect(self):
        self._check_time()
        return self._stack.enter_context(self._door.connect(self._answer_timeout_s))

    def frontend(self, **options):
        """A frontend that has only negotiated its features."""
        options = {"protocol": Frontend.PROTOCOL | P_STATUS | P_BACKEND_REQ, **self.defaults,
                   **options}
        frontend = Frontend(None, connection=self.connect(), **options)
        self._stack.callback(frontend.close)
        return frontend.negotiate()

    def ready(self, post=True, **options):
        """A frontend whose rings run, with or without receive buffers."""
        frontend = self.frontend(**options).share_memory()
        if post:
            frontend.post()
        return frontend.set_up_rings().enable_rings()

    def refused(self, connection, request, payload=b"", fds=()):
        """Sends what must not succeed: the answer must be a failure or a hang-up."""
        connection.socket.settimeout(ANSWER_TIMEOUT_S)
        try:
            connection.send(request, payload, fds, flags=VERSION | NEED_REPLY)
            if connection.receive().u64 == 0:
                raise Accepted(f"request {request} succeeded")
        except Disconnected:
            pass

    def hung_up_on(self, connection, request, payload, size=None):
        """Sends what must be answered by a hang-up."""
        try:
            connection.send(request, payload, size=size)
        except Disconnected:
            return
        if not connection.closed_by_peer(ANSWER_TIMEOUT_S):
            raise Accepted("no hang-up")

    def answers(self, connection):
        """Waits until the other side sends something or hangs up."""
        with contextlib.suppress(Disconnected):
            connection.receive()

    def probe(self, connection):
        """Asks something, and waits until the other side sends something or hangs up."""
        with contextlib.suppress(Disconnected):
            connection.send(Request.GET_FEATURES)
            connection.receive()

    def flood(self, connection, request, payload=b"", flags=VERSION):
        """Sends until nothing more is accepted."""
        for _ in range(20000):
            self._check_time()
            if not select.select([], [connection.socket], [], 0.1)[1]:
                return
            connection.send(request, payload, flags=flags)

    def attempt(self, action, *arguments, **options):
        """Does something that may well be refused; returns its result, or None if it was refused."""
        self._check_time()
        with contextlib.suppress(Refused, Disconnected, TimeoutError, BlockingIOError):
            return action(*arguments, **options)
        return None

    def until_let_in(self, action):
        """Does something that may come too early, while the gate is still shut because of what was
        done before; repeats it until it is not hung up on."""
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while True:
            try:
                return action()
            except (Disconnected, ConnectionError, BlockingIOError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def in_turn(self, deed, arguments, make=None):
        """For each of the arguments, calls deed(frontend, *each) on a running guest (or one that
        `make` makes); on a new one if the deed before was refused."""
        frontend = None
        for each in arguments:
            self._check_time()
            frontend = frontend or (make or self.ready)()
            try:
                deed(frontend, *each)
            except (Refused, Disconnected, TimeoutError):
                frontend = None

    def work(self, seconds=0.05, action=None):
        """Gives the workers time to meet what was prepared, or does something again and again
        meanwhile."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if action:
                action()
            else:
                time.sleep(left)

    def chance(self):
        return random.Random(5)

    # Files.

    def _keep(self, fd):
        self._fds.add(fd)
        return fd

    def forget(self, fd):
        self._fds.discard(fd)

    def open(self, path, flags):
        return self._keep(os.open(path, flags | os.O_CLOEXEC))

    def memfd(self, size):
        fd = self._keep(os.memfd_create("hostile", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
        os.ftruncate(fd, size)
        return fd

    def pipe(self):
        return tuple(self._keep(fd) for fd in os.pipe())

    def eventfd(self, blocking):
        flags = os.EFD_CLOEXEC | (0 if blocking else os.EFD_NONBLOCK)
        return self._keep(os.eventfd(0, flags))

    def fill(self, eventfd):
        """Fills an eventfd, so that whoever writes to it waits until somebody reads."""
        os.set_blocking(eventfd, False)
        full = False
        while not full:  # it may be written to, and emptied, at the same time
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(eventfd)
            with contextlib.suppress(BlockingIOError):
                os.eventfd_write(eventfd, EVENTFD_MAX)
                full = True
        os.set_blocking(eventfd, True)

    def keep_full(self, eventfd, writers=3):
        """Keeps an eventfd full, so that whoever writes to it waits, from now on until the end."""
        over = threading.Event()

        def write():
            with contextlib.suppress(BlockingIOError):
                while not over.is_set():
                    os.eventfd_write(eventfd, EVENTFD_MAX)

        def end():
            over.set()
            os.set_blocking(eventfd, False)
            while any(thread.is_alive() for thread in threads):
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(eventfd)
                time.sleep(0.001)

        self.fill(eventfd)
        threads = [threading.Thread(target=write, daemon=True) for _ in range(writers)]
        for thread in threads:
            thread.start()
        self._stack.callback(end)

    def timerfd(self):
        return self._keep(_libc.timerfd_create(1, 0))

    def socketpair(self):
        return [self._stack.enter_context(one) for one in socket.socketpair()][0]

    def listener(self):
        listener = self._stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind("")  # an abstract address that the kernel chooses
        listener.listen()
        return listener

    def seal_write(self, fd):
        fcntl.fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)

    def punch_hole(self, fd, size):
        if _libc.fallocate(fd, PUNCH_HOLE_KEEP_SIZE, ctypes.c_long(0), ctypes.c_long(size)) != 0:
            raise OSError(ctypes.get_errno(), "fallocate")

    def close(self):
        self._stack.close()
        while self._fds:
            os.close(self._fds.pop())


class Daemon:
    """virtio-forwarder as the program under attack."""

    options = ("--enable-mrgbuf", "--enable-tso", "--enable-jumbo")
    client = False
    answer_timeout_s = ANSWER_TIMEOUT_S  # it never answers by silence

    def __init__(self, directory):
        devices = {0: "net_null0,size=64", 1: memif_device(directory, 1)}
        self._forwarder = Forwarder(directory, devices, client=self.client, options=self.options)
        self._forwarder.start()
        self.pid = self._forwarder.pid
        self.sockets = [self._forwarder.socket(0), self._forwarder.socket(1)]

    def running(self):
        return self._forwarder.running()

    def log_bytes(self):
        return len(self._forwarder.output.text)

    def tail(self):
        return self._forwarder.output.tail()

    def rings_given_up(self):
        """How often it says to have given up a ring of the attacked relay, whose driver broke the rules."""
        said = re.findall(r"relay 0: .* rings given up so far: (\d+)", self._forwarder.output.text)
        return int(said[-1]) if said else 0

    def neighbour_packets(self):
        """(VM to VF, VF to VM) packets of the neighbour so far."""
        state = self._forwarder.stats(1)
        return state["vm_to_vf"]["pkts_tx_to_vf"], state["vf_to_vm"]["pkts_tx_to_vm"]

    def stop(self):
        """It must still be able to stop cleanly."""
        self._forwarder.stop()

    def kill(self):
        self._forwarder.__exit__(AssertionError)


class LendingDaemon(Daemon):
    """The same, with packets that stay in the guest's memory until they are sent (zero copy)."""

    options = (*Daemon.options, "--zero-copy")


class ClientDaemon(Daemon):
    """The same, connecting to the sockets of the guests (client mode)."""

    client = True


class VhostPort:
    """dpdk-testpmd's vhost port, for comparison."""

    client = False
    answer_timeout_s = 1  # it often does not answer

    def __init__(self, directory):
        self.sockets = [directory / "vhost0", directory / "vhost1"]
        vdevs = [f"net_vhost0,iface={self.sockets[0]},queues=1", "net_null0,size=64",
                 f"net_vhost1,iface={self.sockets[1]},queues=1",
                 memif_device(directory, 1)]
        self._testpmd = Testpmd(vdevs, ["--forward-mode=io"], directory=directory)
        self._testpmd.command("start")
        self.pid = self._testpmd.pid

    def running(self):
        """A dead child stays a zombie until it is waited for."""
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
                return stat.read().rpartition(")")[2].split()[0] != "Z"
        except FileNotFoundError:
            return False

    def log_bytes(self):
        return len(self._testpmd.output.text)

    def tail(self):
        return self._testpmd.output.tail()

    def neighbour_packets(self):
        stats = self._testpmd.stats()
        return stats[3]["TX-packets"], stats[2]["TX-packets"]

    def stop(self):
        self._testpmd.quit()
        self._testpmd.__exit__()

    def kill(self):
        self._testpmd.__exit__()


@dataclass
class Verdict:
    """The outcome of an attack; faults is empty if nobody suffered."""
    name: str
    answer: str
    faults: list = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self):
        return "; ".join(self.faults) or "survives"


class Arena:
    """A program under attack, with its neighbour. It is restarted if an attack was too much for it."""

    def __init__(self, directory, program=Daemon):
        self._directory, self._program = directory, program
        self.starts = 0
        self.program = self._peer = self._door = None

    def start(self):
        self.starts += 1
        directory = self._directory / f"run{self.starts}"
        directory.mkdir()
        self.program = self._program(directory)
        self._door = Door(self.program.sockets[0], self.program.client)
        self._peer = Peer(directory, vm=self.program.sockets[1], net=net_socket(directory, 1),
                          server=self.program.client, count=0, rate=NEIGHBOUR_PPS, flows=4,
                          queue_size=256)
        self._peer.start()
        wait_until(lambda: min(self.program.neighbour_packets()) > 0, 20, "the neighbour sends")
        self._honest_frontend()  # so that everything that is created only once exists
        self._settle(None)
        self._files, self._memory = open_files(self.program.pid), self._anonymous_kib()
        return self

    def _anonymous_kib(self):
        return memory_kib(self.program.pid, "RssAnon")

    def _settle(self, files):
        """Waits until what we have closed is closed there too."""
        if files is None:
            last = [0]

            def steady():
                last.append(open_files(self.program.pid))
                return last[-1] == last[-2]

            wait_until(steady, 20, "a steady number of descriptors", interval=0.1)
        else:
            wait_until(lambda: open_files(self.program.pid) <= files, 20, "descriptors closed",
                       interval=0.01)

    def _honest_frontend(self):
        """An honest frontend is served on the attacked socket: packets both ways."""
        deadline = time.monotonic() + HONEST_TIMEOUT_S
        while True:
            try:
                connection = self._door.connect(HONEST_TIMEOUT_S / 2)
                with Frontend(None, connection=connection) as frontend:
                    frontend.start()
                    frontend.wait_frames(8, timeout=HONEST_TIMEOUT_S / 2)
                    for _ in range(8):
                        frontend.send(bytes(64))
                    frontend.wait_sent(timeout=HONEST_TIMEOUT_S / 2)
                    return
            except (Disconnected, ConnectionError, BlockingIOError):
                # What the attack has opened may still be closing.
                if time.monotonic() > deadline or not self.program.running():
                    raise
                time.sleep(0.02)

    def _neighbour_goes_on(self):
        before = self.program.neighbour_packets()

        def moved():
            now = self.program.neighbour_packets()
            return all(new > old for new, old in zip(now, before))

        wait_until(moved, 20, "packets of the neighbour", interval=0.01)

    def _neighbour_is_fed(self):
        """Its device has back pressure: one that is starved loses nothing, but gets slower."""
        before, began = self.program.neighbour_packets(), time.monotonic()

        def at_half_its_rate():
            nonlocal before, began
            now, passed = self.program.neighbour_packets(), time.monotonic() - began
            fed = all(new - old > passed * NEIGHBOUR_PPS / 2 for new, old in zip(now, before))
            before, began = now, began + passed
            return fed

        wait_until(at_half_its_rate, STARVED_TIMEOUT_S, "half of the neighbour's rate", interval=0.1)

    def _run(self, attack, target):
        """Runs an attack; returns how it was answered. One that must be refused has to run to its
        end: target.refused() and hung_up_on() check it."""
        try:
            attack.run(target)
            return "refused" if attack.expected == REFUSED else "through"
        except Refused:
            answer = "refused on the way"
        except Disconnected:
            answer = "hung up"
        except TimeoutError:
            answer = "silence"
        except (ConnectionError, BlockingIOError):
            answer = "no connection"
        if attack.expected == REFUSED:
            raise Accepted(answer)
        return answer

    def _judge(self, verdict, log_before):
        """Checks what must hold, from worst to least; the first violation is the fault."""
        program = self.program
        checks = (
            ("no honest guest is served afterwards", self._honest_frontend),
            ("the neighbour stands still", self._neighbour_goes_on),
            ("descriptors are leaked", lambda: self._settle(self._files)))
        if not program.running():
            verdict.faults.append("the process dies")
            return
        for fault, check in checks:
            try:
                check()
            except (AssertionError, OSError, Disconnected, Refused):
                if not program.running():
                    fault = "the process dies"
                verdict.faults.append(fault)
                return
        grown = self._anonymous_kib() - self._memory
        if grown > MEMORY_KIB_MAX:
            verdict.faults.append(f"{grown >> 10} MiB of memory are kept")
        logged = program.log_bytes() - log_before
        if logged > LOG_BYTES_MAX:
            verdict.faults.append(f"{logged >> 10} KiB of log lines")

    def _judge_neighbour(self, verdict):
        """While the attack is still on: other guests' packets flow, and other sockets answer."""
        fault = "the neighbour stands still"
        try:
            self._neighbour_goes_on()
            fault = "the neighbour is starved"
            self._neighbour_is_fed()
            if not self.program.client:
                with Connection.connect(self.program.sockets[1], HONEST_TIMEOUT_S / 2) as connection:
                    connection.ask(Request.GET_FEATURES)
        except WaitTimeout:
            verdict.faults.append(fault)
        except (OSError, Disconnected):
            verdict.faults.append("the neighbour's socket does not answer")

    def strike(self, attack):
        """Runs an attack and judges it."""
        if self.program is None:
            self.start()
        start, log_before = time.monotonic(), self.program.log_bytes()
        target = Target(self._door, self.program.answer_timeout_s)
        verdict = Verdict(attack.name, "")
        try:
            try:
                verdict.answer = self._run(attack, target)
            except Accepted as accepted:
                verdict.answer = "accepted"
                verdict.faults.append(f"not refused: {accepted}")
            except DrawnOut as drawn_out:
                verdict.answer = "drawn out"
                verdict.faults.append(f"drawn out: {drawn_out}")
            if attack.hold and self.program.running():
                self._judge_neighbour(verdict)
        finally:
            target.close()
        if not any("neighbour" in fault for fault in verdict.faults):
            self._judge(verdict, log_before)
        verdict.seconds = time.monotonic() - start
        if any(not fault.startswith("not refused") for fault in verdict.faults):
            self.abandon()
        return verdict

    def abandon(self):
        """Ends everything, in whatever state it is; the next attack starts it again."""
        if self.program:
            self.program.kill()
            self._peer.__exit__()
            self._door.close()
        self.program = self._peer = self._door = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.abandon()

    def finish(self):
        """Ends cleanly; returns the neighbour's result, or None if nothing was running."""
        if self.program is None:
            return None
        try:
            self._peer.stop()
            result = self._peer.result(30)
            self.program.stop()  # before the peer leaves, see memif_device()
            self._peer.finish()
            return result
        finally:
            self.abandon()
