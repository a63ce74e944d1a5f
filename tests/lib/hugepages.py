# SPDX-License-Identifier: BSD-3-Clause
"""Temporary hugepages."""

from contextlib import contextmanager
from pathlib import Path

from lib.proc import run

PAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")


def _read(name):
    return int((PAGES / name).read_text())


def _add(count):
    """Requests more pages, or fewer; returns how many were added."""
    before = _read("nr_hugepages")
    (PAGES / "nr_hugepages").write_text(str(before + count))
    return _read("nr_hugepages") - before


@contextmanager
def hugepages(mebibytes, mount_point):
    """Mounts a hugetlbfs with so much free memory and yields its mount point; None if the kernel
    cannot provide the pages. Pages that were added are given back."""
    try:
        added = _add(max(0, mebibytes // 2 - _read("free_hugepages")))
    except OSError:
        yield None
        return
    try:
        if _read("free_hugepages") < mebibytes // 2:
            yield None
            return
        mount_point.mkdir()
        run(["mount", "-t", "hugetlbfs", "none", mount_point])
        try:
            yield mount_point
        finally:
            run(["umount", mount_point])
            mount_point.rmdir()
    finally:
        _add(-added)
