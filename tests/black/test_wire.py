# SPDX-License-Identifier: BSD-3-Clause
"""The ZeroMQ endpoints as an independent client sees them: every message, every field, every
error."""

import errno
import os
import socket
import stat
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import zmq
from google.protobuf.unknown_fields import UnknownFieldSet
from lib import vioclient
from lib.forwarder import Forwarder, accepts
from lib.paths import dpdk_version, program, work_directory
from lib.proc import memory_kib, open_files, run, wait_until
from lib.vioclient import CLIENT, SERVER, compat
from lib.wire import (ADD, ADD_SOCK, ERROR, GET_EAL_CORES, OK, QUERY_PCI, REMOVE, REMOVE_SOCK, UPDATE,
                      Daemon, honest_client_is_served, settled)

STATS_OK, EBADR, E2BIG = 0, 400, 413
RELAYS = 64
CYCLES = 300
GROWTH_KIB = 4096

NO_SUCH_VF = (0xFFFF, 0xFF, 0x1F, 7)
DROPS = {"queue_full", "not_connected", "oversize", "malformed", "detached"}


@pytest.fixture(scope="module")
def start():
    """Starts daemons for the tests of this file; they must end cleanly."""
    with ExitStack() as stack:
        def make(*options, **arguments):
            directory = stack.enter_context(work_directory())
            daemon = Daemon(directory, *options, **arguments).start()
            stack.callback(daemon.stop)
            return daemon

        yield make


@pytest.fixture(scope="module")
def static_daemon(start):
    return start("--virtio-cpu=7:{0},{0}".format(max(os.sched_getaffinity(0))))


@pytest.fixture(scope="module")
def dynamic_daemon(start):
    return start("--dynamic-sockets")


@pytest.fixture
def static(static_daemon):
    """A daemon with static sockets; it must have no device before and after the test."""
    assert static_daemon.devices() == {}
    yield static_daemon
    for relay, device in static_daemon.devices().items():
        fields = {"name": device} if device.startswith("net_bonding") else {"device": [device]}
        static_daemon.done(REMOVE, virtio_id=relay, **fields)


@pytest.fixture
def dynamic(dynamic_daemon):
    """A daemon with dynamic sockets; no relay may be in use before and after the test."""
    assert dynamic_daemon.devices() == {}
    yield dynamic_daemon
    for device in dynamic_daemon.devices().values():
        fields = {"name": device} if device.startswith("net_bonding") else {"device": [device]}
        dynamic_daemon.done(REMOVE_SOCK, **fields)


# Port control

def test_add_and_remove(static):
    static.done(ADD, virtio_id=63, device=["net_null0"], ident="a port é")
    assert static.devices() == {63: "net_null0"}
    assert static.relay(63).ident == "a port é"
    static.done(REMOVE, virtio_id=63, device=["net_null0"])
    assert static.devices() == {}
    assert not static.relay(63).HasField("ident")


def test_conditional(static):
    add = {"virtio_id": 0, "device": ["net_null0"]}
    static.done(ADD, conditional=False, **add)
    static.done(ADD, **add)  # the default is true
    static.done(ADD, conditional=True, **add)
    assert static.refused(ADD, conditional=False, **add)[0] == errno.EEXIST
    static.done(REMOVE, conditional=False, **add)
    static.done(REMOVE, **add)
    assert static.refused(REMOVE, conditional=False, **add)[0] == errno.ENOENT


def test_conditional_of_a_device_from_the_start(start):
    """A device that the configuration has attached is treated like one that was added."""
    add = {"virtio_id": 7, "device": ["net_null7"]}
    daemon = start(devices={7: "net_null7"})
    daemon.done(ADD, conditional=True, ident="a port", **add)
    assert daemon.refused(ADD, conditional=False, **add)[0] == errno.EEXIST
    assert daemon.devices() == {7: "net_null7"} and daemon.relay(7).ident == "a port"


def test_conflicts(static):
    static.done(ADD, virtio_id=1, device=["net_null0,size=64"])
    for conditional in True, False:
        for device in "net_null1", "net_null0,size=256":
            code, reason = static.refused(
                ADD, virtio_id=1, device=[device], conditional=conditional)
            assert code == errno.EBUSY and "net_null0" in reason
        code, reason = static.refused(
            ADD, virtio_id=2, device=["net_null0,size=256"], conditional=conditional)
        assert code == errno.EBUSY and reason == "net_null0 is in use by relay 1"
    static.done(ADD, virtio_id=1, device=["net_null0"])  # named without arguments
    assert static.devices() == {1: "net_null0,size=64"}


def test_missing_vf(static):
    """A PCI address without a device: refused, naming the address, and nothing changes."""
    _, reason = static.refused(ADD, pci=[NO_SUCH_VF], virtio_id=1)
    assert "ffff:ff:1f.7" in reason.lower()
    static.refused(ADD, virtio_id=1, device=["net_no_such_driver0"])
    assert static.devices() == {}


