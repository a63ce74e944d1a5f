# SPDX-License-Identifier: BSD-3-Clause
"""A client of the ZeroMQ endpoints that shares no code with the project's own: python3-zmq,
python3-protobuf, and messages written from the contract (virtioforwarder_compat.proto). A second
family of messages has the project's extensions, which are added from the tables below."""

import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import zmq
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PROTO = Path(__file__).with_name("virtioforwarder_compat.proto")
PACKAGE = "virtioforwarder"
TIMEOUT_S = 5

_FIELD = descriptor_pb2.FieldDescriptorProto
_OPTIONAL, _REPEATED, _REQUIRED = (
    _FIELD.LABEL_OPTIONAL, _FIELD.LABEL_REPEATED, _FIELD.LABEL_REQUIRED)

# Messages of our own: (number, name, label, type)
MESSAGES = {
    "Drop": [(1, "name", _REQUIRED, _FIELD.TYPE_STRING), (2, "packets", _REQUIRED, _FIELD.TYPE_UINT64),
             (3, "bytes", _REQUIRED, _FIELD.TYPE_UINT64)],
    "Slice": [(1, "cpu", _REQUIRED, _FIELD.TYPE_UINT32), (2, "busy_ns", _REQUIRED, _FIELD.TYPE_UINT64)],
    "Worker": [(1, "cpu", _REQUIRED, _FIELD.TYPE_UINT32), (2, "numa_node", _OPTIONAL, _FIELD.TYPE_INT32),
               (3, "busy_ns", _OPTIONAL, _FIELD.TYPE_UINT64),
               (4, "sleep_ns", _OPTIONAL, _FIELD.TYPE_UINT64),
               (5, "waiting_ns", _OPTIONAL, _FIELD.TYPE_UINT64)],
}

# (message, number, name, label, type)
EXTENSIONS = [
    ("PortControlRequest", 100, "device", _REPEATED, _FIELD.TYPE_STRING),
    ("PortControlRequest", 101, "socket_mode", _OPTIONAL, _FIELD.TYPE_INT32),
    ("PortControlRequest", 102, "ident", _OPTIONAL, _FIELD.TYPE_STRING),
    ("StatsResponse.RelayState", 100, "device", _OPTIONAL, _FIELD.TYPE_STRING),
    ("StatsResponse.RelayState", 101, "vm_listens", _OPTIONAL, _FIELD.TYPE_BOOL),
    ("StatsResponse.RelayState", 102, "numa_node", _OPTIONAL, _FIELD.TYPE_INT32),
    *((f"StatsResponse.RelayState.{direction}", number, name, label, kind)
      for direction in ("VFtoVM", "VMtoVF")
      for number, name, label, kind in (
          (100, "drop", _REPEATED, "Drop"),
          (101, "backlog_packets", _OPTIONAL, _FIELD.TYPE_UINT64),
          (102, "backlog_bytes", _OPTIONAL, _FIELD.TYPE_UINT64),
          (103, "busy_ns", _OPTIONAL, _FIELD.TYPE_UINT64),
          (104, "pinned", _OPTIONAL, _FIELD.TYPE_BOOL),
          (110, "slice", _REPEATED, "Slice"))),
    ("StatsResponse", 100, "worker", _REPEATED, "Worker"),
    ("CoreSchedRequest.RelayCPU", 100, "vf2virtio_slice_cpu", _REPEATED, _FIELD.TYPE_INT32),
    ("CoreSchedRequest.RelayCPU", 101, "virtio2vf_slice_cpu", _REPEATED, _FIELD.TYPE_INT32),
    ("ConfigResponse", 2, "daemon_version", _OPTIONAL, _FIELD.TYPE_STRING),
    ("ConfigResponse", 3, "dpdk_version", _OPTIONAL, _FIELD.TYPE_STRING),
    ("ConfigResponse", 4, "features", _REPEATED, _FIELD.TYPE_STRING),
]

SERVER, CLIENT = 0, 1  # socket_mode


def _compile():
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "descriptors"
        subprocess.run(["protoc", f"--proto_path={PROTO.parent}",
                        f"--descriptor_set_out={output}", PROTO.name], check=True)
        return descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes()).file[0]


