# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the tests with real Linux guests."""

import pytest

from lib.qemu import Guest, Image, Nic, Qemu

GUEST_CIDR = "10.0.0.2/24"


@pytest.fixture(scope="session")
def image():
    return Image.make()


@pytest.fixture(scope="session")
def qemu(image):
    return Qemu.find(image)


@pytest.fixture(scope="session")
def qemu_backports(image):
    """QEMU 10, if the system's is older."""
    return Qemu.backports(image)


@pytest.fixture
def boot(qemu, image, workdir, stack):
    """Boots a guest on relay 0 of a daemon, or with the given nics, and waits for its shell."""

    def boot(forwarder=None, nics=None, name="vm", wait=True, nic=None, **arguments):
        nics = nics or [Nic(forwarder.socket(0), server=forwarder.client, address=GUEST_CIDR,
                            **(nic or {}))]
        guest = stack.enter_context(Guest(arguments.pop("qemu", qemu), image, nics, workdir, name,
                                          **arguments))
        return guest.wait_ready() if wait else guest

    return boot
