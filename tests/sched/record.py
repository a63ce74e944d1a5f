#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""record.py --stats-ep ENDPOINT [--polls N] [--interval S]: prints the load of a running daemon as
sched-simulate --recording reads it: for each interval a line "packets bytes load" a second for every
relay that was in use meanwhile and each of its directions, VF to VM first. The last line printed on
stderr says how many relays those are."""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import vioclient  # noqa: E402


def counters(endpoint):
    """{(relay, direction): (packets, bytes, busy ns)}"""
    seen = {}
    for relay in vioclient.stats(endpoint).relay:
        down, up = relay.vf_to_vm, relay.vm_to_vf
        seen[relay.id, 0] = down.pkts_rx_from_vf, down.bytes_rx_from_vf, down.busy_ns
        seen[relay.id, 1] = up.pkts_rx_from_vm, up.bytes_rx_from_vm, up.busy_ns
    return time.monotonic(), seen


def rates(before, after):
    """{(relay, direction): (packets, bytes, cores)} per second; counters that went back belong to a
    relay that was set up again."""
    (begin, old), (end, new) = before, after
    result = {}
    for lane, values in new.items():
        moved = [max(0, value - was) / (end - begin) for value, was in zip(values, old[lane])]
        result[lane] = (moved[0], moved[1], moved[2] / 1e9)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stats-ep", required=True, metavar="ENDPOINT")
    parser.add_argument("--polls", type=int, default=120, help="intervals to record (120)")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds of one (5)")
    arguments = parser.parse_args()
    before, polls = counters(arguments.stats_ep), []
    for _ in range(arguments.polls):
        time.sleep(arguments.interval)
        after = counters(arguments.stats_ep)
        polls.append(rates(before, after))
        before = after
    relays = sorted({relay for poll in polls for (relay, _), values in poll.items() if any(values)})
    for poll in polls:
        for relay in relays:
            for direction in range(2):
                print("{:.0f} {:.0f} {:.4f}".format(*poll[relay, direction]))
    print(f"{len(relays)} relays, {len(polls)} polls", file=sys.stderr)


main()