def _find(file, path):
    """The message with a dotted path."""
    first, *rest = path.split(".")
    message = next(m for m in file.message_type if m.name == first)
    for name in rest:
        message = next(m for m in message.nested_type if m.name == name)
    return message


def _extended(file):
    """The same messages with the extensions."""
    for message, fields in MESSAGES.items():
        added = file.message_type.add(name=message)
        for number, name, label, kind in fields:
            added.field.add(name=name, number=number, type=kind, label=label)
    for path, number, name, label, kind in EXTENSIONS:
        field = _find(file, path).field.add(name=name, number=number, label=label)
        if kind in MESSAGES:
            field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
        else:
            field.type = kind
    return file


def _classes(file):
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return SimpleNamespace(**{
        m.name: factory.GetPrototype(pool.FindMessageTypeByName(f"{PACKAGE}.{m.name}"))
        for m in file.message_type})


compat = _classes(_compile())              # the messages of deployed clients
extended = _classes(_extended(_compile()))


class NoAnswer(AssertionError):
    """The endpoint did not answer in time."""


class Session:
    """A client that keeps its connection for many requests."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REQ)
        self._socket.linger = 0
        self._socket.connect(str(endpoint))

    def send(self, data):
        """Sends a request whose answer nobody waits for."""
        self._socket.send(data)

    def exchange(self, data, timeout=TIMEOUT_S):
        """Sends a request; returns its answer, both as bytes."""
        self.send(data)
        if not self._socket.poll(timeout * 1000):
            raise NoAnswer(f"{self.endpoint} did not answer within {timeout} s")
        return self._socket.recv()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()
        self._context.term()


def exchange(endpoint, data, timeout=TIMEOUT_S):
    """Sends one request on a new connection; returns its answer, both as bytes."""
    with Session(endpoint) as session:
        return session.exchange(data, timeout)


def pci_addresses(request, addresses):
    """Fills in (domain, bus, slot, function) tuples."""
    for domain, bus, slot, function in addresses:
        request.pci_addrs.add(domain=domain, bus=bus, slot=slot, function=function)


def port_control_request(op, pci=(), messages=extended, **fields):
    """A PortControlRequest as bytes. pci: (domain, bus, slot, function) tuples."""
    request = messages.PortControlRequest(op=op, **fields)
    pci_addresses(request, pci)
    return request.SerializeToString()


def port_control(endpoint, op, pci=(), messages=extended, timeout=TIMEOUT_S, **fields):
    """Sends a PortControlRequest; returns the response."""
    return messages.PortControlResponse.FromString(
        exchange(endpoint, port_control_request(op, pci, messages, **fields), timeout))


def stats(endpoint, messages=extended, **fields):
    """Sends a StatsRequest; returns the response."""
    request = messages.StatsRequest(**fields)
    return messages.StatsResponse.FromString(exchange(
        endpoint, request.SerializeToString(), TIMEOUT_S + fields.get("delay", 0) / 1000))


def relay(endpoint, relay_id, **fields):
    """The state of one relay."""
    response = stats(endpoint, relay=[relay_id], **fields)
    assert response.status == 0 and len(response.relay) == 1, response
    return response.relay[0]


def core_sched(endpoint, op, moves=(), messages=extended):
    """Sends a CoreSchedRequest. moves: (relay, CPU VF to VM, CPU VM to VF) tuples; for directions
    that are split, two more lists with the CPUs of their slices."""
    request = messages.CoreSchedRequest(op=op)
    for number, vf_to_vm, vm_to_vf, *slices in moves:
        move = request.relay_cpu_map.add(
            relay_number=number, vf2virtio_cpu=vf_to_vm, virtio2vf_cpu=vm_to_vf)
        if slices:
            move.vf2virtio_slice_cpu.extend(slices[0])
            move.virtio2vf_slice_cpu.extend(slices[1])
    return messages.CoreSchedResponse.FromString(exchange(endpoint, request.SerializeToString()))


def config(endpoint, messages=extended):
    """Sends a ConfigRequest; returns the response."""
    return messages.ConfigResponse.FromString(
        exchange(endpoint, messages.ConfigRequest().SerializeToString()))
