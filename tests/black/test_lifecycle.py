# SPDX-License-Identifier: BSD-3-Clause
"""VMs and daemons that come, go and die under load: the relay serves the next one, nothing grows,
and the neighbour never notices."""

import errno
import grp
import os
import pwd
import re
import resource
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import time
from contextlib import ExitStack, contextmanager

import pytest
from lib.forwarder import Forwarder
from lib.paths import program
from lib.peer import (Peer, assert_balanced, assert_nothing_lost, attach, counted, detach, end,
                      memif_device, net_socket, wait_active)
from lib.proc import (CLOSED, Process, growth_allowed_kib, mapped_files, memory_kib, open_files, run,
                      standard_files, wait_until)
from lib.vhostuser import Connection, Frontend, Request

KILLS = int(os.environ.get("VIO4WD_KILLS", 10))
SETTLED_AFTER = min(3, KILLS - 1)  # after so many kills the daemon's memory is stable
LOAD_PPS = 50_000                  # each way; two relays and their ends fit two CPUs
RENEWAL_S = 8  # sockets that could not be made again are tried again after 1, 2 and 4 s

pytestmark = pytest.mark.timeout(900 + 10 * KILLS)

modes = pytest.mark.parametrize("client", [False, True], ids=["server", "client"])


@pytest.fixture
def start_forwarder(workdir, stack):
    """Starts a daemon with the given relays attached to memif devices."""
    def make(relays=(0,), **arguments):
        devices = {relay: memif_device(workdir, relay) for relay in relays}
        return stack.enter_context(Forwarder(workdir, devices, **arguments))

    return make


@pytest.fixture
def make_peer(workdir, stack):
    """Starts a peer that sends until it is stopped. One that plays a single end cannot know what is still
    to come: it waits for another second."""
    def make(name, **options):
        arguments = {"count": 0, "rate": LOAD_PPS, **options}
        if not {"vm", "net"} <= arguments.keys():
            arguments = {"drain_ms": 1000, **arguments}
        return stack.enter_context(Peer(workdir, name, **arguments))

    return make


def has_traffic(network, vm):
    """Waits until packets of this VM have reached the network, and vice versa."""
    network.wait_event("first", stream="vm_to_vf")
    vm.wait_event("first", stream="vf_to_vm")


@modes
@pytest.mark.sanitizers
def test_killed_vm(start_forwarder, make_peer, workdir, client):
    forwarder = start_forwarder(relays=(0, 1), client=client)
    neighbour = make_peer("neighbour", vm=forwarder.socket(1), net=net_socket(workdir, 1),
                          server=client)
    neighbour.start()
    wait_active(forwarder, 1)
    network = make_peer("network", net=net_socket(workdir, 0))
    network.start()

    files, mapped, settled_kib = open_files(forwarder.pid), mapped_files(forwarder.pid), None
    for kill in range(KILLS):
        vm = make_peer(f"vm{kill}", vm=forwarder.socket(0), server=client, packed=bool(kill % 2))
        vm.start()
        vm.wait_event("first", stream="vf_to_vm")
        network.wait_event("first", count=kill + 1, stream="vm_to_vf")
        vm.kill()
        wait_active(forwarder, 0, False)
        if kill == SETTLED_AFTER:
            settled_kib = memory_kib(forwarder.pid, "RssAnon")

    # The VM is reported gone a moment before the last of its descriptors is closed.
    wait_until(lambda: open_files(forwarder.pid) <= files, 10, "the VM's descriptors closed")
    assert mapped_files(forwarder.pid) == mapped
    # Just noise, however many kills there were. The neighbour's memory does not count: the daemon
    # touches more of it all the time.
    assert memory_kib(forwarder.pid, "RssAnon") <= settled_kib + growth_allowed_kib(1024)

    network.stop()
    neighbour.stop()
    survived, victims = neighbour.result(), network.result()
    assert_nothing_lost(forwarder, survived, relay=1)
    assert_consistent(forwarder, victims)
    end(forwarder, neighbour)


