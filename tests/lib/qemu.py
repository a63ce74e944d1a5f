# SPDX-License-Identifier: BSD-3-Clause
"""Linux guests under QEMU, attached to vhost-user sockets."""

import hashlib
import json
import os
import re
import secrets
import socket
from dataclasses import dataclass, field
from pathlib import Path

from lib.paths import SCRIPTS, cache_dir
from lib.proc import Process, Stream, WaitTimeout, run, wait_until

BOOT_TIMEOUT_S = 120  # takes seconds on an idle machine, much longer on a loaded one without KVM
KERNEL_ARGUMENTS = "console=ttyS0 panic=-1 quiet no_timer_check tsc=reliable"


class GuestError(AssertionError):
    """A command in the guest has failed."""


@dataclass
class Image:
    """The VM made by scripts/vm-image."""

    kernel: Path
    initramfs: Path

    @classmethod
    def make(cls):
        folder = Path(run([SCRIPTS / "vm-image"], timeout=600).splitlines()[-1])
        return cls(folder / "vmlinuz", folder / "initramfs")


@dataclass
class Qemu:
    """A QEMU binary, and how it can run guests here."""

    binary: Path
    version: tuple
    accel: str  # "kvm" or "tcg"

    @classmethod
    def find(cls, image, binary=None, accel=None):
        """The system's QEMU, or another binary. accel: the accelerator, instead of the best that
        works."""
        binary = binary or "qemu-system-x86_64"
        version = re.search(r"version (\d+)\.(\d+)", run([binary, "--version"]))
        qemu = cls(binary, (int(version[1]), int(version[2])), accel or "tcg")
        if not accel and os.access("/dev/kvm", os.R_OK | os.W_OK) and qemu._kvm_works(image):
            qemu.accel = "kvm"
        return qemu

    @classmethod
    def backports(cls, image):
        """QEMU 10 from bookworm-backports, if the system's is older."""
        system = cls.find(image)
        if system.version >= (10, 0):
            return system
        output = run([SCRIPTS / "qemu-backports"], timeout=600)
        return cls.find(image, output.splitlines()[-1], accel=system.accel)

    def _kvm_works(self, image):
        """Boots the image with KVM: some hosts have a /dev/kvm with which a guest does not get far.
        The result holds until the machine restarts."""
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        memory = cache_dir() / "kvm-works"
        try:
            known_boot_id, works = memory.read_text(encoding="ascii").split()
            if known_boot_id == boot_id:
                return works == "yes"
        except (OSError, ValueError):
            pass
        argv = ["prlimit", "--core=0", self.binary, "-accel", "kvm", "-cpu", "host", "-m", "256",
                "-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio",
                "-kernel", image.kernel, "-initrd", image.initramfs,
                "-append", f"{KERNEL_ARGUMENTS} poweroff"]
        with Process(argv, "kvm-probe") as probe:
            try:
                probe.expect("VM-WORKS", 20)
                works = True
            except WaitTimeout:
                works = False
        memory.write_text(f"{boot_id} {'yes' if works else 'no'}\n", encoding="ascii")
        return works

    def machine_arguments(self):
        cpu = "host" if self.accel == "kvm" else "max"
        return ["-accel", self.accel, "-cpu", cpu]

    def reconnect(self):
        """The option by which a socket that QEMU connects to is tried again every second."""
        return "reconnect-ms=1000" if self.version >= (9, 2) else "reconnect=1"

    def msix_works(self):
        """QEMU before 8 aborts under TCG when a guest unmasks a vhost-user device's MSI-X vector."""
        return self.accel == "kvm" or self.version >= (8, 0)


@dataclass
class Nic:
    """A virtio-net device of a guest on a vhost-user socket."""

    socket: Path
    server: bool = False  # QEMU creates the socket (the daemon is in client mode)
    queues: int = 1
    address: str = ""  # IPv4 or IPv6 with prefix length; "" leaves the interface down
    mtu: int = 0       # 0: that of the device
    mac: str = ""      # "": derived from the socket's path, so that the next VM there has the same
    rom: bool = False  # to boot from the network
    options: tuple = field(default_factory=tuple)  # options of the device: "packed=on", "mrg_rxbuf=off"

    def __post_init__(self):
        if not self.mac:
            digest = hashlib.sha256(str(self.socket).encode()).digest()
            self.mac = "52:54:00:" + digest[:3].hex(":")

    def arguments(self, index, qemu):
        msix = qemu.msix_works()
        chardev = f"socket,id=c{index},path={self.socket}," + (
            "server=on,wait=off" if self.server else qemu.reconnect())
        netdev = f"vhost-user,id=n{index},chardev=c{index},queues={self.queues}"
        device = [f"virtio-net-pci,netdev=n{index},mac={self.mac}"]
        device.append("bootindex=1" if self.rom else "romfile=")
        if self.queues > 1:
            device.append("mq=on")
        if not msix:
            device.append("vectors=0")
        elif self.queues > 1:
            device.append(f"vectors={2 * self.queues + 2}")
        return ["-chardev", chardev, "-netdev", netdev, "-device",
                ",".join([*device, *self.options])]

    def kernel_arguments(self, index):
        arguments = []
        if self.mtu:
            arguments.append(f"mtu{index}={self.mtu}")
        if self.address:
            arguments.append(f"ip{index}={self.address}")
        return arguments