@pytest.mark.sanitizers
def test_compat_client(static):
    """An original client: it sends no field of ours, and chokes on none of ours."""
    static.done(ADD, virtio_id=5, device=["net_null0"])
    path = str(static.socket(5))
    response = vioclient.port_control(
        static.port_control_endpoint, compat.PortControlRequest.QUERY_PCI, messages=compat,
        vhost_path=path)
    assert response.status == compat.PortControlResponse.OK
    assert response.query_string == "net_null0"
    response = vioclient.port_control(
        static.port_control_endpoint, compat.PortControlRequest.ADD, messages=compat,
        pci=[NO_SUCH_VF], virtio_id=6)
    assert response.status == compat.PortControlResponse.ERROR and response.error_code > 0
    state = vioclient.relay(static.stats_endpoint, 5, messages=compat)
    assert state.vf.pci_addr_str == "net_null0" and state.vhost.vhost_socket_name == path


def test_query(static):
    static.done(ADD, virtio_id=2, device=["net_null0,size=128"])
    assert static.done(QUERY_PCI, vhost_path=str(static.socket(2))).query_string == \
        "net_null0,size=128"
    assert static.refused(QUERY_PCI, vhost_path=str(static.socket(3)))[0] == errno.ENOENT
    assert static.refused(QUERY_PCI, vhost_path="/no/such")[0] == errno.ENOENT


@pytest.mark.parametrize("mode", [None, 0, 1, 2, 3, 4, 5])
def test_bond(static, mode):
    # Two to eight members; mode 6 wants to set its members' MAC, which net_null does not support.
    members = [f"net_null{i}" for i in range(2 if mode else 8)]
    bond = {"virtio_id": 4, "device": members, "name": "net_bonding0"}
    if mode is not None:
        bond["mode"] = mode
    static.done(ADD, **bond)
    assert static.devices() == {4: "net_bonding0"}
    assert static.done(QUERY_PCI, vhost_path=str(static.socket(4))).query_string == "net_bonding0"
    static.done(ADD, **bond)
    static.refused(ADD, conditional=False, **bond)
    assert static.refused(ADD, **{**bond, "device": members[::-1]})[1] == (
        "relay 4 is in use by net_bonding0 (with other members, another order of them or another bond "
        "mode): remove that first")
    # A member belongs to one bond, a name to one bond.
    for taken in ({"device": ["net_null1"]},
                  {"device": ["net_null8", "net_null9"], "name": "net_bonding0"}):
        code, reason = static.refused(ADD, virtio_id=5, **taken)
        assert code == errno.EBUSY and "relay 4" in reason
    assert static.devices() == {4: "net_bonding0"}
    static.done(REMOVE, virtio_id=4, name="net_bonding0")
    static.done(ADD, virtio_id=5, device=["net_null1"])  # free again


def test_member_is_not_removed(static, dynamic):
    """A member is in use until its bond is removed; nobody must take an OK for the contrary."""
    bond = {"device": ["net_null0", "net_null1"], "name": "net_bonding0"}
    path = str(dynamic.directory / "bond.sock")
    static.done(ADD, virtio_id=4, **bond)
    dynamic.done(ADD_SOCK, vhost_path=path, **bond)
    for conditional in True, False:
        for daemon, op, fields, relay in (
                (static, REMOVE, {"virtio_id": 4}, 4), (dynamic, REMOVE_SOCK, {}, 0),
                (dynamic, REMOVE_SOCK, {"vhost_path": path}, 0)):
            assert daemon.refused(op, device=["net_null1"], conditional=conditional, **fields) == (
                errno.EBUSY,
                f"net_null1 is a member of net_bonding0, relay {relay}: remove that, by its name")
    assert static.devices() == {4: "net_bonding0"} and dynamic.devices() == {0: "net_bonding0"}
    static.done(REMOVE, virtio_id=5, device=["net_null1"])  # is not on that relay, as wanted


def test_half_made_bond_is_undone(static):
    static.refused(ADD, virtio_id=4, name="net_bonding0",
                   device=["net_null0", "net_null1", "net_no_such_driver0"])
    assert static.devices() == {}
    static.done(ADD, virtio_id=4, device=["net_null1"])
    static.done(REMOVE, virtio_id=4, device=["net_null1"])
    static.done(ADD, virtio_id=4, device=["net_null0", "net_null1"], name="net_bonding0")


