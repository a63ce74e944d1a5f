# SPDX-License-Identifier: BSD-3-Clause
"""The daemon under test."""

import grp
import os
import pwd
import re
import signal
import socket
from pathlib import Path

from lib.paths import program
from lib.proc import Process, run, wait_until

START_TIMEOUT_S = 60  # with sanitizers on a loaded machine; otherwise a second
STOP_TIMEOUT_S = 30


def default_cpus():
    """(control CPU, worker CPU): the first and the last CPU that we may use."""
    cpus = sorted(os.sched_getaffinity(0))
    return cpus[0], cpus[-1]


class Forwarder:
    """A virtio-forwarder in the foreground that keeps all its files in a directory of the caller.
    start() and stop() may be repeated. As a context manager it starts on entry; on exit it is
    stopped and must end cleanly (it is killed if the test has failed)."""

    def __init__(self, directory, devices=None, client=False, options=(), config="", netns=None,
                 cpus=None, huge=False, name="forwarder"):
        """directory: an existing pathlib.Path, short enough for sockets. devices: {relay: device}
        attached at start. client: vhost-user client mode (the VM creates the sockets). options:
        further command line options. config: text of the configuration file. netns: the namespace
        to run in. cpus: (control, [workers]); the control CPU may be one of the workers'."""
        self.name = name
        self.directory = directory
        self.client = client
        self.socket_dir = directory / "sockets"
        self.socket_dir.mkdir(exist_ok=True)
        self.stats_endpoint = f"ipc://{directory}/stats"
        self.port_control_endpoint = f"ipc://{directory}/port_control"
        self.config_file = directory / "virtioforwarder"
        self.config_file.write_text(config, encoding="utf-8")
        self._netns = netns
        self._runs = 0
        self._process = None

        control, worker = default_cpus()
        control, workers = cpus or (control, [worker])
        self.argv = [
            program("virtio-forwarder"), "--nodaemon", f"--config={self.config_file}",
            f"--cpus={','.join(map(str, workers))}", f"--master-lcore={control}",
            f"--pid-path={directory}", f"--vhost-path={self.socket_dir}",
            f"--vhost-username={pwd.getpwuid(os.getuid()).pw_name}",
            f"--vhost-groupname={grp.getgrgid(os.getgid()).gr_name}",
            f"--zmq-stats-ep={self.stats_endpoint}",
            f"--zmq-port-control-ep={self.port_control_endpoint}",
            *(["--share-master-cpu"] if control in workers else []),
            *([] if huge else ["--no-huge"]), *(["--vhostuser-client"] if client else []),
            *(f"--add-pci-vf={device}={relay}" for relay, device in (devices or {}).items()),
            *options]

    def socket(self, relay=0):
        """The vhost-user socket of a relay."""
        return self.socket_dir / f"virtio-forwarder{relay}.sock"

    @property
    def pid(self):
        return self._process.pid

    @property
    def output(self):
        """The output of the current run, or of the last one."""
        return self._process.output

    def running(self):
        return self._process is not None and self._process.running()

    def start(self, timeout=START_TIMEOUT_S):
        """Starts the daemon and waits until it reports that it is ready."""
        argv = self._netns.argv(self.argv) if self._netns else self.argv
        self._runs += 1
        self._process = Process(argv, self.name,
                                log_path=self.directory / f"{self.name}.{self._runs}.log")
        try:
            self._process.expect(r"\bready: ", timeout)
        except BaseException:
            self._process.__exit__()
            raise
        return self

    def stop(self, timeout=STOP_TIMEOUT_S):
        """Sends SIGTERM; the daemon must exit with 0 and remove its files."""
        code = self._process.terminate(timeout)
        self._process.__exit__()
        assert code == 0, f"{self.name}: exit code {code} on SIGTERM\n{self.output.tail()}"
        left = [] if self.client else sorted(self.socket_dir.iterdir())
        left += sorted(self.directory.glob("*.pid"))
        assert not left, f"{self.name} has left behind {', '.join(map(str, left))}"

    def kill(self):
        """kill -9"""
        self._process.signal(signal.SIGKILL)
        self._process.wait(10)
        self._process.__exit__()

    def stats_text(self):
        """The output of the statistics client: flat, name=value lines."""
        return run([program("virtioforwarder_stats.py"), "--stats-ep", self.stats_endpoint,
                    "--include-inactive", "--delay", 0], timeout=20)

    def stats(self, relay=0):
        """The state of a relay: {"active": True, "vf_to_vm": {"pkts_rx_from_vf": 1, ...}, ...}."""
        return parse_stats(self.stats_text(), relay)

    def wait_vm(self, relay=0, attached=True, timeout=60):
        """Waits until a VM is attached to the relay, or gone from it."""
        wait_until(lambda: self.stats(relay)["vm_to_vf"]["active"] == attached, timeout,
                   f"VM {'on' if attached else 'off'} relay {relay}", interval=0.2)

    def __enter__(self):
        return self if self.running() else self.start()

    def __exit__(self, exception_type, *_):
        if not self.running():
            if self._process:
                self._process.__exit__()
        elif exception_type:
            self.kill()
        else:
            self.stop()


def parse_stats(text, relay):
    """One relay in the output of the statistics client, in the form of Forwarder.stats()."""
    prefix = f"relay_{relay}."
    state = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if not name.startswith(prefix):
            continue
        path = [part for part in name[len(prefix):].split(".") if not part.startswith("cpu_")]
        place = state
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1]] = _value(value)
    assert state, f"no relay {relay} in the statistics"
    return state


def _value(text):
    if text in ("True", "False"):
        return text == "True"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    return text


def worker_threads(pid):
    """The thread ids of a daemon's workers."""
    return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()
            if re.fullmatch(r"((lcore|rte)-worker-|dpdk-worker)\d+",
                            (task / "comm").read_text().strip())]


def worker_thread(pid):
    """The thread id of a daemon's only worker."""
    worker, = worker_threads(pid)
    return worker


def accepts(path):
    """Whether somebody listens on a unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True
