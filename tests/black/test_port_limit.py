# SPDX-License-Identifier: BSD-3-Clause
"""Debian's DPDK has 32 ports: at the 33rd the daemon says so, with the remedy."""

import re

import pytest
from lib import vioclient
from lib.forwarder import Forwarder
from lib.paths import stock_dpdk
from lib.wire import ADD, ERROR, OK, REMOVE

PORTS = 32

pytestmark = pytest.mark.skipif(not stock_dpdk(), reason="linked with a DPDK for more ports")


def test_33rd_port(workdir):
    devices = {relay: f"net_null{relay}" for relay in range(PORTS)}
    with Forwarder(workdir, devices) as forwarder:
        def request(op, **fields):
            return vioclient.port_control(forwarder.port_control_endpoint, op, **fields)

        for fields in ({"device": ["net_null90"]},
                       {"device": ["net_null90", "net_null91"], "name": "net_bonding0"}):
            answer = request(ADD, virtio_id=PORTS, **fields)
            assert answer.status == ERROR
            assert re.search(r"built for 32 ports.*max_ethports", answer.error_code_source)
            assert fields.get("name", "net_null90") in answer.error_code_source
        assert not vioclient.relay(forwarder.stats_endpoint, PORTS).vf_to_vm.active
        # Only the port is missing, nothing else.
        assert request(REMOVE, virtio_id=0, device=["net_null0"], conditional=False).status == OK
        assert request(ADD, virtio_id=PORTS, device=["net_null90"], conditional=False).status == OK
