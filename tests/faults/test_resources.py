# SPDX-License-Identifier: BSD-3-Clause
"""What the daemon needs is missing or runs out: it says what, and goes on with what it has."""

import contextlib
import errno
import fcntl
import mmap
import os
import re
import subprocess
from pathlib import Path

import pytest
from lib import vioclient
from lib.forwarder import Forwarder
from lib.hugepages import PAGES, alone, reserved
from lib.mounts import mounted
from lib.peer import assert_nothing_lost, attached_peer, end, memif_device, wait_active
from lib.proc import Process, WaitTimeout, few_descriptors, open_files, run, wait_until
from lib.vhostuser import Connection, Disconnected, Frontend, Refused
from lib.wire import ADD, ADD_SOCK, OK, REMOVE

OVERCOMMIT = PAGES / "nr_overcommit_hugepages"
EXIT_FAILURE = 1
ZEROS_S = 300  # DPDK zeroes all memory that is returned
LOG_BYTES_MAX = 64 << 10  # so much may a lasting fault cause


@contextlib.contextmanager
def hugepages_taken(touched=True, but=0):
    """Takes all free pages but a few. Pages that nobody has touched are reserved, and the kernel counts
    them as free."""
    page, maps = 2 << 20, []
    while True:
        try:
            taken = mmap.mmap(-1, page, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | 0x40000)
        except OSError:
            break
        if touched:
            taken[0] = 1
        maps.append(taken)
    try:
        for _ in range(but):
            maps.pop().close()
        yield
    finally:
        for taken in maps:
            taken.close()


def refuses_to_start(forwarder, words):
    """The daemon must end by itself, with a line that says why, and remove its files. Returns the line."""
    with Process(forwarder.argv, "forwarder", log_path=forwarder.directory / "refusal.log") as process:
        code = process.wait(30)
    assert code == EXIT_FAILURE, process.output.tail()
    last = process.output.text.splitlines()[-1]
    assert all(word in last for word in words), last
    return last


def with_pages(workdir, devices=None, options=()):
    return Forwarder(workdir, devices, huge=True, options=[f"--huge-dir={workdir}/huge", *options])


@pytest.mark.parametrize("but, options", [(0, []), (0, ["--same-numa"]), (1, ["--same-numa"])])
@pytest.mark.parametrize("touched", [True, False])
def test_no_hugepages(workdir, touched, but, options):
    with (alone(), reserved(mebibytes=32),  # or there might be none at all
          mounted("hugetlbfs", workdir / "huge", "pagesize=2M"), hugepages_taken(touched, but)):
        refuses_to_start(with_pages(workdir, options=options),
                         ["too few huge pages" + (" on NUMA node " if options else ": "),
                          f" {but} are free", "nr_hugepages"])
        assert not list((workdir / "huge").iterdir())


def test_hugepages_for_dpdk_only(workdir):
    """The error counts the pages for all devices."""
    devices = {relay: f"net_null{relay},size=64" for relay in range(4)}
    with (alone(), reserved(mebibytes=64), mounted("hugetlbfs", workdir / "huge", "pagesize=2M"),
          hugepages_taken(but=2)):
        error = refuses_to_start(with_pages(workdir, devices), ["too few huge pages"])
        assert int(re.search(r"(\d+) of 2048 kB are needed", error)[1]) > 20, error


def test_hugepages_that_the_mount_does_not_allow(workdir):
    with (alone(), reserved(mebibytes=64), mounted("hugetlbfs", workdir / "huge", "pagesize=2M,size=8M")):
        refuses_to_start(with_pages(workdir, {0: "net_null0,size=64"}),
                         ["too few huge pages: ", f"the size= of the mount {workdir}/huge allows "])


def test_hugepages_left_behind(workdir):
    """Those that a DPDK program has left in its files when it ended are used."""
    with (alone(), reserved(mebibytes=64),
          mounted("hugetlbfs", workdir / "huge", "pagesize=2M") as huge):
        with huge.joinpath("rtemap_0").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 64 << 20)
        with hugepages_taken(), with_pages(workdir, {0: "net_null0,size=64"}):
            assert not list(huge.iterdir())


def test_hugepages_reserved_for_the_mount(workdir):
    with (alone(), reserved(mebibytes=64),
          mounted("hugetlbfs", workdir / "huge", "pagesize=2M,min_size=64M"),
          hugepages_taken(), with_pages(workdir, {0: "net_null0,size=64"})):
        pass


