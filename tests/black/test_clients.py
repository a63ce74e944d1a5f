# SPDX-License-Identifier: BSD-3-Clause
"""The command-line clients as scripts, operators and os-vif call them: options, output, exit codes,
timeouts."""

import errno
import json
import os
import re
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.protobuf import text_format
from lib import vioclient
from lib.forwarder import Forwarder
from lib.paths import ROOT, build_dir, program
from lib.proc import wait_until

PORT_CONTROL = "virtioforwarder_port_control.py"
STATS = "virtioforwarder_stats.py"
CORE_PINNER = "virtioforwarder_core_pinner.py"
CLIENTS = [[PORT_CONTROL], [STATS], [CORE_PINNER],
           ["vio4wd", "port"], ["vio4wd", "stats"], ["vio4wd", "pins"], ["vio4wd", "config"]]

DONE, REFUSED, USAGE = 0, 1, 2
WORKER = max(os.sched_getaffinity(0))

COUNTERS = {
    "vf_to_vm": ["rx_from_vf", "tx_to_vm", "dropped_vm_queue_full", "dropped_vm_not_connected"],
    "vm_to_vf": ["rx_from_vm", "tx_to_vf", "dropped_vf_queue_full", "dropped_vf_not_connected"],
}
RATES = {"vf_to_vm": ["rx_from_vf", "tx_to_vm"], "vm_to_vf": ["rx_from_vm", "tx_to_vf"]}


def call(name, *arguments):
    """Runs a client; returns (exit code, standard output, standard error)."""
    result = subprocess.run([program(name), *map(str, arguments)], stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, timeout=30)
    return result.returncode, result.stdout, result.stderr


@pytest.fixture(scope="module")
def daemons(tmp_path_factory):
    """One daemon with static sockets and devices on relays 3 and 4, one with dynamic sockets."""
    static, dynamic = (tmp_path_factory.mktemp(name) for name in ("s", "d"))
    config = ["--zmq-config-ep=ipc://{0}/config", "--zmq-core-sched-ep=ipc://{0}/core_sched"]
    with Forwarder(static, {3: "net_null0", 4: "net_null1,size=256"},
                   config="VIO4WD_CORE_SCHED_ENABLE=true\n",
                   options=[option.format(static) for option in config] +
                           [f"--virtio-cpu=4:{WORKER}"]) as first, \
            Forwarder(dynamic, options=["--dynamic-sockets"]) as second:
        yield first, second


@pytest.fixture
def static(daemons):
    return daemons[0]


@pytest.fixture
def dynamic(daemons):
    """The daemon with dynamic sockets; a device that it was given is removed again."""
    yield daemons[1]
    call(PORT_CONTROL, "remove_sock", f"--zmq_ep={daemons[1].port_control_endpoint}",
         f"--vhost-path={daemons[1].directory}/vm.sock", "--conditional")


# What all clients have in common

@pytest.mark.parametrize("client", CLIENTS, ids=" ".join)
def test_help(client):
    for option in "--help", "-h":
        code, out, err = call(*client, option)
        assert (code, err) == (DONE, "") and "Usage" in out
    assert "ENDPOINT" in out


def test_vio4wd_help():
    code, out, err = call("vio4wd", "--help")
    assert (code, err) == (DONE, "")
    for command in "port", "stats", "pins", "config":
        assert re.search(rf"^ +{command} ", out, re.M)
    for arguments in [], ["no-such-command"], ["--no-such-option"]:
        code, out, err = call("vio4wd", *arguments)
        assert (code, out) == (USAGE, "") and "port" in err


NOBODY = "ipc:///tmp/vio4wd-nobody-is-here"


