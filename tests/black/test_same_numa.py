# SPDX-License-Identifier: BSD-3-Clause
"""Memory on the NUMA nodes of the worker CPUs only. Unit tests check which nodes those are, since a
test machine has only one."""

import subprocess

import pytest
from lib.forwarder import Forwarder
from lib.hugepages import hugepages
from lib.peer import assert_nothing_lost, attached_peer, end, memif_device
from lib.proc import WaitTimeout

MEBIBYTES = 128
PACKETS = 20_000
TIMEOUT_S = 60


def test_packets_pass(workdir, stack, huge_dir):
    forwarder = stack.enter_context(Forwarder(
        workdir, {0: memif_device(workdir)}, huge=True,
        options=["--same-numa", f"--huge-dir={huge_dir}"]))
    assert "packets are kept on NUMA node 0 only (--same-numa)" in forwarder.output.text
    peer = attached_peer(stack, workdir, forwarder, count=PACKETS)
    peer.start()
    assert_nothing_lost(forwarder, peer.result(TIMEOUT_S))
    end(forwarder, peer)


def test_second_daemon(workdir, stack, huge_dir):
    """It says that another one runs, not where it would keep packets."""
    first = stack.enter_context(Forwarder(
        workdir, huge=True, options=["--same-numa", f"--huge-dir={huge_dir}"]))
    second = subprocess.run(first.argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert second.returncode == 1
    assert len(second.stderr.splitlines()) == 1 and "a daemon runs already" in second.stderr


def test_pages_are_reserved_by_one_at_a_time(workdir, huge_dir):
    """What runs the tests here, for the others on this machine."""
    with (pytest.raises(WaitTimeout, match="another run"),
          hugepages(MEBIBYTES, workdir / "more", wait_s=0.1)):
        pass
