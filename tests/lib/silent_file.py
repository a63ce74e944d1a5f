# SPDX-License-Identifier: BSD-3-Clause
"""A file whose file server does not answer when it is closed: a FUSE file system spoken by hand. It
is mounted in a mount namespace of its server, and goes with it. Run as a program, this is the server."""

import contextlib
import ctypes
import errno
import mmap
import os
import struct
import sys

import pytest
from lib.proc import Process

CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE = 1 << 14, 1 << 18
BYTES = 1 << 20

LOOKUP, FORGET, GETATTR, OPEN, READ, WRITE, GETXATTR, FLUSH, INIT = 1, 2, 3, 14, 15, 16, 22, 25, 26
BATCH_FORGET = 42
WRITEBACK_CACHE = 1 << 16  # the kernel keeps what was written
REQUEST_MAX = 1 << 17
ROOT, FILE = 1, 2  # node ids
_libc = ctypes.CDLL(None, use_errno=True)


def _attributes(node):
    mode, size = (0o40755, 0) if node == ROOT else (0o100666, BYTES)
    return struct.pack("=6Q10I", node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def _answer(opcode, node, body, silent_on):
    """The answer to a request: bytes, or the number of an error; None: none."""
    if opcode in (FORGET, BATCH_FORGET) or opcode == silent_on:
        return None
    if opcode == INIT:
        return struct.pack("=4I2H2I2H", 7, 31, 1 << 17, WRITEBACK_CACHE, 16, 16, 1 << 16, 1, 0, 0) + bytes(32)
    if opcode == LOOKUP:
        return struct.pack("=4Q2I", FILE, 0, 3600, 3600, 0, 0) + _attributes(FILE)
    if opcode == GETATTR:
        return struct.pack("=Q2I", 3600, 0, 0) + _attributes(node)
    if opcode == OPEN:
        return struct.pack("=Q2I", 0, 0, 0)
    if opcode == READ:
        return bytes(struct.unpack_from("=2QI", body)[2])
    return errno.ENOSYS


def mount(mount_point):
    """Mounts it where only this process sees it; returns the descriptor by which it is served."""
    fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0".encode()
    if (_libc.unshare(CLONE_NEWNS) or _libc.mount(None, b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None)
            or _libc.mount(b"silent", mount_point.encode(), b"fuse", ctypes.c_ulong(0), options)):
        raise OSError(ctypes.get_errno(), "mount")
    return fuse


def serve(mount_point, silent_on):
    try:
        fuse = mount(mount_point)
    except OSError as error:
        print(f"unusable: {error}.", flush=True)
        return
    print("mounted.", flush=True)
    while True:
        request = os.read(fuse, REQUEST_MAX)
        _, opcode, unique, node = struct.unpack_from("=2I2Q", request)
        answer = _answer(opcode, node, request[40:], silent_on)
        if isinstance(answer, int):
            os.write(fuse, struct.pack("=IiQ", 16, -answer, unique))
        elif answer is not None:
            os.write(fuse, struct.pack("=IiQ", 16 + len(answer), 0, unique) + answer)


class SilentFile:
    """An open file of 1 MiB, in `fd`. Whoever closes it waits until end()."""

    silent_on = FLUSH

    def __init__(self, directory):
        mount_point = directory / "silent"
        mount_point.mkdir()
        tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        self._server = Process([sys.executable, __file__, mount_point, self.silent_on], "fuse",
                               env={"PYTHONPATH": tests})
        try:
            answer = self._server.expect(r"^(mounted|unusable: .*)\.$", 20)[1]
            if answer != "mounted":
                pytest.skip(f"/dev/fuse is {answer}")
            self._path = f"/proc/{self._server.pid}/root{mount_point}/file"
            self.fd = self.open()
        except BaseException:
            self._server.__exit__()
            raise

    def open(self):
        return os.open(self._path, os.O_RDWR | os.O_CLOEXEC)

    def let_go(self):
        """To be called when the file has been sent."""

    def end(self):
        """Ends the server: the kernel answers in its place."""
        self._server.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.__exit__()
        with contextlib.suppress(OSError):
            os.close(self.fd)


class DirtyFile(SilentFile):
    """The same, but it may be closed at any time. After let_go(), whoever has it last waits when it
    goes, even if it is in a message that nobody reads: it has data that are not written."""

    silent_on = WRITE

    def let_go(self):
        other = self.open()
        os.close(self.fd)
        self._map = mmap.mmap(other, 4096)
        self.fd = other
        self._map[0] = 1

    def __exit__(self, *arguments):
        super().__exit__(*arguments)
        self._map.close()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
