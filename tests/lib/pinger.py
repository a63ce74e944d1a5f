# SPDX-License-Identifier: BSD-3-Clause
"""A ping that runs while things happen, and how long it went unanswered."""

import re
import signal

from lib.proc import Process, wait_until

REPLY = re.compile(r"^\[(\d+\.\d+)\] \d+ bytes from .*icmp_seq=(\d+)", re.M)


class Pinger:
    """Pings an address from a namespace continuously. Times are those of time.time()."""

    def __init__(self, netns, address, interval=0.01, name="ping", size=56):
        self._process = Process(
            netns.argv(["ping", "-n", "-D", "-i", interval, "-s", size, address]), name, tty=True)

    def __enter__(self):
        self.wait_reply(after=0)
        return self

    def __exit__(self, *_):
        self._process.__exit__()

    def replies(self):
        """[(time, number)]"""
        return [(float(time), int(number))
                for time, number in REPLY.findall(self._process.output.text)]

    def wait_reply(self, after, timeout=30):
        """Waits for the first reply after a point in time; returns its time."""
        def look():
            return next((time for time, _ in self.replies() if time > after), None)

        return wait_until(look, timeout, f"{self._process.name}: a reply", interval=0.01)

    def stop(self):
        """Ends the ping; returns (lost, longest time between two replies in seconds)."""
        self._process.signal(signal.SIGINT)
        self._process.wait(20)
        replies = self.replies()
        numbers = {number for _, number in replies}
        lost = max(numbers) - min(numbers) + 1 - len(numbers)
        gaps = [later - earlier for (earlier, _), (later, _) in zip(replies, replies[1:])]
        return lost, max(gaps)
