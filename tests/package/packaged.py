# SPDX-License-Identifier: BSD-3-Clause
"""The Debian package and its services in a Tree or a Machine."""

import os
import re
import shutil
from pathlib import Path

from lib.forwarder import parse_stats
from lib.paths import ROOT
from lib.qemu import GuestError

DEB = next((ROOT / "build/package").glob("virtio-forwarder_*.deb"), None)
DPDK = Path(os.environ.get("VIO4WD_DPDK", ROOT / "build/dpdk"))  # which it is linked with
DAEMON = "virtio-forwarder"
SCHEDULER = "vio4wd_core_scheduler"
CONFFILE = "/etc/default/virtioforwarder"
SHIPPED = "/root/virtioforwarder"  # a copy of the file as installed
DROP_INS = f"/etc/systemd/system/{DAEMON}.service.d"
CLIENTS = "/usr/lib64/virtio-forwarder"

# For a machine with neither libvirt nor huge pages, and perhaps only two CPUs.
SETTINGS = {
    "VIRTIOFWD_CPU_MASK": max(os.sched_getaffinity(0)),
    "VIRTIOFWD_MASTER_LCORE": min(os.sched_getaffinity(0)),
    "VIRTIOFWD_SOCKET_OWNER": "root",
    "VIRTIOFWD_SOCKET_GROUP": "root",
    "VIRTIOFWD_VHOST_CLIENT": "",
}
NO_HUGE = """[Service]
ExecStart=
ExecStart=/usr/bin/virtio-forwarder --nodaemon=log_syslog --no-huge
"""


def download(tree):
    """Downloads the package's dependencies, for install()."""
    shutil.copy(DEB, tree.root / "root/package.deb")
    tree.run("apt-get -qq update && apt-get -qq -y install --no-install-recommends --download-only "
             "/root/package.deb", timeout=300)


def install(tree):
    """Installs the package in the running system, without a network."""
    tree.run("apt-get -q -y install --no-install-recommends /root/package.deb && "
             f"cp {CONFFILE} {SHIPPED}", timeout=300)


class Service:
    """One of the services. The tests change it through DROP_INS and CONFFILE."""

    def __init__(self, tree, name=DAEMON):
        self._tree = tree
        self.name = name

    def configure(self, drop_ins=(NO_HUGE,), **settings):
        """Writes the shipped configuration with what this machine needs and further settings, and
        the unit's drop-ins."""
        text = self._tree.run(f"cat {SHIPPED}")
        for name, value in {**SETTINGS, **settings}.items():
            text, count = re.subn(rf"^{name}=.*", f"{name}={value}", text, flags=re.M)
            assert count == 1, name
        self._write(CONFFILE, text)
        self._tree.run(f"rm -rf {DROP_INS} && mkdir {DROP_INS}")
        for number, drop_in in enumerate(drop_ins):
            self._write(f"{DROP_INS}/{number}.conf", drop_in)
        self._tree.run("systemctl daemon-reload")

    def _write(self, path, text):
        self._tree.run(f"cat >{path} <<'END'\n{text}END\n")

    def __call__(self, verb, check=True):
        """Runs systemctl VERB; returns its output."""
        try:
            return self._tree.run(f"systemctl {verb} {self.name}", check=check)
        except (RuntimeError, GuestError) as error:
            raise AssertionError(f"{error}\n{self.journal(20)}") from None

    def state(self):
        return self("is-active", check=False).strip()

    def pid(self):
        """Its process id; 0 if it does not run."""
        return int(self("show -P MainPID"))

    def journal(self, lines="all"):
        """lines: how many of the last ones; a Machine takes long for many."""
        return self._tree.run(f"journalctl --no-pager -n {lines} -u {self.name}")

    def relay(self, number=0):
        """The state of a relay as the installed client reports it, in the form of
        Forwarder.stats()."""
        return parse_stats(self._tree.run(
            f"{CLIENTS}/virtioforwarder_stats.py --include-inactive --delay=0 | "
            f"grep '^relay_{number}[.]'"), number)
