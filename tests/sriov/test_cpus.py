# SPDX-License-Identifier: BSD-3-Clause
"""The worker stays on its CPU on a machine whose CPUs and control groups (version 2) are ours."""

import pytest

from lib.proc import wait_until

pytestmark = pytest.mark.timeout(600)

ONLINE = "/sys/devices/system/cpu/cpu1/online"
GROUPS = "/sys/fs/cgroup"


@pytest.fixture
def groups(nic_host):
    """The control groups, without any controller in use."""
    nic_host.run(f"mountpoint -q {GROUPS} || mount -t cgroup2 none {GROUPS}")
    yield GROUPS
    nic_host.run(f"echo -cpuset >{GROUPS}/cgroup.subtree_control; umount {GROUPS}")


def wait_on_its_cpu(host, daemon):
    read = daemon.read_worker("Cpus_allowed_list")
    wait_until(lambda: host.run(read).split()[1] == "1", 60, "the worker on CPU 1 only")


@pytest.mark.ci
def test_cpuset_controller_is_switched_on(nic_host, start_daemon, groups):
    """As by systemd for the first VM. Up to Linux 6.1 all threads lose their CPUs then; later kernels
    know which CPUs they had asked for."""
    release = [int(number) for number in nic_host.run("uname -r").split(".")[:2]]
    daemon = start_daemon()
    wait_on_its_cpu(nic_host, daemon)
    nic_host.run(f"mkdir {groups}/service; echo {daemon.pid} >{groups}/service/cgroup.procs; "
                 f"echo +cpuset >{groups}/cgroup.subtree_control")
    if release < [6, 2]:
        daemon.wait_output("the worker was taken off CPU 1, by", 60)
        daemon.wait_output("the control thread was taken off CPU 0, by", 60)
    wait_on_its_cpu(nic_host, daemon)

    nic_host.run(f"echo 0 >{groups}/service/cpuset.cpus")
    daemon.wait_output("the worker was taken off CPU 1 and cannot be put back", 60)
    assert release < [6, 2] or "was taken off CPU 0" not in daemon.output()
    nic_host.run(f"echo 0-1 >{groups}/service/cpuset.cpus")
    daemon.wait_output("the worker is back on CPU 1", 60)
    wait_on_its_cpu(nic_host, daemon)
    daemon.stop()
    nic_host.run(f"rmdir {groups}/service")


@pytest.mark.ci
def test_cpu_goes_offline(nic_host, start_daemon):
    daemon = start_daemon()
    try:
        nic_host.run(f"echo 0 >{ONLINE}")
        daemon.wait_output("the worker was taken off CPU 1 and cannot be put back", 60)
    finally:
        nic_host.run(f"echo 1 >{ONLINE}")
    daemon.wait_output("the worker is back on CPU 1", 60)
    wait_on_its_cpu(nic_host, daemon)
    daemon.stop()
