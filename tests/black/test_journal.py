# SPDX-License-Identifier: BSD-3-Clause
"""Under systemd, events of relays go to the journal as entries with fields; otherwise the same text
goes to stderr, or to syslog."""

import os
import re
import select
import signal
import socket

import pytest

from lib import vioclient
from lib.forwarder import Forwarder
from lib.peer import memif_device
from lib.proc import Process, run, wait_until
from lib.vhostuser import Connection, Frontend, Request
from lib.wire import OK, REMOVE, REMOVE_SOCK

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

    def _entry(self):
        """The next one, as {field: value}."""
        text = self._socket.recv(65536).decode()
        return dict(line.split("=", 1) for line in text.splitlines())

    def wait_entry(self, field, value):
        """The next entry in which the field holds the value."""
        while True:
            entry = self._entry()
            if value in entry.get(field, ""):
                return entry

    def entries(self):
        """Those that are there."""
        entries = []
        while select.select([self._socket], [], [], 0)[0]:
            entries.append(self._entry())
        return entries

    def wait_event(self, name):
        return self.wait_entry("EVENT", name)


@pytest.fixture
def journal(workdir):
    journal = Journal(workdir / "journal")
    yield journal
    journal.close()


@pytest.fixture
def start(workdir, stack, journal):
    """Starts a Forwarder's daemon whose journal this is."""

    def start(forwarder):
        argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", START, "sh",
                journal.directory, *forwarder.argv]
        return stack.enter_context(Process(argv, "daemon", log_path=workdir / "daemon.log"))

    return start


@pytest.mark.parametrize("options", [[], ["--nodaemon=log_syslog"]], ids=["stderr", "syslog"])
def test_events_have_fields(workdir, journal, start, options):
    """Also with the option that the shipped unit passes to the daemon."""
    device = memif_device(workdir)
    forwarder = Forwarder(workdir, {3: device}, options=options)
    daemon = start(forwarder)

    attached = journal.wait_event("device-attached")
    assert attached["RELAY"] == "3" and attached["DEVICE"] == device
    assert "SOCKET" not in attached  # it is opened next
    assert attached["MESSAGE"] == f"relay 3: device {device} attached: Link down"  # no peer yet
    assert attached["PRIORITY"] == "6" and attached["SYSLOG_IDENTIFIER"] == "virtio-forwarder"
    ready = journal.wait_event("ready")
    assert "RELAY" not in ready and ready["PRIORITY"] == "5"

    with Frontend(forwarder.socket(3)) as frontend:
        frontend.start()
        vm = journal.wait_event("vm-attached")
        assert vm["RELAY"] == "3" and vm["DEVICE"] == device and vm["SOCKET"] == str(forwarder.socket(3))
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


def test_warnings_of_a_relay_have_fields(workdir, journal, start):
    """So all that is said of a relay, its device and its VM is found by RELAY=, what was held back
    included."""
    device = memif_device(workdir)
    forwarder = Forwarder(workdir, {3: device}, options=["--zero-copy"])
    daemon = start(forwarder)
    copied = journal.wait_entry("MESSAGE", "packets of the VM are copied")
    assert copied["DEVICE"] == device
    journal.wait_event("ready")

    def break_protocol():
        with Connection.connect(forwarder.socket(3)) as connection:
            connection.send(Request.SET_FEATURES)  # without its payload
            assert connection.closed_by_peer()

    break_protocol()
    entries = [journal.wait_entry("MESSAGE", "breaks the protocol")]
    with Frontend(forwarder.socket(3)) as frontend:
        frontend.start()
        frontend.tx().offer([(1 << 50, 100, False)])
        frontend.tx().notify()
        entries.append(journal.wait_entry("MESSAGE", "broke the rules of a ring"))

    def held_back():
        break_protocol()
        return [entry for entry in journal.entries() if "were held back" in entry["MESSAGE"]]

    entries += wait_until(held_back, 30, "some are held back", interval=0)
    for entry in [copied, *entries]:
        assert entry["RELAY"] == "3" and entry["PRIORITY"] == "4"
        assert entry["MESSAGE"].startswith("relay 3: ")
    assert all(entry["SOCKET"] == str(forwarder.socket(3)) for entry in entries[:2])
    daemon.signal(15)
    assert daemon.wait(30) == 0


def test_refused_requests_have_the_fields_that_they_name(workdir, journal, start):
    forwarder = Forwarder(workdir, options=["--dynamic-sockets"])
    start(forwarder)
    journal.wait_event("ready")

    def refused(op, **named):
        response = vioclient.port_control(forwarder.port_control_endpoint, op, conditional=False, **named)
        assert response.status != OK
        return journal.wait_entry("MESSAGE", "port control request refused")

    entry = refused(REMOVE, virtio_id=5, device=["net_null1,size=64"])
    assert entry["RELAY"] == "5" and entry["DEVICE"] == "net_null1,size=64" and entry["PRIORITY"] == "4"
    entry = refused(REMOVE_SOCK, vhost_path="/tmp/nobody.sock")
    assert entry["SOCKET"] == "/tmp/nobody.sock" and "RELAY" not in entry
    entry = refused(REMOVE, virtio_id=64, device=["net_null1,size=64"])  # it cannot be read
    assert "RELAY" not in entry and "DEVICE" not in entry


def test_a_long_name_is_cut_between_characters(workdir, journal, start):
    """journalctl shows nothing of an entry that is not UTF-8. One of the two would be cut within an é."""
    for name in ("é" * 400, "x" + "é" * 400):
        start(Forwarder(workdir, options=[f"--pid-path=/{name}"]))
        entry = journal.wait_entry("MESSAGE", "--pid-path: ")
        assert "éééé" in entry["MESSAGE"]


def test_the_same_text_on_stderr(workdir, stack):
    device = memif_device(workdir)
    forwarder = stack.enter_context(Forwarder(workdir, {3: device}))
    assert re.search(rf" info relay 3: device {re.escape(device)} attached: Link down\n",
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
