# SPDX-License-Identifier: BSD-3-Clause
"""A daemon configured for jumbo frames accepts every device: one that supports them gets them,
another one has frames of the usual length."""

import pytest

from lib import vioclient
from lib.capture import Capture
from lib.net import Veth
from lib.packet_socket import ETHERTYPE, PacketSocket, raw_frame
from lib.proc import wait_until
from lib.vhostuser import (F_CSUM, F_GUEST_CSUM, F_GUEST_TSO4, F_GUEST_UFO, F_PROTOCOL, F_VERSION_1,
                           Frontend, Memory)
from lib.wire import ADD, OK

STANDARD, JUMBO = 1514, 9014
TAP_MTU = 1504  # net_tap's greatest
SEGMENTED = 65562  # bytes of a buffer for segmented packets, header included

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
        data = bytes(frontend.header_bytes) + raw_frame(bytes(length - 14))
        gpa = frontend.memory.alloc(len(data), 64, -1)
        frontend.memory.write(gpa, data)
        ring.offer([(gpa, len(data), False)])
    ring.notify()
    expected = [length for length in (STANDARD, JUMBO, 60) if length <= longest]
    assert [len(frame) for frame in capture.wait(len(expected))] == expected


def test_bond_takes_the_longest_frames_of_its_members(make_forwarder, stack, host, taps):
    """They get their MTU when it starts; before that it cannot be asked to set it."""
    forwarder = make_forwarder(options=["--enable-jumbo"])
    response = vioclient.port_control(
        forwarder.port_control_endpoint, ADD, virtio_id=0, name="net_bonding0", mode=1, device=taps)
    assert response.status == OK, response
    tap = stack.enter_context(PacketSocket(host.name, "vtap0"))
    frontend = stack.enter_context(Frontend(forwarder.socket(0))).start()
    forwarder.wait_vm(0)
    frame = raw_frame(bytes(TAP_MTU))
    frontend.send(frame)
    assert tap.wait_frames(1, ETHERTYPE) == [frame]
    assert f"its greatest MTU is {TAP_MTU}" in forwarder.output.text
    assert "cannot be given" not in forwarder.output.text


@pytest.mark.parametrize("option, feature", [
    ("--enable-tso", F_GUEST_TSO4), ("--enable-mrgbuf", F_GUEST_UFO)], ids=["tso", "ufo"])
def test_buffers_for_segments_take_jumbo_frames(make_forwarder, stack, host, wire, option, feature):
    """A guest that accepts segmented packets without mergeable buffers has large buffers, whatever
    its MTU."""
    veth = Veth(wire, host, mtu=9000)
    forwarder = make_forwarder({0: f"net_pcap0,rx_iface_in={veth.outer},tx_iface={veth.outer}"},
                               options=["--enable-jumbo", option])
    features = F_VERSION_1 | F_PROTOCOL | F_CSUM | F_GUEST_CSUM | feature
    frontend = stack.enter_context(Frontend(forwarder.socket(0), features=features, memory=Memory((1 << 20, 1 << 20))))
    frontend.connect().negotiate().share_memory()
    assert frontend.features == features
    gpa = frontend.memory.alloc(SEGMENTED, 64, -1)
    frontend.rx().offer([(gpa, SEGMENTED, True)])
    frontend.set_up_rings().enable_rings()
    forwarder.wait_vm(0)
    frame = raw_frame(bytes(range(250)) * 36)
    assert len(frame) == JUMBO
    stack.enter_context(PacketSocket(wire.name, veth.inner)).send(frame)
    (_, length), = wait_until(frontend.rx().take_used, 5, "the frame is received", interval=0.01)
    assert frontend.memory.read(gpa, length)[frontend.header_bytes:] == frame