def test_delayed_answers_at_a_stop(workdir):
    """Who waits for rates when the daemon stops gets those so far, and the log no error."""
    daemon = Daemon(workdir).start()
    with zmq.Context() as context, context.socket(zmq.DEALER) as client:
        client.linger = 0
        client.connect(daemon.stats_endpoint)
        for delay in 600_000, 0:
            client.send_multipart([b"", compat.StatsRequest(delay=delay).SerializeToString()])
        answers = []
        for stop in False, True:  # the second request's answer shows that the first one waits
            if stop:
                daemon.stop()
            assert client.poll(10_000)
            answers.append(compat.StatsResponse.FromString(client.recv_multipart()[1]))
    assert [answer.status for answer in answers] == [STATS_OK] * 2
    assert [len(answer.relay) for answer in answers] == [RELAYS] * 2
    assert " error " not in daemon.output.tail()


# As callers send them that give every optional field a default.
SURPLUS = {"virtio_id": 0, "mode": 1, "name": ""}


def test_surplus_fields_are_ignored(static, dynamic):
    device = {"device": ["net_null0"]}
    static.done(ADD, **device, **SURPLUS, vhost_path="", socket_mode=CLIENT, conditional=False)
    assert static.done(QUERY_PCI, **device, **SURPLUS, vhost_path=str(static.socket(0))) \
        .query_string == "net_null0"
    static.done(REMOVE, **device, **SURPLUS, vhost_path="/x", ident="x", conditional=False)
    path = str(dynamic.directory / "surplus.sock")
    dynamic.done(ADD_SOCK, **device, **SURPLUS, vhost_path=path, conditional=False)
    dynamic.done(REMOVE_SOCK, **device, **SURPLUS, vhost_path="", conditional=False)
    assert static.devices() == dynamic.devices() == {}


VF = (0, 5, 8, 1)
VFS = [(0, 5, 8, function) for function in range(8)] + [(0, 5, 9, 0)]

BREACHES = [
    (ADD, {"pci": [VF]}),
    (ADD, {"virtio_id": 1}),
    (ADD, {"pci": [VF], "virtio_id": 64}),
    (ADD, {"pci": [VF], "virtio_id": 0xFFFFFFFF}),
    (ADD, {"pci": [(0, 256, 8, 1)], "virtio_id": 1}),
    (ADD, {"pci": [(0, 5, 32, 1)], "virtio_id": 1}),
    (ADD, {"pci": [(0, 5, 8, 8)], "virtio_id": 1}),
    (ADD, {"pci": [(0, 5, 8, 0xFFFFFFFF)], "virtio_id": 1}),
    (ADD, {"pci": VFS[:2], "virtio_id": 1}),
    (ADD, {"pci": VFS[:1], "virtio_id": 1, "name": "net_bonding0"}),
    (ADD, {"pci": VFS, "virtio_id": 1, "name": "net_bonding0"}),
    (ADD, {"pci": VFS[:2], "virtio_id": 1, "name": "bond0"}),
    (ADD, {"pci": VFS[:2], "virtio_id": 1, "name": ""}),
    (ADD, {"pci": VFS[:2], "virtio_id": 1, "name": "net_bonding0,mode=1"}),
    (ADD, {"pci": VFS[:2], "virtio_id": 1, "name": "net_bonding\0"}),
    (ADD, {"pci": VFS[:2], "virtio_id": 1, "name": "net_bonding" + "x" * 64}),
    (ADD, {"pci": VFS[:2], "virtio_id": 1, "name": "net_bonding0", "mode": 7}),
    (ADD, {"pci": [VF, VF], "virtio_id": 1, "name": "net_bonding0"}),
    (ADD, {"pci": [VF], "virtio_id": 1, "device": ["net_null0"]}),
    (ADD, {"virtio_id": 1, "name": "net_bonding0"}),
    (ADD, {"virtio_id": 1, "device": [""]}),
    (ADD, {"virtio_id": 1, "device": ["ens3"]}),
    (ADD, {"virtio_id": 1, "device": ["net_null0\n"]}),
    (ADD, {"virtio_id": 1, "device": ["net_null0,size=\0"]}),
    (ADD, {"virtio_id": 1, "device": ["net_bonding0"]}),
    (ADD, {"virtio_id": 1, "device": ["net_null0," + "x" * 300]}),
    (ADD, {"virtio_id": 1, "device": ["net_af_packet0,iface"]}),  # the driver would read through NULL
    (ADD, {"virtio_id": 1, "device": ["net_null0"], "ident": "x" * 128}),
    (ADD, {"virtio_id": 1, "device": ["net_null0"], "ident": "\x1b[2J"}),
    (REMOVE, {"pci": [VF]}),
    (REMOVE, {"virtio_id": 1}),
    (REMOVE, {"pci": VFS[:2], "virtio_id": 1}),
    (ADD_SOCK, {"pci": [VF]}),
    (ADD_SOCK, {"vhost_path": "/tmp/x"}),
    (ADD_SOCK, {"device": ["net_null0"], "vhost_path": ""}),
    (ADD_SOCK, {"device": ["net_null0"], "vhost_path": "x.sock"}),
    (ADD_SOCK, {"device": ["net_null0"], "vhost_path": "/tmp/" + "x" * 103}),
    (ADD_SOCK, {"device": ["net_null0"], "vhost_path": "/tmp/x\n"}),
    (ADD_SOCK, {"device": ["net_null0"], "vhost_path": "/tmp/x\0y"}),
    (ADD_SOCK, {"device": ["net_null0"], "vhost_path": "/tmp/x", "socket_mode": 2}),
    (REMOVE_SOCK, {}),
    (QUERY_PCI, {}),
    (QUERY_PCI, {"vhost_path": ""}),
]


