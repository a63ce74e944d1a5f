# SPDX-License-Identifier: BSD-3-Clause
"""Temporary mounts."""

from contextlib import contextmanager

from lib.proc import run


@contextmanager
def mounted(kind, path, options):
    """Mounts a file system of its own at a new directory and yields this."""
    path.mkdir()
    run(["mount", "-t", kind, "-o", options, "none", path])
    try:
        yield path
    finally:
        run(["umount", path])
        path.rmdir()
