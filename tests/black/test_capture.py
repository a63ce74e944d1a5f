# SPDX-License-Identifier: BSD-3-Clause
"""vio4wd capture: it writes what has passed, and the relay loses nothing by it, whatever happens to
the client, the VM or the device."""

import os
import re
import signal
import socket
import struct
import subprocess
import time
from functools import partial

import pytest

from lib import pcapng
from lib.forwarder import Forwarder
from lib.paths import program
from lib.peer import (Peer, assert_nothing_lost, attach, attached_peer, detach, end, memif_device,
                      net_socket, wait_active)
from lib.proc import (Process, growth_allowed_kib, mapped_files, memory_kib, open_files, run,
                      wait_until)

PACKETS = 4000  # each way; all of them fit into a ring, so none may be missing
DIRECTIONS = {"vf_to_vm": "relay0-vf-to-vm", "vm_to_vf": "relay0-vm-to-vf"}
TAG = struct.Struct(">IHBxQ")  # the peer's tag behind the UDP header: epoch, flow, origin, seq
HEADERS = 42
REQUEST = struct.Struct("IIII")  # version, relay, directions, snaplen
VERSION = 2
DONE, REFUSED, USAGE = 0, 1, 2
LOGGED_AT_ONCE = 10  # captures; then one a second


@pytest.fixture
def endpoint(workdir):
    return f"ipc://{workdir}/capture"


@pytest.fixture
def forwarder(workdir, stack, endpoint):
    return stack.enter_context(Forwarder(workdir, {0: memif_device(workdir)},
                                         options=[f"--capture-ep={endpoint}"]))


@pytest.fixture
def make_peer(workdir, stack, forwarder):
    """Starts a peer at both ends of relay 0."""
    return partial(attached_peer, stack, workdir, forwarder, flows=4)


@pytest.fixture
def capture(workdir, stack, endpoint):
    """Starts `vio4wd capture` with the file workdir/NAME.pcapng; on return it is capturing."""
    def start(*arguments, name="capture", relay=0, prefix=()):
        process = stack.enter_context(Process(
            [*prefix, program("vio4wd"), "capture", f"--capture-ep={endpoint}",
             f"--write={workdir}/{name}.pcapng", relay, *arguments], name))
        process.expect("capturing relay", 20)
        return process

    return start


