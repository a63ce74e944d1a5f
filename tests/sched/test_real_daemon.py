# SPDX-License-Identifier: BSD-3-Clause
"""The core scheduler, the monitor and the real daemon. net_null devices are endless sources: each
keeps a worker busy whether or not a VM takes the packets."""

import json
import os
import subprocess

import pytest

from lib import vioclient
from lib.metrics import scrape, value
from lib.paths import program
from lib.proc import Process, run, wait_until

TIMEOUT_S = 30
POLL_S = 0.5
CPUS = sorted(os.sched_getaffinity(0))
WORKERS = CPUS[-2:]  # if there are only two, one is the control thread's too


@pytest.fixture
def sched(workdir):
    return f"ipc://{workdir}/core_sched"


@pytest.fixture
def start(make_forwarder, sched):
    """Starts a daemon with n net_null devices on relays 0 to n-1, and two workers."""
    def make(n, *options):
        return make_forwarder(
            {i: f"net_null{i}" for i in range(n)}, cpus=(CPUS[0], WORKERS),
            config="VIO4WD_CORE_SCHED_ENABLE=true\n",
            options=[f"--zmq-core-sched-ep={sched}", *options])
    return make


def scheduler_argv(forwarder, sched, *options):
    return [program("vio4wd_core_scheduler"), f"--config={forwarder.config_file}",
            f"--stats-ep={forwarder.stats_endpoint}", f"--sched-ep={sched}",
            f"--poll-interval={POLL_S}", *options]


def test_dry_run_sees_what_the_daemon_says(start, sched):
    forwarder = start(2)

    def says():
        result = subprocess.run(scheduler_argv(forwarder, sched, "--dry-run"), timeout=TIMEOUT_S,
                                capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        # For a moment a worker may not have had its CPU.
        return result.stdout if " 0.0 % of a core" not in result.stdout.splitlines()[0] else None

    said = wait_until(says, TIMEOUT_S, "a load")
    for cpu in WORKERS:
        assert f"CPU {cpu}" in said
    assert "would move" in said


def test_monitor_shows_the_load(start, sched, stack):
    forwarder = start(1)
    process = stack.enter_context(Process(
        [program("virtioforwarder_monitor_load.py"), f"--stats-ep={forwarder.stats_endpoint}",
         f"--sched-ep={sched}", "--poll-interval=0.2"], "top"))
    process.expect(r"^CPU +\d+ \[#+", TIMEOUT_S)
    process.expect(r"^ +0  on -  \|", TIMEOUT_S)
    assert process.terminate() == 0


def test_the_daemon_is_restarted(start, sched, stack):
    forwarder = start(1)
    process = stack.enter_context(Process(scheduler_argv(forwarder, sched), "scheduler",
                                          log_path=forwarder.directory / "scheduler.log"))
    process.expect(r"virtio-forwarder is there: workers on CPUs", TIMEOUT_S)
    process.expect(r"worst CPU [1-9]", TIMEOUT_S)
    forwarder.kill()
    process.expect("warning no answer from", TIMEOUT_S)
    forwarder.start()
    process.expect(r"virtio-forwarder is there: workers on CPUs", TIMEOUT_S)
    process.expect(r"worst CPU [1-9]", TIMEOUT_S)
    assert process.terminate() == 0


def slices_of(forwarder):
    """{relay: [CPUs of VF to VM]}: net_null has several queues, divided among the workers."""
    return {relay.id: [part.cpu for part in relay.vf_to_vm.slice]
            for relay in vioclient.stats(forwarder.stats_endpoint).relay if relay.vf_to_vm.active}


def test_the_map_names_all_slices(start, sched, workdir):
    """So it can be given back; the original's clients see the first slice only."""
    first, second = WORKERS
    endpoint = workdir / "metrics"
    forwarder = start(1, f"--metrics-ep=ipc://{endpoint}")
    endpoints = [f"--stats-ep={forwarder.stats_endpoint}", f"--sched-ep={sched}"]
    spread, gathered = f"0:{first}+{second},{second}", f"0:{first},{second}"
    for place, cpus in (spread, [first, second]), (gathered, [first, first]), (spread, [first, second]):
        assert run([program("vio4wd"), "pins", *endpoints, f"--virtio-cpu={place}",
                    "--print-core-map"]) == f"{place}\n"
        assert slices_of(forwarder) == {0: cpus}
    assert json.loads(run([program("vio4wd"), "pins", *endpoints, "--json"])) == [
        {"relay": 0, "vf_to_vm": first, "vm_to_vf": second,
         "vf_to_vm_slices": [first, second], "vm_to_vf_slices": [second, second]}]
    assert run([program("virtioforwarder_core_pinner.py"), *endpoints]) == f"{gathered}\n"
    samples = scrape(endpoint)
    for part, cpu in enumerate([first, second]):
        labels = {"relay": 0, "direction": "vf_to_vm", "slice": part}
        assert value(samples, "relay_slice_cpu", **labels) == cpu
        assert value(samples, "relay_slice_busy_seconds_total", **labels) > 0


def test_skew_is_balanced(start, sched, stack):
    """All on one worker, to which relay 0 is pinned. Each relay has two slices, which go where they
    fit."""
    first, second = WORKERS
    forwarder = start(4, f"--virtio-cpu=0:{first}")
    run([program("virtioforwarder_core_pinner.py"), f"--sched-ep={sched}",
         *(f"--virtio-cpu={relay}:{first},{first}" for relay in range(4))])
    assert slices_of(forwarder) == {relay: [first, first] for relay in range(4)}
    process = stack.enter_context(Process(scheduler_argv(forwarder, sched), "scheduler",
                                          log_path=forwarder.directory / "scheduler.log"))
    process.expect(r"there: workers", TIMEOUT_S)
    # Four of eight, or one more or less: what takes CPU time from a worker counts as its load.
    wait_until(lambda: sum(slices_of(forwarder).values(), []).count(second) in (3, 4, 5), TIMEOUT_S,
               "balance")
    process.expect(" -> CPU ", TIMEOUT_S)
    before, _, _ = process.output.text.partition(" -> CPU ")
    assert before.count("worst CPU") <= 2  # by the second poll
    assert slices_of(forwarder)[0] == [first, first]
    assert process.terminate() == 0


def test_one_large_relay_uses_two_workers(start, sched, stack):
    forwarder = start(1)
    run([program("virtioforwarder_core_pinner.py"), f"--sched-ep={sched}",
         f"--virtio-cpu=0:{WORKERS[1]},{WORKERS[1]}"])
    stack.enter_context(Process(scheduler_argv(forwarder, sched), "scheduler",
                                log_path=forwarder.directory / "scheduler.log"))
    wait_until(lambda: sorted(slices_of(forwarder)[0]) == WORKERS, TIMEOUT_S, "two workers at work")
