# SPDX-License-Identifier: BSD-3-Clause
"""A clean Debian in a directory: an overlay over a tree of scripts/debian-tree, with systemd as
init."""

import os
import re
import signal
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

from lib.paths import SCRIPTS
from lib.proc import Process, WaitTimeout, run, wait_until

BOOT_TIMEOUT_S = 120
# nspawn does not mount it, but DPDK looks for drivers there.
MOUNT_SYS_MODULE = """mount -o remount,rw /sys && mkdir /sys/module /tmp/sys && mount -t sysfs none /tmp/sys
mount --bind /tmp/sys/module /sys/module && umount /tmp/sys && rmdir /tmp/sys"""
POWER_OFF = signal.SIGRTMIN + 4  # signal for systemd
ENVIRONMENT = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
               "DEBIAN_FRONTEND=noninteractive"]
# Undoes that systemd-nspawn moves what it starts into control groups below its own.
ENTER = 'for group in $CGROUPS; do echo $$ >"$group/cgroup.procs"; done; exec "$@"'


class Tree:
    """Created on entry and removed on exit. Before boot(), run() runs commands in a chroot with the
    machine's network; after it, in the running system, which has no network other than what is
    added to it."""

    def __init__(self, suite, packages):
        self._lower = run([SCRIPTS / "debian-tree", suite, *packages], timeout=1200).split()[-1]
        self._base = None
        self._groups = []
        self._nspawn = None
        self._leader = None

    def __enter__(self):
        self._base = Path(tempfile.mkdtemp(prefix="vio4wd-tree-"))
        with ExitStack() as stack:
            stack.callback(self._base.rmdir)
            run(["mount", "-t", "tmpfs", "-o", "size=2g,mode=755", "vio4wd", self._base])
            stack.callback(run, ["umount", self._base])
            for name in ("upper", "work", "root"):
                (self._base / name).mkdir()
            run(["mount", "-t", "overlay", "-o",
                 f"lowerdir={self._lower},upperdir={self._base}/upper,workdir={self._base}/work",
                 "vio4wd", self.root])
            stack.callback(run, ["umount", self.root])
            stack.callback(self._end)
            self._stack = stack.pop_all()
        return self

    @property
    def root(self):
        return self._base / "root"

    def boot(self):
        """Starts systemd."""
        for hierarchy in systemd_hierarchies():
            self._groups.append(hierarchy / self._base.name)
            self._groups[-1].mkdir()
        command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot",
                   "--private-network", "--capability=all", "--resolv-conf=off",
                   f"--directory={self.root}", f"--machine=vio4wd-{os.getpid()}", "--console=pipe"]
        self._nspawn = Process(["sh", "-ec", ENTER, "sh", *command], "systemd-nspawn",
                               env={"CGROUPS": " ".join(map(str, self._groups))})
        self._leader = wait_until(self._find_leader, BOOT_TIMEOUT_S, "systemd's process")
        wait_until(lambda: self.run("systemctl is-system-running", check=False).strip()
                   in ("running", "degraded"), BOOT_TIMEOUT_S, "systemd to be up", interval=0.2)
        self.run(MOUNT_SYS_MODULE)

    def _find_leader(self):
        """nspawn's child that is process 1 of the system; for a moment nspawn has another child
        too."""
        assert self._nspawn.running(), f"systemd-nspawn has ended:\n{self._nspawn.output.tail()}"
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text()
        for child in children.split():
            with suppress(OSError):
                if re.search(r"^NSpid:.*\t1$", Path(f"/proc/{child}/status").read_text(), re.M):
                    return int(child)
        return None

    def path(self, path):
        """The path out here of a file of the running system, including its /run and /tmp."""
        return Path(f"/proc/{self._leader}/root{path}")

    def argv(self, command):
        """The command line that runs a program of this machine in the running system's network,
        like Netns.argv()."""
        return ["nsenter", f"--net=/proc/{self._leader}/ns/net", *map(str, command)]

    def run(self, command, timeout=120, check=True):
        """Runs a shell command; returns its output."""
        enter = ["nsenter", "--all", f"--target={self._leader}"] if self._leader else [
            "chroot", self.root]
        return run([*enter, *ENVIRONMENT, "sh", "-ec", command], timeout=timeout, check=check)

    def __exit__(self, *_):
        self._stack.close()

    def _end(self):
        """Ends everything that runs in the system."""
        if self._leader:
            with suppress(ProcessLookupError, WaitTimeout):
                os.kill(self._leader, POWER_OFF)
                self._nspawn.wait(60)
                self._leader = None
        if self._nspawn:
            self._nspawn.__exit__()
        if self._leader:  # it does not end with nspawn
            with suppress(ProcessLookupError):
                os.kill(self._leader, signal.SIGKILL)
        for group in self._groups:
            wait_until(lambda: remove_group(group), 10, f"{group} to be empty")


def systemd_hierarchies():
    """The mount points of the control groups that systemd uses: cgroup2's, systemd's own, or both."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount_point, kind, options, *_ = line.split()
        if kind == "cgroup2" or kind == "cgroup" and "name=systemd" in options.split(","):
            yield Path(mount_point)


def remove_group(group):
    """Removes a group with its subgroups; False if there are processes left."""
    for folder, _, _ in os.walk(group, topdown=False):
        try:
            os.rmdir(folder)
        except OSError:
            return False
    return True
