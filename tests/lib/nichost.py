# SPDX-License-Identifier: BSD-3-Clause
"""A machine with SR-IOV NICs: a QEMU VM with igb cards and an IOMMU that runs this machine's own
programs (its root is ours, read-only). The cards' wires are taps in a namespace here, on one
bridge. The daemon and its VMs' side run in the machine."""

import shlex
from pathlib import Path

from lib.forwarder import parse_stats
from lib.paths import SCRIPTS, build_dir, program
from lib.proc import run, wait_until
from lib.qemu import BOOT_TIMEOUT_S, Guest, GuestError, Image

BOOT_TRIES = 3  # QEMU sometimes aborts while it starts several CPUs under TCG
MEMORY_MIB = 2048
HUGEPAGES = 320  # of 2 MiB
SYSFS_PCI = "/sys/bus/pci/devices"
RUN = "/run/vio4wd"  # directory in the machine for the programs' files
START_TIMEOUT_S = 120
END_TIMEOUT_S = 60
PORT_CONTROL_TRIES = 30
PING_SIZES = (56, 1400)
ANSWERS_MIN = 0.8  # QEMU's card drops packets while the guest that it runs in has no time


class OwnRoot(Guest):
    """A VM that runs this machine's own programs: its root is ours, read-only; writes are kept in
    memory. Most of DPDK's drivers are hidden, since all of them would be loaded."""

    def __init__(self, qemu, directory, nics=(), kernel_arguments="", extra=(), **arguments):
        """See Guest()."""
        folder = Path(run([SCRIPTS / "nic-host-image"], timeout=900).splitlines()[-1])
        super().__init__(
            qemu, Image(folder / "vmlinuz", folder / "initramfs"), nics, directory,
            kernel_arguments=f"mitigations=off modules={folder}/modules/lib/modules {kernel_arguments}",
            extra=[*extra, "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,"
                                      "multidevs=remap"], **arguments)

    def run(self, command, timeout=BOOT_TIMEOUT_S, check=True):
        """Like Guest.run(). All files come over 9p, so commands take about as long as booting."""
        return super().run(command, timeout, check)

    def file(self, path):
        """The text of a file in the machine; "" if there is none."""
        return self.run(f"cat {path} 2>/dev/null || true")

    def driver(self, address):
        """The driver of a PCI function; "" for none."""
        path = f"{SYSFS_PCI}/{address}/driver"
        return self.run(f"readlink {path} || true").strip().rpartition("/")[2]

    def bind(self, address, driver):
        """Binds a function by hand, as an operator would."""
        path = f"{SYSFS_PCI}/{address}"
        self.run(f"echo {driver} >{path}/driver_override; "
                 f"[ ! -e {path}/driver ] || echo {address} >{path}/driver/unbind; "
                 f"echo {address} >/sys/bus/pci/drivers_probe")
        assert self.driver(address) == driver


class NicHost(OwnRoot):
    """Two igb PFs, 0000:01:00.0 and 0000:02:00.0, and an e1000e card, 0000:03:00.0, each on a port
    of its own. There are no VFs at first."""

    PFS = ("0000:01:00.0", "0000:02:00.0")
    CARD = "0000:03:00.0"
    CARD_MAC = "52:54:00:aa:00:02"

    def __init__(self, qemu, directory, wire):
        """wire: a Netns of our own for the taps."""
        # With KVM, interrupt remapping needs the interrupt controller outside the kernel.
        irqchip = ",kernel-irqchip=split" if qemu.accel == "kvm" else ""
        extra = ["-machine", f"q35{irqchip}",
                 "-device", "intel-iommu,intremap=on,caching-mode=on,aw-bits=48"]
        wire.ip("link", "add", "wire", "type", "bridge")
        wire.ip("addr", "add", "10.0.0.1/24", "dev", "wire")
        for index, model in enumerate(("igb", "igb", "e1000e")):
            tap = f"tap{index}"
            wire.ip("tuntap", "add", tap, "mode", "tap")
            wire.ip("link", "set", tap, "master", "wire", "up")
            extra += ["-netdev", f"tap,id=wire{index},ifname={tap},script=no,downscript=no",
                      "-device", f"pcie-root-port,id=port{index},bus=pcie.0,chassis={index + 1},"
                                 f"slot={index + 1}",
                      "-device", f"{model},id=nic{index},netdev=wire{index},bus=port{index},"
                                 f"romfile=,mac=52:54:00:aa:00:0{index}"]
        wire.ip("link", "set", "wire", "up")
        self.wire = wire
        super().__init__(qemu, directory, kernel_arguments="intel_iommu=on iommu=pt", extra=extra,
                         name="nic-host", memory_mib=MEMORY_MIB, cpus=2, netns=wire)

    @classmethod
    def boot(cls, qemu, directory, make_wire):
        """A booted machine with the drivers loaded and hugepages reserved. make_wire: creates the
        namespace, which is removed with the machine."""
        for left in reversed(range(BOOT_TRIES)):
            wire = make_wire()
            host = cls(qemu, directory, wire)
            try:
                host.wait_ready()
                break
            except (GuestError, AssertionError):
                host.__exit__()
                wire.close()
                if not left:
                    raise
        host.run(f"mkdir -p {RUN}; echo {HUGEPAGES} >/proc/sys/vm/nr_hugepages; modprobe -a "
                 "vfio-pci tun igb e1000e")
        return host

    def make_vfs(self, pf, count):
        """Creates VFs; returns their addresses. Their MACs are those of mac(), and they may do all
        that a VM may. The PF's interface is up before, and all is one script, as operators have it:
        VFs are opened soon after they appear."""
        vfs = [f"{pf[:8]}10.{2 * number}" for number in range(count)]
        self.run(f"pf=$(ls {SYSFS_PCI}/{pf}/net) && ip link set $pf up && "
                 f"echo {count} >{SYSFS_PCI}/{pf}/sriov_numvfs" + "".join(
                     f" && ip link set $pf vf {number} mac {mac(vf)} spoofchk off trust on"
                     for number, vf in enumerate(vfs)))
        return vfs

    def netdev(self, address):
        """The interface of a PCI function."""
        return self.run(f"ls {SYSFS_PCI}/{address}/net").split()[0]

    def set_link(self, pf, up):
        """Sets the link of a PF's wire at both ends; the bridge forgets whom it has seen there, as
        a switch does."""
        index = self.PFS.index(pf)
        self.qmp("set_link", name=f"nic{index}", up=up)
        self.wire.ip("link", "set", f"tap{index}", "up" if up else "down")


