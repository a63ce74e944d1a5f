# SPDX-License-Identifier: BSD-3-Clause
"""The relays that are compared, each with its VMs: they are started, paused and resumed, and tell
how many cycles they were busy."""

import os
import re
import shlex
import signal
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from load import Load
from lib import vioclient
from lib.forwarder import Forwarder, accepts
from lib.paths import build_dir
from lib.proc import Process, run, wait_until
from lib.testpmd import Testpmd

FRAME_ROOM = 9216  # of a buffer that holds a jumbo frame
START_TIMEOUT_S = 60


@dataclass(frozen=True)
class Setup:
    """What the VMs and devices are like; relays are restarted for each setup."""
    packed: bool = False
    mergeable: bool = True
    in_order: bool = False  # packed: a burst from a VM may be given back by one descriptor
    queues: int = 1
    relays: int = 1
    jumbo: bool = False
    spread: bool = False  # jumbo frames span several buffers of a VM, as with a kernel
    ring: int = 1024  # descriptors

    def __str__(self):
        return " ".join([
            "packed" if self.packed else "split",
            "mergeable" if self.mergeable else "single",
            *(["in order"] if self.in_order else []),
            *(["spread"] if self.spread else []),
            *([f"{self.queues} queues"] if self.queues > 1 else []),
            *([f"{self.relays} relays"] if self.relays > 1 else []),
            *([f"rings of {self.ring}"] if self.ring != Setup.ring else [])])


@dataclass(frozen=True)
class Machine:
    """control: the CPU of everything that does not forward; vm, worker: those of the VMs and of the
    relay."""
    control: int
    vm: int
    worker: int
    huge_dir: Path = None  # a hugetlbfs; None: ordinary pages


class CannotRun(Exception):
    """A peer cannot do a setup; the reason."""


def _max_ports():
    """The number of ports that Debian's DPDK was built for."""
    flags = shlex.split(run(["pkg-config", "--cflags", "libdpdk"]))
    macros = run(["cc", *flags, "-dM", "-E", "-x", "c", "/dev/null"])
    return int(re.search(r"#define RTE_MAX_ETHPORTS (\d+)", macros).group(1))


class Peer:
    """One relay and its VMs."""

    max_relays = 64

    def __init__(self, name, setup, machine, directory):
        self.name = name
        self.setup = setup
        self.machine = machine
        self.directory = directory
        self.tsc_hz = 0
        directory.mkdir()
        self.vf_to_vm, self.vm_to_vf = (
            Load(directory / file, setup.relays, setup.queues) for file in ("vf_to_vm", "vm_to_vf"))
        self._pids = []
        self._stack = ExitStack()

    def sockets(self):
        return [self.directory / f"vm{relay}" for relay in range(self.setup.relays)]

    def with_device(self, preload=True):
        """The beginning of a command line in which bench-device replaces net_null. preload: False
        if it is part of the program."""
        library = build_dir() / "tests" / "bench" / "bench-device.so"
        return ["env", *([f"LD_PRELOAD={library}"] if preload else []),
                f"BENCH_VF_TO_VM={self.vf_to_vm.path}", f"BENCH_VM_TO_VF={self.vm_to_vf.path}",
                f"BENCH_QUEUES={self.setup.queues}"]

    def _start_relay(self, stack):
        raise NotImplementedError

    def cycles_begin(self):
        """Starts to count cycles."""

    def cycles_per_packet(self):
        """TSC cycles that its worker was busy per packet since cycles_begin(), as it counts them
        itself."""
        raise NotImplementedError

    def _start_vm(self, stack):
        setup = self.setup
        vm = stack.enter_context(Process(
            [build_dir() / "tests" / "bench" / "bench-vm", f"--vf-to-vm={self.vf_to_vm.path}",
             f"--vm-to-vf={self.vm_to_vf.path}", f"--cpu={self.machine.vm}",
             f"--queues={setup.queues}", f"--queue-size={setup.ring}",
             f"--room={FRAME_ROOM if setup.jumbo and not setup.spread else 2048}",
             *(["--packed"] if setup.packed else []),
             *(["--mergeable"] if setup.mergeable else []),
             *(["--in-order"] if setup.in_order else []),
             *(["--huge"] if self.machine.huge_dir else []), *self.sockets()],
            f"{self.name}-vm", log_path=self.directory / "vm.log", tty=True))
        self._pids.append(vm.pid)
        self.tsc_hz = int(vm.expect(r"ready (\d+)", START_TIMEOUT_S).group(1))

    def start(self):
        """Starts the peer; what it has started ends with stop(), even if this fails."""
        if self.setup.relays > self.max_relays:
            raise CannotRun(f"{self.max_relays} relays at most")
        self._start_relay(self._stack)
        for socket in self.sockets():
            wait_until(lambda path=socket: accepts(path), START_TIMEOUT_S, str(socket))
        self._start_vm(self._stack)

    def _signal(self, number):
        for pid in self._pids:
            os.kill(pid, number)

    def pause(self):
        self._signal(signal.SIGSTOP)

    def resume(self):
        self._signal(signal.SIGCONT)

    def stop(self):
        """Ends everything that start() has started; may be repeated."""
        try:
            self.resume()
        finally:
            self._pids.clear()
            self._stack.close()


