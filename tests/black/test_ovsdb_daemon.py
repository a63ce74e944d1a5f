# SPDX-License-Identifier: BSD-3-Clause
"""The daemon under control of a real database: after each command of an operator, packets pass or
do not. All else that the monitor does is in test_ovsdb.py."""

from contextlib import contextmanager

import pytest
from lib.forwarder import Forwarder
from lib.metrics import scrape, value
from lib.net import Netns
from lib.peer import Peer, counted, memif_device, net_socket
from lib.proc import wait_until

RATE_PPS = 20_000
WAIT_S = 20

pytestmark = pytest.mark.sanitizers


class OvsdbForwarder(Forwarder):
    """A daemon that is controlled by the database only."""

    def __init__(self, directory, database, **arguments):
        self.metrics = directory / "metrics"
        super().__init__(directory, options=[
            f"--ovsdb-sock={database.socket}", f"--metrics-ep=ipc://{self.metrics}"], **arguments)
        self.argv = [argument for argument in self.argv
                     if not str(argument).startswith("--zmq-port-control-ep")]


@pytest.fixture
def vm(workdir, stack):
    """Starts a VM at relay 0 that sends all the time."""
    def make(forwarder):
        peer = stack.enter_context(Peer(workdir, "vm", vm=forwarder.socket(), count=0,
                                        rate=RATE_PPS))
        peer.start()
        return peer

    return make


def keys(workdir, network=1):
    """The external_ids of an interface that stands for relay 0, attached to that network. (DPDK's
    memif driver cannot create the same device again soon after it was removed, so there are
    several.)"""
    return {"virtio_forwarder": 1, "virtio_forwarder_id": 0,
            "virtio_forwarder_device": memif_device(workdir, network), "iface_id": "port-0"}


def has_device(forwarder, attached):
    wait_until(lambda: forwarder.stats()["vf_to_vm"]["active"] == attached, WAIT_S,
               f"device {'on' if attached else 'off'} relay 0")


@contextmanager
def network(forwarder, workdir, number=1):
    """A network; it and the VM must hear each other."""
    with Peer(workdir, f"network{number}", net=net_socket(workdir, number), count=0,
              rate=RATE_PPS) as peer:
        peer.start()
        peer.wait_event("first", stream="vm_to_vf")
        before = counted(forwarder, "vf_to_vm").sent[0]
        wait_until(lambda: counted(forwarder, "vf_to_vm").sent[0] > before, WAIT_S,
                   "packets to the VM")
        yield


def passes_no_packets(forwarder):
    """The VM keeps sending, and all its packets are dropped for lack of a device."""
    counters = counted(forwarder, "vm_to_vf")
    sent, dropped = counters.sent[0], counters.dropped[0]
    wait_until(lambda: counted(forwarder, "vm_to_vf").dropped[0] > dropped + 1000, WAIT_S,
               "packets of the VM are dropped")
    assert counted(forwarder, "vm_to_vf").sent[0] == sent


def tells_connected(forwarder, connected):
    wait_until(lambda: value(scrape(forwarder.metrics), "ovsdb_connected") == connected, WAIT_S,
               "the metrics tell", interval=0.3)


def test_commands(database, workdir, stack, vm):
    forwarder = stack.enter_context(OvsdbForwarder(workdir, database))
    vm(forwarder)
    passes_no_packets(forwarder)
    database.start()

    commands = [(lambda: database.add_port("vm0", **keys(workdir, 1)),
                 lambda: database.remove("vm0", "virtio_forwarder")),
                (lambda: database.set("vm0", **keys(workdir, 2)),
                 lambda: database.del_port("vm0"))]
    for number, (attach, detach) in enumerate(commands, 1):
        attach()
        has_device(forwarder, True)
        assert forwarder.stats()["ident"] == "port-0"
        with network(forwarder, workdir, number):
            detach()
            has_device(forwarder, False)
        passes_no_packets(forwarder)


def test_database_restarts_under_traffic(database, workdir, stack, vm):
    database.start()
    database.add_port("vm0", **keys(workdir))
    forwarder = stack.enter_context(OvsdbForwarder(workdir, database))
    has_device(forwarder, True)
    vm(forwarder)

    def passes_all():
        counters = counted(forwarder, "vm_to_vf")
        sent, dropped = counters.sent[0], counters.dropped[0]
        wait_until(lambda: counted(forwarder, "vm_to_vf").sent[0] > sent + 1000, WAIT_S,
                   "packets to the network")
        assert counted(forwarder, "vm_to_vf").dropped[0] == dropped

    with network(forwarder, workdir):
        database.kill()
        wait_until(lambda: "connection lost" in forwarder.output.text, WAIT_S, "connection lost")
        tells_connected(forwarder, 0)
        passes_all()
        database.start()
        wait_until(lambda: forwarder.output.text.count("connected; ") == 2, WAIT_S,
                   "connected again")
        tells_connected(forwarder, 1)
        passes_all()
        database.del_port("vm0")
        has_device(forwarder, False)


def test_row_before_device(database, workdir, stack):
    """The device's interface comes last; then the relay gets it by itself."""
    host = stack.enter_context(Netns("vio4wd-host"))
    database.start()
    database.add_port("vm0", virtio_forwarder=1, virtio_forwarder_id=0,
                      virtio_forwarder_device="net_af_packet0,iface=late0")
    forwarder = stack.enter_context(OvsdbForwarder(workdir, database, netns=host))
    wait_until(lambda: "interface vm0 is not relayed" in forwarder.output.text, WAIT_S, "refusal")
    has_device(forwarder, False)
    host.ip("link", "add", "late0", "type", "veth", "peer", "name", "late1")
    host.ip("link", "set", "late0", "up")
    has_device(forwarder, True)
    database.del_port("vm0")
    has_device(forwarder, False)


def test_static_device_is_left_alone(database, workdir, stack):
    """The database may not take away what the configuration has attached, even if a row names it."""
    def keys_of(relay):
        return {"virtio_forwarder": 1, "virtio_forwarder_id": relay,
                "virtio_forwarder_device": f"net_null{relay}"}

    database.start()
    database.add_port("vm0", **keys_of(0))
    forwarder = stack.enter_context(OvsdbForwarder(workdir, database, devices={0: "net_null0"}))
    wait_until(lambda: "interface vm0 is not relayed" in forwarder.output.text, WAIT_S, "refusal")
    database.del_port("vm0")
    database.add_port("vm1", **keys_of(1))
    wait_until(lambda: forwarder.stats(1)["vf_to_vm"]["active"], WAIT_S, "device on relay 1")
    has_device(forwarder, True)