def test_no_answer():
    def measured(client):
        start = time.monotonic()
        return *call(*client), time.monotonic() - start

    clients = [
        [PORT_CONTROL, "query_pci", "--vhost-path=/x", f"--zmq_ep={NOBODY}"],
        [STATS, f"--stats-ep={NOBODY}", "--delay=0"],
        [CORE_PINNER, f"--stats-ep={NOBODY}"],
        [CORE_PINNER, f"--sched-ep={NOBODY}", "--virtio-cpu=1:1,1"],
        ["vio4wd", "config", f"--config-ep={NOBODY}"]]
    with ThreadPoolExecutor(len(clients)) as at_once:
        for client, (code, out, err, seconds) in zip(clients, at_once.map(measured, clients), strict=True):
            assert (code, out) == (REFUSED, ""), client
            assert NOBODY in err and len(err.splitlines()) == 1, client
            assert "there is no such socket" in err, client
            assert 2 <= seconds < 20, client


def test_silent_endpoints(workdir):
    """The client says what is wrong: a socket that a dead daemon left, a daemon that is busy, and no
    permission, which it does not wait for. A capability of a user's is a permission."""
    def said(name, *setpriv):
        result = subprocess.run(["setpriv", *setpriv, "--", program(STATS), f"--stats-ep=ipc://{workdir}/{name}",
                                 "--delay=0"], capture_output=True, text=True, timeout=30, check=False)
        assert result.returncode == REFUSED
        return result.stderr

    with (socket.socket(socket.AF_UNIX) as dead, socket.socket(socket.AF_UNIX) as busy,
          ThreadPoolExecutor() as at_once):
        for name, listener in (("dead", dead), ("busy", busy)):
            listener.bind(str(workdir / name))
        busy.listen(8)
        os.chown(workdir / "dead", 65534, 65534)
        (workdir / "dead").chmod(0o660)
        of_dead, of_busy, with_capability, refused = (at_once.submit(said, *arguments) for arguments in (
            ("dead",), ("busy",), ("dead", "--reuid=1", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"),
            ("dead", "--bounding-set=-dac_override")))
        assert "nobody listens" in of_dead.result() and "nobody listens" in with_capability.result()
        assert "is busy" in of_busy.result()
        assert "owner and group" in refused.result() and "no answer" not in refused.result()


@pytest.mark.parametrize("client", CLIENTS, ids=" ".join)
@pytest.mark.parametrize("arguments", [["--no-such-option"], ["one", "two"]], ids=" ".join)
def test_bad_usage(client, arguments):
    code, out, err = call(*client, *arguments)
    assert (code, out) == (USAGE, "")
    assert "--help" in err


def test_bad_endpoint():
    code, _, err = call(STATS, "--stats-ep=nonsense")
    assert code == REFUSED and "nonsense" in err


# Port control

@pytest.mark.parametrize("arguments", [
    [],
    ["add", "remove"],
    ["replace"],
    ["add", "--virtio-id=x", "--pci-addr=05:08.1"],
    ["add", "--virtio-id=-1", "--pci-addr=05:08.1"],
    ["add", "--virtio-id=1", "--pci-addr=05:08"],
    ["add", "--virtio-id=1", "--pci-addr=net_null0"],
    ["add", "--virtio-id=1", "--pci-addr=05:08.9"],
    ["add", "--virtio-id=1", "--pci-addr"],
    ["add", "--virtio-id=1", *(f"--pci-addr=05:08.{i}" for i in range(8)), "--pci-addr=05:09.0"],
    ["add", "--virtio-id=1", "--pci-addr=05:08.1", "--pci-addr=05:08.2", "--name=net_bonding0",
     "--mode=7"],
    ["add_sock", "--pci-addr=05:08.1", "--vhost-path=" + "/x" * 60],
    ["add_sock", "--pci-addr=05:08.1", "--vhost-path=/x", "--socket-mode=both"],
], ids=" ".join)
def test_port_control_usage(arguments):
    code, out, err = call(PORT_CONTROL, *arguments)
    assert (code, out) == (USAGE, "")
    assert err.startswith(f"{PORT_CONTROL}: ") and "--help" in err


def test_port_control(static):
    endpoint = f"--zmq_ep={static.port_control_endpoint}"
    add = ["--virtio-id=7", "--device", "net_null7", endpoint]
    # what an operation does not use is ignored
    assert call(PORT_CONTROL, "add", *add, "--mode=1", "--name=", "--vhost-path=") == (DONE, "", "")
    assert call(PORT_CONTROL, *add, "--conditional", "add") == (DONE, "", "")
    code, out, err = call(PORT_CONTROL, "add", *add)  # without --conditional, an ERROR
    assert (code, out) == (REFUSED, "") and "net_null7" in err and "ERROR" in err
    assert call(PORT_CONTROL, "query_pci", f"--vhost-path={static.socket(7)}", endpoint) == (
        DONE, "net_null7\n", "")
    assert call("vio4wd", "port", "query", "--vhost-path", static.socket(7), endpoint) == (
        DONE, "net_null7\n", "")
    assert call(PORT_CONTROL, "remove", *add) == (DONE, "", "")
    assert call(PORT_CONTROL, "remove", *add, "--conditional") == (DONE, "", "")
    code, out, err = call(PORT_CONTROL, "remove", *add)
    assert (code, out) == (REFUSED, "") and "net_null7" in err


def test_bond(static):
    endpoint = f"--zmq_ep={static.port_control_endpoint}"
    assert call(PORT_CONTROL, "add", "--virtio-id=7", "--device=net_null7", "--device=net_null8",
                "--name=net_bonding0", "--mode=0", endpoint) == (DONE, "", "")
    assert call(PORT_CONTROL, "query_pci", f"--vhost-path={static.socket(7)}", endpoint)[1] == \
        "net_bonding0\n"
    assert call(PORT_CONTROL, "remove", "--virtio-id=7", "--name=net_bonding0", endpoint) == (
        DONE, "", "")


@pytest.mark.parametrize("arguments", [
    ["add", "--pci-addr=05:08.1"],
    ["add", "--virtio-id=64", "--pci-addr=05:08.1"],
    ["add", "--virtio-id=7", "--pci-addr=ffff:ff:1f.7"],
    ["add", "--virtio-id=7", "--pci-addr=05:08.1", "--pci-addr=05:08.2"],
    ["add_sock", "--pci-addr=05:08.1", "--vhost-path=/tmp/x"],
    ["remove_sock"],
    ["query_pci"],
    ["query_pci", "--vhost-path=/no/such"],
], ids=" ".join)
def test_port_control_refused(static, arguments):
    """What only the daemon can decide is an ERROR, not bad usage: os-vif accepts exit codes 0 and
    1."""
    arguments = [*arguments, f"--zmq_ep={static.port_control_endpoint}"]
    code, out, err = call(PORT_CONTROL, *arguments)
    assert (code, out) == (REFUSED, "")
    assert re.match(rf"{PORT_CONTROL}: ERROR \d+ \(.+\): .{{10,}}\n$", err)
    code, out, err = call(PORT_CONTROL, *arguments, "--json")
    answer = json.loads(out)
    assert (code, err, answer["status"]) == (REFUSED, "", "ERROR")
    assert answer["error_code"] > 0 and answer["error_code_source"]


@pytest.mark.parametrize("device", ["net_af_packet7,iface=nosuch", "net_nosuch7"])
def test_device_that_dpdk_refuses(static, device):
    """What its drivers return is not an errno to send an operator looking for permissions."""
    code, _, err = call(PORT_CONTROL, "add", "--virtio-id=7", f"--device={device}",
                        f"--zmq_ep={static.port_control_endpoint}")
    assert code == REFUSED and f"ERROR {errno.ENODEV} " in err
    assert re.search(rf"device {device} cannot be attached: DPDK refuses it \(.{{10,}}\); check the driver", err)


def test_json_answer(static):
    code, out, _ = call("vio4wd", "port", "query", "--vhost-path", static.socket(3), "--json",
                        "--zmq-ep", static.port_control_endpoint)
    assert code == DONE and json.loads(out) == {"status": "OK", "query_string": "net_null0"}


def test_os_vif(dynamic):
    """The calls of Nova's os-vif plugin, apart from the endpoint: it also removes what does not
    exist any more."""
    path = dynamic.directory / "vm.sock"
    endpoint = f"--zmq_ep={dynamic.port_control_endpoint}"
    code, _, err = call(PORT_CONTROL, "add_sock", "--pci-addr=ffff:ff:1f.7",
                        f"--vhost-path={path}", endpoint)
    assert code == REFUSED and "ffff:ff:1f.7" in err.lower()
    code, _, _ = call(PORT_CONTROL, "remove_sock", "--pci-addr=ffff:ff:1f.7",
                      f"--vhost-path={path}", endpoint)
    assert code == REFUSED


def test_dynamic_socket(dynamic):
    path = dynamic.directory / "vm.sock"
    ends = [f"--vhost-path={path}", f"--zmq_ep={dynamic.port_control_endpoint}"]
    assert call(PORT_CONTROL, "add_sock", "--device=net_null5", "--ident=port 5",
                "--socket-mode=server", *ends) == (DONE, "", "")
    assert path.is_socket()
    assert vioclient.relay(dynamic.stats_endpoint, 0).ident == "port 5"
    assert call("vio4wd", "port", "remove-sock", *ends) == (DONE, "", "")
    assert not path.exists()


# Statistics

def flat(text):
    """{name: value}; each line is one name=value."""
    lines = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        assert equals and re.fullmatch(r"relay_\d+(\.[a-z0-9_-]+)+", name), line
        assert name not in lines
        lines[name] = value
    return lines


def with_rate(rate, ask):
    """ask() again until the rate in its answer is not 0: for a moment no packet may have come."""
    def asked():
        answer = ask()
        return answer if float(rate(answer)) > 0 else None

    return wait_until(asked, 20, "a rate")


def test_flat(static):
    def ask():
        code, out, err = call(STATS, "--stats-ep", static.stats_endpoint, "--include-inactive",
                              "--delay=100")
        assert (code, err) == (DONE, "")
        return flat(out)

    lines = with_rate(
        lambda lines: lines[f"relay_4.vf_to_vm.cpu_{WORKER}.pkt_rate_rx_from_vf"], ask)
    assert {name.split(".")[0] for name in lines} == {f"relay_{i}" for i in range(64)}

    expected = {
        "relay_4.active": "False",
        "relay_4.socket_id": "0",
        "relay_4.cpu.vf_to_vm": str(WORKER),
        "relay_4.cpu.vm_to_vf": str(WORKER),
        "relay_4.vf.pci_addr_str": "net_null1,size=256",
        "relay_4.vhost.vhost_socket_name": str(static.socket(4)),
        "relay_4.vf_to_vm.active": "True",
        "relay_4.vf_to_vm.internal_state": "DPDK_READY",
        "relay_4.vm_to_vf.active": "False",
        "relay_4.vm_to_vf.internal_state": "VIRTIO_UNINIT",
    }
    assert {name: lines[name] for name in expected} == expected
    names = set(expected)
    for direction in COUNTERS:
        prefix = f"relay_4.{direction}.cpu_{WORKER}."
        for counter in COUNTERS[direction]:
            for unit in "pkts", "bytes":
                assert lines[f"{prefix}{unit}_{counter}"].isdecimal()
                names.add(f"{prefix}{unit}_{counter}")
        for rate in RATES[direction]:
            for unit in "pkt", "byte":
                value = lines[f"{prefix}{unit}_rate_{rate}"]
                assert repr(float(value)) == value  # as Python prints it
                names.add(f"{prefix}{unit}_rate_{rate}")
    # Nothing that the original client did not have.
    assert {name for name in lines if name.startswith("relay_4.")} == names

    counters = f"relay_4.vf_to_vm.cpu_{WORKER}."
    packets = int(lines[counters + "pkts_rx_from_vf"])
    assert packets > 0
    assert int(lines[counters + "pkts_dropped_vm_not_connected"]) == packets
    assert int(lines[counters + "bytes_rx_from_vf"]) == 256 * packets


def test_flat_without_device(static):
    lines = flat(call(STATS, "--stats-ep", static.stats_endpoint, "--include-inactive",
                      "--delay=0")[1])
    assert lines["relay_0.vf_to_vm.internal_state"] == "DPDK_UNINIT"
    assert "relay_0.vf.pci_addr_str" not in lines and "relay_0.cpu.vf_to_vm" not in lines
    assert lines["relay_0.vf_to_vm.cpu_-1.pkts_rx_from_vf"] == "0"


def test_flat_socket_mode(static, dynamic):
    """Under our own name only; in the words of --socket-mode."""
    def modes(daemon):
        lines = flat(call("vio4wd", "stats", "--stats-ep", daemon.stats_endpoint, "--include-inactive",
                          "--delay=0")[1])
        return {name: value for name, value in lines.items() if name.endswith("socket_mode")}

    assert modes(static) == {f"relay_{i}.vhost.socket_mode": "server" for i in range(64)}
    assert modes(dynamic) == {}
    assert call("vio4wd", "port", "add-sock", f"--zmq-ep={dynamic.port_control_endpoint}",
                "--device=net_null7", f"--vhost-path={dynamic.directory}/vm.sock",
                "--socket-mode=client") == (DONE, "", "")
    assert modes(dynamic) == {"relay_0.vhost.socket_mode": "client"}


def test_only_active_by_default(static):
    assert call(STATS, "--stats-ep", static.stats_endpoint) == (DONE, "", "")


def test_suppress_zero(static):
    for option in "-z", "--suppress-zero":
        lines = flat(call(STATS, "--stats-ep", static.stats_endpoint, "--include-inactive",
                          option)[1])
        zero = [name for name, value in lines.items()
                if ".cpu_" in name and float(value) == 0]
        assert not zero
        assert lines["relay_3.active"] == "False" and "relay_0.vm_to_vf.active" in lines
        assert f"relay_3.vf_to_vm.cpu_{WORKER}.pkts_rx_from_vf" in lines


def test_delay(static):
    def took(*arguments):
        start = time.monotonic()
        assert call(STATS, "--stats-ep", static.stats_endpoint, *arguments)[0] == DONE
        return time.monotonic() - start

    assert 0.2 <= took()
    assert 2.5 <= took("--delay=2500")  # longer than the timeout, which is added to it
    for bad in "-1", "x", "2147483648", "":
        assert call(STATS, f"--delay={bad}")[0] == USAGE


def test_protobuf_text(static):
    """What the original client's messages can parse, printed as Python does."""
    def ask():
        code, out, _ = call(STATS, "--stats-ep", static.stats_endpoint, "--include-inactive",
                            "--output-format=protobuf", "--delay", 50)
        assert code == DONE
        return out, text_format.Parse(out, vioclient.compat.StatsResponse())

    out, parsed = with_rate(
        lambda answer: answer[1].relay[3].vf_to_vm.byte_rate_rx_from_vf, ask)
    assert parsed.status == 0 and [r.id for r in parsed.relay] == list(range(64))
    assert parsed.relay[3].vf.pci_addr_str == "net_null0"
    assert parsed.relay[3].vf_to_vm.pkts_rx_from_vf > 0
    assert text_format.MessageToString(parsed.relay[5]) == \
        text_format.MessageToString(vioclient.relay(static.stats_endpoint, 5,
                                                    messages=vioclient.compat))
    # Under our own name, our extensions are shown.
    assert "drop {" in call("vio4wd", "stats", "--stats-ep", static.stats_endpoint,
                            "--include-inactive", "--output-format=protobuf")[1]
    assert "drop {" not in out and "device:" not in out


def test_json(static):
    def ask():
        code, out, _ = call("vio4wd", "stats", "--json", "--stats-ep", static.stats_endpoint,
                            "--include-inactive", "--relay=3", "--relay=9", "--delay=50")
        assert code == DONE
        return json.loads(out)

    answer = with_rate(
        lambda answer: answer["relay"][0]["vf_to_vm"]["pkt_rate_rx_from_vf"], ask)
    assert [r["id"] for r in answer["relay"]] == [3, 9]
    state = answer["relay"][0]
    assert state["device"] == "net_null0" and state["vf_to_vm"]["active"] is True
    drops = {drop["name"]: drop["packets"] for drop in state["vf_to_vm"]["drop"]}
    assert drops["not_connected"] == state["vf_to_vm"]["pkts_rx_from_vf"] > 0
    assert drops["oversize"] == 0


def json_paths(value, path=""):
    """"relay[].cpu.vf_to_vm" and so on."""
    if isinstance(value, dict):
        for name, inner in value.items():
            field = path + name + ("[]" if isinstance(inner, list) else "")
            yield field
            yield from json_paths(inner, field + ".")
    elif isinstance(value, list):
        for inner in value:
            yield from json_paths(inner, path)


def test_man_page_lists_the_json_fields(static):
    page = (build_dir() / "docs" / "man" / "vio4wd.1").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\\fB([\w.\[\]]+)\\fP", page, re.M))
    answer = json.loads(call("vio4wd", "stats", "--json", "--include-inactive", "--stats-ep",
                             static.stats_endpoint)[1])
    printed = set(json_paths(answer))
    assert "relay[].vf_to_vm.drop[].packets" in printed
    assert printed <= listed


def test_own_flat_output_has_the_reasons(static):
    lines = flat(call("vio4wd", "stats", "--stats-ep", static.stats_endpoint,
                      "--include-inactive", "--relay=3")[1])
    prefix = f"relay_3.vf_to_vm.cpu_{WORKER}."
    assert lines[prefix + "pkts_drop_not_connected"] == lines[prefix + "pkts_rx_from_vf"]
    assert lines[prefix + "bytes_backlog"] == "0"


@pytest.mark.parametrize("arguments", [
    ["--output-format=xml"], ["--relay=64"], ["--relay=x"], ["--delay"]], ids=" ".join)
def test_stats_usage(arguments):
    code, out, err = call(STATS, *arguments)
    assert (code, out) == (USAGE, "") and "--help" in err


@pytest.mark.parametrize("name", [[STATS], ["vio4wd", "stats"]], ids=" ".join)
def test_output_that_cannot_be_written(static, name):
    with open("/dev/full", "w", encoding="ascii") as full:
        result = subprocess.run(
            [program(name[0]), *name[1:], "--stats-ep", static.stats_endpoint, "--include-inactive"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
    assert (result.returncode, result.stderr) == (
        REFUSED, f"{' '.join(name)}: cannot write the output: No space left on device\n")


# Core pinner, config

@pytest.fixture
def pinner(static):
    endpoints = [f"--stats-ep={static.stats_endpoint}",
                 f"--sched-ep=ipc://{static.directory}/core_sched"]
    return lambda *arguments: call(CORE_PINNER, *endpoints, *arguments)


def test_core_map(pinner):
    expected = f"3:{WORKER},{WORKER}\n4:{WORKER},{WORKER}\n"
    assert pinner() == (DONE, expected, "")
    assert pinner("--print-core-map") == (DONE, expected, "")
    assert json.loads(pinner("--json")[1]) == [
        {"relay": relay, "vf_to_vm": WORKER, "vm_to_vf": WORKER} for relay in (3, 4)]


def test_core_move(pinner):
    move = f"--virtio-cpu=3:{WORKER},{WORKER}"
    assert pinner(move) == (DONE, "", "")
    assert pinner(f"--virtio-cpu=3:{WORKER}") == (DONE, "", "")
    code, out, _ = pinner(move, f"--virtio-cpu=4:{WORKER}", "--print-core-map")
    assert code == DONE and f"3:{WORKER},{WORKER}\n" in out
    code, out, err = pinner("--virtio-cpu=3:1023,1023")
    assert (code, out) == (REFUSED, "") and "1023" in err


@pytest.mark.parametrize("value", [
    "", "3", "3:", "3:x", "3:1,", ":1,1", "64:1,1", "-1:1,1", "3:1,2,3", "3:1024", "3:1 ,1",
    "3:1+", "3:+1", "3:1,1+1024", "3:" + "+".join("1" * 9)])
def test_core_pinner_usage(pinner, value):
    code, out, err = pinner(f"--virtio-cpu={value}")
    assert (code, out) == (USAGE, "") and f"--virtio-cpu: '{value}'" in err


def test_core_pinner_relay_twice(pinner):
    assert pinner("--virtio-cpu=3:1", "--virtio-cpu=3:1")[0] == USAGE


def test_config(static):
    endpoint = f"--config-ep=ipc://{static.directory}/config"
    code, out, _ = call("vio4wd", "config", endpoint, "--json")
    answer = json.loads(out)
    assert code == DONE and answer["status"] == "OK"
    assert answer["relay_cpu_map"] == [
        {"relay_number": 4, "vf2virtio_cpu": WORKER, "virtio2vf_cpu": WORKER}]
    assert "DPDK" in answer["dpdk_version"]
    text = call("vio4wd", "config", endpoint)[1]
    parsed = text_format.Parse(text, vioclient.extended.ConfigResponse())
    assert parsed.daemon_version == answer["daemon_version"]


def test_config_features(make_forwarder, workdir):
    """Each switch of the configuration that is on, and no other. (same_numa is off with --no-huge.)"""
    options = {"jumbo": "--enable-jumbo", "mrgbuf": "--enable-mrgbuf", "tso": "--enable-tso",
               "dynamic_sockets": "--dynamic-sockets", "vhost_client": "--vhostuser-client",
               "zero_copy": "--zero-copy"}
    endpoint = f"ipc://{workdir}/config"

    def features(*names):
        daemon = make_forwarder(options=[f"--zmq-config-ep={endpoint}", *map(options.get, names)])
        answer = json.loads(call("vio4wd", "config", f"--config-ep={endpoint}", "--json")[1])
        daemon.stop()
        return answer.get("features", [])

    assert features() == []
    assert features(*options) == list(options)


# Shell completion

def complete(*words):
    """The completions that bash offers for the last word."""
    script = ROOT / "dist" / "bash-completion" / "vio4wd"
    result = subprocess.run(
        ["bash", "-c", 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _vio4wd; '
         'printf "%s\\n" "${COMPREPLY[@]}"', script, *map(str, words)],
        capture_output=True, text=True, timeout=30)
    assert result.returncode == 0 and result.stderr == ""
    return set(result.stdout.split())


@pytest.mark.parametrize("client", CLIENTS, ids=" ".join)
def test_completion_of_options(client):
    name, *rest = client
    offered = complete(program(name), *rest, "-")
    assert {"--help", "--json"} <= offered
    assert offered == set(re.findall(r"--[a-z_-]+", call(*client, "--usage")[1]))


def test_completion_of_words():
    vio4wd = program("vio4wd")
    assert {"port", "stats", "pins", "config"} <= complete(vio4wd, "")
    assert complete(vio4wd, "st") == {"stats"}
    assert complete(vio4wd, "port", "add") == {"add", "add-sock"}
    assert complete(vio4wd, "vf", "") == {"list", "bind", "unbind"}
    assert complete(program(PORT_CONTROL), "remove") == {"remove", "remove_sock"}
    assert complete(vio4wd, "port", "add-sock", "--socket-mode", "=", "s") == {"server"}
    assert complete(vio4wd, "port", "add-sock", "--socket-mode", "=") == {"server", "client"}
    assert complete(vio4wd, "port", "add-sock", "--socket-mode", "cl") == {"client"}
    assert complete(program(STATS), "--output-format", "=", "") == {"flat", "protobuf", "json"}
