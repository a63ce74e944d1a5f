# SPDX-License-Identifier: BSD-3-Clause
"""A private ovsdb-server, and ovs-vsctl as an operator uses it. No ovs-vswitchd is started, and an
Open vSwitch that this machine may run is not touched."""

import json
import signal
import socket

from lib.proc import Process, run, wait_until

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


class Database:
    """The database of Open vSwitch, with a bridge br0. start() and stop() may be repeated. As a
    context manager it is stopped on exit."""

    def __init__(self, directory, remotes=(), options=(), netns=None):
        """remotes: further places to listen on besides its unix socket, as for ovsdb-server's
        --remote."""
        self.socket = directory / "db.sock"
        self._directory = directory
        self._file = directory / "conf.db"
        self._options = [*(f"--remote={remote}" for remote in remotes), *options]
        self._netns = netns
        self._runs = 0
        self._process = None
        run(["ovsdb-tool", "create", self._file, SCHEMA])
        self.start()
        self.vsctl("init")
        self.vsctl("add-br", "br0")
        self.stop()

    def start(self):
        argv = ["ovsdb-server", self._file, f"--remote=punix:{self.socket}",
                f"--unixctl={self._directory}/ctl", *self._options]
        self._runs += 1
        self._process = Process(self._netns.argv(argv) if self._netns else argv, "ovsdb-server",
                                log_path=self._directory / f"ovsdb-server.{self._runs}.log")
        wait_until(self._listens, 20, "ovsdb-server listens")

    def _listens(self):
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self.socket))
            except OSError:
                return False
            return True

    def stop(self):
        self._process.terminate()
        self._process.__exit__()

    def kill(self):
        """kill -9; the file of its socket stays."""
        self._process.kill()
        self._process.__exit__()

    def freeze(self):
        self._process.signal(signal.SIGSTOP)

    def thaw(self):
        self._process.signal(signal.SIGCONT)

    def transact(self, *operations):
        """Changes the database file while no server runs."""
        run(["ovsdb-tool", "transact", self._file, json.dumps(["Open_vSwitch", *operations])])

    def vsctl(self, *arguments):
        """Runs commands of ovs-vsctl; several are separated by "--"."""
        return run(["ovs-vsctl", f"--db=unix:{self.socket}", "--no-wait", *arguments])

    def add_port(self, name, **external_ids):
        """Runs add-port and, in the same transaction, sets the keys."""
        self.vsctl("add-port", "br0", name, "--", "set", "Interface", name,
                   *external_id_arguments(external_ids))

    def set(self, name, **external_ids):
        self.vsctl("set", "Interface", name, *external_id_arguments(external_ids))

    def remove(self, name, *keys):
        for key in keys:
            self.vsctl("remove", "Interface", name, "external_ids", key)

    def del_port(self, name):
        self.vsctl("del-port", "br0", name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.running():
            self.thaw()
            self.stop()


def external_id_arguments(external_ids):
    """iface_id="x" becomes external_ids:iface-id="x"."""
    return [f'external_ids:{key.replace("iface_id", "iface-id")}="{value}"'
            for key, value in external_ids.items()]
