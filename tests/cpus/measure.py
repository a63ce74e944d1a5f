#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""measure.py [--seconds S] [WHAT...]: what idle relays cost, and how soon a packet after silence
arrives; WHAT: idle, latency, busy (all). Prints a table for each. Exits 1 where a goal is missed. Run
it on a machine that does nothing else, as root, after `make`; `make test-cpus` does."""

import argparse
import os
import signal
import statistics
import struct
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.forwarder import Forwarder, default_cpus  # noqa: E402
from lib.net import Netns, Veth  # noqa: E402
from lib.paths import build_dir, stock_dpdk  # noqa: E402
from lib.peer import Peer  # noqa: E402
from lib.proc import Process, end_on_sigterm, run  # noqa: E402
from lib.testpmd import Testpmd, virtio_user  # noqa: E402
from lib.vhostuser import Frontend  # noqa: E402

VMS = 64
DEVICES = 31 if stock_dpdk() else VMS  # Debian's DPDK has 32 ports
RATE_PPS = 50
ROUNDS = 3
TURN_S = 5  # turn of each variant, so that all get their share of what the machine's host does
CPU_GOAL = 2.0       # % of a core, all workers together
LATENCY_GOAL = 100   # us, p99 over busy polling
BUSY_GOAL = 0.95     # share of the rate when alone

failures = []


def turns(seconds):
    return range(ROUNDS * seconds // TURN_S)


def goal(met, text):
    print(("met:    " if met else "MISSED: ") + text, flush=True)
    if not met:
        failures.append(text)


class Bed:
    """Namespaces, a directory, and what runs in them."""

    def __init__(self, stack):
        self.stack = stack
        self.directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vio4wd-")))
        self.host = stack.enter_context(Netns("vio4wd-host", ipv6=False))
        self.wire = stack.enter_context(Netns("vio4wd-wire", ipv6=False))

    def veth(self, number):
        return Veth(self.wire, self.host, inner=f"wire{number}")

    def device(self, kind, number):
        if kind == "af_packet":
            return f"net_af_packet{number},iface={self.veth(number).outer}"
        if kind == "tap":
            return f"net_tap{number},iface=vtap{number}"
        return f"net_ring{number}"  # nothing that could wake a worker

    def forwarder(self, devices, *options):
        directory = Path(tempfile.mkdtemp(dir=self.directory, prefix="f"))
        return self.stack.enter_context(
            Forwarder(directory, devices, netns=self.host, options=options))


@contextmanager
def bed():
    with ExitStack() as stack:
        yield Bed(stack)


def connect_vms(forwarder, relays):
    """Connects silent VMs with receive buffers, each behind a handshake of its own."""
    vms = [Frontend(forwarder.socket(relay)).start() for relay in relays]
    for relay in relays:
        forwarder.wait_vm(relay)
    return vms


def cpu_seconds(pid, is_worker):
    """The CPU time of the threads with such names, by the scheduler's own clock."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        if is_worker((task / "comm").read_text().strip()):
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def share_of_core(pid, seconds, is_worker=lambda name: "worker" in name):
    before = cpu_seconds(pid, is_worker)
    time.sleep(seconds)
    return (cpu_seconds(pid, is_worker) - before) / seconds * 100


def measure_idle(seconds):
    print(f"| {VMS} VMs, connected and silent; {DEVICES} devices | --idle-latency | workers, % of a "
          "core |\n|---|--:|--:|")
    for kind, options, limited in (("af_packet", (), True), ("tap", (), True),
                                   ("ring", (), True), ("ring", ("--idle-latency=100",), False),
                                   ("af_packet", ("--idle-latency=0",), False)):
        with bed() as b:
            forwarder = b.forwarder({i: b.device(kind, i) for i in range(DEVICES)}, *options)
            vms = connect_vms(forwarder, range(VMS))
            time.sleep(1)
            used = share_of_core(forwarder.pid, seconds)
            latency = options[0].split("=")[1] if options else "1000"
            print(f"| {kind} | {latency} | {used:.2f} |", flush=True)
            if limited:
                goal(used < CPU_GOAL, f"{kind}: workers at {used:.2f} % of a core")
            forwarder.stop()
            del vms
    for interval_us in (1000, 100):
        with Process(["taskset", "--cpu-list", default_cpus()[1],
                      build_dir() / "tests" / "cpus" / "nap", interval_us], "nap") as nap:
            time.sleep(1)
            used = share_of_core(nap.pid, seconds, lambda name: name == "nap")
            print(f"| (a bare thread that wakes up as often) | {interval_us} | {used:.2f} |",
                  flush=True)


def latency_result(b, vm, netns, wire, seconds):
    with Peer(b.directory, vm=vm, netns=netns, net_device=f"net_af_packet9,iface={wire}",
              count=RATE_PPS * seconds, rate=RATE_PPS, flows=1, sizes=64, latency=True) as peer:
        peer.start()
        time.sleep(seconds + 1)  # without polling for the result, which would take the worker's CPU
        result = peer.result()
        peer.finish()
    return {direction: result[direction] for direction in ("vm_to_vf", "vf_to_vm")}


def latency_of_forwarder(seconds, *options):
    with bed() as b:
        veth = b.veth(0)
        forwarder = b.forwarder({0: f"net_af_packet0,iface={veth.outer}"}, *options)
        result = latency_result(b, forwarder.socket(), b.wire, veth.inner, seconds)
        forwarder.stop()
    return result


