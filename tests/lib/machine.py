# SPDX-License-Identifier: BSD-3-Clause
"""A Debian machine with a kernel of its own: a VM whose disk holds the contents of a Tree."""

from lib.proc import run
from lib.qemu import Guest, Image

DISK_SIZE = "4G"  # the image file is sparse
MEMORY_MIB = 2048
HUGEPAGES = 320  # of 2 MiB
BOOT_TIMEOUT_S = 600  # on a busy machine without KVM
COMMAND_TIMEOUT_S = 120

# Replaces the login on the serial line; like the login, it starts after everything else.
SHELL = "/etc/systemd/system/serial-getty@ttyS0.service.d/shell.conf"
SHELL_TEXT = """[Service]
ExecStart=
ExecStart=/bin/sh -c 'stty -echo; export PS1= PS2= TERM=dumb; echo VM-READY; exec /bin/sh -i'
StandardInput=tty
StandardOutput=tty
"""


class Machine(Guest):
    """A Tree booted as a VM. Tree.run() and Guest.run() take the same commands. The tree must
    contain one of Debian's kernel packages and must not have been booted."""

    def __init__(self, qemu, tree, directory):
        shell = tree.root / SHELL.lstrip("/")
        shell.parent.mkdir(parents=True, exist_ok=True)
        shell.write_text(SHELL_TEXT, encoding="utf-8")
        disk = directory / "machine.ext4"
        run(["mke2fs", "-q", "-t", "ext4", "-d", tree.root, disk, DISK_SIZE], timeout=300)
        boot = tree.root / "boot"
        super().__init__(
            qemu, Image(next(boot.glob("vmlinuz-*")), next(boot.glob("initrd.img-*"))), [], directory,
            name="machine", memory_mib=MEMORY_MIB, cpus=2,
            kernel_arguments="root=/dev/vda rw net.ifnames=0 systemd.show_status=no mitigations=off "
                             f"hugepages={HUGEPAGES}",
            extra=["-drive", f"file={disk},format=raw,if=virtio,cache=unsafe"])

    def wait_ready(self, timeout=BOOT_TIMEOUT_S):
        return super().wait_ready(timeout)

    def run(self, command, timeout=COMMAND_TIMEOUT_S, check=True):
        """Like Guest.run(), with enough time for a machine without KVM."""
        return super().run(command, timeout, check)
