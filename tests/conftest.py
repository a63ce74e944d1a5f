# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures for all tests: a directory, network namespaces, daemons. Whatever a test creates with
them is removed after it; if the test fails, the tails of its logs are in the report."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lib.forwarder import Forwarder  # noqa: E402
from lib.hugepages import hugepages  # noqa: E402
from lib.net import Netns, Veth  # noqa: E402
from lib.ovsdb import Database  # noqa: E402
from lib.paths import dpdk_version, work_directory  # noqa: E402

LOG_TAIL_LINES = 40


def pytest_collection_modifyitems(items):
    if items and os.geteuid() != 0:
        pytest.exit("the tests make network namespaces: run them as root", returncode=2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    directory = getattr(item, "funcargs", {}).get("workdir")
    if report.failed and directory and directory.exists():
        for log in sorted(directory.glob("*.log")):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            if lines:
                report.sections.append((log.name, "\n".join(lines[-LOG_TAIL_LINES:])))


@pytest.fixture
def workdir():
    """A directory for this test."""
    with work_directory() as path:
        yield path


@pytest.fixture
def stack(workdir):
    """Context managers entered here are exited after the test, in reverse order."""
    with ExitStack() as exit_stack:
        yield exit_stack


@pytest.fixture
def huge_dir(request, workdir, stack):
    """A hugetlbfs with as many MEBIBYTES free as the test's module says."""
    mount_point = stack.enter_context(hugepages(request.module.MEBIBYTES, workdir / "huge"))
    if mount_point is None:
        pytest.skip("the kernel has no huge pages to give")
    return mount_point


@pytest.fixture
def host(stack):
    """The namespace that the daemon and its devices live in."""
    return stack.enter_context(Netns("vio4wd-host", ipv6=False))


@pytest.fixture
def taps():
    """Two devices on kernel interfaces that the daemon makes, vtap0 and vtap1, for a bond."""
    if dpdk_version() >= (24, 11):
        pytest.skip("net_tap of this DPDK crashes when a bond lets it go")
    return [f"net_tap{number},iface=vtap{number}" for number in range(2)]


@pytest.fixture
def wire(request, stack):
    """The namespace on the other side of the devices."""
    silent = request.node.get_closest_marker("silent_wire") is not None
    return stack.enter_context(Netns("vio4wd-wire", ipv6=not silent))


@pytest.fixture
def veth(wire, host):
    """A device for the daemon, as its kernel interface; its far end has 10.0.0.1."""
    return Veth(wire, host, "10.0.0.1/24")


@pytest.fixture
def database(workdir, stack):
    """A database that is not running yet."""
    return stack.enter_context(Database(workdir))


@pytest.fixture
def make_forwarder(request, workdir, stack, host):
    """Starts a daemon in the namespace `host`; the arguments are Forwarder's. It must stop cleanly
    at the end of the test, unless the test has failed or has stopped it."""
    started = []

    def make(devices=None, **arguments):
        name = arguments.pop("name", f"forwarder{len(started)}")
        directory = workdir / name
        directory.mkdir()
        netns = arguments.pop("netns", host)
        forwarder = Forwarder(directory, devices, netns=netns, name=name, **arguments)
        started.append(stack.enter_context(forwarder))
        return forwarder

    return make