def assert_consistent(forwarder, victims):
    """Checks the network whose VMs were killed: what a VM sent before it died arrived completely
    and in order, and the daemon can account for each packet that it took."""
    from_vm = victims["vm_to_vf"]
    assert not any(from_vm[fault] for fault in ("lost", "reordered", "duplicated", "altered")), \
        victims
    assert_balanced(forwarder)
    into_vm, out_of_vm = counted(forwarder, "vf_to_vm"), counted(forwarder, "vm_to_vf")
    assert into_vm.received[0] == victims["vf_to_vm"]["sent"]
    assert into_vm.dropped[0] > 0, "no packet came while there was no VM"
    assert into_vm.backlog == out_of_vm.backlog == out_of_vm.dropped == (0, 0)
    assert out_of_vm.sent == (from_vm["received"], from_vm["received_bytes"])


@pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
def test_killed_daemon(start_forwarder, make_peer, workdir, packed):
    """In client mode a running VM gets its network back after the restart, by itself."""
    forwarder = start_forwarder(client=True)
    vm = make_peer("vm", vm=forwarder.socket(), server=True, packed=packed)
    vm.start()
    network = make_peer("network", net=net_socket(workdir))
    network.start()
    has_traffic(network, vm)

    forwarder.kill()
    vm.wait_event("link", vm="down")
    network.kill()
    forwarder.start()
    network = make_peer("next_network", net=net_socket(workdir))
    network.start()
    vm.wait_event("link", vm="up")
    network.wait_event("first", stream="vm_to_vf")
    vm.wait_event("first", count=2, stream="vf_to_vm")

    network.stop()
    vm.stop()
    assert network.result()["vm_to_vf"]["altered"] == 0
    received = vm.result()["vf_to_vm"]
    assert received["altered"] == received["reordered"] == 0, received
    forwarder.stop()


@modes
def test_device_after_vm(start_forwarder, make_peer, workdir, client):
    """The device may come after the VM, be removed while it runs, and come again."""
    forwarder = start_forwarder(relays=(), client=client)
    vm = make_peer("vm", vm=forwarder.socket(), server=client)
    vm.start()
    device = memif_device(workdir, role="client")
    for turn in range(3):
        network = make_peer(f"network{turn}", net=net_socket(workdir), net_server=True)
        network.wait_event("open")
        attach(forwarder, 0, device)
        network.start()
        network.wait_event("first", stream="vm_to_vf")
        vm.wait_event("first", count=turn + 1, stream="vf_to_vm")
        detach(forwarder, 0, device)
        network.kill()
        assert_balanced(forwarder)
    vm.stop()
    received = vm.result()["vf_to_vm"]
    assert not any(received[fault] for fault in ("reordered", "duplicated", "altered")), received
    forwarder.stop()


@modes
def test_graceful_vm(start_forwarder, make_peer, workdir, client):
    """A VM that leaves by itself, and its successor."""
    forwarder = start_forwarder(client=client)
    network = make_peer("network", net=net_socket(workdir))
    network.start()
    for turn in range(3):
        vm = make_peer(f"vm{turn}", vm=forwarder.socket(), server=client, drain_ms=200)
        vm.start()
        vm.wait_event("first", stream="vf_to_vm")
        network.wait_event("first", count=turn + 1, stream="vm_to_vf")
        vm.stop()
        vm.result()
        vm.finish()
        wait_active(forwarder, 0, False)
    network.stop()
    assert_consistent(forwarder, network.result())
    forwarder.stop()


@modes
def test_terminated_under_load(start_forwarder, make_peer, workdir, client):
    """After SIGTERM the daemon is gone before any timeout of ours expires, with its files."""
    forwarder = start_forwarder(client=client)
    vm = make_peer("vm", vm=forwarder.socket(), server=client)
    vm.start()
    network = make_peer("network", net=net_socket(workdir))
    network.start()
    has_traffic(network, vm)

    begin = time.monotonic()
    forwarder.stop(timeout=10)
    assert time.monotonic() - begin < 5


