# SPDX-License-Identifier: BSD-3-Clause
"""Temporary hugepages."""

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path

from lib.mounts import mounted
from lib.proc import wait_until

PAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")
WAIT_S = 120


def _read(name):
    return int((PAGES / name).read_text())


def _add(count):
    """Requests more pages, or fewer; returns how many were added."""
    before = _read("nr_hugepages")
    (PAGES / "nr_hugepages").write_text(str(before + count))
    return _read("nr_hugepages") - before


def _locked(fd):
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def alone(wait_s=WAIT_S):
    """Holds a lock of the whole machine: another checkout must not count the same free pages. The lock is
    on the kernel's directory, so no file is left behind."""
    fd = os.open(PAGES, os.O_RDONLY | os.O_DIRECTORY)
    try:
        wait_until(lambda: _locked(fd), wait_s,
                   f"the lock of {PAGES}: another run of the tests or of the benchmark has hugepages")
        yield
    finally:
        os.close(fd)


@contextmanager
def reserved(mebibytes):
    """Yields whether so much memory is free. Pages that were added are given back."""
    added = _add(max(0, mebibytes // 2 - _read("free_hugepages")))
    try:
        yield _read("free_hugepages") >= mebibytes // 2
    finally:
        _add(-added)


@contextmanager
def hugepages(mebibytes, mount_point, wait_s=WAIT_S):
    """Mounts a hugetlbfs with exactly so much free memory and yields its mount point; None if the kernel
    cannot provide the pages. Pages that were added are given back. If another run has hugepages, this
    waits for it, for wait_s seconds at most."""
    if not os.access(PAGES / "nr_hugepages", os.W_OK):
        yield None
        return
    with alone(wait_s), reserved(mebibytes) as enough:
        if not enough:
            yield None
            return
        with mounted("hugetlbfs", mount_point, f"size={mebibytes}M"):
            yield mount_point