def latency_of_testpmd(seconds):
    with bed() as b:
        veth = b.veth(0)
        socket = b.directory / "vhost"
        with Testpmd([f"net_vhost0,iface={socket}", f"net_af_packet0,iface={veth.outer}"],
                     cores=default_cpus(), directory=b.directory, netns=b.host) as testpmd:
            testpmd.command("set fwd io")
            testpmd.command("start")
            return latency_result(b, socket, b.wire, veth.inner, seconds)


def latency_floor(seconds):
    """How long this machine takes to wake a bare thread on the worker's CPU."""
    writer, sleeper = default_cpus()
    samples = sorted(map(float, run(
        [build_dir() / "tests" / "cpus" / "wake", sleeper, writer, 1_000_000 // RATE_PPS,
         RATE_PPS * seconds], timeout=seconds + 60).split()))
    return {"wake": {
        "lost": 0,
        "latency_us": {name: samples[int(part * (len(samples) - 1))]
                       for name, part in (("p50", 0.5), ("p99", 0.99), ("max", 1))}}}


@contextmanager
def cpus_kept_awake():
    """Makes idle CPUs poll instead of halting, as with idle=poll."""
    with open("/dev/cpu_dma_latency", "wb", buffering=0) as latency:
        latency.write(struct.pack("i", 0))
        yield


def measure_latency(seconds):
    asleep, busy = "asleep, CPUs kept from halting", "busy polling (--idle-latency=0)"
    measures = {
        "asleep (default)": latency_of_forwarder,
        asleep: cpus_kept_awake()(latency_of_forwarder),
        busy: lambda s: latency_of_forwarder(s, "--idle-latency=0"),
        "testpmd": latency_of_testpmd,
        "a bare thread": latency_floor,
        "a bare thread, CPUs kept from halting": cpus_kept_awake()(latency_floor),
    }
    found = [{name: measure(TURN_S) for name, measure in measures.items()} for _ in turns(seconds)]

    print(f"| a packet each {1000 // RATE_PPS} ms each way, us under way | p50 | p99 | max | lost |"
          "\n|---|--:|--:|--:|--:|")
    p99 = {}
    for name in measures:
        for direction in found[0][name]:
            seen = [results[name][direction] for results in found]
            us = {quantile: statistics.median(one["latency_us"][quantile] for one in seen)
                  for quantile in ("p50", "p99", "max")}
            p99[name, direction] = us["p99"]
            print(f"| {name}, {direction} | {us['p50']:.0f} | {us['p99']:.0f} | {us['max']:.0f} | "
                  f"{sum(one['lost'] for one in seen)} |", flush=True)
    for direction in ("vm_to_vf", "vf_to_vm"):
        over = p99[asleep, direction] - p99[busy, direction]
        goal(over < LATENCY_GOAL, f"{direction}: p99 {over:.0f} us over busy polling")


@contextmanager
def stopped(processes):
    """Stops the processes meanwhile."""
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)
    yield
    for process in processes:
        os.kill(process.pid, signal.SIGCONT)


def rate(forwarder, seconds):
    """The packets per second that relay 0 gives to its VM."""
    def sent():
        return forwarder.stats()["vf_to_vm"]["pkts_tx_to_vm"], time.monotonic()

    first, begin = sent()
    time.sleep(seconds)
    last, end = sent()
    return (last - first) / (end - begin)


def busy_vm(b, forwarder):
    """testpmd on relay 0, on the control thread's CPU; it takes as many packets as it can."""
    vm = b.stack.enter_context(Testpmd([virtio_user(forwarder.socket())],
                                       cores=default_cpus()[::-1], directory=b.directory))
    vm.command("set fwd rxonly")
    vm.command("start")
    forwarder.wait_vm()
    return vm


def measure_busy(seconds):
    """Measures with an endless source."""
    print(f"| relay 0 beside idle relays of | alone, Mpps | with {VMS - 1} VMs, {DEVICES - 1} devices "
          "| part |\n|---|--:|--:|--:|")
    for kind in ("af_packet", "ring"):
        with bed() as b:
            alone = b.forwarder({0: "net_null0"})
            beside = b.forwarder({0: "net_null0",
                                  **{i: b.device(kind, i) for i in range(1, DEVICES)}})
            vms = connect_vms(beside, range(1, VMS))
            pair = {"alone": [alone, busy_vm(b, alone)], "beside": [beside, busy_vm(b, beside)]}
            rates = {name: [] for name in pair}
            for _ in turns(seconds):
                for (name, running), other in zip(pair.items(), reversed(pair.values())):
                    with stopped(other):
                        rates[name].append(rate(running[0], TURN_S))
            one, other = (statistics.median(rates[name]) for name in ("alone", "beside"))
            print(f"| {kind} | {one / 1e6:.2f} | {other / 1e6:.2f} | {other / one:.3f} |", flush=True)
            goal(other >= BUSY_GOAL * one, f"{kind}: {other / one:.3f} of the rate alone")
            alone.stop()
            beside.stop()
            del vms


MEASUREMENTS = {"idle": measure_idle, "latency": measure_latency, "busy": measure_busy}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="for each figure")
    parser.add_argument("what", nargs="*", choices=[*MEASUREMENTS, []], default=[])
    arguments = parser.parse_args()
    end_on_sigterm()
    for name in arguments.what or MEASUREMENTS:
        MEASUREMENTS[name](arguments.seconds)
    sys.exit(1 if failures else 0)


main()
