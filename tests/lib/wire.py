# SPDX-License-Identifier: BSD-3-Clause
"""A daemon with all its ZeroMQ endpoints, and well-behaved clients that use them."""

import time
from pathlib import Path

from lib import vioclient
from lib.forwarder import Forwarder
from lib.proc import open_files, wait_until
from lib.vioclient import compat

ADD, REMOVE, ADD_SOCK, REMOVE_SOCK, QUERY_PCI = range(5)
ERROR, OK = 0, 1
UPDATE, GET_EAL_CORES = 0, 1

ANSWER_S = 0.1  # an honest client is answered within this time, whatever others do


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
        """The request must be refused with a reason; returns (code, reason)."""
        response = self.port_control(op, **fields)
        assert response.status == ERROR, f"not refused: {op} {fields}"
        assert response.error_code > 0
        assert len(response.error_code_source) > 10 and "\n" not in response.error_code_source
        return response.error_code, response.error_code_source

    def relay(self, number, **fields):
        return vioclient.relay(self.stats_endpoint, number, **fields)

    def devices(self):
        """{relay: device} of the relays that have a device."""
        return {r.id: r.device for r in vioclient.stats(self.stats_endpoint).relay if r.device}


def running_time(pid):
    """A clock, in seconds, that stands still while a thread of that process, or our main thread,
    waits for a CPU."""
    clock = time.monotonic()
    threads = [Path("/proc/self/schedstat"), *Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return clock - sum(int(thread.read_text(encoding="ascii").split()[1]) for thread in threads) / 1e9


def honest_client_is_served(daemon):
    """Each endpoint must answer an honest client in time. A busy machine is not the daemon's fault:
    time that its threads and ours wait for a CPU does not count, and a late answer may be retried
    for three seconds."""
    requests = {
        "port_control": compat.PortControlRequest(op=QUERY_PCI, vhost_path="/x"),
        "stats": compat.StatsRequest(),
        "config": compat.ConfigRequest(),
        "core_sched": compat.CoreSchedRequest(op=GET_EAL_CORES),
    }

    def in_time(name, endpoint):
        start = running_time(daemon.pid)
        vioclient.exchange(endpoint, requests[name].SerializeToString())
        return running_time(daemon.pid) - start < ANSWER_S

    for name, endpoint in daemon.endpoints.items():
        wait_until(lambda: in_time(name, endpoint), 3, f"{name}: an answer in time")


def settled(daemon, files):
    wait_until(lambda: open_files(daemon.pid) <= files, 20, "closed connections")
