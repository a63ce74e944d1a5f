# SPDX-License-Identifier: BSD-3-Clause
"""Captures the packets of an interface."""

import contextlib
import signal

from scapy.utils import RawPcapReader

from lib.proc import Process, wait_until


class Capture:
    """tcpdump on an interface of a namespace; it runs from __enter__() on."""

    def __init__(self, netns, interface, directory, expression="", name="capture"):
        """expression: tcpdump's filter."""
        self._path = directory / f"{name}.pcap"
        self._process = Process(
            netns.argv(["tcpdump", "-n", "-U", "-Z", "root", "--immediate-mode", "-B", "65536",
                        "-s", "0", "-w", self._path, "-i", interface, *expression.split()]), name)

    def __enter__(self):
        self._process.expect("listening on", 20)
        return self

    def __exit__(self, *_):
        self._process.__exit__()

    def _read(self):
        with contextlib.closing(RawPcapReader(str(self._path))) as reader:
            return [(about.sec + about.usec / 1e6, frame) for frame, about in reader]

    def wait(self, count, timeout=10):
        """Waits for so many frames; returns all frames so far, as bytes."""
        def enough():
            frames = [frame for _, frame in self._read()]
            return frames if len(frames) >= count else None

        return wait_until(enough, timeout, f"{count} frames captured")

    def stop(self):
        """Ends the capture; returns [(time, frame)]. tcpdump must not have missed any frame."""
        self._process.signal(signal.SIGINT)
        self._process.wait(20)
        text = self._process.output.text
        assert "\n0 packets dropped by kernel" in text, text
        return self._read()
