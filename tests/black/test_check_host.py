# SPDX-License-Identifier: BSD-3-Clause
"""vio4wd check-host, on this host and on trees that imitate others."""

import fcntl
import json
import os
import re
import shutil
import socket
import subprocess

import pytest

from lib.forwarder import Forwarder
from lib.hugepages import alone, reserved
from lib.mounts import mounted
from lib.paths import program

OK, MISSING, USAGE = 0, 1, 2
CPUS = sorted(os.sched_getaffinity(0))
CONFIG = f"""VIRTIOFWD_MASTER_LCORE={CPUS[0]}
VIRTIOFWD_SHARE_MASTER_CPU=true
VIRTIOFWD_SOCKET_OWNER=root
VIRTIOFWD_SOCKET_GROUP=root
"""


@pytest.fixture
def check(workdir):
    """Runs it with additional configuration; returns (exit code, [(check, verdict, text)])."""
    def run(config="", *arguments, cpus=CPUS[-1]):
        path = workdir / "virtioforwarder"
        path.write_text(f"{CONFIG}VIRTIOFWD_CPU_MASK={cpus}\nVIRTIOFWD_SOCKET_DIR={workdir}\n"
                        f"VIRTIOFWD_ZMQ_STATS_EP=ipc://{workdir}/stats\n{config}", encoding="utf-8")
        result = subprocess.run([program("vio4wd"), "check-host", f"--config={path}", "--json",
                                 *arguments], capture_output=True, text=True, timeout=30)
        assert not result.stderr
        return result.returncode, [(finding["check"], finding["verdict"], finding["text"])
                                   for finding in json.loads(result.stdout)]

    return run


def test_this_host(check, workdir):
    """Everything is checked, the exit code is that of the worst verdict, and text and JSON say the
    same."""
    code, findings = check()
    assert {name for name, *_ in findings} >= {"configuration", "daemon", "hugepages", "iommu", "vfio",
                                               "devices", "cpus", "sockets"}
    assert code == (MISSING if "missing" in {verdict for _, verdict, _ in findings} else OK)
    text = subprocess.run([program("vio4wd"), "check-host", f"--config={workdir}/virtioforwarder"],
                          stdout=subprocess.PIPE, text=True, timeout=30)
    assert text.returncode == code
    assert [line.split()[1::-1] for line in text.stdout.splitlines()] == [
        [name, verdict] for name, verdict, _ in findings]


def test_a_host_that_lacks_everything(check, workdir):
    code, findings = check("VIRTIOFWD_STATIC_VFS=0000:05:08.1=3\n"
                           "VIRTIOFWD_HUGETLBFS_MOUNT_POINT=/proc\n", f"--sysfs={workdir}")
    said = dict((name, (verdict, text)) for name, verdict, text in findings)
    assert code == MISSING
    assert said["configuration"][0] == "ok"
    assert said["hugepages"][0] == "missing" and "mount -t hugetlbfs" in said["hugepages"][1]
    assert said["iommu"][0] == "missing" and "intel_iommu=on" in said["iommu"][1]
    assert said["vfio"][0] == "warning" and "modprobe vfio-pci" in said["vfio"][1]
    assert said["devices"][0] == "missing" and "0000:05:08.1" in said["devices"][1]
    assert said["cpus"][0] == "warning" and "isolcpus=" in said["cpus"][1]


@pytest.fixture
def count_pages(check, workdir):
    """Runs it with a hugetlbfs in workdir; returns how many pages are free for a daemon."""
    def count():
        _, findings = check(f"VIRTIOFWD_HUGETLBFS_MOUNT_POINT={workdir}/huge\n")
        return int(next(text for name, _, text in findings if name == "hugepages").split()[0])

    return count


def test_hugepages_left_behind(count_pages, workdir):
    """The daemon will remove the files of DPDK programs that have ended, and only those."""
    with alone(), reserved(mebibytes=32), mounted("hugetlbfs", workdir / "huge", "pagesize=2M") as huge:
        free = count_pages()
        with huge.joinpath("rtemap_0").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 8 << 20)
            assert count_pages() == free
            fcntl.flock(file, fcntl.LOCK_SH)  # as while the program runs
            assert count_pages() == free - 4
        huge.joinpath("rtemap_0").rename(huge / "vm")
        assert count_pages() == free - 4


def test_hugepages_reserved_for_the_mount(count_pages, workdir):
    with alone(), reserved(mebibytes=32):
        with mounted("hugetlbfs", workdir / "huge", "pagesize=2M"):
            free = count_pages()
        with mounted("hugetlbfs", workdir / "huge", "pagesize=2M,min_size=16M") as huge:
            assert count_pages() == free
            with huge.joinpath("vm").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, 8 << 20)
            assert count_pages() == free - 4
            with huge.joinpath("vm2").open("wb") as file:
                huge.joinpath("vm2").unlink()  # as QEMU does
                os.posix_fallocate(file.fileno(), 0, 8 << 20)
                assert count_pages() == free - 8


