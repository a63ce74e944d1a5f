# SPDX-License-Identifier: BSD-3-Clause
"""The endpoints that the core scheduler talks to, served by a script: relays with any rates, and
answers that are late, wrong or missing."""

import threading
import time
from pathlib import Path

import zmq

from lib.vioclient import compat, extended

VF_TO_VM, VM_TO_VF = "vf_to_vm", "vm_to_vf"
OK, ERROR = 1, 0  # CoreSchedResponse.Status
UPDATE = 0        # CoreSchedRequest.Op


def zmq_ready(sockets):
    """The names of the sockets that have a request, after a short wait."""
    poller = zmq.Poller()
    for socket in sockets.values():
        poller.register(socket, zmq.POLLIN)
    ready = dict(poller.poll(20))
    return [name for name, socket in sockets.items() if socket in ready]


class Lane:
    """One direction of a relay: `mpps` million packets of 64 bytes a second since `since`."""

    def __init__(self, cpu, mpps, busy=None, pinned=False):
        self.cpu = cpu
        self.mpps = mpps
        self.busy = busy      # measured share of a core; None: not reported
        self.pinned = pinned  # reported with the statistics
        self.slices = []      # if it is split: [[CPU, measured share of a core], ...]
        self.busy_before_s = 0  # of each slice, before this daemon was asked


class FakeDaemon:
    """Serves stats and core_sched in a directory. relays: {id: {direction: Lane}}. Public attributes
    may be changed at any time. A context manager."""

    def __init__(self, directory, cpus, relays, messages=compat, nodes=None, relay_node=None):
        self.endpoints = {name: f"ipc://{directory}/{name}" for name in ("stats", "core_sched")}
        self.cpus = cpus
        self.relays = relays
        self.nodes = nodes   # {cpu: node}, reported with the statistics
        self.relay_node = relay_node  # node of every relay; None: not reported
        self.refusal = None  # text of the answer to UPDATE
        self.garbage = set()  # endpoints that answer nonsense
        self.mute = set()    # endpoints that do not answer
        self.mute_updates = False  # UPDATE is not answered
        self.updates = []    # the requested moves: [{relay: (cpu, cpu)}]
        self.polls_before = []  # n_stats at each update
        self.n_stats = 0     # how often statistics were requested
        self._messages = messages
        self._thread = None

    def start(self):
        self._begin = time.monotonic()
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def stop(self):
        """Ends like a process: the sockets are gone, and so are the counters."""
        self._stop.set()
        self._thread.join()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def load(self, cpu):
        """Million packets per second on a CPU."""
        return sum(lane.mpps for relay in self.relays.values() for lane in relay.values()
                   if lane.cpu == cpu)

    def _serve(self):
        with zmq.Context() as context:
            sockets = {name: self._open(context, name) for name in self.endpoints}
            self._ready.set()
            while not self._stop.is_set():
                for name in zmq_ready(sockets):
                    if not self._answer(sockets[name], name):
                        sockets[name].close()
                        sockets[name] = self._open(context, name)
            for name, socket in sockets.items():
                socket.close()
                Path(self.endpoints[name].removeprefix("ipc://")).unlink(missing_ok=True)

    def _open(self, context, name):
        socket = context.socket(zmq.REP)
        socket.linger = 0
        socket.bind(self.endpoints[name])
        return socket

    def _answer(self, socket, name):
        """False if it does not answer; such a socket takes no further request."""
        request = socket.recv()
        if name in self.mute or (name == "core_sched" and self.mute_updates and
                                 compat.CoreSchedRequest.FromString(request).op == UPDATE):
            return False
        handler = {"stats": self._stats, "core_sched": self._core_sched}[name]
        socket.send(b"\xff\xff\xff" if name in self.garbage
                    else handler(request).SerializeToString())
        return True

    def _stats(self, _):
        self.n_stats += 1
        elapsed = time.monotonic() - self._begin
        response = self._messages.StatsResponse(status=0)
        for number, lanes in list(self.relays.items()):
            relay = response.relay.add(id=number, active=True, socket_id=0)
            relay.vhost.vhost_socket_name = "NONE"
            if self.relay_node is not None:
                relay.numa_node = self.relay_node
            for direction, (source, target) in {VF_TO_VM: ("vf", "vm"),
                                                VM_TO_VF: ("vm", "vf")}.items():
                self._fill(relay, direction, lanes.get(direction), source, target, elapsed)
        if self.nodes and self._messages is extended:
            for cpu, node in self.nodes.items():
                response.worker.add(cpu=cpu, numa_node=node, busy_ns=0, sleep_ns=0,
                                    waiting_ns=int(elapsed / 2 * 1e9))
        return response

    def _fill(self, relay, direction, lane, source, target, elapsed):
        state = getattr(relay, direction)
        state.active = lane is not None
        state.internal_state = "READY"
        for name in (f"pkt_rate_rx_from_{source}", f"byte_rate_rx_from_{source}",
                     f"pkt_rate_tx_to_{target}", f"byte_rate_tx_to_{target}"):
            setattr(state, name, 0)
        if lane is None:
            return
        setattr(relay.cpu, direction, lane.cpu)
        packets = int(lane.mpps * 1e6 * elapsed)
        for prefix, factor in (("pkts", 1), ("bytes", 64)):
            setattr(state, f"{prefix}_rx_from_{source}", packets * factor)
            setattr(state, f"{prefix}_tx_to_{target}", packets * factor)
        if self._messages is extended:
            state.pinned = lane.pinned
            if lane.busy is not None:
                state.busy_ns = int(lane.busy * elapsed * 1e9)
            for cpu, busy in lane.slices:
                state.slice.add(cpu=cpu, busy_ns=int((busy * elapsed + lane.busy_before_s) * 1e9))

    def _core_sched(self, data):
        request = self._messages.CoreSchedRequest.FromString(data)
        if request.op != UPDATE:
            return self._messages.CoreSchedResponse(status=OK, eal_cores=self.cpus)
        moves = {m.relay_number: (m.vf2virtio_cpu, m.virtio2vf_cpu)
                 for m in request.relay_cpu_map}
        self.polls_before.append(self.n_stats)
        self.updates.append(moves)
        if self.refusal:
            return self._messages.CoreSchedResponse(
                status=ERROR, error_code=22, error_code_source=self.refusal)
        for number, cpus in moves.items():
            for direction, cpu in zip((VF_TO_VM, VM_TO_VF), cpus):
                if direction in self.relays[number]:
                    self.relays[number][direction].cpu = cpu
        if self._messages is extended:
            for move in request.relay_cpu_map:
                for direction, cpus in ((VF_TO_VM, move.vf2virtio_slice_cpu),
                                        (VM_TO_VF, move.virtio2vf_slice_cpu)):
                    for cpu, part in zip(cpus, self.relays[move.relay_number][direction].slices):
                        part[0] = cpu
        return self._messages.CoreSchedResponse(status=OK)
