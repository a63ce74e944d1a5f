# SPDX-License-Identifier: BSD-3-Clause
"""Sockets in another network namespace; raw frames on an interface there."""

import ctypes
import os
import select
import socket
import threading
import time

ETHERTYPE = 0x88b5  # for experiments (IEEE 802)
ETH_P_ALL = 3
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def raw_frame(payload, ethertype=ETHERTYPE):
    """A frame from nobody to nobody."""
    return bytes(12) + ethertype.to_bytes(2, "big") + payload


def socket_in(netns, *kind, address):
    """A socket of this kind, bound to an address, in the namespace of this name. It is opened in a
    separate thread, the only one to enter the namespace: a socket stays in the namespace in which it
    was created."""
    result = []

    def open_there():
        fd = os.open(f"/run/netns/{netns}", os.O_RDONLY)
        try:
            if _libc.setns(fd, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"namespace {netns}")
            opened = socket.socket(*kind)
            opened.bind(address)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            result.append(opened)
        finally:
            os.close(fd)

    thread = threading.Thread(target=open_there)
    thread.start()
    thread.join()
    return result[0]


class PacketSocket:
    """Sends and receives whole frames. Of the received ones, only those with the requested
    ethertype count."""

    def __init__(self, netns, interface):
        self._socket = socket_in(netns, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL),
                                 address=(interface, 0))

    def fileno(self):
        return self._socket.fileno()

    def send(self, frame):
        self._socket.send(frame)

    def frames(self, ethertype, timeout=0, count=None):
        """The frames with this ethertype that have arrived since the last call (not those sent from
        here), at most `count`; waits for the first one."""
        frames = []
        while (len(frames) != count
               and select.select([self._socket], [], [], 0 if frames else timeout)[0]):
            frame, address = self._socket.recvfrom(65536)
            if (address[2] != socket.PACKET_OUTGOING
                    and frame[12:14] == ethertype.to_bytes(2, "big")):
                frames.append(frame)
        return frames

    def wait_frames(self, count, ethertype, timeout=5):
        """Waits for the next frames with this ethertype."""
        frames, deadline = [], time.monotonic() + timeout
        while len(frames) < count:
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"{len(frames)} of {count} frames within {timeout} s")
            frames += self.frames(ethertype, left, count - len(frames))
        return frames

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