def test_closed_standard_descriptors(workdir):
    """No other file gets their numbers; a daemon finally replaces them, and its pid file stays
    locked."""
    argv = [argument for argument in Forwarder(workdir).argv if argument != "--nodaemon"]
    run([*CLOSED, *argv])
    pid_file = workdir / "virtio-forwarder.pid"
    pid = int(pid_file.read_text(encoding="ascii"))
    try:
        assert standard_files(pid) == ["/dev/null"] * 3
        assert "runs already" in run(argv, check=False)
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 30, "the daemon to end")
    assert not pid_file.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_while_it_starts(workdir, number):
    """Who stops the process that waits for the daemon's start stops the daemon, which ends cleanly."""
    devices = {relay: f"net_null{relay}" for relay in range(16)}  # so that the start takes a while
    argv = [argument for argument in Forwarder(workdir, devices).argv if argument != "--nodaemon"]
    pid_file = workdir / "virtio-forwarder.pid"
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as starter:
        wait_until(lambda: pid_file.exists() and pid_file.read_text(encoding="ascii").strip(), 30,
                   "the daemon's pid", interval=0.001)
        pid = int(pid_file.read_text(encoding="ascii"))
        try:
            os.kill(pid, signal.SIGSTOP)
            assert starter.poll() is None
            starter.send_signal(number)
            os.kill(pid, signal.SIGCONT)
            assert starter.wait(60) == -number
            assert not pid_file.exists()
        finally:
            if pid_file.exists():
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, signal.SIGTERM)
                wait_until(lambda: not pid_file.exists(), 30, "the daemon to end")


@modes
@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_socket_directory(start_forwarder, client):
    """The owner of the sockets can reach them, whatever the daemon's umask, and write to their
    directory only where it makes them. If an existing directory keeps it out, the log says so, with
    the remedy."""
    user, group = pwd.getpwnam("nobody"), grp.getgrnam("daemon")
    owner = (user.pw_uid, group.gr_gid)
    forwarder = start_forwarder((), client=client, options=[
        f"--vhost-username={user.pw_name}", f"--vhost-groupname={group.gr_name}"])
    directory = forwarder.socket_dir
    remedy = f"chown nobody {directory}" if client else f"chmod a+x {directory}"
    assert (remedy in forwarder.output.tail()) == client  # it is root's
    forwarder.stop()
    directory.chmod(0o700)
    forwarder.start()
    assert remedy in forwarder.output.tail()
    forwarder.stop()
    assert access(directory) == (0, 0, 0o700)
    directory.rmdir()
    umask = os.umask(0o027)
    try:
        forwarder.start()
    finally:
        os.umask(umask)
    assert remedy not in forwarder.output.tail()
    assert access(directory) == (*(owner if client else (0, 0)), 0o755)
    if client:
        return
    assert access(forwarder.socket(0)) == (*owner, 0o660)
    assert "can put something else" not in forwarder.output.tail()
    forwarder.stop()
    os.chown(directory, *owner)  # as if the daemon had been in client mode before
    forwarder.start()
    assert f"{directory}: nobody, as whom VMs run (VIRTIOFWD_SOCKET_OWNER), can put something else in " \
        "place of the daemon's sockets" in forwarder.output.tail()
    assert access(directory) == (*owner, 0o755)


def access(path):
    """(owner, group, mode)"""
    found = path.stat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a directory away")
def test_socket_directory_of_another(start_forwarder, workdir):
    """Anybody who can write to its parent may have created it before the daemon, to pose as VMs."""
    forwarder = start_forwarder(())
    refusal = f"directory {forwarder.socket_dir} belongs to user 4711"
    forwarder.stop()
    os.chown(forwarder.socket_dir, 4711, 4711)
    workdir.chmod(0o1777)
    with pytest.raises(AssertionError):
        forwarder.start()
    assert refusal in forwarder.output.tail()
    forwarder.argv.append("--dynamic-sockets")  # whose sockets may be elsewhere
    forwarder.start()
    assert refusal in forwarder.output.tail()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a link away")
@pytest.mark.parametrize("slash", ["", "/"])
def test_socket_directory_behind_a_link_of_another(start_forwarder, workdir, slash):
    """The owner of the link chooses where it leads, and may change that at any time."""
    forwarder = start_forwarder((), options=[f"--vhost-path={workdir}/sockets{slash}"])
    forwarder.stop()
    forwarder.socket_dir.rename(workdir / "behind")
    forwarder.socket_dir.symlink_to(workdir / "behind")
    forwarder.start()
    forwarder.stop()
    os.chown(forwarder.socket_dir, 4711, 4711, follow_symlinks=False)
    forwarder.start()  # nobody else can have created it
    forwarder.stop()
    workdir.chmod(0o777)
    with pytest.raises(AssertionError):
        forwarder.start()
    assert f"symbolic link {forwarder.socket_dir} belongs to user 4711" in forwarder.output.tail()


