# SPDX-License-Identifier: BSD-3-Clause
"""Sockets are added and removed again and again under VMs that send and that reconnect at once;
nothing is left behind."""

import contextlib
import os
import random
import re
import select
import shutil
import socket
import threading
import time

import pytest

from lib import vioclient
from lib.packet_socket import raw_frame
from lib.peer import counted
from lib.proc import memory_kib, open_files, wait_until
from lib.vhostuser import Connection, Disconnected, Frontend, Refused
from lib.vioclient import CLIENT, SERVER
from lib.wire import ADD_SOCK, REMOVE_SOCK, Daemon, honest_client_is_served, settled

CYCLES = 60
SEED = int(os.environ.get("VIO4WD_SEED", 20))
WARM_UP = 4
GROWTH_KIB = 4096
DEVICE = "net_null0,size=64"  # an endless source and a sink

pytestmark = pytest.mark.timeout(420)

modes = pytest.mark.parametrize("mode", [SERVER, CLIENT], ids=["server", "client"])


class Vm:
    """A VM in a thread of its own: it connects, or waits for a connection, sends frames until the
    daemon hangs up, and starts again."""

    def __init__(self, path, mode):
        self.sessions = 0  # sessions in which it has sent
        self._path = path
        self._stop = False
        self._listener = None
        if mode == CLIENT:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen(8)
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._stop:
            with contextlib.suppress(OSError, Disconnected, Refused):
                self._live()

    def _connect(self):
        if self._listener:
            return Connection.accept(self._listener, timeout=0.05)
        if not self._path.exists():
            time.sleep(0.001)
        return Connection.connect(self._path)

    def _live(self):
        connection = self._connect()
        with Frontend(self._path, connection=connection) as frontend:
            frontend.start()
            sent = False
            while not self._stop:
                for _ in range(8):
                    frontend.send(raw_frame(bytes(46)))
                while not frontend.reclaim():
                    if select.select([connection.socket], [], [], 0.001)[0]:
                        raise Disconnected
                    if self._stop:
                        return
                if not sent:
                    self.sessions += 1
                    sent = True

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop = True
        self._thread.join()
        if self._listener:
            self._listener.close()
            self._path.unlink()


@pytest.fixture
def daemon(workdir, stack):
    return stack.enter_context(Daemon(workdir, "--dynamic-sockets"))


@modes
@pytest.mark.parametrize("moment", ["sending", "whenever"])
def test_removed_under_a_vm(daemon, workdir, mode, moment):
    """Removes it while the VM sends, or at some point on its way there."""
    chance = random.Random(SEED)
    path = workdir / "vm.sock"
    relay = {"device": [DEVICE], "vhost_path": str(path), "conditional": False}

    def cycle(vm):
        before = vm.sessions
        daemon.done(ADD_SOCK, socket_mode=mode, **relay)
        if moment == "sending":
            wait_until(lambda: vm.sessions > before, 20, "the VM sends", interval=0.001)
        else:
            time.sleep(chance.random() * 0.05)
        daemon.done(REMOVE_SOCK, **relay)
        assert daemon.devices() == {}
        assert path.exists() == (mode == CLIENT)

    with Vm(path, mode) as vm:
        for _ in range(WARM_UP):
            cycle(vm)
        files, memory = open_files(daemon.pid), memory_kib(daemon.pid)
        for _ in range(CYCLES):
            cycle(vm)
        before = vm.sessions
        daemon.done(ADD_SOCK, socket_mode=mode, **relay)
        wait_until(lambda: vm.sessions > before, 20, "the VM sends in the end")
        wait_until(lambda: counted(daemon, "vf_to_vm").sent[0] > 0, 20, "the VM gets frames")
        daemon.done(REMOVE_SOCK, **relay)
    honest_client_is_served(daemon)
    settled(daemon, files)
    assert memory_kib(daemon.pid) < memory + GROWTH_KIB
    assert not vioclient.relay(daemon.stats_endpoint, 0).active


def test_new_socket_of_a_relay_that_had_a_vm(daemon, workdir):
    """What the log said of the VM on the socket before is not held against this one's."""
    for path in workdir / "first.sock", workdir / "second.sock":
        daemon.done(ADD_SOCK, device=[DEVICE], vhost_path=str(path), socket_mode=SERVER)
        with Frontend(path) as frontend:
            frontend.start()
            wait_until(lambda: f"VM attached to {path}" in daemon.output.text, 20, "the VM")
            assert f"VM detached from {path}" not in daemon.output.text
            daemon.done(REMOVE_SOCK, vhost_path=str(path))


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a directory away")
def test_directory_in_which_the_vm_cannot_make_its_socket(workdir, stack):
    """A daemon in server mode makes the directory for itself; a socket in client mode is added there all
    the same, and the log says what QEMU lacks."""
    workdir.chmod(0o755)
    directory, theirs = workdir / "sockets", workdir / "theirs"
    theirs.mkdir()
    shutil.chown(theirs, "nobody")
    daemon = stack.enter_context(Daemon(workdir, "--dynamic-sockets", "--vhost-username=nobody",
                                        f"--vhost-path={directory}"))
    for parent, mode in ((directory, SERVER), (theirs, CLIENT), (directory, CLIENT)):
        path = str(parent / "vm.sock")
        daemon.done(ADD_SOCK, device=[DEVICE], vhost_path=path, socket_mode=mode)
        daemon.done(REMOVE_SOCK, vhost_path=path)
    wait_until(lambda: daemon.output.text.count(f"{DEVICE} detached") == 3, 20, "the log")
    [last] = re.findall("relay 0: socket directory .*", daemon.output.text)
    assert re.search(f"its owner and mode keep out nobody, .*: chown nobody {directory}$", last)
    assert daemon.output.text.count(f"{DEVICE} detached", 0, daemon.output.text.index(last)) == 2
