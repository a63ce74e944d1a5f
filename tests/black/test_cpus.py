# SPDX-License-Identifier: BSD-3-Clause
"""Workers and the control thread stay on their CPUs, whatever the machine's administration does.
tests/sriov has the same with control groups of version 2 and CPUs that go offline."""

import os
import time
from pathlib import Path

import pytest
from lib.forwarder import worker_thread
from lib.metrics import scrape, value
from lib.proc import Process, wait_until

CPUS = sorted(os.sched_getaffinity(0))
CPUSETS = Path("/sys/fs/cgroup/cpuset")  # of version 1

pytestmark = pytest.mark.skipif(len(CPUS) < 2, reason="there is only one CPU")


@pytest.fixture
def cpuset():
    """A control group for the daemon, with all CPUs."""
    groups = (line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
    parent = next((CPUSETS / path[1:] for controllers, path in groups if controllers == "cpuset"), None)
    if parent is None or not os.access(parent, os.W_OK):
        pytest.skip("no cpuset of version 1 in which groups can be made")
    path = parent / f"vio4wd-test-{os.getpid()}"
    path.mkdir()
    try:
        for name in ("cpuset.cpus", "cpuset.mems"):
            (path / name).write_text((parent / name).read_text())
        yield path
    finally:
        for pid in (path / "cgroup.procs").read_text().split():
            (parent / "cgroup.procs").write_text(pid)
        path.rmdir()


def wait_on(thread, cpu):
    wait_until(lambda: os.sched_getaffinity(thread) == {cpu}, 20, f"thread {thread} on CPU {cpu} only")


def test_threads_are_put_back(make_forwarder):
    """As after a change of the cpuset up to Linux 6.1."""
    forwarder = make_forwarder()
    for thread, name, cpu in ((forwarder.pid, "control thread", CPUS[0]),
                              (worker_thread(forwarder.pid), "worker", CPUS[-1])):
        wait_on(thread, cpu)
        os.sched_setaffinity(thread, CPUS)
        wait_on(thread, cpu)
        forwarder.output.expect(f"the {name} was taken off CPU {cpu}, .* put back", 20)
    assert forwarder.output.text.count("taken off") == 2


def test_a_cpu_that_leaves_the_cpuset(make_forwarder, cpuset):
    """The log says so once. Once the CPU is back, so is the worker."""
    forwarder = make_forwarder()
    worker, cpu = worker_thread(forwarder.pid), CPUS[-1]
    (cpuset / "cgroup.procs").write_text(str(forwarder.pid))
    (cpuset / "cpuset.cpus").write_text(",".join(map(str, CPUS[:-1])))
    forwarder.output.expect(f"the worker was taken off CPU {cpu} and cannot be put back .*cpuset", 20)
    time.sleep(3)  # it is tried again each second
    (cpuset / "cpuset.cpus").write_text(",".join(map(str, CPUS)))
    forwarder.output.expect(f"the worker is back on CPU {cpu}", 20)
    wait_on(worker, cpu)
    assert forwarder.output.text.count("cannot be put back") == 1


def test_a_worker_that_shares_its_cpu(make_forwarder, workdir, stack):
    """The metrics tell how long it has waited, as the kernel counts it."""
    endpoint, cpu = workdir / "metrics", CPUS[-1]
    forwarder = make_forwarder(options=["--idle-latency=0", f"--metrics-ep=ipc://{endpoint}"])
    schedstat = Path(f"/proc/{forwarder.pid}/task/{worker_thread(forwarder.pid)}/schedstat")

    def waited():
        return int(schedstat.read_text().split()[1]) / 1e9

    rival = stack.enter_context(Process(["/usr/bin/python3", "-c", "while True: pass"], "rival"))
    os.sched_setaffinity(rival.pid, {cpu})
    wait_until(lambda: waited() > 1, 60, "the worker has waited for a second")
    least = waited()
    told = wait_until(
        lambda: (seconds := value(scrape(endpoint), "worker_waiting_seconds_total", cpu=cpu)) >= least
        and seconds, 20, "the metrics tell", interval=0.5)
    assert told <= waited()
