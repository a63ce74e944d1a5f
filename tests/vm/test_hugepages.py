# SPDX-License-Identifier: BSD-3-Clause
"""A guest whose memory is hugepages, shared with the daemon or not."""

import re

import pytest

from lib.proc import wait_until
from lib.qemu import Nic, migrate

MEBIBYTES = 512
WARNING = "the VM's hugepages do not seem to be shared"

pytestmark = pytest.mark.ci


def memory(directory, share, mebibytes=MEBIBYTES // 2):
    """Arguments of a Guest."""
    return {"memory_mib": None,
            "extra": ["-m", mebibytes, "-numa", "node,memdev=memory", "-object",
                      f"memory-backend-file,id=memory,size={mebibytes}M,mem-path={directory},share={share}"]}


def test_shared(make_forwarder, boot, huge_dir):
    """Also when it has been migrated: its memory has come by the time its network starts."""
    forwarder = make_forwarder()
    source = boot(forwarder, **memory(huge_dir, "on"))
    forwarder.wait_vm(0)
    target = boot(nics=[Nic(forwarder.socket(1))], name="target", wait=False, incoming=True,
                  **memory(huge_dir, "on"))
    migrate(source, target)
    forwarder.wait_vm(1)
    target.run("true")
    assert WARNING not in forwarder.output.text


def test_not_shared(make_forwarder, boot, huge_dir):
    forwarder = make_forwarder()
    boot(forwarder, **memory(huge_dir, "off"))
    forwarder.wait_vm(0)
    assert len(re.findall(f" relay 0: vhost-user socket .*: {WARNING}", forwarder.output.text)) == 1


def test_not_shared_and_too_few_for_a_second_copy(make_forwarder, boot, huge_dir):
    forwarder = make_forwarder()
    boot(forwarder, wait=False, **memory(huge_dir, "off", MEBIBYTES * 3 // 4))
    wait_until(lambda: "are its hugepages shared" in forwarder.output.text, 60, "the daemon names the cause")
