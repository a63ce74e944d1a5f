#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Prints what docs/scale.md says of a restart: how long the daemon takes to stop and to start, and how long
each VM is without network. The devices are af_packet's; what the VMs send comes back from the far ends of the
veth pairs. In server mode a VM tries to connect every 20 ms. As root, on a machine that does nothing else:

    VIO4WD_BUILD=$PWD/build-static tests/scale/restart.py [--huge] [--client] [--relays 1,16,64] [--runs 3]
"""

import argparse
import multiprocessing
import select
import socket
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from lib.forwarder import Forwarder  # noqa: E402
from lib.hugepages import hugepages  # noqa: E402
from lib.net import Netns  # noqa: E402
from lib.packet_socket import ETHERTYPE, PacketSocket, raw_frame  # noqa: E402
from lib.proc import run  # noqa: E402
from lib.vhostuser import Connection, Disconnected, Frontend  # noqa: E402

RETRY_S = 0.02
PROBE_S = 0.01
PATIENCE_S = 60
HUGE_MIB = 1024


def reflect(netns, interfaces, ready):
    """Sends back what arrives."""
    sockets = {}
    poll = select.epoll()
    for interface in interfaces:
        opened = PacketSocket(netns, interface)
        sockets[opened.fileno()] = opened
        poll.register(opened, select.EPOLLIN)
    ready.set()
    while True:
        for fd, _ in poll.poll():
            for frame in sockets[fd].frames(ETHERTYPE):
                sockets[fd].send(frame)


@dataclass
class Session:
    """What a VM tells of a connection; times by time.monotonic()."""
    relay: int
    connected: float
    forwarding: float = None
    sent: int = 0
    ended: float = None


class Vm(Frontend):
    """Connects again and again, and sends until something comes back."""

    def __init__(self, relay, path, client, results):
        super().__init__(path)
        self.relay, self.results, self.listener = relay, results, None
        self.sessions = 0
        if client:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.listener.listen()

    def dial(self):
        if self.listener:
            return Connection.accept(self.listener, None)
        while True:
            try:
                return Connection.connect(self.path, PATIENCE_S)
            except OSError:
                time.sleep(RETRY_S)

    def probe(self, session):
        """Packets of an earlier session may still arrive, so each has its session's number."""
        frame = raw_frame(self.sessions.to_bytes(46, "big"))
        while not session.forwarding:
            self.send(frame)
            session.sent += 1
            end = time.monotonic() + PROBE_S
            while not session.forwarding and time.monotonic() < end:
                if any(received == frame for _, received in self.receive()):
                    session.forwarding = time.monotonic()
                time.sleep(0.001)

    def serve(self):
        while True:
            self.connection = self.dial()
            self.connection.socket.settimeout(PATIENCE_S)
            session = Session(self.relay, time.monotonic())
            self.sessions += 1
            self.features, self.protocol = Frontend.FEATURES, Frontend.PROTOCOL
            try:
                self.negotiate().share_memory()
                if self.sessions == 1:
                    self.post()
                self.set_up_rings().enable_rings()
                self.probe(session)
                self.results.put(session)
                while not self.connection.closed_by_peer():
                    pass
                session.ended = time.monotonic()
                self.results.put(session)
            except (Disconnected, OSError):  # the daemon is about to end
                pass
            self.connection.close()


class Bed:
    """The daemon, its VMs and their far ends."""

    def __init__(self, stack, relays, client, huge):
        self.relays = relays
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vio4wd-")))
        options = []
        if huge:
            mount = stack.enter_context(hugepages(HUGE_MIB, directory / "huge"))
            options.append(f"--huge-dir={mount}")
        host, wire = (stack.enter_context(Netns("vio4wd-restart", ipv6=False)) for _ in range(2))
        self._link(host, directory / "links", (
            f"link add out{i} type veth peer name far{i} netns {wire.name}\nlink set out{i} up"
            for i in range(relays)))
        self._link(wire, directory / "links", (f"link set far{i} up" for i in range(relays)))
        self.forwarder = Forwarder(
            directory, {i: f"net_af_packet{i},iface=out{i},framecnt=512" for i in range(relays)},
            client=client, netns=host, huge=huge, options=options)
        self.results = multiprocessing.Queue()
        ready = multiprocessing.Event()
        self._spawn(stack, reflect, wire.name, [f"far{i}" for i in range(relays)], ready)
        ready.wait(PATIENCE_S)
        self.forwarder.start()
        stack.push(self.forwarder)
        for i in range(relays):
            vm = Vm(i, self.forwarder.socket(i), client, self.results)
            self._spawn(stack, vm.serve)
        self.ended = {}
        self.wait_forwarding()

    @staticmethod
    def _link(netns, batch, lines):
        batch.write_text("\n".join(lines), encoding="ascii")
        run(["ip", "-n", netns.name, "-batch", batch])

    @staticmethod
    def _spawn(stack, function, *arguments):
        process = multiprocessing.Process(target=function, args=arguments, daemon=True)
        process.start()
        stack.callback(process.join)
        stack.callback(process.terminate)

    def wait_forwarding(self):
        """Waits until every VM has network; returns their new sessions."""
        sessions = {}
        while len(sessions) < self.relays:
            session = self.results.get(timeout=PATIENCE_S)
            if session.ended:
                self.ended[session.relay] = session.ended
            else:
                sessions[session.relay] = session
        return [sessions[i] for i in range(self.relays)]

    def restart(self):
        stopping = time.monotonic()
        self.forwarder.stop()
        starting = time.monotonic()
        self.forwarder.start()
        ready = time.monotonic()
        sessions = self.wait_forwarding()
        span = lambda times: f"median {statistics.median(times):.2f}, longest {max(times):.2f} s"
        print(f"stop {starting - stopping:.2f} s, start {ready - starting:.2f} s; "
              f"first VM after {min(s.forwarding for s in sessions) - starting:.2f} s; "
              f"VMs without network: {span([s.forwarding - self.ended[s.relay] for s in sessions])}; "
              f"connected without network: {span([s.forwarding - s.connected for s in sessions])}, "
              f"{sum(s.sent for s in sessions) - self.relays} packets", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--huge", action="store_true", help="huge pages")
    parser.add_argument("--client", action="store_true", help="the daemon connects to the VMs")
    parser.add_argument("--relays", default="1,16,64")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    for relays in map(int, arguments.relays.split(",")):
        with ExitStack() as stack:
            bed = Bed(stack, relays, arguments.client, arguments.huge)
            print(f"{relays} relays, {'client' if arguments.client else 'server'} mode, "
                  f"{'huge' if arguments.huge else 'ordinary'} pages", flush=True)
            for _ in range(arguments.runs):
                bed.restart()


main()
