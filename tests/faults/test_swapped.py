# SPDX-License-Identifier: BSD-3-Clause
"""Somebody may write to the directory of a socket, and is quicker than the daemon."""

import os
import stat

import pytest
from lib.forwarder import Forwarder
from lib.paths import build_dir
from lib.proc import Process

EXIT_FAILURE = 1


@pytest.mark.skipif(os.geteuid() != 0, reason="gives sockets to another user")
@pytest.mark.parametrize("name", ["virtio-forwarder3.sock", "stats"])
def test_socket_becomes_a_link(workdir, name):
    """The file that the link leads to keeps its owner and its mode, and the daemon says which socket
    it was."""
    victim, swapped = workdir / "victim", workdir / "swapped"
    victim.touch(0o600)
    swapped.mkdir()
    (swapped / name).symlink_to(victim)
    forwarder = Forwarder(workdir, options=["--vhost-username=nobody"])
    argv = ["env", f"LD_PRELOAD={build_dir() / 'tests/faults/swapped.so'}", f"SWAPPED={swapped}",
            *forwarder.argv]
    with Process(argv, "forwarder", log_path=workdir / "forwarder.log") as process:
        assert process.wait(30) == EXIT_FAILURE
    assert not (swapped / name).is_symlink()
    found = victim.stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (0, 0o600)
    last = process.output.text.splitlines()[-1]
    assert f"{name}: somebody has put another file in place" in last
