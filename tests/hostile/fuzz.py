#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""fuzz.py [--seconds N] [--seed N]: lives of guests on the attacked relay of a living daemon, in which
messages, descriptors and rings are damaged at random. One number gives one life, so that whatever is
found can be had again: --seed N --lives 1."""

import argparse
import collections
import math
import os
import random
import struct
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "hostile"), str(ROOT / "tests")]

from arena import Arena, Daemon  # noqa: E402
from catalogue import THROUGH, Attack  # noqa: E402
from lib.paths import work_directory  # noqa: E402
from lib.vhostuser import (F_EVENT_IDX, F_IN_ORDER, P_STATUS, VERSION,  # noqa: E402
                           Connection, Disconnected, Frontend, Refused, Request)

ANSWER_TIMEOUT_S = 0.05
LIVES_AT_ONCE = 50  # lives between two checks of those who must not suffer
VALUES = (0, 1, 2, 3, 7, 8, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
          0xffffffff, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


class DamagingConnection(Connection):
    """A connection that sometimes sends something other than it was told to."""

    def __init__(self, sock, chance, rate):
        super().__init__(sock, ANSWER_TIMEOUT_S)
        self.chance, self.rate = chance, rate
        self.said = []

    def _damaged(self, payload):
        data = bytearray(payload)
        for _ in range(self.chance.randrange(1, 4)):
            if not data:
                break
            width = self.chance.choice((1, 2, 4, 8))
            at = self.chance.randrange(0, max(1, len(data) - width + 1), 4)
            value = self.chance.choice(VALUES) & (1 << 8 * width) - 1
            data[at:at + width] = value.to_bytes(width, "little")
        return bytes(data[:len(payload)])

    def send(self, request, payload=b"", fds=(), flags=VERSION, size=None):
        chance, fds = self.chance, list(fds)
        self.said.append((request, payload, fds))
        if chance.random() < self.rate:
            what = chance.randrange(10)
            if what < 5:
                payload = self._damaged(payload)
            elif what == 5:
                request, payload, fds = chance.choice(self.said)  # once more
            elif what == 6:
                request = chance.randrange(45)
            elif what == 7:
                fds = fds[1:] if chance.random() < 0.5 else fds + fds[:1]
            elif what == 8:
                size = chance.choice((0, 4, 8, 12, 40, 256, 4096, 0xffffffff))
            else:
                return  # never mind
        try:
            super().send(request, payload, fds, flags, size)
        except OSError:
            raise Disconnected from None


def scribble(frontend, chance):
    """Damages rings and descriptors."""
    memory = frontend.memory
    for _ in range(chance.randrange(40)):
        ring = chance.choice(frontend.rings)
        at = chance.choice(ring.parts()) + 2 * chance.randrange(8 * ring.size)
        try:
            memory.store16(at, chance.choice(VALUES) & 0xffff)
        except IndexError:
            pass
    if not frontend.rings[0].packed and chance.random() < 0.5:
        chance.choice(frontend.rings).set_avail_idx(chance.randrange(65536))


def begin(frontend):
    frontend.negotiate().share_memory()
    frontend.post(count=frontend.queue_size // 2)
    frontend.set_up_rings().enable_rings()


def live(frontend, chance):
    """A life: at work, stopped, perhaps started again."""
    truncated = False  # it is our memory too: we must not touch it from then on
    for _ in range(chance.randrange(8)):
        action = chance.randrange(6 if truncated else 9)
        if action == 0:
            frontend.start_log(chance.choice((4096, 1 << 20)))
        elif action == 1:
            frontend.tell(Request.SEND_RARP, bytes(8))
        elif action == 2:
            frontend.enable_ring(chance.randrange(2), chance.randrange(2))
        elif action == 3:
            frontend.share_memory()
        elif action == 4:
            index = chance.randrange(2)
            frontend.stop_ring(index)
            frontend.start_ring(index)
        elif action == 5:
            if chance.random() < 0.05:  # rare, since whoever comes within a second is not let in
                os.ftruncate(chance.choice(frontend.memory.regions).fd, chance.choice((0, 4096)))
                truncated = True
        else:
            scribble(frontend, chance)
    frontend.stop()


def one_life(target, seed):
    """A guest whose damage follows from the seed; returns whether it got to work."""
    chance = random.Random(seed)
    with target.connect() as plain:
        connection = DamagingConnection(plain.socket, chance, chance.choice((0, 0.02, 0.1, 0.5)))
        features = Frontend.FEATURES | target.OFFLOADS | F_EVENT_IDX | F_IN_ORDER
        frontend = Frontend(None, connection=connection, packed=chance.random() < 0.5,
                            features=features, queue_size=chance.choice((2, 16, 64, 256)),
                            protocol=Frontend.PROTOCOL | chance.choice((0, P_STATUS)))
        at_work = False
        with frontend:
            try:
                begin(frontend)
                at_work = True
                live(frontend, chance)
            except (Disconnected, Refused, TimeoutError, IndexError, KeyError, AssertionError,
                    struct.error, MemoryError):
                pass  # what a guest sees after damaging its own world
        return at_work


def lives(seeds, counter):
    """An attack that consists of many lives."""
    def run(target):
        for seed in seeds:
            counter["at work"] += bool(target.attempt(one_life, target, seed))
            counter["lives"] += 1
    return Attack(f"lives from {seeds[0]}", "damaged lives", THROUGH, False, run)


def fuzz(directory, seconds, seed, count=math.inf):
    """Returns ({"lives": ..., "at work": lives that got to work, ...}, the first faults or None)."""
    counter = collections.Counter()
    with Arena(directory, Daemon) as arena:
        arena.start()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and counter["lives"] < count:
            first = seed + counter["lives"]
            at_once = min(LIVES_AT_ONCE, count - counter["lives"])
            verdict = arena.strike(lives(range(first, first + at_once), counter))
            if verdict.faults:
                return counter, f"{verdict.name}: {verdict}"
        result = arena.finish()
        return counter, None if result["ok"] else f"the neighbour has lost packets: {result}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--lives", type=int, default=math.inf)
    options = parser.parse_args()
    with work_directory() as directory:
        done, fault = fuzz(directory, options.seconds, options.seed, options.lives)
    print(f"seed {options.seed}: {done['lives']} lives, {done['at work']} of them came to work, "
          f"{fault or 'nobody suffers'}")
    sys.exit(fault is not None)


if __name__ == "__main__":
    main()
