# SPDX-License-Identifier: BSD-3-Clause
"""A daemon with all its ZeroMQ endpoints, and clients of the contract that ask it."""

import time

from lib import vioclient
from lib.forwarder import Forwarder
from lib.proc import open_files, wait_until
from lib.vioclient import compat

ADD, REMOVE, ADD_SOCK, REMOVE_SOCK, QUERY_PCI = range(5)
ERROR, OK = 0, 1
UPDATE, GET_EAL_CORES = 0, 1

ANSWER_S = 0.1  # within this an honest client is answered, whatever the others do


class Daemon(Forwarder):
    """A daemon with all four endpoints."""

    def __init__(self, directory, *options, **arguments):
        self.config_endpoint = f"ipc://{directory}/config"
        self.core_sched_endpoint = f"ipc://{directory}/core_sched"
        super().__init__(
            directory, config="VIO4WD_CORE_SCHED_ENABLE=true\n",
            options=[f"--zmq-config-ep={self.config_endpoint}",
                     f"--zmq-core-sched-ep={self.core_sched_endpoint}", *options], **arguments)

    @property
    def endpoints(self):
        return {"port_control": self.port_control_endpoint, "stats": self.stats_endpoint,
                "config": self.config_endpoint, "core_sched": self.core_sched_endpoint}

    def port_control(self, op, **fields):
        return vioclient.port_control(self.port_control_endpoint, op, **fields)

    def done(self, op, **fields):
        response = self.port_control(op, **fields)
        assert response.status == OK, response
        assert not response.HasField("error_code")
        assert not response.HasField("error_code_source")
        return response

    def refused(self, op, **fields):
        """An ERROR with a reason; returns (code, reason)."""
        response = self.port_control(op, **fields)
        assert response.status == ERROR, f"not refused: {op} {fields}"
        assert response.error_code > 0
        assert len(response.error_code_source) > 10 and "\n" not in response.error_code_source
        return response.error_code, response.error_code_source

    def relay(self, number, **fields):
        return vioclient.relay(self.stats_endpoint, number, **fields)

    def devices(self):
        """{relay: device} of those that have one."""
        return {r.id: r.device for r in vioclient.stats(self.stats_endpoint).relay if r.device}


def honest_client_is_served(daemon):
    """Each endpoint answers an honest client in time. A machine that is slow for a while is none of
    the daemon's business: it is asked until an answer comes in time."""
    requests = {
        "port_control": compat.PortControlRequest(op=QUERY_PCI, vhost_path="/x"),
        "stats": compat.StatsRequest(),
        "config": compat.ConfigRequest(),
        "core_sched": compat.CoreSchedRequest(op=GET_EAL_CORES),
    }

    def in_time(name, endpoint):
        start = time.monotonic()
        vioclient.exchange(endpoint, requests[name].SerializeToString())
        return time.monotonic() - start < ANSWER_S

    for name, endpoint in daemon.endpoints.items():
        wait_until(lambda: in_time(name, endpoint), 60, f"{name}: an answer in time")


def settled(daemon, files):
    wait_until(lambda: open_files(daemon.pid) <= files, 20, "closed connections")
