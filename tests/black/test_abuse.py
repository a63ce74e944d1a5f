# SPDX-License-Identifier: BSD-3-Clause
"""What clients may do to the ZeroMQ endpoints: send garbage, come in crowds, vanish, or never read.
The next honest client is answered in time, nothing grows, and a relay under load loses nothing."""

import random
import socket
import time
from contextlib import ExitStack

import pytest
import zmq

from lib import vioclient
from lib.paths import work_directory
from lib.peer import ENDS, assert_nothing_lost, attached_peer, counted, end, memif_device
from lib.proc import memory_kib, open_files
from lib.vioclient import compat
from lib.wire import ADD, ERROR, Daemon, honest_client_is_served, settled

HANG_UP_MS = 20_000
VANISHING = 10_000
MANY_FRAMES, FRAME_BYTES = 100_000, 64  # as libzmq keeps short ones
GROWTH_KIB = 4096
LOAD_PPS = 20_000  # each way; so much fits two CPUs


def connect(endpoint):
    client = socket.socket(socket.AF_UNIX)
    client.connect(endpoint.removeprefix("ipc://"))
    return client


@pytest.fixture(scope="module")
def loaded():
    """A daemon, and a peer that constantly sends both ways through its relay 0. In the end, all of its
    packets have come, by their numbers, whichever of the tests ran."""
    with (work_directory() as directory, ExitStack() as stack,
          Daemon(directory, devices={0: memif_device(directory)}) as daemon):
        peer = attached_peer(stack, directory, daemon, count=0, rate=LOAD_PPS)
        peer.start()
        vioclient.stats(daemon.stats_endpoint, delay=1)  # the daemon keeps its timer from now on
        yield daemon
        peer.stop()
        assert_nothing_lost(daemon, peer.result())
        end(daemon, peer)


@pytest.fixture
def unmoved(loaded):
    """A daemon that must neither grow nor lose or delay packets."""
    honest_client_is_served(loaded)
    files, memory = open_files(loaded.pid), memory_kib(loaded.pid, "RssAnon")
    passed = [counted(loaded, direction).sent[0] for direction in ENDS]
    yield loaded
    honest_client_is_served(loaded)
    for direction, before in zip(ENDS, passed, strict=True):
        counters = counted(loaded, direction)
        assert counters.sent[0] > before and counters.dropped == (0, 0)
    settled(loaded, files)
    assert memory_kib(loaded.pid, "RssAnon") - memory < GROWTH_KIB


def test_random_messages(unmoved):
    rng = random.Random(1)
    for endpoint in unmoved.endpoints.values():
        with zmq.Context() as context, context.socket(zmq.DEALER) as client:
            client.linger = 0
            client.connect(endpoint)
            for _ in range(2000):
                client.send_multipart([b"", rng.randbytes(rng.randrange(200))])
                if client.poll(0):
                    client.recv_multipart()
        honest_client_is_served(unmoved)


def test_truncated_and_mutated_messages(unmoved):
    """Slightly broken versions of an honest request: each is answered, and none is executed."""
    rng = random.Random(2)
    request = vioclient.extended.PortControlRequest(
        op=ADD, virtio_id=64, name="bond0", vhost_path="/tmp/x", ident="x",
        device=["net_null0", "net_null1"]).SerializeToString()
    with zmq.Context() as context, context.socket(zmq.REQ) as client:
        client.linger = 0
        client.connect(unmoved.port_control_endpoint)
        for number in range(3000):
            data = bytearray(request[:rng.randrange(len(request))])
            for _ in range(number % 4):
                if data:
                    data[rng.randrange(len(data))] = rng.randrange(256)
            client.send(bytes(data))
            assert client.poll(5000)
            assert compat.PortControlResponse.FromString(client.recv()).status == ERROR
    assert unmoved.devices().keys() == {0}


