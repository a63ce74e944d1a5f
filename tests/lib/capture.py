# SPDX-License-Identifier: BSD-3-Clause
"""Captures the packets of an interface."""

import contextlib

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

    def wait(self, count, timeout=10):
        """Waits for so many frames; returns all frames so far, as bytes."""
        def enough():
            with contextlib.closing(RawPcapReader(str(self._path))) as reader:
                frames = [frame for frame, _ in reader]
            return frames if len(frames) >= count else None

        return wait_until(enough, timeout, f"{count} frames captured")
