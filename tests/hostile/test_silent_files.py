# SPDX-License-Identifier: BSD-3-Clause
"""A frontend sends a file on FUSE whose server it runs, and the server is silent: closing the file
waits for it. Nobody else has to wait."""

import contextlib
import os
import select
import signal
import socket
import struct
from pathlib import Path

import pytest

from lib import vioclient
from lib.forwarder import Forwarder
from lib.proc import wait_until
from lib.silent_file import DirtyFile, SilentFile
from lib.vhostuser import VERSION, Frontend, Request, log_base, mem_table, u64
from lib.wire import ADD_SOCK, OK, REMOVE_SOCK

R = Request
TABLE = mem_table([(0, 4096, 1 << 32, 0)])
HEADER = struct.Struct("=III")

# What is sent, with the file: bytes, and how many eventfds come with it before the file.
DEEDS = {
    "memory": (HEADER.pack(R.SET_MEM_TABLE, VERSION, len(TABLE)) + TABLE, 0),
    "log": (HEADER.pack(R.SET_LOG_BASE, VERSION, 16) + log_base(4096), 0),
    "log_fd": (HEADER.pack(R.SET_LOG_FD, VERSION, 0), 0),
    "kick": (HEADER.pack(R.SET_VRING_KICK, VERSION, 8) + u64(0), 0),
    "call": (HEADER.pack(R.SET_VRING_CALL, VERSION, 8) + u64(0), 0),
    "err": (HEADER.pack(R.SET_VRING_ERR, VERSION, 8) + u64(0), 0),
    "backend_channel": (HEADER.pack(R.SET_BACKEND_REQ_FD, VERSION, 0), 0),
    "unasked": (HEADER.pack(R.GET_FEATURES, VERSION, 0), 0),
    "half_a_message": (HEADER.pack(R.SET_MEM_TABLE, VERSION, len(TABLE)), 0),
    "one_too_many": (HEADER.pack(R.SET_MEM_TABLE, VERSION, len(TABLE)) + TABLE, 8),
    "behind_a_breach": (HEADER.pack(0, VERSION, 0), 0),
    "a_byte": (bytes(1), 0),
}


def serve_a_vm(path):
    with Frontend(path) as frontend:
        frontend.start()
        frontend.send(bytes(64))
        frontend.wait_sent()


def out_of_band_has_descriptors():
    """Not with every kernel."""
    left, right = socket.socketpair()
    with left, right:
        right.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        try:
            socket.send_fds(left, [b"x"], [left.fileno()], socket.MSG_OOB)
        except OSError:
            return False
        fds = socket.recv_fds(right, 1, 1, socket.MSG_DONTWAIT)[1]
        for fd in fds:
            os.close(fd)
        return bool(fds)