@pytest.mark.sanitizers
def test_breaches(static, dynamic):
    for daemon in static, dynamic:
        for op, fields in BREACHES:
            assert daemon.refused(op, **fields)[0] in (errno.EINVAL, errno.E2BIG,
                                                       errno.ENAMETOOLONG), (op, fields)
        assert daemon.devices() == {}


@pytest.mark.parametrize("data", [
    b"", b"\xff", b"\x08", b"\x08\x05", b"\x08\xff\xff\xff\xff\x0f", b"\x12\x00\x08\x00",
    b"\x08\x00\x12\x02\x08\x00", b"\x18\x01", b"\x08\x00\x3a\xff\xff\xff\xff\x07/x",
    b"\x08\x04\x3a\x04/a\xff\xfe", b"\x0b\x0b\x0b", b"\0" * 1000])
@pytest.mark.sanitizers
def test_unreadable_requests(static, data):
    response = vioclient.extended.PortControlResponse.FromString(
        vioclient.exchange(static.port_control_endpoint, data))
    assert response.status == ERROR
    assert response.error_code > 0 and response.error_code_source


# Dynamic sockets

def test_ops_of_the_other_kind(static, dynamic):
    assert "dynamic" in static.refused(ADD_SOCK, device=["net_null0"], vhost_path="/tmp/x")[1]
    assert "dynamic" in static.refused(REMOVE_SOCK, vhost_path="/tmp/x")[1]
    assert "dynamic" in dynamic.refused(ADD, device=["net_null0"], virtio_id=1)[1]
    assert "dynamic" in dynamic.refused(REMOVE, device=["net_null0"], virtio_id=1)[1]


@pytest.mark.sanitizers
def test_dynamic_sockets(dynamic):
    path = dynamic.directory / "a.sock"
    dynamic.done(ADD_SOCK, device=["net_null0"], vhost_path=str(path), ident="port-a")
    assert dynamic.devices() == {0: "net_null0"}  # the first free relay
    assert stat.S_ISSOCK(path.stat().st_mode) and stat.S_IMODE(path.stat().st_mode) == 0o660
    assert accepts(path)
    assert dynamic.relay(0).vhost.vhost_socket_name == str(path)
    assert dynamic.relay(0).ident == "port-a"
    assert dynamic.relay(1).vhost.vhost_socket_name == "NONE"
    assert dynamic.done(QUERY_PCI, vhost_path=str(path)).query_string == "net_null0"

    same = {"device": ["net_null0"], "vhost_path": str(path)}
    dynamic.done(ADD_SOCK, **same)
    assert dynamic.refused(ADD_SOCK, conditional=False, **same)[0] == errno.EEXIST
    other = str(dynamic.directory / "b.sock")
    assert dynamic.refused(ADD_SOCK, device=["net_null0"], vhost_path=other)[0] == errno.EBUSY
    assert dynamic.refused(ADD_SOCK, device=["net_null1"], vhost_path=str(path))[0] == errno.EBUSY

    dynamic.done(ADD_SOCK, device=["net_null1"], vhost_path=other)
    assert dynamic.devices() == {0: "net_null0", 1: "net_null1"}
    dynamic.refused(REMOVE_SOCK, device=["net_null0"], vhost_path=other)
    assert dynamic.devices() == {0: "net_null0", 1: "net_null1"}

    dynamic.done(REMOVE_SOCK, conditional=False, **same)
    assert not path.exists() and not dynamic.relay(0).HasField("ident")
    dynamic.done(REMOVE_SOCK, **same)
    assert dynamic.refused(REMOVE_SOCK, conditional=False, **same)[0] == errno.ENOENT
    dynamic.done(REMOVE_SOCK, device=["net_null1"])
    assert dynamic.devices() == {}
    dynamic.done(ADD_SOCK, **same)
    dynamic.done(REMOVE_SOCK, vhost_path=str(path))