class Qmp:
    """QEMU's control socket. Events received on the way are kept in `events`."""

    def __init__(self, connection):
        """connection: a connected socket."""
        self._socket = connection
        self._socket.settimeout(30)
        self._file = self._socket.makefile("rw", encoding="utf-8")
        self.events = []
        self._receive()  # the greeting
        self("qmp_capabilities")

    def _receive(self):
        line = self._file.readline()
        if not line:
            raise GuestError("QEMU has closed its control socket")
        return json.loads(line)

    def __call__(self, command, **arguments):
        self._file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._file.flush()
        while True:
            answer = self._receive()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise GuestError(f"{command}: {answer['error']['desc']}")
            else:
                return answer["return"]

    def close(self):
        self._file.close()
        self._socket.close()


def memory_arguments(mib):
    """Memory that the daemon can share."""
    return ["-m", mib, "-object", f"memory-backend-memfd,id=memory,size={mib}M,share=on",
            "-numa", "node,memdev=memory"]


class Guest:
    """A running VM with a root shell on its serial line. As a context manager it is killed on exit.
    In the guest, the first Nic is eth0, the next one eth1."""

    def __init__(self, qemu, image, nics, directory, name="vm", memory_mib=256, cpus=1,
                 incoming=False, kernel_arguments="", extra=(), netns=None):
        """directory: for sockets and logs. memory_mib: None if `extra` configures the memory.
        incoming: wait for a migration instead of booting. extra: further arguments of QEMU."""
        self.name = name
        self.nics = list(nics)
        self.directory = directory
        self._commands = 0
        self._qmp = None
        run_id = secrets.token_hex(2)
        self._serial_path = directory / f"{name}.{run_id}.serial"
        self._serial = None
        self._console = None
        self._qmp_path = directory / f"{name}.{run_id}.qmp"
        append = [KERNEL_ARGUMENTS, kernel_arguments]
        arguments = []
        for index, nic in enumerate(self.nics):
            arguments += nic.arguments(index, qemu)
            append += nic.kernel_arguments(index)
        argv = [
            "prlimit", "--core=0", qemu.binary, *qemu.machine_arguments(), "-smp", cpus,
            "-nodefaults", "-nographic", "-action", "reboot=shutdown",
            *(memory_arguments(memory_mib) if memory_mib else []),
            "-kernel", image.kernel, "-initrd", image.initramfs, "-append", " ".join(append),
            "-serial", f"unix:{self._serial_path},server=on,wait=off",
            "-qmp", f"unix:{self._qmp_path},server=on,wait=off",
            *arguments, *(["-incoming", "defer"] if incoming else []), *extra]
        self.process = Process(netns.argv(argv) if netns else argv, f"qemu-{name}",
                               log_path=directory / f"{name}.{run_id}.qemu.log")

    @property
    def console(self):
        """The output of the serial line. QEMU opens it once it has found its vhost-user backends."""
        if self._console is None:
            self._serial = self._connect(self._serial_path, "serial line")
            self._console = Stream(self._serial.fileno(), f"console of {self.name}",
                                   self._serial_path.with_suffix(".console.log"))
        return self._console

    def _connect(self, path, what):
        """Connects to a socket that QEMU will open."""
        def connect():
            if not self.process.running():
                raise GuestError(f"QEMU of {self.name} has ended:\n{self.process.output.tail()}")
            client = socket.socket(socket.AF_UNIX)
            try:
                client.connect(str(path))
                return client
            except OSError:
                client.close()
                return None

        return wait_until(connect, 30, f"{what} of {self.name}", interval=0.02)

    @property
    def pid(self):
        return self.process.pid

    @property
    def qmp(self):
        """The control socket; qmp("query-status")."""
        if self._qmp is None:
            self._qmp = Qmp(self._connect(self._qmp_path, "control socket"))
        return self._qmp

    def wait_ready(self, timeout=BOOT_TIMEOUT_S):
        """Waits for its shell; returns itself."""
        try:
            self.console.expect("VM-READY.*?\n", timeout)
        except WaitTimeout as error:
            raise GuestError(f"{error}\nQEMU says:\n{self.process.output.tail()}") from None
        self.run("true")
        return self

    def run(self, command, timeout=60, check=True):
        """Runs a shell command in the guest; returns its output. Start background commands in a
        subshell, `(command &)`: otherwise this shell reports their end in the middle of another
        answer."""
        self._commands += 1
        tag = f"@@{self._commands}:"
        console = self.console
        # In two parts, so that the echo of the input is not taken for the answer.
        self._serial.sendall(f"{{ {command}\n}} </dev/null; echo '@''@{tag[2:]}'$?@\n".encode())
        match = console.expect(rf"(.*?){re.escape(tag)}(\d+)@\n", timeout)
        if check and match[2] != "0":
            raise GuestError(f"{self.name}: {command}: exit code {match[2]}\n{match[1]}")
        return match[1]

    def ping(self, address, count=5, interval=0.1, wait=10):
        """Pings from the guest; returns how many answers came, at the latest `wait` seconds after the last
        ping."""
        output = self.run(f"ping -q -c {count} -i {interval} -W {wait} {address}",
                          timeout=30 + count * (interval + wait), check=False)
        match = re.search(r"(\d+) packets received", output)
        return int(match[1]) if match else 0

    def counters(self, interface="eth0"):
        """The guest kernel's counters of an interface, in the form of Netns.counters()."""
        names = [f"{way}_{unit}" for way in ("rx", "tx") for unit in ("packets", "bytes")]
        values = self.run(f"cd /sys/class/net/{interface}/statistics; cat {' '.join(names)}").split()
        result = {"rx": {}, "tx": {}}
        for name, value in zip(names, values, strict=True):
            way, unit = name.split("_")
            result[way][unit] = int(value)
        return result

    def features(self, index=0):
        """The virtio feature bits that a NIC's driver and device have negotiated."""
        path = f"/sys/class/net/eth{index}/device/features"
        bits = self.run(f"cat {path}").strip()
        return {bit for bit, value in enumerate(bits) if value == "1"}

    def reboot(self):
        """Reboots the guest from inside; returns when its shell is back."""
        self.qmp("set-action", reboot="reset")
        self._serial.sendall(b"reboot -f\n")
        self.wait_ready()
        self.qmp("set-action", reboot="shutdown")

    def reset(self):
        """Resets the machine as its button would; returns when the shell is back."""
        self.qmp("set-action", reboot="reset")
        self.qmp("system_reset")
        self.wait_ready()
        self.qmp("set-action", reboot="shutdown")

    def kill(self):
        """kill -9 of QEMU."""
        self._close()
        self.process.kill()

    def quit(self, timeout=20):
        """Makes QEMU quit cleanly."""
        try:
            self.qmp("quit")
        except (GuestError, OSError):
            pass  # QEMU may close the socket before it has answered
        self._close()
        return self.process.wait(timeout)

    def _close(self):
        if self._qmp is not None:
            self._qmp.close()
            self._qmp = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._close()
        self.process.__exit__()
        if self._console is not None:
            self._console.join()
            self._serial.close()


