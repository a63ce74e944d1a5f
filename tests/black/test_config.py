# SPDX-License-Identifier: BSD-3-Clause
"""Wrong configurations: each ends with its exit code and one line that says what is wrong and
where, and leaves nothing behind."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from lib.forwarder import default_cpus
from lib.paths import ROOT, program

RUN_TIMEOUT_S = 60
USAGE, FAILURE = 2, 1
CONTROL, WORKER = default_cpus()
NO_CPU = os.sysconf("SC_NPROCESSORS_CONF")  # CPUs are numbered from 0
DPDK_RUN_DIR = Path("/var/run/dpdk")
UUID = "14d63f20-8445-11ea-8900-1f9ce7d5650d"


def tree(path):
    """Everything below a directory, by name and kind."""
    return sorted((str(p.relative_to(path)), p.is_dir(), p.is_socket()) for p in path.rglob("*"))


class Bench:
    """A configuration that would work, for the tests to break."""

    def __init__(self, workdir):
        self.directory = workdir
        self.config_file = workdir / "virtioforwarder"
        self.config_file.write_text("", encoding="utf-8")
        self.socket_dir = workdir / "sockets"
        self.pid_dir = workdir / "pid"
        self.socket_dir.mkdir()
        self.pid_dir.mkdir()

    def argv(self, options):
        return [str(argument) for argument in (
            program("virtio-forwarder"), "--nodaemon", f"--config={self.config_file}",
            f"--cpus={WORKER}", f"--master-lcore={CONTROL}", "--loglevel=3", "--no-huge",
            "--vhost-username=root", "--vhost-groupname=root", f"--pid-path={self.pid_dir}",
            f"--vhost-path={self.socket_dir}", *options)]

    def refuses(self, code, words, config="", options=()):
        """Runs the daemon and expects the exit code and one line that contains all the words;
        "FILE" stands for the path of the configuration."""
        self.config_file.write_text(config, encoding="utf-8")
        before = tree(self.directory)
        with subprocess.Popen(self.argv(options), stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            try:
                stdout, stderr = child.communicate(timeout=RUN_TIMEOUT_S)
            finally:
                child.kill()
        assert child.returncode == code, stderr
        assert stdout == ""
        assert len(stderr.splitlines()) == 1, stderr
        assert " error " in stderr
        for word in words:
            assert word.replace("FILE", str(self.config_file)) in stderr
        assert tree(self.directory) == before
        assert not list(DPDK_RUN_DIR.glob(f"virtio-forwarder-{child.pid}"))


@pytest.fixture
def bench(workdir):
    return Bench(workdir)


# Errors of the file alone: text, words of the message.
FILES = {
    "unknown-variable": ("# x\nVIRTIOFWD_FOO=1\n", ["FILE:2: ", "unknown variable 'VIRTIOFWD_FOO'"]),
    "lower-case-variable": ("virtiofwd_jumbo=1\n", ["FILE:1: ", "unknown variable"]),
    "no-assignment": ("VIRTIOFWD_JUMBO\n", ["FILE:1: ", "no variable=value"]),
    "blank-before-equals": ("VIRTIOFWD_JUMBO =1\n", ["FILE:1: ", "no blank"]),
    "blank-after-equals": ("VIRTIOFWD_JUMBO= 1\n", ["FILE:1: ", "follows the value"]),
    "shell-variable": ("VIRTIOFWD_PID_DIR=$HOME\n", ["FILE:1: ", "'$' would need a shell"]),
    "shell-command": ("VIRTIOFWD_PID_DIR=\"`pwd`\"\n", ["FILE:1: ", "'`' would need a shell"]),
    "open-quote": ("\n\nVIRTIOFWD_PID_DIR=\"/tmp\n", ["FILE:3: ", "no closing \""]),
    "open-array": ("VIRTIOFWD_STATIC_VFS=(net_null0=1\n", ["FILE:1: ", "no ')'"]),
    "array-of-one-value": ("VIRTIOFWD_LOG_LEVEL=(6)\n", ["FILE:1: ", "not an array"]),
    "control-character": ("VIRTIOFWD_PID_DIR=/tmp\x07\n", ["FILE:1: ", "control character 0x07"]),
    "nul-byte": ("VIRTIOFWD_JUMBO=1\n\0", ["FILE: ", "NUL byte"]),
    "no-boolean": ("\nVIRTIOFWD_JUMBO=maybe\n",
                   ["FILE:2: VIRTIOFWD_JUMBO: ", "'maybe'", "true or false"]),
    "bad-enable": ("VIO4WD_CORE_SCHED_ENABLE=2\n", ["FILE:1: VIO4WD_CORE_SCHED_ENABLE: ", "boolean"]),
    "relay-twice": ("VIRTIOFWD_STATIC_VFS=(net_null0=1\n  net_null1=1\n)\n",
                    ["FILE:2: VIRTIOFWD_STATIC_VFS: ", "relay 1 already has device net_null0"]),
    "pin-twice": (f"VIRTIOFWD_CPU_PINS='3:{WORKER};3:{WORKER}'\n",
                  ["FILE:1: VIRTIOFWD_CPU_PINS: ", "relay 3 is pinned twice"]),
}


@pytest.mark.parametrize("config, words", FILES.values(), ids=FILES.keys())
def test_bad_file(bench, config, words):
    bench.refuses(USAGE, words, config)


# Errors of one additional command-line option: options, words of the message.
OPTIONS = {
    "unknown-option": (["--nosuch"], ["--nosuch", "unknown", "--help"]),
    "unknown-letter": (["-x"], ["-x", "unknown", "--help"]),
    "ambiguous": (["--zmq=x"], ["--zmq", "ambiguous"]),
    "missing-value": (["--cpus"], ["--cpus", "needs a value"]),
    "unwanted-value": (["--version=1"], ["--version", "takes no value"]),
    "stray-argument": (["-z", "ipc:///x"], ["ipc:///x", "unexpected argument", "--option=VALUE"]),
    "newline": (["--vhost-path=/a\nb"], ["control character 0x0a"]),
    "no-cpus": (["--cpus=x"], ["--cpus: ", "CPU number"]),
    "no-mask": (["--cpus=0xg"], ["--cpus: ", "mask"]),
    "empty-mask": (["--cpus=0x0"], ["--cpus: ", "no CPU"]),
    "cpu-twice": (["--cpus=1,1"], ["--cpus: ", "CPU 1", "twice"]),
    "cpu-range": (["--cpus=2-1"], ["--cpus: ", "reversed"]),
    "cpu-missing": ([f"--cpus={NO_CPU}"], ["--cpus: ", f"no CPU {NO_CPU}"]),
    "cpu-too-high": (["--cpus=99999"], ["--cpus: ", "above 1023"]),
    "master-missing": ([f"-M{NO_CPU}"], ["--master-lcore: ", f"no CPU {NO_CPU}"]),
    "master-no-number": (["-M", "a"], ["--master-lcore: ", "'a' is no CPU"]),
    "worker-is-master": ([f"--cpus={CONTROL}"],
                         ["--cpus: ", f"CPU {CONTROL}", "control thread", "--master-lcore"]),
    "log-level": (["--loglevel=8"], ["--loglevel: ", "0 (emergency) to 7 (debug)"]),
    "nodaemon-value": (["-nsyslog"], ["--nodaemon: ", "'syslog'", "log_syslog"]),
    "pid-dir-is-file": (["--pid-path=/etc/passwd"], ["--pid-path: ", "no directory"]),
    "relative-path": (["--vhost-path=sockets"], ["--vhost-path: ", "absolute"]),
    "pattern-constant": (["-Srelay.sock"], ["--vhost-socket: ", "exactly one %u"]),
    "pattern-twice": (["-S%u%u"], ["--vhost-socket: ", "exactly one %u"]),
    "pattern-other": (["-S%u%s"], ["--vhost-socket: ", "exactly one %u"]),
    "pattern-slash": (["-Sa/%u"], ["--vhost-socket: ", "'/'", "--vhost-path"]),
    "socket-path-long": (["--vhost-path=/" + "a" * 90], ["--vhost-path: ", "107"]),
    "vf-no-relay": (["-Pnet_null0"], ["--add-pci-vf: ", "net_null0", "DEVICE=RELAY"]),
    "vf-relay-range": (["-Pnet_null0=64"], ["--add-pci-vf: ", "'64' is no relay (0 to 63)"]),
    "vf-relay-negative": (["-Pnet_null0=-1"], ["--add-pci-vf: ", "'-1' is no relay"]),
    "vf-no-device": (["-Peth0=1"], ["--add-pci-vf: ", "'eth0'", "PCI address"]),
    "vf-bad-slot": (["-P0000:05:20.1=1"], ["--add-pci-vf: ", "0000:05:20.1", "PCI address"]),
    "vf-bond": (["-Pnet_bonding0=1"], ["--add-pci-vf: ", "net_bonding0", "bonds"]),
    "vf-twice": (["-P05:08.1=1", "-P0000:05:08.1=2"], ["--add-pci-vf: ", "0000:05:08.1",
                                                       "already on relay 1"]),
    "pin-form": (["-c1"], ["--virtio-cpu: ", "RELAY:CPU"]),
    "pin-relay": ([f"-c64:{WORKER}"], ["--virtio-cpu: ", "'64' is no relay"]),
    "pin-no-worker": ([f"-c1:{CONTROL}"],
                      ["--virtio-cpu: ", f"relay 1: CPU {CONTROL} is no worker CPU"]),
    "token": (["-t1"], ["--vfio-vf-token: ", "UUID", UUID]),
    "endpoint": (["-zstats"], ["--zmq-stats-ep: ", "'stats'", "ipc:///"]),
    "endpoint-abstract": (["-zipc://@stats"], ["--zmq-stats-ep: ", "absolute path"]),
    "endpoint-inproc": (["-zinproc://x"], ["--zmq-stats-ep: ", "inproc://x", "ipc:///"]),
    "endpoint-tcp": (["-Ztcp://127.0.0.1:5555"],
                     ["--zmq-port-control-ep: ", "without a password", "--allow-tcp-endpoints"]),
    "endpoint-twice": (["-zipc:///run/x", "-Zipc:///run/x"], ["--zmq-stats-ep: ", "ipc:///run/x",
                                                             "VIRTIOFWD_ZMQ_PORT_CONTROL_EP"]),
    "ovsdb-name": (["-Otcp:db:6640"], ["--ovsdb-sock: ", "tcp:db:6640", "not a name"]),
    "ipc-path-relative": (["--ipc", "--ipc-path=cmd"], ["--ipc-path: ", "absolute"]),
}


@pytest.mark.parametrize("options, words", OPTIONS.values(), ids=OPTIONS.keys())
def test_bad_option(bench, options, words):
    bench.refuses(USAGE, words, options=options)


# What may exist at the next start, so the service is restarted.
MISSING = {
    "pid-dir": (["--pid-path=/nosuch/dir"], ["--pid-path: ", "/nosuch/dir"]),
    "user": (["-unosuchuser"], ["--vhost-username: ", "no user 'nosuchuser'"]),
    "group": (["-gnosuchgroup"], ["--vhost-groupname: ", "no group 'nosuchgroup'"]),
}


@pytest.mark.parametrize("options, words", MISSING.values(), ids=MISSING.keys())
def test_missing(bench, options, words):
    bench.refuses(FAILURE, words, options=options)
    bench.refuses(FAILURE, words, options=["--check-config", *options])


def test_check(bench):
    """--check-config says what a start would say about the configuration, and starts nothing."""
    before = tree(bench.directory)
    result = subprocess.run(bench.argv(["--check-config", "-Pnet_null0=1", "-Z", "--ipc"]),
                            capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=True)
    assert result.stderr == ""
    notice, verdict = result.stdout.splitlines()
    assert "--ipc: " in notice and "takes precedence" in notice
    assert verdict == "the configuration is good"
    assert tree(bench.directory) == before
    bench.refuses(USAGE, ["FILE:2: VIRTIOFWD_JUMBO: "], config="\nVIRTIOFWD_JUMBO=maybe\n",
                  options=["--check-config"])


def test_file_missing(bench):
    bench.refuses(FAILURE, ["--config: ", "/nosuch/file", "No such file"],
                  options=["--config=/nosuch/file"])


def test_file_is_directory(bench):
    bench.refuses(FAILURE, ["--config: ", str(bench.directory), "directory"],
                  options=[f"--config={bench.directory}"])


@pytest.mark.parametrize("device, words", [
    ("0000:ff:1f.7", ["0000:ff:1f.7"]),
    ("net_nosuch0", ["net_nosuch0"]),
    ("net_af_packet0,iface=nosuch0", ["net_af_packet0", "nosuch0"]),
])
def test_device_missing(bench, device, words):
    """If no static device can be opened; test_device.py has one that is missing among others."""
    bench.refuses(FAILURE, words, options=[f"--add-pci-vf={device}=0", "--add-pci-vf=net_nosuch1=1"])


def test_huge_dir_is_no_hugetlbfs(bench):
    bench.refuses(FAILURE, [str(bench.socket_dir), "hugetlbfs", "mount -t hugetlbfs", "--no-huge"],
                  options=[f"--huge-dir={bench.socket_dir}", "--no-huge=no"])


READ_ONLY = """mount -t hugetlbfs none "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"
"""


def test_huge_dir_is_read_only(bench):
    """As under the unit, in which it is not one of the writable paths."""
    huge = bench.directory / "huge"
    huge.mkdir()
    argv = bench.argv([f"--huge-dir={huge}", "--no-huge=no"])
    result = subprocess.run(["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", huge, *argv],
                            capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False)
    assert result.returncode == FAILURE
    line, = result.stderr.splitlines()
    assert f"huge page mount {huge} is read-only" in line and f"ReadWritePaths={huge}" in line


def test_socket_is_occupied(bench):
    path = bench.socket_dir / "virtio-forwarder0.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        bench.refuses(FAILURE, [str(path)])
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))  # the first daemon still has it


def test_socket_path_is_a_file(bench):
    path = bench.socket_dir / "virtio-forwarder63.sock"
    path.write_text("precious", encoding="utf-8")
    bench.refuses(FAILURE, [str(path), "socket"])
    assert path.read_text(encoding="utf-8") == "precious"


def test_socket_dir_is_a_file(bench):
    path = bench.directory / "file"
    path.touch()
    bench.refuses(FAILURE, [str(path)], options=[f"--vhost-path={path}"])


def test_socket_dir_has_no_parent(bench):
    path = bench.directory / "no" / "such"
    bench.refuses(FAILURE, [str(path)], options=[f"--vhost-path={path}"])


def test_pid_file_cannot_be_written(bench):
    """There is a directory in its place, since root may write anywhere."""
    (bench.pid_dir / "virtio-forwarder.pid").mkdir()
    bench.refuses(FAILURE, [str(bench.pid_dir / "virtio-forwarder.pid")])


def test_second_daemon(bench, make_forwarder):
    """One pid file, one daemon; the first daemon goes on."""
    first = make_forwarder()
    bench.refuses(FAILURE, [str(first.directory / "virtio-forwarder.pid"), "runs already",
                            str(first.pid)],
                  options=[f"--pid-path={first.directory}"])
    assert first.running()


def test_help(bench):
    result = subprocess.run([program("virtio-forwarder"), "--help"], capture_output=True, text=True,
                            timeout=RUN_TIMEOUT_S, check=True)
    assert result.stderr == ""
    assert "--add-pci-vf=DEVICE=RELAY" in result.stdout


def test_shipped_file_runs(bench, make_forwarder):
    """The shipped file, adapted to a test machine: CPUs, accounts and directories. Every endpoint
    that it opens exists."""
    text = (ROOT / "dist" / "virtioforwarder.default").read_text(encoding="utf-8")
    endpoints = {option: bench.directory / option
                 for option in ("zmq-core-sched-ep", "metrics-ep", "capture-ep")}
    forwarder = make_forwarder(config=text, options=[
        f"--{option}=ipc://{path}" for option, path in endpoints.items()])
    assert forwarder.running()
    assert all(path.is_socket() for path in endpoints.values())