def test_dynamic_socket_is_there_already(dynamic):
    """OK means that everything is as the request wants it; at most the ident changes."""
    path = str(dynamic.directory / "same.sock")
    members = ["net_null0", "net_null1,size=64"]
    bond = {"vhost_path": path, "name": "net_bonding0", "device": members}
    dynamic.done(ADD_SOCK, **bond, mode=2, socket_mode=SERVER, ident="one")
    dynamic.done(ADD_SOCK, **bond, mode=2, ident="two")
    dynamic.done(ADD_SOCK, **bond, mode=2)
    assert dynamic.relay(0).ident == "two"
    for other in ({"mode": 1}, {"mode": 2, "device": ["net_null0", "net_null2"]},
                  {"mode": 2, "device": ["net_null0", "net_null1,size=256"]},
                  {"mode": 2, "device": members[::-1]}, {"mode": 2, "socket_mode": CLIENT}):
        code, reason = dynamic.refused(ADD_SOCK, **{**bond, **other, "ident": "three"})
        assert code == errno.EBUSY and "net_bonding0" in reason, other
        assert ("with other members, another order" in reason) != ("socket_mode" in other)
    assert dynamic.refused(ADD_SOCK, conditional=False, **bond, mode=2)[0] == errno.EEXIST
    assert dynamic.relay(0).ident == "two"
    dynamic.done(REMOVE_SOCK, vhost_path=path, name="net_bonding0")


def test_no_more_devices(dynamic):
    """Whatever runs out first, this DPDK's ports or relays: refused, and the rest keeps working."""
    paths = [str(dynamic.directory / f"many{i}.sock") for i in range(RELAYS + 1)]
    added = 0
    for number, path in enumerate(paths):
        response = dynamic.port_control(ADD_SOCK, device=[f"net_null{number}"], vhost_path=path)
        if response.status != OK:
            break
        added += 1
    assert 16 <= added <= RELAYS and len(dynamic.devices()) == added
    assert response.error_code == errno.ENOSPC and "in use" in response.error_code_source
    assert not Path(paths[added]).exists()
    for path in paths[:added]:
        dynamic.done(REMOVE_SOCK, vhost_path=path, conditional=False)


@pytest.mark.parametrize("mode", [SERVER, CLIENT])
def test_socket_mode(dynamic, mode):
    """The request chooses who listens, whatever the daemon's default."""
    path = dynamic.directory / "mode.sock"
    with socket.socket(socket.AF_UNIX) as qemu:
        qemu.settimeout(10)
        if mode == CLIENT:
            qemu.bind(str(path))
            qemu.listen(1)
        dynamic.done(ADD_SOCK, device=["net_null0"], vhost_path=str(path), socket_mode=mode)
        if mode == CLIENT:
            qemu.accept()[0].close()
        else:
            qemu.connect(str(path))
        dynamic.done(REMOVE_SOCK, vhost_path=str(path))
    if mode == CLIENT:
        path.unlink()  # the listener's file, which the daemon must not remove
    assert not path.exists()


def test_occupied_socket(dynamic):
    """Somebody else listens there: refused, and the device is released."""
    path = dynamic.directory / "taken.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen(8)
        dynamic.refused(ADD_SOCK, device=["net_null0"], vhost_path=str(path), socket_mode=SERVER)
        assert dynamic.devices() == {}
        assert accepts(path)
    path.unlink()
    dynamic.refused(ADD_SOCK, device=["net_null0"], vhost_path="/no/such/directory/x.sock",
                    socket_mode=SERVER)
    assert dynamic.devices() == {}


def test_cycles_leak_nothing(dynamic):
    # When its last socket goes, the vhost library of DPDK 24.11 ends its thread, which takes a
    # second each time.
    stays = {"device": ["net_null3"], "vhost_path": str(dynamic.directory / "stays.sock")}
    dynamic.done(ADD_SOCK, conditional=False, **stays)
    paths = [str(dynamic.directory / f"cycle{i}.sock") for i in range(2)]

    def cycle(number):
        fields = {"device": [f"net_null{number % 3}"], "vhost_path": paths[number % 2]}
        dynamic.done(ADD_SOCK, conditional=False, **fields)
        dynamic.done(REMOVE_SOCK, conditional=False, **fields)

    for number in range(50):
        cycle(number)
    memory, files = memory_kib(dynamic.pid), open_files(dynamic.pid)
    for number in range(CYCLES):
        cycle(number)
    settled(dynamic, files)
    assert memory_kib(dynamic.pid) - memory < GROWTH_KIB
    dynamic.done(REMOVE_SOCK, conditional=False, **stays)
    assert dynamic.devices() == {}


# Statistics