def link_to_itself(path):
    path.symlink_to(path)


def socket_of_another(path):
    """A daemon without privileges may not connect to it."""
    with socket.socket(socket.AF_UNIX) as vm:
        vm.bind(str(path))
    os.chown(path, 4711, 4711)
    path.chmod(0o700)


@pytest.mark.parametrize("make, error, remedy", [
    (link_to_itself, errno.ELOOP, ""),
    (socket_of_another, errno.EACCES, "; look at owner, group and mode ")])
def test_unreachable_socket_of_a_vm(start_forwarder, make, error, remedy):
    """In client mode the log says, once for each socket, why it cannot be connected to, also if there
    was none before."""
    forwarder = start_forwarder((), client=True)
    forwarder.stop()
    forwarder.argv = ["setpriv", "--bounding-set=-dac_override", "--", *forwarder.argv]
    forwarder.start()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(forwarder.socket(1)))
        other.listen()
        other.settimeout(30)
        other.accept()[0].close()  # the daemon has tried all sockets by now
        warning = f"relay 0: vhost-user socket {forwarder.socket(0)}: cannot connect: {os.strerror(error)}{remedy}"
        for n in (1, 2):
            make(forwarder.socket(0))
            forwarder.output.expect(re.escape(warning), 30)
            for _ in range(3):  # it goes on trying
                other.accept()[0].close()
            assert forwarder.output.text.count(warning) == n
            forwarder.socket(0).unlink()
            for _ in range(3):  # it sees that there is none
                other.accept()[0].close()


def test_vm_is_tried_every_50_ms(start_forwarder):
    """In client mode, even if it hangs up at once, which wakes the gates' thread."""
    forwarder = start_forwarder((), client=True)
    n = 0
    with socket.socket(socket.AF_UNIX) as vm:
        vm.bind(str(forwarder.socket(0)))
        vm.listen()
        end = time.monotonic() + 1
        while time.monotonic() < end:
            Connection.accept(vm).close()
            n += 1
    assert 1 < n < 30


def test_vm_without_success_is_left_alone_for_a_while(start_forwarder):
    """In client mode. A VM may break the protocol, or refuse the features, every time; one that just hangs
    up is connected again at once."""
    forwarder = start_forwarder((), client=True)
    with socket.socket(socket.AF_UNIX) as vm:
        vm.bind(str(forwarder.socket(0)))
        vm.listen()
        for fault in (None, "breach", None, "refusal", "refusal", None):
            with Connection.accept(vm) as connection:
                if fault == "breach":
                    connection.send(0)  # there is no such request
                    assert connection.closed_by_peer()
                elif fault == "refusal":
                    connection.ask(Request.GET_FEATURES)
            began = time.monotonic()
            Connection.accept(vm).close()
            assert (time.monotonic() - began > 0.5) == bool(fault)
    assert forwarder.output.text.count(
        "set VIRTIOFWD_MRGBUF and VIRTIOFWD_TSO, or shut the VM down") == 1


def test_another_program_as_the_service(workdir, stack, monkeypatch):
    """VIRTIOFWD_BINARY: the program it names replaces the daemon in its process, once, and may
    start the daemon. A daemon started by hand ignores it."""
    wrapper, started = workdir / "wrapper", workdir / "started"
    wrapper.write_text(f'#!/bin/sh\necho $$ >>{started}\nexec {program("virtio-forwarder")} "$@"\n')
    wrapper.chmod(0o755)
    forwarder = Forwarder(workdir, config=f"VIRTIOFWD_BINARY={wrapper}\n")
    with forwarder:
        assert not started.exists()
    monkeypatch.setenv("NOTIFY_SOCKET", str(workdir / "nobody"))
    with forwarder:
        assert started.read_text().split() == [str(forwarder.pid)]