def mac(vf):
    """The MAC that make_vfs() gives a VF."""
    return f"52:54:00:bb:{vf[5:7]}:0{vf[-1]}"


class Program:
    """A program in the background of an OwnRoot that has the directory RUN."""

    def __init__(self, host, name, argv, stdin="/dev/null"):
        self.host = host
        self.name = name
        files = host.run(f"mktemp -d {RUN}/{name}.XXXXXX").strip()  # a new one, since names are reused
        self._log = f"{files}/log"
        self._exit_code = f"{files}/exit"
        command = " ".join(shlex.quote(str(word)) for word in argv)
        script = f"{command} <{stdin} >{self._log} 2>&1 & echo $! >{files}/pid; " \
                 f"wait $!; echo $? >{self._exit_code}.new; mv {self._exit_code}.new {self._exit_code}"
        host.run(f"(setsid sh -c {shlex.quote(script)} 2>/dev/null &)")
        self.pid = int(wait_until(lambda: host.file(f"{files}/pid"), 30, f"{name} starts"))

    def output(self):
        return self.host.file(self._log)

    def exit_code(self):
        """None while it runs."""
        text = self.host.file(self._exit_code)
        return int(text) if text else None

    def wait_output(self, text, timeout, count=1):
        """Waits until the program has printed a text so many times."""
        def look():
            output = self.output()
            if output.count(text) >= count:
                return True
            assert self.exit_code() is None, f"{self.name} has ended:\n{output}"
            return False

        try:
            wait_until(look, timeout, f"{self.name} says {text!r}", interval=0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output()}") from None

    def terminate(self):
        """Sends SIGTERM; returns the exit code."""
        return self._end("TERM")

    def kill(self):
        """Sends SIGKILL. Afterwards its resources are free, including its name."""
        self._end("KILL")

    def _end(self, signal):
        self.host.run(f"[ -e {self._exit_code} ] || kill -{signal} {self.pid} 2>/dev/null || true")
        try:
            return int(wait_until(lambda: self.host.file(self._exit_code), END_TIMEOUT_S,
                                  f"{self.name} ends", interval=0.2))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output()}") from None


