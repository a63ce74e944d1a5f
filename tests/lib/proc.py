# SPDX-License-Identifier: BSD-3-Clause
"""Child processes with captured output, and bounded waits. Every child is ended by its process id,
and the kernel kills it if we die first. (So a Process must be started by a thread that outlives it:
the main one.)"""

import codecs
import itertools
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import termios
import threading
import time
from contextlib import contextmanager

os.environ["LC_ALL"] = "C"  # what children say is read, and must not be translated

TAIL_CHARS = 2000  # characters of a child's output shown when a wait fails


class WaitTimeout(AssertionError):
    """The condition did not become true in time."""


def wait_until(condition, timeout, what, interval=None):
    """Calls condition() until it returns something true, and returns that; fails after timeout
    seconds, naming what was waited for. interval: seconds between the calls; None: first 2 ms, since most of
    what is waited for takes milliseconds, then more and more, up to 50 ms."""
    deadline = time.monotonic() + timeout
    pause = 0.002 if interval is None else interval
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= deadline:
            raise WaitTimeout(f"{what}: not within {timeout} s")
        time.sleep(pause)
        if interval is None:
            pause = min(2 * pause, 0.05)


def end_on_sigterm():
    """From now on SIGTERM ends this program like an exception, so that everything it has started is
    ended too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def run(argv, timeout=60, check=True, **options):
    """Runs a command to completion; returns its output (both streams)."""
    result = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                            timeout=timeout, **options)
    if check and result.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))}: exit code {result.returncode}\n"
                           f"{result.stdout[-TAIL_CHARS:]}")
    return result.stdout


# Put before a command, starts it with closed standard descriptors.
CLOSED = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]


def standard_files(pid):
    """What a process has as standard input, output and error; None for closed ones."""
    links = [f"/proc/{pid}/fd/{fd}" for fd in range(3)]
    return [os.readlink(link) if os.path.lexists(link) else None for link in links]


class Stream:
    """Everything that arrives on a file descriptor, read by a thread of its own (the writer would
    block on a pipe or pty that nobody reads). expect() moves through it like a finger on the page.
    """

    def __init__(self, fd, name, log_path=None):
        self.name = name
        self._fd = fd
        self._log = open(log_path, "w", encoding="utf-8") if log_path else None
        self._text = ""
        self._seen = 0  # expect() has matched up to here
        self._eof = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, name=f"read-{name}", daemon=True)
        self._thread.start()

    def _read(self):
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while True:
            try:
                data = os.read(self._fd, 65536)
            except OSError:  # the other end of the pty is closed
                data = b""
            text = decoder.decode(data, final=not data).replace("\r", "")
            with self._changed:
                self._text += text
                self._eof = not data
                self._changed.notify_all()
            if self._log:
                self._log.write(text)
                self._log.flush()
            if not data:
                if self._log:
                    self._log.close()
                return

    @property
    def text(self):
        with self._changed:
            return self._text

    def tail(self):
        return self.text[-TAIL_CHARS:]

    def expect(self, pattern, timeout):
        """Waits for a match after the last one; returns it."""
        regex = re.compile(pattern, re.S | re.M)
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                match = regex.search(self._text, self._seen)
                if match:
                    self._seen = match.end()
                    return match
                left = deadline - time.monotonic()
                if self._eof or left <= 0:
                    reason = "its output ended" if self._eof else f"not within {timeout} s"
                    raise WaitTimeout(f"{self.name}: no {pattern!r}, {reason}; the end of it:\n"
                                      f"{self._text[-TAIL_CHARS:]}")
                self._changed.wait(left)

    def join(self, timeout=5):
        """Waits for the end of the stream; then the text is complete."""
        self._thread.join(timeout)


class Process:
    """A running child. As a context manager it is killed on exit unless it was stopped."""

    def __init__(self, argv, name, log_path=None, tty=False, env=None, cwd=None):
        """tty: the child gets a terminal (line-buffered output, prompts), and send() writes to it."""
        self.argv = ["setpriv", "--pdeathsig", "KILL", "--"] + [str(a) for a in argv]
        self.name = name
        environment = {**os.environ, **(env or {})}
        if tty:
            self._master, child_fd = pty.openpty()
            attributes = termios.tcgetattr(child_fd)
            attributes[3] &= ~termios.ECHO
            termios.tcsetattr(child_fd, termios.TCSANOW, attributes)
            child_in = child_fd
        else:
            self._master, child_fd = os.pipe()
            child_in = subprocess.DEVNULL
        try:
            self._child = subprocess.Popen(
                self.argv, stdin=child_in, stdout=child_fd, stderr=child_fd,
                start_new_session=True, env=environment, cwd=cwd)
        except BaseException:
            os.close(self._master)
            raise
        finally:
            os.close(child_fd)
        self.output = Stream(self._master, name, log_path)

    @property
    def pid(self):
        return self._child.pid

    def running(self):
        return self._child.poll() is None

    def send(self, text):
        os.write(self._master, text.encode())

    def expect(self, pattern, timeout):
        return self.output.expect(pattern, timeout)

    def signal(self, number):
        if self.running():
            self._child.send_signal(number)

    def wait(self, timeout):
        """Waits until it ends; returns the exit code, negative for a signal."""
        try:
            code = self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise WaitTimeout(f"{self.name} did not end within {timeout} s; its output:\n"
                              f"{self.output.tail()}") from None
        self.output.join()
        return code

    def kill(self):
        """kill -9; waits until it has ended."""
        self.signal(signal.SIGKILL)
        return self.wait(10)

    def terminate(self, timeout=10):
        """Sends SIGTERM; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.running():
            self.kill()
        if self._master >= 0:
            os.close(self._master)
            self._master = -1


def memory_kib(pid, kind="VmRSS"):
    """Resident memory of a process in KiB, as the kernel counts it. kind: a line of its status;
    "RssAnon" leaves out files and shared memory, and thus DPDK's packets and rings."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith(f"{kind}:"):
                return int(line.split()[1])
    raise RuntimeError(f"process {pid} has no memory")


def growth_allowed_kib(usual):
    """How much a program may grow. With sanitizers, whose own memory grows, the environment says
    how much."""
    return int(os.environ.get("VIO4WD_MEMORY_GROWTH_KIB", usual))


def mapped_files(pid):
    """The inodes of the files without a name (memfd) that a process has mapped: VMs' memory among
    them."""
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps:
        return {line.split()[4] for line in maps if "/memfd:" in line}


def open_files(pid):
    """How many descriptors a process holds."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def _settled_descriptors(pid):
    """Those that a process has once it no longer closes what its last clients have left."""
    directory = f"/proc/{pid}/fd"

    def look():
        before = os.listdir(directory)
        time.sleep(0.3)
        return before if os.listdir(directory) == before else None

    return set(map(int, wait_until(look, 20, f"process {pid} opens and closes nothing", interval=0)))


@contextmanager
def few_descriptors(pid, spare):
    """Lets the process open only `spare` more descriptors. The limit is a number, so there may be
    free ones below others that are in use."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    taken = _settled_descriptors(pid)
    free = (number for number in itertools.count() if number not in taken)
    limit = next(itertools.islice(free, spare, None))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
