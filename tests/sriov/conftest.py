# SPDX-License-Identifier: BSD-3-Clause
"""One machine with NICs for all tests; each test leaves it without VFs and programs."""

from contextlib import ExitStack

import pytest

from lib.net import Netns
from lib.nichost import SYSFS_PCI, Daemon, Echo, NicHost
from lib.paths import work_directory
from lib.qemu import Image, Qemu

LOG_LINES = 60


@pytest.fixture(scope="session")
def booted():
    with work_directory("vio4wd-sriov-") as directory, ExitStack() as stack:
        host = NicHost.boot(Qemu.backports(Image.make()), directory,
                            lambda: stack.enter_context(Netns("vio4wd-nics")))
        stack.push(host)
        yield host


@pytest.fixture
def nic_host(booted):
    yield booted
    for pf in booted.PFS:
        booted.set_link(pf, True)
        booted.run(f"[ ! -e {SYSFS_PCI}/{pf} ] || echo 0 >{SYSFS_PCI}/{pf}/sriov_numvfs", timeout=60)


@pytest.fixture
def start(nic_host):
    """Starts a program and waits until it is ready. All programs are killed after the test, even
    those that never became ready; their logs are in the report of a failure."""
    started = []

    def start(program):
        started.append(program)
        program.wait_ready()
        return program

    with ExitStack() as stack:  # ends the others even if one does not end
        yield start
        for program in reversed(started):
            stack.callback(program.kill)
        for program in started:
            print(f"--- {program.name}\n" + "\n".join(program.output().splitlines()[-LOG_LINES:]))


@pytest.fixture
def start_daemon(nic_host, start):
    return lambda *arguments, **named: start(Daemon(nic_host, *arguments, **named))


@pytest.fixture
def start_vm(nic_host, start):
    return lambda daemon, address, relay=0: start(Echo(nic_host, daemon, address, relay))