def total(state, direction, unit):
    """received, and sent + drops + backlog."""
    source, destination = direction.split("_to_")
    state = getattr(state, direction)
    by_reason = {drop.name: getattr(drop, {"pkts": "packets"}.get(unit, unit))
                 for drop in state.drop}
    assert set(by_reason) == DROPS
    full = getattr(state, f"{unit}_dropped_{destination}_queue_full")
    gone = getattr(state, f"{unit}_dropped_{destination}_not_connected")
    assert gone == by_reason["not_connected"] and full + gone == sum(by_reason.values())
    backlog = state.backlog_packets if unit == "pkts" else state.backlog_bytes
    return (getattr(state, f"{unit}_rx_from_{source}"),
            getattr(state, f"{unit}_tx_to_{destination}") + full + gone + backlog)


def test_stats_of_an_idle_daemon(static):
    response = vioclient.stats(static.stats_endpoint)
    assert response.status == STATS_OK
    assert [r.id for r in response.relay] == list(range(RELAYS))
    for state in response.relay:
        assert not state.active and not state.HasField("vf")
        assert state.vhost.vhost_socket_name == str(static.socket(state.id))
        assert (state.vf_to_vm.active, state.vf_to_vm.internal_state) == (False, "DPDK_UNINIT")
        assert (state.vm_to_vf.active, state.vm_to_vf.internal_state) == (False, "VIRTIO_UNINIT")


def test_stats_under_traffic(static):
    """net_null is an endless source; without a VM all packets are dropped, and counted."""
    static.done(ADD, virtio_id=9, device=["net_null0,size=100"])
    first = static.relay(9)
    assert not first.active
    assert (first.vf_to_vm.active, first.vf_to_vm.internal_state) == (True, "DPDK_READY")
    assert first.cpu.vf_to_vm == max(os.sched_getaffinity(0))
    assert first.vf_to_vm.pkt_rate_rx_from_vf == 0.0  # no delay, no rate

    def ask():
        start = time.monotonic()
        answer = static.relay(9, delay=300)
        assert 0.3 <= time.monotonic() - start
        return answer if answer.vf_to_vm.pkt_rate_rx_from_vf > 0 else None

    later = wait_until(ask, 20, "a rate")  # for a moment no packet may have come
    received = later.vf_to_vm.pkts_rx_from_vf - first.vf_to_vm.pkts_rx_from_vf
    assert received > 0
    assert later.vf_to_vm.pkt_rate_rx_from_vf <= received / 0.3
    assert later.vf_to_vm.byte_rate_rx_from_vf == pytest.approx(
        100 * later.vf_to_vm.pkt_rate_rx_from_vf, rel=1e-3)
    assert later.vf_to_vm.pkt_rate_tx_to_vm == 0.0
    for unit in "pkts", "bytes":
        for direction in "vf_to_vm", "vm_to_vf":
            came, went = total(later, direction, unit)
            assert came == went
    assert later.vf_to_vm.bytes_rx_from_vf == 100 * later.vf_to_vm.pkts_rx_from_vf


def unknown_fields(message, path=""):
    """The paths of the parts of a message that its definition does not know."""
    found = [f"{path}.{field.field_number}" for field in UnknownFieldSet(message)]
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if field.label == field.LABEL_REPEATED else [value]:
                found += unknown_fields(part, f"{path}.{field.name}")
    return found


def test_extensions(start):
    """Each field that was added to the messages, and none that this client does not know."""
    first, second = workers = sorted(os.sched_getaffinity(0))[-2:]
    daemon = start(f"--virtio-cpu=7:{first},{second}", "--enable-tso",
                   devices={7: "net_null7", 8: "net_null8"}, cpus=(first, workers))
    split = [(8, first, first, [second, first], [first, second])]
    assert vioclient.core_sched(daemon.core_sched_endpoint, UPDATE, split).status == OK
    before = vioclient.stats(daemon.stats_endpoint)
    after = vioclient.stats(daemon.stats_endpoint, delay=1500)
    assert unknown_fields(after) == []
    pinned, other, bare = after.relay[7], after.relay[8], after.relay[9]
    assert (pinned.device, other.device, bare.HasField("device")) == ("net_null7", "net_null8", False)
    assert not other.vm_listens
    assert bare.HasField("numa_node") and bare.numa_node == -1  # neither device nor VM
    for direction in "vf_to_vm", "vm_to_vf":
        assert getattr(pinned, direction).pinned and not getattr(other, direction).pinned
    assert [part.cpu for part in other.vf_to_vm.slice] == [second, first]
    assert [part.cpu for part in other.vm_to_vf.slice] == [first, second]
    for relay in 7, 8:  # net_null is an endless source
        was, now = before.relay[relay].vf_to_vm, after.relay[relay].vf_to_vm
        assert now.busy_ns > was.busy_ns
        assert sum(part.busy_ns for part in now.slice) == now.busy_ns
    assert sorted(worker.cpu for worker in after.worker) == workers
    for was, now in zip(before.worker, after.worker):
        assert now.busy_ns > was.busy_ns and now.sleep_ns >= was.sleep_ns
        assert now.HasField("numa_node")

    refusals = [(8, first, first, [first, 1023], []), (8, first, first, [], [-1]),
                (8, first, first, [first] * 129, [])]
    for move in refusals:
        response = vioclient.core_sched(daemon.core_sched_endpoint, UPDATE, [move])
        assert (response.status, response.error_code) == (ERROR, errno.EINVAL), move
        assert "slice" in response.error_code_source or "1023" in response.error_code_source
    assert [part.cpu for part in daemon.relay(8).vf_to_vm.slice] == [second, first]

    config = vioclient.config(daemon.config_endpoint)
    assert unknown_fields(config) == []
    assert list(config.features) == ["tso"]


