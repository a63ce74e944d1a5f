# SPDX-License-Identifier: BSD-3-Clause
"""Under systemd, events of relays go to the journal as entries with fields; otherwise the same text
goes to stderr, or to syslog."""

import os
import re
import signal
import socket

import pytest

from lib.forwarder import Forwarder
from lib.peer import memif_device
from lib.proc import Process, run, wait_until
from lib.vhostuser import Frontend

# $JOURNAL_STREAM is how systemd says that stderr is the journal's; its socket is in a /run of our
# own.
START = """\
set -e
mount -t tmpfs none /run
mkdir -p /run/systemd/journal
mount --bind "$1" /run/systemd/journal
shift
export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2)
exec "$@"
"""


# A /dev of our own, with the fake syslogd's socket.
START_SYSLOG = """\
set -e
mkdir -p "$1/dev"
mount -t tmpfs none "$1/dev"
for name in null urandom; do
    touch "$1/dev/$name"
    mount --bind "/dev/$name" "$1/dev/$name"
done
ln -s "$1/socket" "$1/dev/log"
mount --rbind "$1/dev" /dev
shift
exec "$@"
"""


class Journal:
    """A fake journald or syslogd: the datagrams that arrive at its socket."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(directory / "socket"))
        self._socket.settimeout(30)

    def close(self):
        self._socket.close()

    def lines_until(self, text):
        """The datagrams up to the one that holds the text."""
        lines = []
        while not lines or text not in lines[-1]:
            lines.append(self._socket.recv(65536).decode())
        return lines

    def wait_event(self, name):
        """The next entry of that event, as {field: value}."""
        while True:
            text = self._socket.recv(65536).decode()
            entry = dict(line.split("=", 1) for line in text.splitlines())
            if entry.get("EVENT") == name:
                return entry


@pytest.fixture
def journal(workdir):
    journal = Journal(workdir / "journal")
    yield journal
    journal.close()


@pytest.mark.parametrize("options", [[], ["--nodaemon=log_syslog"]], ids=["stderr", "syslog"])
def test_events_have_fields(workdir, stack, journal, options):
    """Also with the option that the shipped unit passes to the daemon."""
    device = memif_device(workdir)
    forwarder = Forwarder(workdir, {3: device}, options=options)
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", START, "sh",
            journal.directory, *forwarder.argv]
    daemon = stack.enter_context(Process(argv, "daemon", log_path=workdir / "daemon.log"))

    attached = journal.wait_event("device-attached")
    assert attached["RELAY"] == "3" and attached["DEVICE"] == device
    assert attached["SOCKET"] == str(forwarder.socket(3))
    assert attached["MESSAGE"] == f"relay 3: device {device} attached"
    assert attached["PRIORITY"] == "6" and attached["SYSLOG_IDENTIFIER"] == "virtio-forwarder"
    ready = journal.wait_event("ready")
    assert "RELAY" not in ready and ready["PRIORITY"] == "5"

    with Frontend(forwarder.socket(3)) as frontend:
        frontend.start()
        assert journal.wait_event("vm-attached")["RELAY"] == "3"
        frontend.start_log()
        assert journal.wait_event("migration-started")["RELAY"] == "3"
        frontend.stop_log()
        assert journal.wait_event("migration-ended")["RELAY"] == "3"
    assert journal.wait_event("vm-detached")["RELAY"] == "3"
    daemon.signal(15)
    assert journal.wait_event("stopping")["MESSAGE"].startswith("stopping on ")
    assert journal.wait_event("device-detached")["DEVICE"] == device
    assert daemon.wait(30) == 0
    # The same text is not on stderr as well.
    assert "attached" not in daemon.output.text


def test_the_same_text_on_stderr(workdir, stack):
    device = memif_device(workdir)
    forwarder = stack.enter_context(Forwarder(workdir, {3: device}))
    assert re.search(rf" info relay 3: device {re.escape(device)} attached\n",
                     forwarder.output.text)


@pytest.mark.parametrize("option", ["--nodaemon=log_syslog", None], ids=["foreground", "background"])
def test_syslog_has_the_start(workdir, journal, option):
    """What the log says while the daemon starts reaches syslog, and so does why it does not start."""
    argv = [argument for argument in Forwarder(workdir).argv if argument != "--nodaemon"]
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", START_SYSLOG, "sh",
            journal.directory, *argv, *([option] if option else [])]
    pid_file = workdir / "virtio-forwarder.pid"
    with Process(argv, "daemon", log_path=workdir / "daemon.log"):
        lines = journal.lines_until("ready: ")
        assert any("port control over ZeroMQ" in line for line in lines[:-1]), lines
        assert all(line.startswith("<") and "virtio-forwarder[" in line for line in lines), lines
        try:
            assert "runs already" in run(argv, check=False)  # stderr has it too
            journal.lines_until("runs already")
        finally:
            pid = int(pid_file.read_text(encoding="ascii"))
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: not pid_file.exists(), 30, "the daemon to end")
