#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the other queues of a VM get when it stops reading one of its four: ours and testpmd's."""

import argparse
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import HUGE_MEBIBYTES, pin  # noqa: E402
from lib.hugepages import hugepages  # noqa: E402
from lib.proc import end_on_sigterm  # noqa: E402
from load import QUEUES  # noqa: E402
from peers import Ours, Setup, TestpmdPeer  # noqa: E402

SIZE = 64
LOADS = (2e6, 0)  # packets a second over all queues; 0: as fast as it goes
ROUNDS = 7
SETTLE_S = 0.1  # several times as long as a full ring may hold back its device (vf_to_vm.c)
WINDOW_S = 0.3


def _rate(load, stalled):
    """The rate of the queues that are never stalled, in millions of packets a second."""
    load.stall(*stalled)
    time.sleep(SETTLE_S)
    packets, start = load.counted().received(but_queue=0), time.monotonic()
    time.sleep(WINDOW_S)
    return (load.counted().received(but_queue=0) - packets) / (time.monotonic() - start) / 1e6


def _round(peer, pps):
    peer.resume()
    peer.vf_to_vm.start((SIZE,), pps)
    rates = _rate(peer.vf_to_vm, ()), _rate(peer.vf_to_vm, (0,))
    peer.vf_to_vm.stop()
    peer.vf_to_vm.stall()
    time.sleep(SETTLE_S)
    peer.pause()
    return rates


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    end_on_sigterm()
    if os.geteuid() != 0:
        sys.exit("stalled: as root, please: for hugepages")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        machine = pin(stack.enter_context(hugepages(HUGE_MEBIBYTES, directory / "huge")))
        peers = []
        for name, kind in (("ours", Ours), ("testpmd", TestpmdPeer)):
            peer = kind(name, Setup(queues=QUEUES), machine, directory / name)
            stack.callback(peer.stop)
            peer.start()
            peer.pause()
            peers.append(peer)
        print("| offered, Mpps | relay | 3 queues of 4, Mpps | beside a stalled one | part |\n"
              "|---|---|--:|--:|--:|")
        for pps in LOADS:
            rounds = [[_round(peer, pps) for peer in peers] for _ in range(ROUNDS)]
            for peer, of_peer in zip(peers, zip(*rounds)):
                alone, beside = (statistics.median(rates) for rates in zip(*of_peer))
                part = statistics.median(b / a for a, b in of_peer)
                offered = f"{pps / 1e6:g}" if pps else "all that goes"
                print(f"| {offered} | {peer.name} | {alone:.2f} | {beside:.2f} | {part:.2f} |")


main()