class Daemon(Program):
    """A virtio-forwarder on a NicHost; CPU 0 is the control thread's, CPU 1 the worker's."""

    def __init__(self, host, devices=None, options=(), config="", name="daemon", preload=None):
        """devices: {relay: device}. config: text of the configuration file. preload: a module of
        tests/faults."""
        self.folder = f"{RUN}/{name}"
        host.run(f"mkdir -p {self.folder}; printf %s {shlex.quote(config)} >{self.folder}/config")
        super().__init__(host, name, [
            "env", *([f"LD_PRELOAD={build_dir()}/tests/faults/{preload}.so"] if preload else []),
            program("virtio-forwarder"), "--nodaemon", f"--config={self.folder}/config",
            "--cpus=1", "--master-lcore=0", "--huge-dir=/dev/hugepages",
            f"--pid-path={self.folder}", f"--vhost-path={self.folder}", "--vhost-username=root",
            "--vhost-groupname=root", f"--zmq-stats-ep=ipc://{self.folder}/stats",
            f"--zmq-port-control-ep=ipc://{self.folder}/port_control",
            *(f"--add-pci-vf={device}={relay}" for relay, device in (devices or {}).items()),
            *options])

    def wait_ready(self):
        self.wait_output("ready: ", START_TIMEOUT_S)

    def socket(self, relay=0):
        return f"{self.folder}/virtio-forwarder{relay}.sock"

    def port_control(self, *arguments):
        """Runs the compatible client; returns its output. The client waits for 2 s, which opening a
        VF may take on a loaded machine; it is then run again, and it is no error if the operation
        is done already."""
        command = (f"{program('virtioforwarder_port_control.py')} --zmq_ep "
                   f"ipc://{self.folder}/port_control {' '.join(map(str, arguments))} 2>&1")
        output = self.host.run(command, check=False)
        for _ in range(PORT_CONTROL_TRIES):
            if "no answer from" not in output:
                break
            output = self.host.run(f"{command} --conditional", check=False)
        assert output == "", output

    def stats(self, relay=0):
        """See Forwarder.stats()."""
        return parse_stats(self.host.run(
            f"{program('vio4wd')} stats --stats-ep ipc://{self.folder}/stats --relay {relay} "
            "--include-inactive --delay 0"), relay)

    def wait_state(self, state, relay=0, timeout=60):
        """Waits for a device's internal_state."""
        wait_until(lambda: self.stats(relay)["vf_to_vm"]["internal_state"] == state, timeout,
                   f"relay {relay} is {state}", interval=0.2)

    def read_worker(self, field):
        """A command that prints a field of the worker's status, with its name."""
        return f"grep -h ^{field}: $(grep -l worker /proc/{self.pid}/task/*/comm | sed s/comm$/status/)"

    def worker_sleeps(self):
        """How often the worker goes to sleep in two seconds."""
        read = self.read_worker("voluntary_ctxt_switches")
        before, after = self.host.run(f"{read}; sleep 2; {read}").split()[1::2]
        return int(after) - int(before)

    def stop(self):
        code = self.terminate()
        assert code == 0, f"exit code {code}\n{self.output()}"


class Echo(Program):
    """The VM's side of a relay: testpmd on a virtio_user device, which answers every ping."""

    def __init__(self, host, daemon, address, relay=0):
        """address: the MAC by which the wire knows it, that of the VF."""
        name = f"vm{relay}"
        super().__init__(host, name, [
            "nice", "env", "LD_LIBRARY_PATH=/run/dpdk-all", "dpdk-testpmd",
            "--lcores=0@0,1@0", "--no-huge", "-m", "64", "--no-pci", "--iova-mode=va", "--single-file-segments",
            "--no-telemetry", f"--file-prefix={name}",
            f"--vdev=net_virtio_user0,path={daemon.socket(relay)},mac={address},queue_size=1024",
            "--", "--forward-mode=icmpecho", "--total-num-mbufs=4096", "--auto-start",
            "--stats-period=3600"])  # not interactive; runs until it is stopped
        self.daemon = daemon
        self.relay = relay
        self.address = f"10.0.0.{relay + 2}"
        # It answers any ARP request, including those for other addresses.
        host.wire.ip("neigh", "replace", self.address, "lladdr", address, "dev", "wire")

    def wait_ready(self):
        """Waits until it is attached and answers pings."""
        wait_until(lambda: self.daemon.stats(self.relay)["vm_to_vf"]["active"] or self.ended(),
                   START_TIMEOUT_S, f"{self.name} is attached", interval=0.2)
        self.wait_answer()

    def ended(self):
        code = self.exit_code()
        assert code is None, f"{self.name} has ended with {code}:\n{self.output()}"
        return False

    def assert_answers(self, count=20):
        """Pings of several sizes must come back unaltered (ping compares the bytes), and the daemon
        must drop none."""
        dropped = self._dropped()
        for size in PING_SIZES:
            received, output = self.host.wire.ping_report(self.address, count, 0.02, 30, size)
            assert received >= count * ANSWERS_MIN, output
            assert "wrong data" not in output and "duplicates" not in output, output
        assert self._dropped() == dropped

    def _dropped(self):
        """Packets that the relay has dropped so far, by reason."""
        state = self.daemon.stats(self.relay)
        return {(way, key): state[way][key] for way in ("vf_to_vm", "vm_to_vf")
                for key in state[way] if key.startswith("pkts_drop_")}

    def wait_answer(self, timeout=60):
        """Waits until a ping is answered. First makes the bridge forget where it has last seen the
        VM: unlike a real one, this VM sends nothing by itself."""
        def ask():
            self.host.wire.ip("link", "set", "wire", "type", "bridge", "fdb_flush")
            return self.host.wire.ping(self.address, count=1, wait=1) == 1

        wait_until(ask, timeout, f"{self.name} answers a ping")