class Ours(Peer):
    """virtio-forwarder as it is installed: with hugepages, counting the time it is busy."""

    options = ()

    @classmethod
    def version(cls):
        return run([build_dir() / "bin" / "virtio-forwarder", "--version"]).strip().replace("\n", ", ")

    @staticmethod
    def _is_static():
        """Whether DPDK is linked into it, as in packages."""
        return "librte_ethdev" not in run(["ldd", build_dir() / "bin" / "virtio-forwarder"])

    def sockets(self):
        return [self.directory / "sockets" / f"virtio-forwarder{relay}.sock"
                for relay in range(self.setup.relays)]

    def _start_relay(self, stack):
        setup, machine = self.setup, self.machine
        devices = {relay: f"net_null{relay}" for relay in range(setup.relays)}
        self._forwarder = Forwarder(
            self.directory, devices, cpus=(machine.control, [machine.worker]),
            huge=machine.huge_dir is not None, options=[
                *([f"--huge-dir={machine.huge_dir}"] if machine.huge_dir else []),
                *(["--enable-mrgbuf"] if setup.mergeable else []),
                *(["--enable-jumbo"] if setup.jumbo else []), *self.options])
        if self._is_static():
            self._forwarder.argv[0] = build_dir() / "tests" / "bench" / "bench-forwarder"
        self._forwarder.argv = [*self.with_device(preload=not self._is_static()),
                                *self._forwarder.argv]
        stack.enter_context(self._forwarder)
        self.pid = self._forwarder.pid
        self._pids.append(self.pid)

    def _busy(self):
        """Busy nanoseconds and packets received, both ways, in one snapshot."""
        stats = vioclient.stats(self._forwarder.stats_endpoint)
        packets = sum(relay.vf_to_vm.pkts_rx_from_vf + relay.vm_to_vf.pkts_rx_from_vm
                      for relay in stats.relay)
        return sum(worker.busy_ns for worker in stats.worker), packets

    def cycles_begin(self):
        self._begin = self._busy()

    def cycles_per_packet(self):
        ns, packets = (after - before for before, after in zip(self._begin, self._busy()))
        return ns * self.tsc_hz / 1e9 / packets


class OursZeroCopy(Ours):
    options = ("--zero-copy",)


class OursAlone(Ours):
    """A single relay of ours, whatever the setup."""

    def __init__(self, name, setup, machine, directory):
        super().__init__(name, replace(setup, relays=1), machine, directory)


class TestpmdPeer(Peer):
    """dpdk-testpmd, from each port of its vhost driver to the device and back."""

    max_relays = _max_ports() // 2

    @classmethod
    def version(cls):
        return run(["dpkg-query", "-W", "-f", "testpmd of dpdk ${Version}", "dpdk-dev"])

    def _start_relay(self, stack):
        setup, machine = self.setup, self.machine
        vdevs = []
        for relay, socket in enumerate(self.sockets()):
            vdevs += [f"net_vhost{relay},iface={socket},queues={setup.queues}",
                      f"net_null{relay}"]
        queues = [f"--rxq={setup.queues}", f"--txq={setup.queues}"] if setup.queues > 1 else []
        jumbo = [f"--mbuf-size={FRAME_ROOM + 128}", "--max-pkt-len=9018"] if setup.jumbo else []
        self._testpmd = stack.enter_context(Testpmd(
            vdevs, cores=(machine.control, machine.worker), directory=self.directory,
            huge=machine.huge_dir is not None, prefix=self.with_device(), timeout=START_TIMEOUT_S,
            options=["--forward-mode=io", "--record-core-cycles", "--no-flush-rx",
                     *queues, *jumbo]))
        self._testpmd.command("start")
        self._pids.append(self._testpmd.pid)

    def cycles_begin(self):
        self._testpmd.command("clear fwd stats all")

    def cycles_per_packet(self):
        text = self._testpmd.command("show fwd stats all")
        # Its device counts nothing: what it gave to the VM was read from it, and vice versa.
        total = text[text.index("Accumulated"):]
        packets = sum(int(re.search(pattern, total).group(1)) for pattern in
                      (r"RX-packets: (\d+)", r"TX-total: (\d+)"))
        return int(re.search(r"total cycles=(\d+)", total).group(1)) / packets