def closers(forwarder):
    """The daemon's threads that close something."""
    names = []
    for task in Path(f"/proc/{forwarder.pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            names.append((task / "comm").read_text().strip())
    return names.count("gate-closer")


def send(forwarder, path, deed, file, flags=0):
    """Sends the file, and hangs up; all of that before the daemon looks."""
    data, eventfds = DEEDS[deed]
    with Frontend(path) as frontend, contextlib.ExitStack() as stack:
        frontend.connect().negotiate()
        fds = [os.eventfd(0) for _ in range(eventfds)]
        for fd in fds:
            stack.callback(os.close, fd)
        sock = frontend.connection.socket
        os.kill(forwarder.pid, signal.SIGSTOP)
        stack.callback(os.kill, forwarder.pid, signal.SIGCONT)
        if deed == "behind_a_breach":
            sock.send(data)
        socket.send_fds(sock, [data], [*fds, file.fd], flags)
        if flags:  # a byte out of band is passed over only if there is more
            sock.send(bytes(64))
        file.let_go()


@contextlib.contextmanager
def waiting_vm(path):
    """A VM that has sent its first request."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as vm:
        vm.settimeout(5)
        vm.connect(str(path))
        vm.send(HEADER.pack(R.GET_FEATURES, VERSION, 0))
        yield vm


def assert_only_its_relay_waits(forwarder, neighbour):
    neighbour.send(bytes(64))
    neighbour.wait_sent()
    serve_a_vm(forwarder.socket(1))
    forwarder.output.expect("relay 0: .* no VM is let in, because a file", 20)
    assert closers(forwarder) == 1
    with waiting_vm(forwarder.socket(0)) as late:
        assert not select.select([late], [], [], 0.5)[0]


@pytest.fixture
def attacked(workdir, stack):
    """A daemon with two relays, and a VM on the second one."""
    forwarder = stack.enter_context(Forwarder(
        workdir, {0: "net_null0,size=64", 1: "net_null1,size=64"}))
    neighbour = stack.enter_context(Frontend(forwarder.socket(1)))
    neighbour.start()
    return forwarder, neighbour


@pytest.mark.parametrize("deed", sorted(DEEDS.keys() - {"one_too_many", "behind_a_breach"}))
def test_file_that_cannot_be_closed(workdir, attacked, deed):
    forwarder, neighbour = attacked
    with SilentFile(workdir) as file:
        send(forwarder, forwarder.socket(0), deed, file)
        assert_only_its_relay_waits(forwarder, neighbour)
        file.end()
        forwarder.output.expect("relay 0: .* VMs are let in again", 20)
    serve_a_vm(forwarder.socket(0))
    assert closers(forwarder) == 0


@pytest.mark.parametrize("deed, flags", [
    ("memory", 0), ("one_too_many", 0), ("behind_a_breach", 0), ("a_byte", socket.MSG_OOB)],
    ids=["memory", "one_too_many", "behind_a_breach", "out_of_band"])
def test_file_that_goes_with_data(workdir, attacked, deed, flags):
    """Its last descriptor is in a message."""
    if flags and not out_of_band_has_descriptors():
        pytest.skip("the kernel passes no descriptors out of band")
    forwarder, neighbour = attacked
    with DirtyFile(workdir) as file:
        send(forwarder, forwarder.socket(0), deed, file, flags)
        assert_only_its_relay_waits(forwarder, neighbour)
        file.end()
        forwarder.output.expect("relay 0: .* VMs are let in again", 20)
    serve_a_vm(forwarder.socket(0))


def test_relay_is_removed_meanwhile(workdir, stack):
    forwarder = stack.enter_context(Forwarder(workdir, options=["--dynamic-sockets"]))
    path = workdir / "vm.sock"

    def control(op):
        return vioclient.port_control(forwarder.port_control_endpoint, op, device=["net_null0,size=64"],
                                      vhost_path=str(path), conditional=False).status

    assert control(ADD_SOCK) == OK
    with SilentFile(workdir) as file:
        send(forwarder, path, "memory", file)
        wait_until(lambda: closers(forwarder) == 1, 10, "closing begins")
        with waiting_vm(path) as late:
            assert control(REMOVE_SOCK) == OK
            with pytest.raises(ConnectionResetError):
                late.recv(1)
        assert control(ADD_SOCK) == OK
        serve_a_vm(path)
        wait_until(lambda: closers(forwarder) == 1, 10, "no more than one is left")
        file.end()
        wait_until(lambda: closers(forwarder) == 0, 10, "all is closed")
    serve_a_vm(path)


def test_socket_is_removed_meanwhile(workdir, attacked):
    forwarder, _ = attacked
    path = forwarder.socket(0)
    with SilentFile(workdir) as file:
        send(forwarder, path, "memory", file)
        wait_until(lambda: closers(forwarder) == 1, 10, "closing begins")
        with waiting_vm(path) as late:
            os.unlink(path)
            wait_until(lambda: os.path.exists(path), 20, "the socket is made again")
            with pytest.raises(ConnectionResetError):
                late.recv(1)
        file.end()
        serve_a_vm(path)