def test_workers_are_called_by_their_cpus(start):
    """Workers are named by the CPUs on which their threads run, even if a worker's CPU is numbered
    before the control thread's."""
    thread_name = ("dpdk-worker{}" if dpdk_version() >= (23, 11) else "rte-worker-{}").format
    cpus = sorted(os.sched_getaffinity(0))
    first, last = cpus[0], cpus[-1]
    for workers in [first], [first, last]:
        daemon = start(f"--virtio-cpu=7:{first},{first}", devices={7: "net_null7"}, cpus=(last, workers))
        threads = {(task / "comm").read_text(encoding="ascii").strip(): os.sched_getaffinity(int(task.name))
                   for task in Path(f"/proc/{daemon.pid}/task").iterdir()}
        stats = vioclient.stats(daemon.stats_endpoint)
        assert [{worker.cpu} for worker in stats.worker] == [
            threads[thread_name(number)] for number in range(1, 1 + len(workers))]
        assert (stats.relay[7].cpu.vf_to_vm, stats.relay[7].cpu.vm_to_vf) == (first, first)


def test_stats_selection(static):
    def ids(**fields):
        return [r.id for r in vioclient.stats(static.stats_endpoint, **fields).relay]

    assert ids(relay=[5, 63, 0]) == [0, 5, 63]
    assert ids(relay=[5, 5, 64, 4_000_000_000]) == [5]
    assert ids(relay=[64]) == []
    assert ids(relay=list(range(RELAYS))) == list(range(RELAYS))
    assert ids(include_inactive=False) == []
    assert ids(include_inactive=True) == list(range(RELAYS))


@pytest.mark.sanitizers
def test_stats_errors(static):
    def status(data):
        response = compat.StatsResponse.FromString(vioclient.exchange(static.stats_endpoint, data))
        assert not response.relay
        return response.status

    assert status(compat.StatsRequest(relay=[0] * 65).SerializeToString()) == E2BIG
    for data in b"\xff", b"\x0a\x05\x01", b"\x18", b"\x0b", bytes(100):
        assert status(data) == EBADR


@pytest.mark.sanitizers
def test_delayed_stats_hold_nobody_up(static):
    """More clients wait for rates than may: each is answered, and others do not wait."""
    with zmq.Context() as context:
        waiting = [context.socket(zmq.REQ) for _ in range(100)]
        request = compat.StatsRequest(delay=2000, relay=[1]).SerializeToString()
        for client in waiting:
            client.linger = 0
            client.connect(static.stats_endpoint)
            client.send(request)
        wait_until(lambda: any(client.poll(0) for client in waiting), 10, "the first early answer")
        honest_client_is_served(static)
        for client in waiting:
            assert client.poll(10_000)
            assert compat.StatsResponse.FromString(client.recv()).status == STATS_OK
            client.close()


# Core scheduler and configuration

def test_ipv6(start):
    """Statistics over a TCP endpoint with an IPv6 address."""
    with socket.socket(socket.AF_INET6) as free:
        free.bind(("::1", 0))
        endpoint = f"tcp://[::1]:{free.getsockname()[1]}"
    start("--allow-tcp-endpoints", f"--zmq-stats-ep={endpoint}")
    said = run([program("vio4wd"), "stats", f"--stats-ep={endpoint}", "--include-inactive", "--relay=7"])
    assert "relay_7.active=False\n" in said


def test_core_sched(static):
    endpoint = static.core_sched_endpoint
    worker = max(os.sched_getaffinity(0))
    assert vioclient.core_sched(endpoint, GET_EAL_CORES, [(0, 1, 1)]).status == OK  # a surplus map
    response = vioclient.core_sched(endpoint, GET_EAL_CORES)
    assert response.status == OK and list(response.eal_cores) == [worker]
    assert not response.HasField("error_code")

    static.done(ADD, virtio_id=3, device=["net_null0"])
    response = vioclient.core_sched(endpoint, UPDATE, [(3, worker, worker)])
    assert response.status == OK, response
    assert static.relay(3).cpu.vf_to_vm == worker


