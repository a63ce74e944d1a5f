#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Where a worker's cycles go: the share of each function per packet, by perf's sampling of the
clock."""

import re
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import HUGE_MEBIBYTES, pin  # noqa: E402
from lib.hugepages import hugepages  # noqa: E402
from lib.proc import end_on_sigterm, run  # noqa: E402
from peers import Ours, Setup  # noqa: E402

SIZES = (64, 1500)
SETTLE_S = 0.2
WINDOW_S = 1.5
SHOWN = 2  # cycles per packet; functions below that are summed up


def _samples(data):
    """The samples of the workers, by function."""
    text = run(["perf", "script", "-i", data, "-F", "comm,ip,sym"])
    return Counter(match.group(1) for match in re.finditer(r"^\s*\S*worker\S*\s+[0-9a-f]+ (\S+)", text, re.M))


def _profile(peer, load, size, data):
    """(millions of packets a second, cycles per packet by function) at saturation."""
    peer.resume()
    load.start((size,))
    time.sleep(SETTLE_S)
    packets, start = load.counted().received(), time.monotonic()
    run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "4000", "-o", data, "-p", peer.pid,
         "--", "sleep", WINDOW_S])
    packets, seconds = load.counted().received() - packets, time.monotonic() - start
    load.stop()
    peer.pause()
    counts = _samples(data)
    cycles = seconds * peer.tsc_hz / packets / counts.total()
    return packets / seconds / 1e6, {name: n * cycles for name, n in counts.items()}


def _print(title, mpps, functions):
    print(f"\n{title}: {mpps:.2f} Mpps, {sum(functions.values()):.0f} cycles a packet\n")
    shown = {name: n for name, n in functions.items() if n >= SHOWN}
    shown["all others"] = sum(functions.values()) - sum(shown.values())
    for name, n in sorted(shown.items(), key=lambda item: -item[1]):
        print(f"{n:8.1f}  {name}")


def main():
    end_on_sigterm()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        machine = pin(stack.enter_context(hugepages(HUGE_MEBIBYTES, directory / "huge")))
        peer = Ours("ours", Setup(), machine, directory / "ours")
        stack.callback(peer.stop)
        peer.start()
        for direction in ("vf_to_vm", "vm_to_vf"):
            for size in SIZES:
                _print(f"{direction}, {size} bytes",
                       *_profile(peer, getattr(peer, direction), size, directory / "perf.data"))


main()
