# SPDX-License-Identifier: BSD-3-Clause
"""A daemon that is set up for jumbo frames takes every device: one that can has them, one that cannot
has frames of the usual length."""

import pytest

from lib.capture import Capture
from lib.net import Veth
from lib.vhostuser import Frontend

STANDARD, JUMBO = 1514, 9014

pytestmark = pytest.mark.silent_wire


@pytest.mark.parametrize("device, longest", [
    ("net_pcap0,rx_iface_in={0},tx_iface={0}", JUMBO), ("net_af_packet0,iface={0}", STANDARD)],
    ids=["pcap", "af_packet"])
def test_longest_frame(make_forwarder, workdir, stack, host, wire, device, longest):
    veth = Veth(wire, host, mtu=9000)
    forwarder = make_forwarder({0: device.format(veth.outer)}, options=["--enable-jumbo"])
    capture = stack.enter_context(Capture(wire, veth.inner, workdir))
    frontend = stack.enter_context(Frontend(forwarder.socket(0)))
    frontend.start()
    forwarder.wait_vm(0)
    ring = frontend.tx()
    for length in (STANDARD, JUMBO, 60):
        data = bytes(frontend.header_bytes + 12) + b"\x88\xb5" + bytes(length - 14)
        gpa = frontend.memory.alloc(len(data), 64, -1)
        frontend.memory.write(gpa, data)
        ring.offer([(gpa, len(data), False)])
    ring.notify()
    expected = [length for length in (STANDARD, JUMBO, 60) if length <= longest]
    assert [len(frame) for frame in capture.wait(len(expected))] == expected