def test_hugepages_that_the_mount_does_not_allow(check, workdir):
    with mounted("hugetlbfs", workdir / "huge", "pagesize=2M,size=8M") as huge:
        _, findings = check(f"VIRTIOFWD_HUGETLBFS_MOUNT_POINT={huge}\n")
    assert [text for name, verdict, text in findings if (name, verdict) == ("hugepages", "missing")
            and text.startswith(f"the size= of the mount {huge} allows 4 of 2048 KiB, ")]


UNPRIVILEGED_WITHOUT_IOMMU = """mount -t tmpfs none /sys/module && mkdir -p /sys/module/vfio/parameters &&
echo Y >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode && exec setpriv --bounding-set=-sys_admin -- "$@"
"""


@pytest.mark.skipif(os.getuid() != 0, reason="mounts")
def test_no_physical_addresses(workdir):
    """VFIO's no-IOMMU mode needs them, and only CAP_SYS_ADMIN sees them. The daemon starts without, as its
    other devices can do (DPDK 24.11 would not if it were told to use them)."""
    unprivileged = ["unshare", "--mount", "sh", "-c", UNPRIVILEGED_WITHOUT_IOMMU, "sh"]
    said = subprocess.run([*unprivileged, program("vio4wd"), "check-host"], stdout=subprocess.PIPE, text=True,
                          timeout=30)
    assert "devices of vfio-pci cannot be used" in said.stdout, said.stdout
    with alone(), reserved(mebibytes=64), mounted("hugetlbfs", workdir / "huge", "pagesize=2M") as huge:
        forwarder = Forwarder(workdir, {0: "net_null0,size=64"}, huge=True, options=[f"--huge-dir={huge}"])
        forwarder.argv = [*unprivileged, *forwarder.argv]
        with forwarder:
            pass


def test_wrong_configuration(check):
    code, findings = check(cpus="x")
    assert code == MISSING
    assert findings[0][:2] == ("configuration", "missing") and "'x'" in findings[0][2]
    code, findings = check(cpus=1023)
    assert code == MISSING and "no CPU 1023" in findings[0][2]


def test_another_backend_and_the_daemon_itself(check, workdir, stack):
    path = workdir / "virtio-forwarder7.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        code, findings = check()
        assert code == MISSING
        assert [text for name, verdict, text in findings
                if name == "sockets" and verdict == "missing" and str(path) in text]
    path.unlink()

    stack.enter_context(Forwarder(workdir, {0: "net_null0"}))
    _, findings = check("VIRTIOFWD_STATIC_VFS=net_null0=3\n")
    assert ("daemon", "ok", "runs") in findings
    assert {name: verdict for name, verdict, _ in findings}["devices"] == "ok"
    code, findings = check(f"VIRTIOFWD_SOCKET_DIR={workdir}/gone\n")
    assert code == MISSING
    assert [text for name, verdict, text in findings
            if name == "sockets" and verdict == "missing" and "gone while the daemon runs" in text]


def test_the_daemon_itself_without_an_endpoint(check, workdir, stack):
    """The daemon's own sockets are not taken for another backend's."""
    forwarder = stack.enter_context(Forwarder(workdir, {0: "net_null0"}))
    code, findings = check(f"VIRTIOFWD_ZMQ_STATS_EP=\nVIRTIOFWD_PID_DIR={workdir}\n"
                           f"VIRTIOFWD_SOCKET_DIR={forwarder.socket_dir}\n")
    assert ("daemon", "ok", "runs") in findings
    assert not [text for name, verdict, text in findings if name == "sockets" and verdict == "missing"]