class Ovs(Peer):
    """Open vSwitch with DPDK: a bridge for each relay, with two rules from port to port."""

    @classmethod
    def version(cls):
        return run(["dpkg-query", "-W", "-f", "${Package} ${Version}", "openvswitch-switch-dpdk"])

    def _start_relay(self, stack):
        setup, machine, directory = self.setup, self.machine, self.directory
        self._env = {**os.environ, **{f"OVS_{name}": str(directory) for name in
                                     ("RUNDIR", "DBDIR", "SYSCONFDIR", "LOGDIR")}}
        database = directory / "conf.db"
        run(["ovsdb-tool", "create", database, "/usr/share/openvswitch/vswitch.ovsschema"])
        on_control = ["taskset", "-c", str(machine.control)]
        server = stack.enter_context(Process(
            [*on_control, "ovsdb-server", database, f"--remote=punix:{directory}/db.sock",
             f"--unixctl={directory}/db.ctl"], "ovsdb-server", env=self._env,
            log_path=directory / "ovsdb-server.log"))
        wait_until(lambda: accepts(directory / "db.sock"), START_TIMEOUT_S, "ovsdb-server")
        memory = (["dpdk-socket-mem=256", "dpdk-socket-limit=768",
                   f"dpdk-hugepage-dir={machine.huge_dir}"] if machine.huge_dir else [])
        extra = "--no-pci --no-telemetry --file-prefix=bench-ovs" + (
            " --huge-unlink" if machine.huge_dir else " --no-huge -m 1024")
        self._vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".", *(f"other_config:{option}" for option in [
            "dpdk-init=true", f"dpdk-lcore-mask={1 << machine.control:x}",
            f"pmd-cpu-mask={1 << machine.worker:x}", f'dpdk-extra="{extra}"', *memory]))
        # In a network namespace of its own, because the interfaces of its bridges are persistent
        # and go with it.
        switch = stack.enter_context(Process(
            [*on_control, "unshare", "--net", *self.with_device(),
             "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk", f"unix:{directory}/db.sock",
             f"--unixctl={directory}/switch.ctl", "--no-chdir"],
            "ovs-vswitchd", env=self._env, log_path=directory / "ovs-vswitchd.log"))
        wait_until(lambda: accepts(directory / "switch.ctl"), START_TIMEOUT_S, "ovs-vswitchd")
        for relay in range(setup.relays):
            self._add_bridge(relay)
        self._pids += [server.pid, switch.pid]

    def _vsctl(self, *arguments):
        return run(["ovs-vsctl", f"--db=unix:{self.directory}/db.sock", "--timeout=60",
                    *arguments], env=self._env, timeout=90)

    def _add_bridge(self, relay):
        mtu = [f"mtu_request={9000 if self.setup.jumbo else 1500}"]
        queues = [f"options:n_rxq={self.setup.queues}"]
        self._vsctl(
            "add-br", f"br{relay}", "--", "set", "bridge", f"br{relay}", "datapath_type=netdev",
            "--", "add-port", f"br{relay}", f"null{relay}", "--", "set", "Interface",
            f"null{relay}", "type=dpdk", f"options:dpdk-devargs=net_null{relay}", *mtu, *queues,
            "--", "add-port", f"br{relay}", f"vm{relay}", "--", "set", "Interface", f"vm{relay}",
            "type=dpdkvhostuser", *mtu)
        for source, target in ((f"null{relay}", f"vm{relay}"), (f"vm{relay}", f"null{relay}")):
            run(["ovs-ofctl", "add-flow", f"br{relay}",
                 f"priority=9,in_port={source},actions=output:{target}"], env=self._env)

    def _appctl(self, *command):
        return run(["ovs-appctl", "-t", self.directory / "switch.ctl", *command], env=self._env)

    def cycles_begin(self):
        self._appctl("dpif-netdev/pmd-stats-clear")

    def cycles_per_packet(self):
        text = self._appctl("dpif-netdev/pmd-stats-show")
        return float(re.search(r"avg processing cycles per packet: ([\d.]+)", text).group(1))


class Copies(Peer):
    """Not a relay but a loop that copies each packet once, from or to the memory of as many VMs:
    the limit set by the machine's memory."""

    def start(self):
        huge = ["--huge"] if self.machine.huge_dir else []
        process = self._stack.enter_context(Process(
            ["taskset", "-c", self.machine.worker, build_dir() / "tests" / "bench" / "bench-copies", *huge,
             self.vf_to_vm.path, self.vm_to_vf.path, self.setup.relays, self.setup.ring],
            self.name, log_path=self.directory / "copies.log"))
        process.expect("ready", START_TIMEOUT_S)
        self._pids.append(process.pid)