def test_another_program_that_cannot_be_started(workdir, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(workdir / "nobody"))
    with Forwarder(workdir, config="VIRTIOFWD_BINARY=/nonexistent/vf\n") as forwarder:
        assert "/nonexistent/vf cannot be started: No such file" in forwarder.output.tail()


def test_socket_directory_that_has_gone_is_made_again(workdir):
    """A VM that is there is served all the time, and another one finds its socket."""
    with Forwarder(workdir, {0: "net_null0,size=64"}) as forwarder:
        with Frontend(forwarder.socket(0)) as frontend:
            frontend.start()
            shutil.rmtree(forwarder.socket_dir)
            wait_until(lambda: "had gone, and are made again" in forwarder.output.text, 20, "a warning")
            with Frontend(forwarder.socket(1)) as other:
                other.start()
                forwarder.wait_vm(1)
            frontend.send(bytes(64))
            frontend.wait_sent()


def test_sockets_are_made_again_when_they_can_be(workdir):
    """The directory is there. A new socket needs a descriptor, of which none is left at first."""
    with Forwarder(workdir) as forwarder:
        limits = resource.prlimit(forwarder.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(forwarder.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        sockets = list(forwarder.socket_dir.iterdir())
        for path in sockets:
            path.unlink()
        wait_until(lambda: "have gone, and cannot be made again" in forwarder.output.text, 20, "an error")
        resource.prlimit(forwarder.pid, resource.RLIMIT_NOFILE, limits)
        wait_until(lambda: all(path.exists() for path in sockets), RENEWAL_S, "the sockets")


def test_socket_directory_is_made_again_for_vms_that_listen(workdir):
    with Forwarder(workdir, client=True) as forwarder:
        forwarder.socket_dir.rmdir()
        wait_until(forwarder.socket_dir.exists, 20, "the directory")
        assert forwarder.socket_dir.stat().st_mode & 0o7777 == 0o755


def test_file_in_place_of_the_socket_directory(workdir):
    with Forwarder(workdir) as forwarder:
        (workdir / "file").touch()
        os.kill(forwarder.pid, signal.SIGSTOP)  # the file is quicker
        shutil.rmtree(forwarder.socket_dir)
        (workdir / "file").rename(forwarder.socket_dir)
        os.kill(forwarder.pid, signal.SIGCONT)
        wait_until(lambda: f"{forwarder.socket_dir} is not a directory"
                   in forwarder.output.text, 20, "an error")
        forwarder.socket_dir.unlink()
        wait_until(forwarder.socket(0).exists, RENEWAL_S, "a socket")


# "$0" is read-only, but what is in "$0/sockets" is not: as with ProtectSystem=strict and ReadWritePaths=.
CONFINED = """mount --bind "$0" "$0" && mount --bind "$0/sockets" "$0/sockets" && mount -o remount,bind,ro "$0" &&
exec "$@\""""


def test_socket_directory_that_is_read_only_once_it_has_gone(workdir):
    """Each reason why there are no sockets is in the log, with what helps."""
    outside = workdir / "outside" / "sockets"
    outside.mkdir(parents=True)
    forwarder = Forwarder(workdir, options=[f"--vhost-path={outside}"])
    forwarder.argv = ["unshare", "--mount", "sh", "-c", CONFINED, outside.parent, *forwarder.argv]
    with forwarder:
        assert (outside / "virtio-forwarder0.sock").exists()
        shutil.rmtree(outside)
        wait_until(lambda: f"directory {outside} cannot be made" in forwarder.output.text, 20, "the first reason")
        outside.mkdir()
        wait_until(lambda: re.search(f"cannot bind {outside}/.*and restart it", forwarder.output.text),
                   RENEWAL_S, "the other reason")


def test_socket_directory_of_somebody_else_is_left_alone(workdir):
    """Who is the first to make it may put there what they like."""
    workdir.chmod(0o1777)
    with Forwarder(workdir) as forwarder:
        (workdir / "others").mkdir()
        os.chown(workdir / "others", 4711, 4711)
        os.kill(forwarder.pid, signal.SIGSTOP)  # the other one is quicker
        shutil.rmtree(forwarder.socket_dir)
        (workdir / "others").rename(forwarder.socket_dir)
        os.kill(forwarder.pid, signal.SIGCONT)
        wait_until(lambda: "cannot be made again: " in forwarder.output.text, 20, "an error")
        assert not list(forwarder.socket_dir.iterdir())


PCAP_HEADER = struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)  # of a file without packets


def make_slow_device(workdir, number):
    """A device that is not open before opening_device() ends: its driver reads from a pipe."""
    os.mkfifo(workdir / f"packets{number}")
    return f"net_pcap{number},rx_pcap={workdir}/packets{number}"


@pytest.fixture
def slow_device(workdir):
    return make_slow_device(workdir, 0)


@contextmanager
def opening_device(workdir, number=0):
    """While the daemon opens such a device; waits until it begins."""
    with open(workdir / f"packets{number}", "wb") as pipe:
        yield
        pipe.write(PCAP_HEADER)


@modes
def test_relays_do_not_wait_for_each_others_devices(workdir, make_peer, slow_device, client):
    """While a static device is being opened, the relay before it serves its VM, and one without a
    device has its socket. The device's own VM is not connected yet, so it takes its link for down."""
    forwarder = Forwarder(workdir, {0: memif_device(workdir), 1: slow_device}, client=client)
    with ExitStack() as stack:
        if client:
            listeners = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2)]
            for relay, listener in enumerate(listeners, 1):
                listener.bind(str(forwarder.socket(relay)))
                listener.listen()
            is_served = lambda relay: bool(select.select([listeners[relay - 1]], [], [], 0)[0])
        else:
            is_served = lambda relay: forwarder.socket(relay).exists()
        daemon = stack.enter_context(Process(forwarder.argv, "daemon"))
        with opening_device(workdir):
            peer = make_peer("peer", vm=forwarder.socket(0), net=net_socket(workdir), server=client,
                             count=1000)
            peer.start()
            assert peer.result()["ok"]
            assert is_served(2) and not is_served(1) and "ready" not in daemon.output.text
        daemon.expect("ready: ", 20)
        wait_until(lambda: is_served(1), 10, "the socket of the relay whose device is open now")
        assert daemon.terminate(20) == 0
        assert peer.finish() == 0