@pytest.mark.parametrize("moves", [
    [(64, "w", "w")], [(-1, "w", "w")], [(0, "w", -1)], [(0, 1023, "w")], [(0, "w", 5000)],
    [(0, "w", "w"), (0, "w", "w")]])
def test_core_sched_breaches(static, moves):
    worker = max(os.sched_getaffinity(0))
    moves = [tuple(worker if cpu == "w" else cpu for cpu in move) for move in moves]
    response = vioclient.core_sched(static.core_sched_endpoint, UPDATE, moves)
    assert response.status == ERROR
    assert response.error_code == errno.EINVAL and len(response.error_code_source) > 10


@pytest.mark.sanitizers
def test_core_sched_unreadable(static):
    for data in b"", b"\xff", b"\x08\x02", b"\x08\0\x12\0":
        response = compat.CoreSchedResponse.FromString(
            vioclient.exchange(static.core_sched_endpoint, data))
        assert response.status == ERROR and response.error_code > 0
        assert response.error_code_source


def test_config(static):
    worker = max(os.sched_getaffinity(0))
    response = vioclient.config(static.config_endpoint)
    assert response.status == 0
    assert [(pin.relay_number, pin.vf2virtio_cpu, pin.virtio2vf_cpu)
            for pin in response.relay_cpu_map] == [(7, worker, worker)]
    assert response.daemon_version and "DPDK" in response.dpdk_version
    old = vioclient.config(static.config_endpoint, messages=compat)
    assert old.status == 0 and len(old.relay_cpu_map) == 1
    response = compat.ConfigResponse.FromString(
        vioclient.exchange(static.config_endpoint, b"\xff"))
    assert response.status == EBADR and not response.relay_cpu_map


# Which way in is open

@pytest.mark.parametrize("ways, opened, closed", [
    (("zmq", "ipc", "ovsdb"), "port control over ZeroMQ at ", "command file and OVSDB are off"),
    (("ipc", "ovsdb"), "port control by command file ", "ZeroMQ and OVSDB are off"),
    (("ovsdb",), "port control by OVSDB at ", "ZeroMQ and command file are off"),
], ids=["all", "ipc-ovsdb", "ovsdb"])
def test_one_way_in(workdir, ways, opened, closed):
    """If several are set, ZeroMQ precedes the command file, which precedes OVSDB. The log says so,
    and the others ignore all requests."""
    command_file = workdir / "vio_cmd"
    database = workdir / "db.sock"
    options = {"ipc": ["--ipc", f"--ipc-path={command_file}"], "ovsdb": [f"--ovsdb-sock={database}"]}
    daemon = Forwarder(workdir, options=[o for way in ways for o in options.get(way, ())])
    if "zmq" not in ways:
        daemon.argv = [o for o in daemon.argv if not str(o).startswith("--zmq-port-control-ep")]
    with socket.socket(socket.AF_UNIX) as ovsdb:
        ovsdb.bind(str(database))
        ovsdb.listen(1)
        with daemon:
            line = next(line for line in daemon.output.text.splitlines() if closed in line)
            assert opened in line
            assert daemon.output.text.count("takes precedence") == len(ways) - 1
            for way in ways:
                assert (str({"zmq": daemon.port_control_endpoint, "ipc": command_file,
                             "ovsdb": database}[way]) in line) == (way == ways[0])
            assert (Path(daemon.port_control_endpoint.removeprefix("ipc://")).exists()
                    == (ways[0] == "zmq"))
            ovsdb.settimeout(10 if ways[0] == "ovsdb" else 0.2)
            try:
                ovsdb.accept()[0].close()
                asked = True
            except TimeoutError:
                asked = False
            assert asked == (ways[0] == "ovsdb")
            command_file.write_text("add_port no_such_netdev")
            if ways[0] == "ipc":
                wait_until(lambda: not command_file.exists(), 10, "the command file is taken")
            else:
                assert vioclient.stats(daemon.stats_endpoint).status == STATS_OK
                assert command_file.exists()


# The endpoints' files

def test_endpoint_files(workdir):
    endpoint = workdir / "run" / "virtio-forwarder" / "stats"
    with Daemon(workdir, f"--zmq-stats-ep=ipc://{endpoint}"):
        mode = endpoint.stat().st_mode
        assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660
        assert stat.S_IMODE(endpoint.parent.stat().st_mode) == 0o755
    assert not endpoint.exists()
    # The socket of a dead daemon is replaced.
    daemon = Daemon(workdir, f"--zmq-stats-ep=ipc://{endpoint}").start()
    daemon.kill()
    assert endpoint.exists()
    with Daemon(workdir, f"--zmq-stats-ep=ipc://{endpoint}"):
        assert len(vioclient.stats(f"ipc://{endpoint}").relay) == RELAYS
