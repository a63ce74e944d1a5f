# SPDX-License-Identifier: BSD-3-Clause
"""TCP between a namespace and a guest, checked by SHA-256 sums. Needs only busybox on either side;
nc -e gives the socket to a single program, so each end closes once its data is through."""

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from lib.proc import Process, wait_until

PORT = 5001


@dataclass
class Transfer:
    mib: int
    seconds: float
    intact: bool

    def __str__(self):
        return (f"{self.mib} MiB in {self.seconds:.1f} s, sha256 "
                + ("equal" if self.intact else "DIFFERS"))


def _listening(text):
    return f":{PORT} " in text


def tcp_to_guest(wire, guest, address, mib=4, timeout=120):
    """Sends random data from the namespace to the guest's address."""
    with tempfile.NamedTemporaryFile() as data:
        data.write(os.urandom(mib << 20))
        data.flush()
        wanted = wire.run(["sha256sum", data.name]).split()[0]
        guest.run(f"rm -f /tmp/sum; (nc -l -p {PORT} -e sh -c 'exec sha256sum >/tmp/sum' &)")
        wait_until(lambda: _listening(guest.run("netstat -ltn")), 10, "nc listens in the guest")
        start = time.monotonic()
        wire.run(["busybox", "nc", address, PORT, "-e", "cat", data.name], timeout)
        received = wait_until(lambda: guest.run("cat /tmp/sum 2>/dev/null || true"), timeout,
                              "the sum in the guest")
    return Transfer(mib, time.monotonic() - start, wanted in received)


def tcp_from_guest(wire, guest, address, mib=4, timeout=120):
    """Sends random data from the guest to the namespace's address."""
    guest.run(f"head -c {mib << 20} /dev/urandom >/tmp/data")
    wanted = guest.run("sha256sum </tmp/data").split()[0]
    with tempfile.TemporaryDirectory() as folder:
        listen = wire.argv(["busybox", "nc", "-l", "-p", PORT, "-e", "sh", "-c",
                            f"exec sha256sum >{folder}/sum"])
        with Process(listen, "nc") as listener:
            wait_until(lambda: _listening(wire.run(["busybox", "netstat", "-ltn"])), 10,
                       "nc listens in the namespace")
            start = time.monotonic()
            guest.run(f"nc {address} {PORT} -e cat /tmp/data", timeout)
            listener.wait(timeout)
            seconds = time.monotonic() - start
        received = Path(folder, "sum").read_text(encoding="ascii").split()[0]
    return Transfer(mib, seconds, received == wanted)