@contextlib.contextmanager
def overcommitted(mebibytes):
    """The kernel makes pages on demand."""
    before = OVERCOMMIT.read_text()
    OVERCOMMIT.write_text(str(int(before) + mebibytes // 2))
    try:
        yield
    finally:
        OVERCOMMIT.write_text(before)


def test_hugepages_on_demand(workdir):
    with (alone(), reserved(mebibytes=32), mounted("hugetlbfs", workdir / "huge", "pagesize=2M"),
          hugepages_taken(), overcommitted(mebibytes=64), with_pages(workdir, {0: "net_null0,size=64"})):
        pass


def test_too_few_hugepages_for_all_devices(workdir):
    """Devices without memory wait for it; the others are served."""
    devices = {relay: f"net_null{relay},size=64" for relay in range(4)}
    with (alone(), reserved(mebibytes=128), mounted("hugetlbfs", workdir / "huge", "pagesize=2M"),
          contextlib.ExitStack() as taken):
        taken.enter_context(hugepages_taken(but=24))
        with with_pages(workdir, devices) as forwarder:
            assert forwarder.stats(0)["vf_to_vm"]["internal_state"] == "DPDK_READY"
            assert forwarder.stats(3)["vf_to_vm"]["internal_state"] == "DPDK_ADDED"
            assert re.search(r"relay 3: device .*too few huge pages.*nr_hugepages",
                             forwarder.output.text)
            taken.close()
            wait_until(lambda: forwarder.stats(3)["vf_to_vm"]["internal_state"] == "DPDK_READY", 40,
                       "the last device is opened")


def test_hugepages_that_are_free_and_refused(workdir):
    """As a control group's limit does, a limit of the size of files keeps pages from the daemon only: both act
    when DPDK takes a page."""
    with (alone(), reserved(mebibytes=128), mounted("hugetlbfs", workdir / "huge", "pagesize=2M")):
        forwarder = with_pages(workdir)
        forwarder.argv = ["env", "--ignore-signal=XFSZ", *forwarder.argv]
        with forwarder:
            run(["prlimit", f"--pid={forwarder.pid}", f"--fsize={1 << 20}"])
            refusal = port_control(forwarder, ADD, 1, "net_null1,size=64")
            assert re.search(r"though \d+ huge pages .*hugetlb\.\*\.max", refusal.error_code_source), refusal
        forwarder.argv = ["prlimit", f"--fsize={1 << 20}", "--", *forwarder.argv]
        refuses_to_start(forwarder, ["DPDK does not start: ", "though ", " huge pages ", "hugetlb.*.max"])


@contextlib.contextmanager
def locked(directory):
    """Holds the lock that DPDK's programs take while they change the files there."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def test_locked_hugepages(workdir):
    """Whoever may read the directory can hold its lock. The daemon starts, takes and returns pages."""
    with (alone(), reserved(mebibytes=128), mounted("hugetlbfs", workdir / "huge", "pagesize=2M") as huge,
          contextlib.ExitStack() as held):
        held.enter_context(locked(huge))
        with with_pages(workdir, {0: "net_null0,size=64"}) as forwarder:
            device = "net_null1,size=64"
            for _ in range(2):
                assert port_control(forwarder, ADD, 1, device).status == OK
                assert port_control(forwarder, REMOVE, 1, device).status == OK
            assert len(re.findall(f"{huge}: another program has held its lock", forwarder.output.text)) == 1
            held.close()
            assert port_control(forwarder, ADD, 1, device).status == OK


@contextlib.contextmanager
def one_gigantic_page():
    number = Path("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages")
    if not number.exists() or int(number.read_text()) > 0:
        pytest.skip("pages of 1 GiB are not supported, or in use")
    number.write_text("1")
    try:
        if int(number.read_text()) == 0:
            pytest.skip("the kernel has no gibibyte in one piece")
        yield
    finally:
        number.write_text("0")


def test_one_gigantic_page(workdir):
    """Everything fits into the page that DPDK takes first."""
    with alone(), one_gigantic_page(), mounted("hugetlbfs", workdir / "huge", "pagesize=1G"):
        devices = {relay: f"net_null{relay}" for relay in range(4)}
        with with_pages(workdir, devices):
            pass


def test_few_descriptors_at_the_start(workdir):
    """The log tells how there can be more, where opening one fails."""
    argv = Forwarder(workdir).argv
    ends = []
    for limit in range(24, 72, 8):
        ends.append(run(["prlimit", f"--nofile={limit}:{limit}", "--", *argv], check=False)
                    .splitlines()[-1])
    too_many = [end for end in ends if os.strerror(errno.EMFILE) in end]
    assert too_many and all("LimitNOFILE=" in end for end in too_many), ends


def test_few_threads_at_the_start(workdir):
    """As in a container with a limit of processes. The limit is a user's, so this user has nothing else."""
    workdir.chmod(0o777)
    argv = ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups",
            "prlimit", "--nproc=3:3", "--", *Forwarder(workdir).argv]
    end = run(argv, check=False).splitlines()[-1]
    assert os.strerror(errno.EAGAIN) in end and "TasksMax=" in end


def test_dpdk_panics_at_the_start(workdir):
    """Where DPDK aborts the process for lack of a descriptor or a thread, the log has the reason."""
    argv = Forwarder(workdir).argv
    ends = [run(["prlimit", f"--nofile={limit}:{limit}", "--", *argv], check=False) for limit in range(8, 14)]
    panics = [end for end in ends if "rte_panic" in end]
    assert panics and all(re.search(r" critical DPDK: Cannot create \w+\n", end) for end in panics), ends


def port_control(forwarder, op, relay, device):
    return vioclient.port_control(forwarder.port_control_endpoint, op, virtio_id=relay,
                                  device=[device], conditional=False, timeout=ZEROS_S)


@pytest.mark.long
@pytest.mark.timeout(1200)  # zeroing all that memory takes long on a busy machine
def test_memory_runs_out(workdir, stack):
    """Devices are attached until there is no memory for another one. The others do not notice, and
    once one is given back the next can be attached."""
    forwarder = stack.enter_context(Forwarder(workdir, {0: memif_device(workdir)},
                                              options=["--enable-jumbo"]))
    peer = attached_peer(stack, workdir, forwarder, count=0, rate=10_000)
    peer.start()
    attached, response = 0, None
    for relay in range(1, 64):
        response = port_control(forwarder, ADD, relay, f"net_null{relay},size=64")
        if response.status != OK:
            break
        attached = relay
    assert attached >= 2 and response.status != OK
    assert re.search(r"out of memory: \d+ MiB more.*2048 MiB in all; use hugepages",
                     response.error_code_source), response
    # Every request gets the same answer, and nothing changes.
    assert port_control(forwarder, ADD, attached + 1, "net_null63,size=64").status != OK
    assert port_control(forwarder, REMOVE, attached, f"net_null{attached},size=64").status == OK
    assert port_control(forwarder, ADD, attached + 1, "net_null63,size=64").status == OK
    peer.stop()
    assert_nothing_lost(forwarder, peer.result())
    forwarder.stop(ZEROS_S)
    peer.finish()


def serve_a_vm(path):
    with Frontend(path) as frontend:
        frontend.start()
        frontend.send(bytes(64))
        frontend.wait_sent()


@pytest.mark.parametrize("spare", [
    0, 3, pytest.param(1, marks=pytest.mark.long), pytest.param(8, marks=pytest.mark.long)])
def test_descriptors_run_out(workdir, stack, spare):
    """VMs and clients that come meanwhile are turned away or wait. Those already there are served,
    and so is everybody once there are descriptors again."""
    forwarder = stack.enter_context(Forwarder(
        workdir, {0: memif_device(workdir), 1: "net_null1,size=64"}))
    peer = attached_peer(stack, workdir, forwarder, count=0, rate=10_000)
    peer.start()
    serve_a_vm(forwarder.socket(1))
    wait_active(forwarder, 1, False)
    files = open_files(forwarder.pid)
    with few_descriptors(forwarder.pid, spare):
        if spare == 0:
            wait_until(lambda: "no file descriptor is left" in forwarder.output.text, 20, "a warning")
        logged = len(forwarder.output.text)
        for _ in range(3):
            with contextlib.suppress(Disconnected, Refused, OSError, AssertionError):
                with Frontend(forwarder.socket(1),
                              connection=Connection.connect(forwarder.socket(1), 0.5)) as frontend:
                    frontend.negotiate().share_memory()
                    frontend.set_up_rings()
            with contextlib.suppress(WaitTimeout, vioclient.NoAnswer):
                vioclient.exchange(forwarder.stats_endpoint, b"", timeout=0.5)
            port_control_or_silence(forwarder, ADD, 2, "net_null2,size=64")
        assert forwarder.running()
        assert len(forwarder.output.text) - logged < LOG_BYTES_MAX
    wait_until(lambda: vm_is_served(forwarder.socket(1)), 20, "a VM is served again")
    if spare == 0:
        wait_until(lambda: "there are file descriptors again" in forwarder.output.text, 20, "all clear")
    wait_active(forwarder, 1, False)
    port_control(forwarder, REMOVE, 2, "net_null2,size=64")
    wait_until(lambda: open_files(forwarder.pid) <= files, 20, "all descriptors closed again")
    peer.stop()
    assert_nothing_lost(forwarder, peer.result())
    end(forwarder, peer)


def test_descriptor_limit_is_raised(workdir):
    """The soft limit that a shell sets does not turn away a VM with many queues."""
    forwarder = Forwarder(workdir, {0: "net_null0,size=64"})
    forwarder.argv = ["prlimit", "--nofile=64:4096", *forwarder.argv]
    with forwarder, Frontend(forwarder.socket(), queue_pairs=32) as frontend:
        frontend.start()
        frontend.wait_frames(1)
        assert open_files(forwarder.pid) > 128  # two eventfds per ring


def port_control_or_silence(forwarder, op, relay, device):
    with contextlib.suppress(vioclient.NoAnswer):
        request = vioclient.extended.PortControlRequest(op=op, virtio_id=relay, device=[device],
                                                        conditional=False)
        vioclient.exchange(forwarder.port_control_endpoint, request.SerializeToString(), timeout=0.5)


def vm_is_served(path):
    with contextlib.suppress(Disconnected, Refused, OSError, AssertionError):
        serve_a_vm(path)
        return True
    return False


FULL = "size=4k,nr_inodes=2,mode=755"  # room for its root and one empty file


@contextlib.contextmanager
def full_disk(path):
    with mounted("tmpfs", path, FULL):
        path.joinpath("filler").write_bytes(b"")
        path.joinpath("filler").unlink()
        with path.joinpath("filler").open("wb", buffering=0) as filler:
            with contextlib.suppress(OSError):
                while filler.write(bytes(4096)):
                    pass
        yield path


@pytest.mark.parametrize("what, option", [
    ("pid file", "--pid-path={}"), ("sockets", "--vhost-path={}"),
    ("endpoint", "--zmq-stats-ep=ipc://{}/stats")])
def test_full_disk_at_start(workdir, what, option):
    with full_disk(workdir / "full") as full:
        refuses_to_start(Forwarder(workdir, options=[option.format(full)]),
                         [str(full), "No space left on device"])
        assert [path.name for path in full.iterdir()] == ["filler"], what
    assert not list(workdir.glob("*.pid"))


@pytest.mark.parametrize("option", ["--pid-path={}", "--vhost-path={}/sockets", "--zmq-stats-ep=ipc://{}/stats",
                                    "--zmq-stats-ep=ipc://{}/new/stats"])
def test_read_only_at_start(workdir, option):
    """As with ProtectSystem=strict, for a directory that was not there when the service was started."""
    with mounted("tmpfs", workdir / "fixed", "ro") as fixed:
        refuses_to_start(Forwarder(workdir, options=[option.format(fixed)]),
                         [str(fixed), "Read-only file system; if this is the service, ", "ReadWritePaths="])


def test_full_disk_for_a_new_socket(workdir, stack):
    """ADD_SOCK reports it and leaves nothing behind; the daemon goes on."""
    forwarder = stack.enter_context(Forwarder(workdir, options=["--dynamic-sockets"]))
    with full_disk(workdir / "full") as full:
        def add_sock(path):
            return vioclient.port_control(forwarder.port_control_endpoint, ADD_SOCK,
                                          device=["net_null0"], vhost_path=str(path),
                                          conditional=False)

        refusal = add_sock(full / "vm.sock")
        assert refusal.status != OK and "No space left" in refusal.error_code_source, refusal
        assert add_sock(workdir / "vm.sock").status == OK
        assert vm_is_served(workdir / "vm.sock")


def test_full_disk_for_the_log(workdir):
    """What cannot be written is lost; the daemon goes on."""
    forwarder = Forwarder(workdir, {0: "net_null0,size=64"})
    with (full_disk(workdir / "full") as full, full.joinpath("filler").open("ab") as log,
          contextlib.closing(Detached(forwarder.argv, log)) as process):
        wait_until(lambda: forwarder.socket().exists() and vm_is_served(forwarder.socket()), 30,
                   "a VM is served")
        process.stop()


class Detached:
    """A daemon that logs into a file."""

    def __init__(self, argv, log):
        self._child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *map(str, argv)],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def stop(self):
        self._child.terminate()
        assert self._child.wait(20) == 0

    def close(self):
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()
