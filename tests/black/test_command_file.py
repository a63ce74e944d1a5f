# SPDX-License-Identifier: BSD-3-Clause
"""Port control by /tmp/vio_cmd, in a /tmp of the daemon's own, with a VF that exists in sysfs only.
That a command reaches the device layer shows in its refusal there."""

import os

import pytest
from lib.forwarder import Forwarder
from lib.paths import ROOT, build_dir
from lib.proc import run, wait_until

WAIT_S = 20
PF, VF, NUMBER = "0000:fe:00.0", "0000:fe:08.3", 3

# The daemon's /tmp is another directory, in which the test's directory, the build and the source
# tree (for the suppressions of sanitizers) keep their paths. The interfaces and PCI functions of
# its sysfs are others too.
ENTER = """set -e
for kept in "$1" "$2" "$3"; do
	case $kept in
	/tmp/*) mkdir -p "$1/tmp/${kept#/tmp/}"; mount --rbind "$kept" "$1/tmp/${kept#/tmp/}" ;;
	esac
done
mount --bind "$1/sys/class/net" /sys/class/net
mount --bind "$1/sys/bus/pci/devices" /sys/bus/pci/devices
mount --rbind "$1/tmp" /tmp
shift 3
exec "$@"
"""

pytestmark = pytest.mark.sanitizers


def make_sysfs(sysfs):
    """A PF, its VF 3, and that VF's own interface."""
    functions, interface = sysfs / "bus/pci/devices", sysfs / "class/net/vf3"
    for function in (PF, VF):
        (functions / function).mkdir(parents=True)
    (functions / PF / f"virtfn{NUMBER}").symlink_to(f"../{VF}")
    (functions / VF / "physfn").symlink_to(f"../{PF}")
    interface.mkdir(parents=True)
    (interface / "device").symlink_to(f"/sys/bus/pci/devices/{VF}")


class CommandFileForwarder(Forwarder):
    """A daemon that is controlled by the command file only."""

    def __init__(self, directory):
        super().__init__(directory, options=["--ipc"])
        make_sysfs(directory / "sys")
        tmp = directory / "tmp"
        tmp.mkdir()
        tmp.chmod(0o1777)
        self.command_file = tmp / "vio_cmd"
        self.argv = ["unshare", "--mount", "sh", "-c", ENTER, "sh", directory, build_dir(), ROOT,
                     *(argument for argument in self.argv
                       if not str(argument).startswith("--zmq-port-control-ep"))]

    def says(self, text, times=1):
        """Waits until the log contains the text so many times."""
        wait_until(lambda: self.output.text.count(text) >= times, WAIT_S, f"{times} * {text!r}")

    def command(self, text):
        """Leaves a command, as a script does, and waits until it is taken."""
        self.command_file.write_text(text)
        wait_until(lambda: not self.command_file.exists(), WAIT_S, f"{text!r} is taken")


@pytest.fixture
def forwarder(workdir, stack):
    return stack.enter_context(CommandFileForwarder(workdir))


def test_commands(forwarder):
    forwarder.command("add_port vf3\n")
    forwarder.says(f"add_port vf3: relay {NUMBER}: device {VF}")
    forwarder.command("del_port vf3\n")
    forwarder.says(f"del_port vf3: {VF} is not attached to relay {NUMBER}")
    forwarder.command("add_port nosuch0\n")
    forwarder.says("there is no interface nosuch0 (yet); a VF that others have bound to vfio-pci is")
    forwarder.command("add_port vf3\nreboot\n")
    forwarder.says("nothing is done: line 2")
    assert forwarder.output.text.count("add_port vf3:") == 1


def test_refused_files(forwarder):
    """Files that others may leave in /tmp are not touched, and stop nothing."""
    command_file, other = forwarder.command_file, forwarder.command_file.with_name("other")
    other.write_text("add_port vf3\n")
    os.chown(other, 65534, 65534)
    os.rename(other, command_file)
    forwarder.says("vio_cmd is left alone: it belongs neither")
    assert command_file.read_text() == "add_port vf3\n"
    os.unlink(command_file)

    other.write_text("add_port vf3\n")
    for create, reason in ((lambda: command_file.symlink_to("other"), "it is a symbolic link"),
                           (lambda: os.link(other, command_file), "it has a second name"),
                           (lambda: os.mkfifo(command_file), "it is no regular file")):
        create()
        forwarder.says(f"vio_cmd is left alone: {reason}")
        os.unlink(command_file)

    assert "add_port vf3" not in forwarder.output.text
    forwarder.command("add_port vf3\n")
    forwarder.says("add_port vf3:")


def test_file_from_before(workdir, stack):
    forwarder = CommandFileForwarder(workdir)
    forwarder.command_file.write_text("add_port vf3\n")
    stack.enter_context(forwarder)
    forwarder.says("add_port vf3:")
    assert not forwarder.command_file.exists()


def test_no_inotify_instance_is_left(workdir):
    """Other programs of the user have them all. More descriptors would not help."""
    forwarder = CommandFileForwarder(workdir)
    refusal = run(["unshare", "--user", "--map-root-user", "sh", "-c",
                   'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"', "sh", *forwarder.argv],
                  check=False).splitlines()[-1]
    if refusal.startswith("unshare:"):
        pytest.skip(f"no user namespace can be made, as in a chroot: {refusal}")
    assert "fs.inotify.max_user_instances" in refusal, refusal