def test_wrong_envelopes(unmoved):
    for endpoint in unmoved.endpoints.values():
        with zmq.Context() as context, context.socket(zmq.DEALER) as client:
            client.linger = 0
            client.connect(endpoint)
            for frames in [[b"x"], [b""], [b"", b"", b""], [b"x"] * 20, [b"", b"x", b"y"],
                           [b"x" * 1000, b"", b"x"]]:
                client.send_multipart(frames)
            # What a REP socket would answer is answered: envelopes come back as they were sent.
            client.send_multipart([b"tag", b"", b"\xff"])
            assert client.poll(5000)
            assert client.recv_multipart()[:2] == [b"tag", b""]


def test_messages_of_many_frames(loaded):
    """libzmq does not limit how many frames a message has. The daemon throws such messages away while
    it serves others, and does not keep them."""
    files, memory = open_files(loaded.pid), memory_kib(loaded.pid, "RssAnon")
    for _ in range(10):
        with zmq.Context() as context, context.socket(zmq.DEALER) as client:
            client.linger = 0
            client.connect(loaded.port_control_endpoint)
            client.send_multipart([b""] + [b"x"] * (MANY_FRAMES - 1))
            client.send_multipart([b"", b"\xff"])
            honest_client_is_served(loaded)
            assert client.poll(5000)  # the next message is answered
            client.recv_multipart()
        settled(loaded, files)
    # malloc keeps as much as one or two of the ten took.
    assert memory_kib(loaded.pid, "RssAnon") - memory < 3 * MANY_FRAMES * FRAME_BYTES / 1024


def test_oversized_message(unmoved):
    for endpoint in unmoved.endpoints.values():
        with zmq.Context() as context, context.socket(zmq.REQ) as client:
            client.linger = 0
            client.connect(endpoint)
            with client.get_monitor_socket(zmq.EVENT_DISCONNECTED) as hang_ups:
                client.send(bytes(50_000_000))
                assert hang_ups.poll(HANG_UP_MS)
            assert not client.poll(0)


def test_raw_garbage(unmoved):
    rng = random.Random(3)
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\0NULL"
    for endpoint in unmoved.endpoints.values():
        for number in range(300):
            with connect(endpoint) as client:
                try:
                    client.sendall(greeting if number % 2 else b"")
                    client.sendall(rng.randbytes(rng.randrange(2000)))
                except BrokenPipeError:
                    pass  # the daemon has hung up, as it may


def test_crowd_that_vanishes(unmoved):
    endpoints = list(unmoved.endpoints.values())
    for number in range(VANISHING):
        with connect(endpoints[number % len(endpoints)]) as client:
            if number % 3 == 0:
                client.sendall(b"\xff" + bytes(8) + b"\x7f")
        if number % 1000 == 0:
            honest_client_is_served(unmoved)


def test_clients_that_leave_before_the_answer(unmoved):
    request = compat.StatsRequest(delay=300).SerializeToString()
    for _ in range(20):
        with zmq.Context() as context:
            for _ in range(10):
                client = context.socket(zmq.REQ)
                client.linger = 50
                client.connect(unmoved.stats_endpoint)
                client.send(request)
                client.close()
    honest_client_is_served(unmoved)


def test_client_that_never_reads(unmoved):
    request = compat.StatsRequest().SerializeToString()
    with zmq.Context() as context, context.socket(zmq.DEALER) as client:
        client.linger = 0
        client.rcvhwm = 1
        client.connect(unmoved.stats_endpoint)
        sent = 0
        for _ in range(3000):  # with about 50 KiB of answer each
            try:
                client.send_multipart([b"", request], zmq.DONTWAIT)
                sent += 1
            except zmq.Again:
                time.sleep(0.001)
        assert sent > 1000
        honest_client_is_served(unmoved)


def test_silent_clients(unmoved):
    """Connections that send nothing, or half a greeting, are closed after a while."""
    files = open_files(unmoved.pid)
    clients = [connect(unmoved.stats_endpoint) for _ in range(200)]
    for client in clients[::2]:
        client.sendall(b"\xff" + bytes(8) + b"\x7f\x03")
    honest_client_is_served(unmoved)
    settled(unmoved, files)
    for client in clients:
        client.close()