def test_vm_is_followed_before_all_devices_are_open(workdir, make_peer, slow_device):
    """Its packet pool and its lanes may have to move to the NUMA node of its memory."""
    forwarder = Forwarder(workdir, {0: memif_device(workdir), 1: slow_device, 2: make_slow_device(workdir, 1)})
    with Process(forwarder.argv, "daemon") as daemon:
        with opening_device(workdir, 0):
            peer = make_peer("peer", vm=forwarder.socket(0), net=net_socket(workdir), count=1000)
            peer.start()
            assert peer.result()["ok"]
        with opening_device(workdir, 1):
            daemon.expect("relay 0: VM attached", 10)
        assert daemon.terminate(20) == 0
        assert peer.finish() == 0


def test_stopped_while_it_opens_devices(workdir, slow_device):
    """It opens no further one, and does not let in the VMs whose relays have none yet."""
    forwarder = Forwarder(workdir, {0: "net_null0", 1: slow_device, 2: "net_null2"}, client=True)
    with ExitStack() as stack:
        vms = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3)]
        for relay, vm in enumerate(vms):
            vm.bind(str(forwarder.socket(relay)))
            vm.listen()
        daemon = stack.enter_context(Process(forwarder.argv, "daemon"))
        with opening_device(workdir):
            assert select.select(vms[:1], [], [], 20)[0]
            daemon.signal(signal.SIGTERM)
        assert daemon.wait(20) == 0
        assert "net_null2 attached" not in daemon.output.text and "ready: " not in daemon.output.text
        assert not select.select(vms[1:], [], [], 0)[0]


def test_stopped_while_it_opens_devices_leaves_no_socket(workdir, slow_device):
    forwarder = Forwarder(workdir, {0: "net_null0", 1: slow_device})
    with Process(forwarder.argv, "daemon") as daemon:
        with opening_device(workdir):
            daemon.signal(signal.SIGTERM)
        assert daemon.wait(20) == 0
        assert not list(forwarder.socket_dir.iterdir())