def call(*arguments):
    """Runs it until it ends; returns (exit code, standard error)."""
    result = subprocess.run([program("vio4wd"), "capture", *map(str, arguments)], timeout=30,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    return result.returncode, result.stderr.decode()


def finish(process, number=signal.SIGINT, code=DONE):
    """Ends a capture; returns (packets written, packets lost) as it reports them."""
    process.signal(number)
    assert process.wait(20) == code, process.output.text
    return tuple(map(int, process.expect(r"(\d+) packets captured, (\d+) lost", 1).groups()))


def numbers(packets, interface):
    """{flow: [sequence numbers]} of the frames of an interface."""
    flows = {}
    for packet in packets:
        if packet.interface == interface:
            _, flow, _, number = TAG.unpack_from(packet.frame, HEADERS)
            flows.setdefault(flow, []).append(number)
    return flows


@pytest.mark.sanitizers
def test_both_directions(workdir, forwarder, make_peer, capture):
    """Every packet is there once, complete, in the order of its flow and under the right interface;
    and tcpdump can read the file."""
    assert (workdir / "capture").stat().st_mode & 0o777 == 0o660
    peer = make_peer(count=PACKETS, sizes="random:700")
    process = capture()
    peer.start()
    result = peer.result()
    assert_nothing_lost(forwarder, result)
    assert finish(process) == (2 * PACKETS, 0)
    path = workdir / "capture.pcapng"
    assert path.stat().st_mode & 0o777 == 0o600
    packets, statistics = pcapng.read(path)
    assert statistics == {interface: (PACKETS, 0) for interface in DIRECTIONS.values()}
    for direction, interface in DIRECTIONS.items():
        flows = numbers(packets, interface)
        assert sum(map(len, flows.values())) == PACKETS
        assert all(seen == list(range(seen[0], seen[0] + len(seen))) for seen in flows.values())
        assert (sum(len(packet.frame) for packet in packets if packet.interface == interface)
                == result[direction]["sent_bytes"])
    assert all(packet.length == len(packet.frame) for packet in packets)
    assert abs(packets[0].time_ns / 1e9 - path.stat().st_mtime) < 600
    assert packets[0].time_ns < packets[-1].time_ns
    assert len(run(["tcpdump", "-nr", path]).splitlines()) >= 2 * PACKETS
    end(forwarder, peer)


def test_direction_filter_snaplen_and_count(workdir, forwarder, make_peer, capture):
    peer = make_peer(count=PACKETS, sizes=300)
    port = "udp[4:2] > 0 and ip[4:2] >= 0"  # matches all of them
    processes = {
        "one-way": capture("--direction=vm-to-vf", "-s", 60, *port.split(), name="one-way"),
        "none": capture("--direction=vf-to-vm", "tcp or arp", name="none"),
    }
    peer.start()
    assert_nothing_lost(forwarder, peer.result())
    assert finish(processes["one-way"]) == (PACKETS, 0)
    assert finish(processes["none"]) == (0, 0)
    packets, statistics = pcapng.read(workdir / "one-way.pcapng")
    assert set(statistics) == {packet.interface for packet in packets} == {DIRECTIONS["vm_to_vf"]}
    assert {(packet.length, len(packet.frame)) for packet in packets} == {(300, 60)}
    packets, statistics = pcapng.read(workdir / "none.pcapng")
    assert (packets, statistics) == ([], {DIRECTIONS["vf_to_vm"]: (PACKETS, 0)})
    end(forwarder, peer)


def test_filter(workdir, forwarder, make_peer, capture):
    """A filter that matches one flow of several: the packets of that flow and no others."""
    peer = make_peer(count=PACKETS)
    everything = capture(name="all")
    peer.start()
    assert_nothing_lost(forwarder, peer.result())
    finish(everything)
    way = [packet.frame for packet in pcapng.read(workdir / "all.pcapng")[0]
           if packet.interface == DIRECTIONS["vf_to_vm"]]
    ports = {struct.unpack_from(">H", frame, 34)[0] for frame in way}
    end(forwarder, peer)
    assert len(ports) == 4, ports

    forwarder.start()
    peer = make_peer(count=PACKETS)
    port = min(ports)
    one = capture("--direction=vf-to-vm", f"udp src port {port}", name="one")
    peer.start()
    assert_nothing_lost(forwarder, peer.result())
    matching = sum(struct.unpack_from(">H", frame, 34)[0] == port for frame in way)
    assert finish(one) == (matching, 0)
    assert {struct.unpack_from(">H", packet.frame, 34)[0]
            for packet in pcapng.read(workdir / "one.pcapng")[0]} == {port}
    end(forwarder, peer)


def test_count(workdir, forwarder, make_peer, capture):
    peer = make_peer(count=PACKETS)
    process = capture("--count=5")
    peer.start()
    assert_nothing_lost(forwarder, peer.result())
    assert process.wait(20) == DONE
    assert len(pcapng.read(workdir / "capture.pcapng")[0]) == 5
    end(forwarder, peer)


def test_terminal_goes(workdir, forwarder, make_peer, capture):
    """A capture ends as if it was interrupted, unless it ignores that (nohup)."""
    process = capture(prefix=("env", "--default-signal=HUP"))
    assert finish(process, signal.SIGHUP) == (0, 0)
    assert pcapng.read(workdir / "capture.pcapng")[1] == dict.fromkeys(DIRECTIONS.values(), (0, 0))
    process = capture(prefix=("env", "--ignore-signal=HUP"))
    process.signal(signal.SIGHUP)
    peer = make_peer(count=PACKETS)
    peer.start()
    assert_nothing_lost(forwarder, peer.result())
    assert finish(process) == (2 * PACKETS, 0)
    end(forwarder, peer)


@pytest.mark.parametrize("kept", [512, 8])  # 8: so short that a ring has 87,381 of them
def test_slow_reader(workdir, forwarder, make_peer, endpoint, kept):
    """A reader that stops loses packets of its capture, which are counted; the relay loses none. What
    is in the rings when it ends is written."""
    peer = make_peer(count=100_000, sizes=512)
    with subprocess.Popen([program("vio4wd"), "capture", f"--capture-ep={endpoint}",
                           f"--snaplen={kept}", "0"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        assert b"capturing" in client.stderr.readline()
        peer.start()
        assert_nothing_lost(forwarder, peer.result())
        client.send_signal(signal.SIGTERM)
        data, said = client.communicate(timeout=60)
        assert client.returncode == DONE
    match = re.search(r"(\d+) packets captured, (\d+) lost", said.decode())
    captured, lost = map(int, match.groups())
    path = workdir / "slow.pcapng"
    path.write_bytes(data)
    packets, statistics = pcapng.read(path)
    assert [seen for seen, _ in statistics.values()] == [100_000, 100_000], (statistics, said)
    assert lost > 0 and captured + lost == 200_000
    assert len(packets) == captured
    assert all(len(packet.frame) == kept for packet in packets)
    assert sum(dropped for _, dropped in statistics.values()) == lost
    end(forwarder, peer)


@pytest.mark.sanitizers
def test_killed_clients_under_traffic(forwarder, make_peer, capture, endpoint):
    """Killed again and again under traffic: the relay loses nothing, and the daemon keeps nothing."""
    peer = make_peer(count=0, rate=20_000)
    peer.start()
    files, mapped, memory = open_files(forwarder.pid), mapped_files(forwarder.pid), None
    for i in range(10):
        process = capture(name=f"capture{i}")
        wait_until(lambda: os.path.getsize(process.argv[-2].removeprefix("--write=")) > 10_000, 20,
                   "packets are captured")
        code, said = call(f"--capture-ep={endpoint}", "--write=/dev/null", 0)
        assert code == REFUSED and "being captured by another client" in said
        process.kill()
        wait_until(lambda: open_files(forwarder.pid) <= files, 20, "the capture ended")
        assert mapped_files(forwarder.pid) == mapped
        memory = memory or memory_kib(forwarder.pid, "RssAnon")
    assert memory_kib(forwarder.pid, "RssAnon") <= memory + growth_allowed_kib(1024)
    peer.stop()
    assert_nothing_lost(forwarder, peer.result())
    end(forwarder, peer)


def test_ends_come_and_go(workdir, stack, endpoint, capture):
    """A capture outlives device and VM of the relay and sees the next ones; it ends with the daemon."""
    forwarder = stack.enter_context(Forwarder(workdir, options=[f"--capture-ep={endpoint}"]))
    process = capture()
    device = memif_device(workdir, role="client")
    for i in range(2):
        peer = stack.enter_context(Peer(workdir, f"peer{i}", net=net_socket(workdir),
                                        net_server=True, vm=forwarder.socket(), count=PACKETS))
        peer.wait_event("open")
        attach(forwarder, 0, device)
        wait_active(forwarder)
        peer.start()
        assert peer.result()["ok"]
        detach(forwarder, 0, device)
        peer.kill()
        wait_active(forwarder, active=False)
        forwarder.wait_vm(attached=False)
    forwarder.stop()
    assert process.wait(20) == REFUSED
    assert "the daemon has ended" in process.output.text
    packets, _ = pcapng.read(workdir / "capture.pcapng")
    assert len(packets) >= 4 * PACKETS  # a VM without a device may have sent on
    for interface in DIRECTIONS.values():
        assert sum(map(len, numbers(packets, interface).values())) >= 2 * PACKETS


def test_four_at_a_time(forwarder, capture, endpoint, workdir):
    captures = [capture(relay=relay, name=f"capture{relay}") for relay in range(4)]
    code, said = call(f"--capture-ep={endpoint}", f"--write={workdir}/x", 5)
    assert code == REFUSED and "4 captures" in said
    assert not (workdir / "x").exists()
    assert finish(captures[0]) == (0, 0)
    code, said = call(f"--capture-ep={endpoint}", f"--write={workdir}/x", "--duration=1", 5)
    assert code == DONE and "0 packets captured" in said
    for process in captures[1:]:
        finish(process)


def test_many_captures_in_the_log(forwarder, endpoint):
    """Only some of many captures are logged, but those from the beginning to the end."""
    begin = time.monotonic()
    for _ in range(4 * LOGGED_AT_ONCE):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(endpoint.removeprefix("ipc://"))
            client.sendall(REQUEST.pack(VERSION, 0, 1, 64))
            assert client.recv(4) == bytes(4)
    seconds = time.monotonic() - begin

    def count(what):
        return forwarder.output.text.count(f"relay 0: capture {what}")

    wait_until(lambda: count("ended") == count("started") > 0, 20, "the last capture's end")
    assert LOGGED_AT_ONCE <= count("started") <= LOGGED_AT_ONCE + seconds + 1


@pytest.mark.sanitizers
def test_hostile_clients(forwarder, workdir, make_peer, capture):
    """Every kind of wrong request, and a client that overwrites all the memory it was given."""
    path = str(workdir / "capture")

    def ask(data):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(path)
            client.sendall(data)
            return struct.unpack_from("i", client.recv(4096))[0]

    assert ask(REQUEST.pack(VERSION - 1, 0, 3, 100)) > 0
    for request in ((64, 3, 100), (2**32 - 1, 3, 100), (0, 0, 100), (0, 4, 100), (0, 3, 0),
                    (0, 3, 65536)):
        assert ask(REQUEST.pack(VERSION, *request)) > 0, request
    with socket.socket(socket.AF_UNIX) as half:
        half.connect(path)
        half.sendall(b"\x01")

    peer = make_peer(count=0, rate=10_000)
    peer.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        client.sendall(REQUEST.pack(VERSION, 0, 3, 65535))
        _, fds, _, _ = socket.recv_fds(client, 4096, 1)
        with pytest.raises(OSError):
            os.ftruncate(fds[0], 0)
        size = os.fstat(fds[0]).st_size
        for value in (0xff, 0x80, 0x01, 0x00):
            # All heads, tails and counters (the first 4 KiB of each ring) and all data.
            for at in range(0, size, 4096):
                os.pwrite(fds[0], bytes([value]) * min(4096, size - at), at)
        os.close(fds[0])
    peer.stop()
    assert_nothing_lost(forwarder, peer.result())
    finish(capture())  # the entry is free again
    end(forwarder, peer)


@pytest.mark.parametrize("arguments, said, code", [
    ([], "which relay?", USAGE),
    ([64], "relay: '64' is no number from 0 to 63", USAGE),
    ([0, "--direction=up"], "--direction: 'up' is none of", USAGE),
    ([0, "udp", "or", "("], "filter 'udp or ('", USAGE),
    ([0, "--snaplen=0"], "--snaplen", USAGE),
    ([0, "--count=x"], "--count", USAGE),
    ([0, "--capture-ep=ipc:///nonexistent"], "no daemon at /nonexistent", REFUSED),
    ([0, "--capture-ep=tcp://127.0.0.1:1"], "is no endpoint like ipc://", REFUSED),
])
def test_errors(arguments, said, code):
    result = call(*arguments)
    assert result[0] == code and said in result[1], result