def migrate(source, destination, timeout=90, downtime_ms=1000):
    """Migrates a running guest into one that was started with incoming=True. Returns QEMU's
    statistics: total-time and downtime in ms, ram, ... The console moves too: continue with
    destination.run()."""
    path = source.directory / f"migrate-{secrets.token_hex(3)}"
    destination.qmp("migrate-incoming", uri=f"unix:{path}")
    source.qmp("migrate-set-parameters", **{"downtime-limit": downtime_ms})
    source.qmp("migrate", uri=f"unix:{path}")
    return wait_migrated(source, timeout)


def wait_migrated(source, timeout=90):
    """Waits until a running migration is over; it must have succeeded."""
    def over():
        state = source.qmp("query-migrate")
        return state if state.get("status") in ("completed", "failed", "cancelled") else None

    state = wait_until(over, timeout, f"migration of {source.name}")
    if state["status"] != "completed":
        raise GuestError(f"migration {state['status']}: {state.get('error-desc', '')}")
    return state


def feature_names(bits):
    """The names of virtio-net's feature bits, for messages."""
    names = {0: "CSUM", 1: "GUEST_CSUM", 3: "MTU", 6: "GSO", 7: "GUEST_TSO4", 8: "GUEST_TSO6",
             9: "GUEST_ECN", 10: "GUEST_UFO", 11: "HOST_TSO4", 12: "HOST_TSO6", 13: "HOST_ECN",
             14: "HOST_UFO", 15: "MRG_RXBUF", 16: "STATUS", 17: "CTRL_VQ", 18: "CTRL_RX",
             19: "CTRL_VLAN", 21: "GUEST_ANNOUNCE", 22: "MQ", 28: "INDIRECT_DESC", 29: "EVENT_IDX",
             32: "VERSION_1", 33: "ACCESS_PLATFORM", 34: "RING_PACKED", 35: "IN_ORDER"}
    return sorted(names.get(bit, str(bit)) for bit in bits)
