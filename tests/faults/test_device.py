# SPDX-License-Identifier: BSD-3-Clause
"""A device that does not do its work."""

from lib.forwarder import Forwarder
from lib.paths import build_dir
from lib.peer import attach, detach
from lib.proc import memory_kib, wait_until
from lib.vhostuser import Frontend

FRAME = bytes(12) + b"\x88\xb5" + bytes(1486)
PACKETS = 20
ROUNDS = 4


def test_device_that_does_not_send(workdir, stack):
    """With --zero-copy it keeps what lies in a VM's memory. The VM goes all the same, the device is
    restarted, and the next VM is served, by copies until the device is attached anew. Nothing is kept for
    ever, and the daemon stops while the device is at it."""
    stuck = workdir / "stuck"
    forwarder = Forwarder(workdir, {0: "net_null0"}, options=["--zero-copy"])
    forwarder.argv = ["env", f"LD_PRELOAD={build_dir() / 'tests/faults/stuck.so'}", f"STUCK={stuck}",
                      *forwarder.argv]
    stack.enter_context(forwarder)
    memory = []
    for count in range(1, ROUNDS + 1):
        stuck.touch()
        before = forwarder.stats()["vm_to_vf"]["pkts_tx_to_vf"]
        vm = stack.enter_context(Frontend(forwarder.socket(), packed=bool(count % 2)))
        vm.start()
        forwarder.wait_vm()
        for _ in range(PACKETS):
            vm.send(FRAME)
        wait_until(lambda: forwarder.stats()["vm_to_vf"]["pkts_tx_to_vf"] == before + PACKETS, 10,
                   "the device has the packets")
        vm.reclaim()
        assert vm.under_way() == PACKETS
        if count == ROUNDS:
            break
        vm.close()
        wait_until(lambda: forwarder.output.text.count(
            "device net_null0 has not sent what lies in the memory of the VM") == count, 10,
            "the device is restarted")
        stuck.unlink()
        with Frontend(forwarder.socket()) as vm:
            vm.start()
            forwarder.wait_vm()
            vm.send(FRAME)
            vm.wait_sent()
        forwarder.wait_vm(attached=False)
        detach(forwarder, 0, "net_null0")
        attach(forwarder, 0, "net_null0")
        memory.append(memory_kib(forwarder.pid))
    assert memory[-1] - memory[0] < 1024, memory
    forwarder.stop()
    assert "some memory is kept" not in forwarder.output.text
