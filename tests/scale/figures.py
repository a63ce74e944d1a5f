#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Prints what docs/scale.md says of many relays: start-up time and memory by their number, and how
long ADD_SOCK and REMOVE_SOCK of a device that opens at once (net_null) take while 63 relays forward. As
root, on a machine that does nothing else:

    VIO4WD_BUILD=$PWD/build-static tests/scale/figures.py [--huge MOUNT] [--relays 0,1,64] [--calls 200]
"""

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / part) for part in ("", "bench")]

from lib import vioclient  # noqa: E402
from lib.forwarder import Forwarder  # noqa: E402
from lib.paths import build_dir  # noqa: E402
from lib.peer import memif_device  # noqa: E402
from lib.proc import Process, memory_kib  # noqa: E402
from lib.wire import ADD_SOCK, OK, REMOVE_SOCK  # noqa: E402
from load import Load  # noqa: E402

PPS = 2000  # of each VM
TIMEOUT_S = 120


def memory(huge, jumbo, relays):
    """Starts the daemon with so many static devices; returns the seconds until it is ready, and its
    memory then. huge: a mount of hugetlbfs, or None."""
    with tempfile.TemporaryDirectory(prefix="vio4wd-") as directory:
        directory = Path(directory)
        devices = {relay: memif_device(directory, relay) for relay in range(relays)}
        options = [*(["--enable-jumbo"] if jumbo else []), *([f"--huge-dir={huge}"] if huge else [])]
        forwarder = Forwarder(directory, devices, huge=bool(huge), options=options)
        begin = time.monotonic()
        with forwarder:
            seconds = time.monotonic() - begin
            kib = memory_kib(forwarder.pid) + memory_kib(forwarder.pid, "HugetlbPages")
            print(f"{'huge pages' if huge else 'ordinary pages'}{', jumbo' if jumbo else ''}: "
                  f"{relays} relays: ready after {seconds:.2f} s, {kib / 1024:.0f} MiB, of them "
                  f"{memory_kib(forwarder.pid, 'HugetlbPages') / 1024:.0f} huge", flush=True)


def call(forwarder, op, relay, device):
    begin = time.monotonic()
    answer = vioclient.port_control(
        forwarder.port_control_endpoint, op, vhost_path=str(forwarder.socket(relay)),
        device=[device], conditional=False)
    assert answer.status == OK, answer
    return (time.monotonic() - begin) * 1e3


def quantiles(times_ms):
    return (f"median {statistics.median(times_ms):.1f} ms, "
            f"p99 {statistics.quantiles(times_ms, n=100)[98]:.1f} ms, max {max(times_ms):.1f} ms")


@contextmanager
def vms(directory, sockets):
    """So many VMs in one process (tests/bench/vm.c), each sending PPS packets a second."""
    loads = {name: Load(directory / name, len(sockets), 1) for name in ("vf-to-vm", "vm-to-vf")}
    with Process([build_dir() / "tests" / "bench" / "bench-vm", "--cpu=0", "--queues=1",
                  "--queue-size=256", "--room=2048", "--mergeable",
                  *(f"--{name}={load.path}" for name, load in loads.items()), *sockets],
                 "vms", log_path=directory / "vms.log", tty=True) as process:
        process.expect("ready", TIMEOUT_S)
        loads["vm-to-vf"].start((64,), PPS * len(sockets))
        yield


def forwarded(forwarder):
    return sum(relay.vm_to_vf.pkts_tx_to_vf for relay in vioclient.stats(forwarder.stats_endpoint).relay)


def latency(huge, calls, relays=63):
    with tempfile.TemporaryDirectory(prefix="vio4wd-") as directory:
        directory = Path(directory)
        options = ["--dynamic-sockets", *([f"--huge-dir={huge}"] if huge else [])]
        with Forwarder(directory, huge=bool(huge), options=options) as forwarder:
            times = {ADD_SOCK: [], REMOVE_SOCK: []}
            for relay in range(relays):
                call(forwarder, ADD_SOCK, relay, f"net_null{relay},no-rx=1")
            with vms(directory, [forwarder.socket(relay) for relay in range(relays)]):
                begin, packets = time.monotonic(), forwarded(forwarder)
                for _ in range(calls):
                    for op, kept in times.items():
                        kept.append(call(forwarder, op, relays, f"net_null{relays},no-rx=1"))
                packets = forwarded(forwarder) - packets
                seconds = time.monotonic() - begin
            print(f"{'huge' if huge else 'ordinary'} pages: {relays} relays forward "
                  f"{packets / seconds:.0f} packets a second in all")
            print(f"ADD_SOCK, {calls} calls: {quantiles(times[ADD_SOCK])}")
            print(f"REMOVE_SOCK, {calls} calls: {quantiles(times[REMOVE_SOCK])}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--huge", metavar="MOUNT", help="huge pages of a mount of hugetlbfs")
    parser.add_argument("--relays", default="0,1,8,64")
    parser.add_argument("--calls", type=int, default=200)
    arguments = parser.parse_args()
    for relays in map(int, arguments.relays.split(",")):
        for jumbo in (False, True):
            memory(arguments.huge, jumbo, relays)
    if arguments.calls:
        latency(arguments.huge, arguments.calls)


main()