def test_pid_directory_that_a_unit_will_make(check, workdir):
    """Everything else is checked all the same. What is no directory keeps the daemon from starting."""
    _, usual = check()
    code, findings = check(f"VIRTIOFWD_PID_DIR={workdir}/run\n")
    [(verdict, text)] = [finding[1:] for finding in findings if finding[0] == "pid directory"]
    assert verdict == "warning" and f"{workdir}/run is not there" in text
    assert [finding[:2] for finding in findings if finding[0] != "pid directory"] == [
        finding[:2] for finding in usual]
    (workdir / "run").touch()
    code, findings = check(f"VIRTIOFWD_PID_DIR={workdir}/run\n")
    assert code == MISSING
    assert ("pid directory", "missing") in [finding[:2] for finding in findings]


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives directories to others")
@pytest.mark.parametrize("owner, group, mode, above, kept_out", [
    (0, 0, 0o755, 0o755, "its owner and mode keep out daemon"),
    (0, 0, 0o777, 0o755, ""),
    (0, 0, 0o777, 0o700, "sockets keep out daemon"),
    (0, "daemon", 0o770, 0o755, ""),  # the user is a member of it
    ("daemon", 0, 0o700, 0o755, ""),
])
def test_sockets_directory_as_the_daemon_sees_it(check, workdir, owner, group, mode, above, kept_out):
    """What the daemon says at its start, check-host says before."""
    workdir.chmod(0o755)
    forwarder = Forwarder(workdir, client=True, options=["--vhost-username=daemon"])
    directory = workdir / "sockets/sockets"
    directory.mkdir()
    shutil.chown(directory, owner, group)
    directory.chmod(mode)
    (workdir / "sockets").chmod(above)
    forwarder.argv.append(f"--vhost-path={directory}")
    _, findings = check("VIRTIOFWD_SOCKET_OWNER=daemon\nVIRTIOFWD_VHOST_CLIENT=true\n"
                        f"VIRTIOFWD_SOCKET_DIR={directory}\n")
    [(verdict, text)] = [finding[1:] for finding in findings if finding[0] == "sockets"]
    assert verdict == ("missing" if kept_out else "ok") and kept_out in text
    with forwarder:
        assert ("keep out" in forwarder.output.text) == bool(kept_out)
        assert not kept_out or text in forwarder.output.text


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives directories to others")
def test_endpoints_in_a_directory_of_another(check, workdir):
    """Its owner can listen in place of the daemon, which says so and starts, whoever has made it."""
    directory = workdir / "endpoints"
    directory.mkdir()
    os.chown(directory, 4711, 4711)
    forwarder = Forwarder(workdir, options=[f"--zmq-stats-ep=ipc://{directory}/stats"])
    warning = f"{directory}/stats: directory {directory} belongs to user 4711"
    for mode in (0o755, 0o1777):
        workdir.chmod(mode)
        _, findings = check(f"VIRTIOFWD_ZMQ_STATS_EP=ipc://{directory}/stats\n"
                            f"VIRTIOFWD_METRICS_EP=ipc://{workdir}/no/such\n"
                            "VIRTIOFWD_ZMQ_PORT_CONTROL_EP=true\n")
        said = [(verdict, text) for name, verdict, text in findings if name == "endpoints"]
        assert [verdict for verdict, _ in said] == ["warning"]
        assert said[0][1].startswith(warning)
        with forwarder:
            assert f"endpoint {warning}" in forwarder.output.text


def test_paths_without_a_directory(check, workdir):
    """The daemon makes directories for its sockets, but not in place of a file, and none for its command
    file alone."""
    (workdir / "file").touch()
    code, findings = check(f"VIRTIOFWD_ZMQ_STATS_EP=ipc://{workdir}/file/stats\n"
                           f"VIRTIOFWD_CAPTURE_EP=ipc://{workdir}/file/no/capture\n"
                           f"VIRTIOFWD_METRICS_EP=ipc://{workdir}/no/metrics\n"
                           f"VIRTIOFWD_IPC_PORT_CONTROL=true\nVIRTIOFWD_IPC_PATH={workdir}/file/command\n")
    said = [text for name, verdict, text in findings
            if verdict == "missing" and name in ("endpoints", "command file")]
    assert code == MISSING
    assert [f"{workdir}/{place}" in text for place, text in zip(
        ("file/stats", "file/no/capture", "file is no directory"), said, strict=True)] == [True] * 3
    _, findings = check(f"VIRTIOFWD_SOCKET_DIR={workdir}/no\n"
                        f"VIRTIOFWD_IPC_PORT_CONTROL=true\nVIRTIOFWD_IPC_PATH={workdir}/no/command\n")
    said = [(verdict, text) for name, verdict, text in findings if name == "command file"]
    assert [verdict for verdict, _ in said] == ["warning"]
    assert said[0][1].startswith(f"{workdir}/no is not there: make it, unless ")
    daemon = subprocess.run(Forwarder(workdir, options=[f"--zmq-stats-ep=ipc://{workdir}/file/stats"]).argv,
                            stderr=subprocess.PIPE, text=True, timeout=60)
    assert daemon.returncode == 1
    assert f"socket {workdir}/file/stats: {workdir}/file is not a directory" in daemon.stderr


def test_options_that_the_daemon_is_started_with(check, workdir):
    """They override the file, as those of a unit do; errors in them are reported."""
    (workdir / "there").mkdir()
    options = ["--", f"--vhost-path={workdir}/there", "-udaemon", "--vhostuser-client", "--no-huge"]
    _, findings = check("VIRTIOFWD_SOCKET_DIR=/nonexistent/x\n", *options)
    said = {name: (verdict, text) for name, verdict, text in findings}
    assert said["sockets"][0] == "missing" and f"{workdir}/there" in said["sockets"][1]
    assert said["hugepages"][0] == "warning" and "--no-huge" in said["hugepages"][1]
    for wrong, text in (("--nosuch", "unknown"), ("x", "unexpected argument"),
                        ("--check-config", "these options start no daemon")):
        result = subprocess.run([program("vio4wd"), "check-host", f"--config={workdir}/virtioforwarder",
                                 "--", wrong], capture_output=True, text=True, timeout=30)
        assert result.returncode == MISSING
        assert re.search(f"^missing +configuration .*{text}", result.stdout, re.M), result.stdout


def test_usage():
    for arguments in (["x"], ["--no-huge"]):
        result = subprocess.run([program("vio4wd"), "check-host", *arguments], capture_output=True,
                                timeout=30)
        assert result.returncode == USAGE
