# SPDX-License-Identifier: BSD-3-Clause
"""Modules of tests/faults, preloaded into a daemon that has not been started yet."""

from lib.paths import build_dir


def preload(forwarder, name, path):
    """Preloads the module of that name into the daemon; its variable is set to that path."""
    forwarder.argv = ["env", f"LD_PRELOAD={build_dir() / f'tests/faults/{name}.so'}",
                      f"{name.upper()}={path}", *forwarder.argv]


def preload_absent(forwarder, workdir, *names):
    """Preloads absent.so and returns its directory: a device with a file of its name there is absent."""
    absent = workdir / "absent"
    absent.mkdir()
    for name in names:
        (absent / name).touch()
    preload(forwarder, "absent", absent)
    return absent
