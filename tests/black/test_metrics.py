# SPDX-License-Identifier: BSD-3-Clause
"""The metrics endpoint: what it reports is true, its formats are those of Prometheus and
OpenMetrics, and no client can keep others from it."""

import json
import os
import re
import socket
import subprocess
import time

import pytest

from lib.forwarder import Forwarder
from lib.metrics import http_get, scrape, value
from lib.paths import ROOT, program
from lib.peer import Peer, attached_peer, end, memif_device, net_socket, wait_active
from lib.proc import Process, open_files, run, wait_until
from lib.vhostuser import Connection, Frontend, Request

PACKETS = 20_000
CLIENT_TIMEOUT_S = 5  # after so long the daemon closes a connection
DIRECTIONS = ("vf_to_vm", "vm_to_vf")
RULES = ROOT / "dist/prometheus/virtio-forwarder.rules.yml"


@pytest.fixture
def endpoint(workdir):
    return workdir / "metrics"


@pytest.fixture
def forwarder(workdir, stack, endpoint):
    return stack.enter_context(Forwarder(workdir, {5: memif_device(workdir, 5)},
                                         options=[f"--metrics-ep=ipc://{endpoint}"]))


def send_packets(workdir, forwarder, stack):
    """Sends PACKETS each way through relay 5; returns the peer, still attached."""
    peer = attached_peer(stack, workdir, forwarder, 5, count=PACKETS, flows=4)
    peer.start()
    assert peer.result()["ok"]
    return peer


@pytest.mark.sanitizers
def test_it_tells_what_happened(workdir, forwarder, stack, endpoint):
    assert endpoint.stat().st_mode & 0o777 == 0o660
    before = scrape(endpoint)
    assert value(before, "relay_vm_attached", relay=5) == 0
    assert not any(name == "ovsdb_connected" for name, _ in before)
    assert value(before, "device_members", relay=5, state="down") == 1  # the peer is not there yet
    peer = send_packets(workdir, forwarder, stack)

    def told():
        samples = scrape(endpoint)
        sent = [value(samples, "relay_sent_packets_total", relay=5, direction=d)
                for d in DIRECTIONS]
        return samples if sent == [PACKETS, PACKETS] else None

    samples = wait_until(told, 60, "all packets are told", interval=0.3)
    for direction in DIRECTIONS:
        labels = {"relay": 5, "direction": direction}
        for unit in ("packets", "bytes"):
            received = value(samples, f"relay_received_{unit}_total", **labels)
            dropped = sum(number for (name, keys), number in samples.items()
                          if name == f"relay_dropped_{unit}_total" and set(
                              (k, str(v)) for k, v in labels.items()) <= keys)
            assert received == (value(samples, f"relay_sent_{unit}_total", **labels) + dropped
                                + value(samples, f"relay_backlog_{unit}", **labels))
        assert value(samples, "relay_burst_packets_sum", **labels) == value(
            samples, "relay_received_packets_total", **labels)
        assert (PACKETS / 32 <= value(samples, "relay_burst_packets_count", **labels)
                == value(samples, "relay_burst_packets_bucket", **labels, le="+Inf"))
        assert value(samples, "relay_busy_seconds_total", **labels) > 0
    assert value(samples, "relay_vm_attached", relay=5) == 1
    assert value(samples, "device_members", relay=5, state="up") == 1
    assert value(samples, "device_members", relay=5, state="down") == 0
    assert value(samples, "relay_vm_sessions_total", relay=5) == 1
    assert value(samples, "relay_vm_feature", relay=5, feature="version_1") == 1
    free = value(samples, "pool_free_packets", relay=5)
    assert 1000 < free <= value(samples, "pool_packets", relay=5)
    info = [dict(keys) for (name, keys) in samples if name == "relay_info"]
    assert [relay["relay"] for relay in info] == ["5"]
    assert info[0]["device"] == memif_device(workdir, 5)
    states = {dict(keys)["state"]: number for (name, keys), number in samples.items()
              if name == "worker_seconds_total"}
    assert set(states) == {"busy", "idle", "sleep"} and states["busy"] > 0
    end(forwarder, peer)
    assert not endpoint.exists()


def test_promtool_accepts_metrics_and_rules(workdir, forwarder, stack, endpoint):
    peer = send_packets(workdir, forwarder, stack)

    def told():
        status, head, body = http_get(endpoint, accept="*/*")
        assert status == 200 and "text/plain; version=0.0.4" in head
        return body if "relay_burst_packets_bucket" in body else None

    body = wait_until(told, 10, "a snapshot with all metrics is told", interval=0.3)
    result = subprocess.run(["promtool", "check", "metrics"], input=body, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
    assert result.returncode == 0 and not result.stdout, result.stdout
    assert "SUCCESS" in run(["promtool", "check", "rules", RULES])
    end(forwarder, peer)


def test_a_vm_that_is_refused(forwarder, endpoint):
    def refusals():
        return value(scrape(endpoint), "relay_vm_refusals_total", relay=5)

    assert refusals() == 0
    for _ in range(2):
        with Connection.connect(forwarder.socket(5)) as connection:
            connection.send(Request.SET_FEATURES)  # without its payload
            assert connection.closed_by_peer()
    wait_until(lambda: refusals() == 2, 10, "it is told", interval=0.3)


@pytest.mark.sanitizers
def test_the_queues_of_a_vm(workdir, forwarder, stack, endpoint):
    """Which queues carried what, by DPDK's driver of virtio."""
    queues, ring_size = 4, 128
    vm = stack.enter_context(Peer(workdir, "vm", vm=forwarder.socket(5), count=PACKETS, flows=16,
                                  queues=queues, queue_size=ring_size))
    network = stack.enter_context(Peer(workdir, "network", net=net_socket(workdir, 5),
                                       count=PACKETS, flows=16))
    for peer in (vm, network):
        peer.wait_event("ready")
    wait_active(forwarder, 5)
    vm.start()
    network.start()

    def told():
        samples = scrape(endpoint)
        carried = {d: [value(samples, "relay_vm_queue_packets_total", relay=5, direction=d, queue=q)
                       for q in range(queues)] for d in DIRECTIONS}
        # If this machine is slow, the driver may leave a queue full for too long.
        dropped = [value(samples, "relay_vm_queue_dropped_packets_total", relay=5, queue=q)
                   for q in range(queues)]
        told = sum(carried["vm_to_vf"]), sum(carried["vf_to_vm"]) + sum(dropped)
        return (samples, carried) if told == (PACKETS, PACKETS) else None

    samples, carried = wait_until(told, 60, "all packets are told", interval=0.3)
    assert all(min(packets) > 0 for packets in carried.values()), carried
    for state in ("offered", "enabled"):
        assert value(samples, "relay_vm_queues", relay=5, state=state) == queues
    sizes = [number for (name, _), number in samples.items() if name == "relay_vm_ring_size"]
    assert sizes == [ring_size] * 2 * queues
    forwarder.stop()  # before the peers, see memif_device()


def test_a_queue_that_a_vm_does_not_empty(workdir, stack, endpoint):
    """It is told which one; the others' series are there, too, and outlast the VM."""
    forwarder = stack.enter_context(Forwarder(workdir, {0: "net_null0"},  # an endless source
                                              options=[f"--metrics-ep=ipc://{endpoint}"]))
    frontend = stack.enter_context(Frontend(forwarder.socket(0), queue_pairs=2))
    frontend.start()
    posted = frontend.queue_size - 1

    def dropped(queue):
        return value(scrape(endpoint), "relay_vm_queue_dropped_packets_total", relay=0, queue=queue)

    def packets(samples, queue):
        return value(samples, "relay_vm_queue_packets_total", relay=0, direction="vf_to_vm",
                     queue=queue)

    forwarder.wait_vm()
    size = frontend.queue_size
    wait_until(lambda: re.search(rf"VM attached to \S+: 2 queues offered, split rings of {size}/{size}\b",
                                 forwarder.output.text), 5, "the log tells of the VM")
    wait_until(lambda: dropped(0) > 0, 10, "a queue is full", interval=0.3)
    frontend.enable(1, on=False)
    time.sleep(1)  # the last snapshot is too old then
    samples = scrape(endpoint)
    assert dropped(1) == 0
    assert (packets(samples, 0), packets(samples, 1)) == (posted, 0)
    assert value(samples, "relay_vm_interrupts_total", relay=0, direction="vf_to_vm") == sum(
        frontend.rx(queue).calls() for queue in (0, 1)) > 0
    assert value(samples, "relay_vm_queues", relay=0, state="offered") == 2
    assert value(samples, "relay_vm_queues", relay=0, state="enabled") == 1
    sizes = {(dict(keys)["direction"], dict(keys)["queue"]): number
             for (name, keys), number in samples.items() if name == "relay_vm_ring_size"}
    assert sizes == {(direction, "0"): frontend.queue_size for direction in DIRECTIONS}

    frontend.connection.close()
    samples = wait_until(lambda: (samples := scrape(endpoint)) and
                         value(samples, "relay_vm_attached", relay=0) == 0 and samples,
                         10, "the VM has gone", interval=0.3)
    assert packets(samples, 0) == posted
    assert not any(name in ("relay_vm_queues", "relay_vm_ring_size") for name, _ in samples)
    again = stack.enter_context(Frontend(forwarder.socket(0)))
    again.start()
    wait_until(lambda: packets(scrape(endpoint), 0) == 2 * posted, 10, "those of both VMs are told",
               interval=0.3)


def told_metrics():
    """The names in docs/metrics.md, which is generated from the table in the code."""
    lines = (ROOT / "docs/metrics.md").read_text(encoding="utf-8").splitlines()
    return {line.split("`")[1] for line in lines if line.startswith("| `")}


@pytest.mark.parametrize("path", ["dist/prometheus/virtio-forwarder.rules.yml",
                                  "dist/grafana/virtio-forwarder.json"])
def test_dashboard_and_rules_name_metrics_that_exist(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    names = set(re.findall(r"virtio_forwarder_(\w+)", text))
    assert names
    assert {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
            for name in names} <= told_metrics()


def test_prometheus_scrapes_it(workdir, stack, host):
    """Debian's Prometheus with the shipped scrape configuration and rules, in a namespace of its
    own."""
    forwarder = stack.enter_context(Forwarder(
        workdir, {0: "net_null0"}, netns=host, options=["--metrics-ep=http://127.0.0.1:29177"]))
    scrapes = (ROOT / "dist/prometheus/scrape.yml").read_text(encoding="utf-8")
    config = workdir / "prometheus.yml"
    config.write_text(f"rule_files: ['{RULES}']\nscrape_configs:\n{scrapes}".replace("5s", "1s"),
                      encoding="utf-8")
    assert "SUCCESS" in run(["promtool", "check", "config", config])
    address = "127.0.0.1:9090"
    stack.enter_context(Process(
        host.argv(["prometheus", f"--config.file={config}", f"--web.listen-address={address}",
                   f"--storage.tsdb.path={workdir}/tsdb"]), "prometheus",
        log_path=workdir / "prometheus.log"))

    def query(expression):
        answer = host.run(["promtool", "query", "instant", "-o", "json", f"http://{address}",
                           expression], check=False)
        try:
            return [float(sample["value"][1]) for sample in json.loads(answer)]
        except ValueError:
            return []  # not up yet

    wait_until(lambda: query("up{job='virtio-forwarder'}") == [1.0], 60, "it is scraped",
               interval=0.5)
    # net_null is an endless source, whose packets are dropped, as there is no VM.
    drops = "rate(virtio_forwarder_relay_dropped_packets_total{reason='not_connected'," \
            "direction='vf_to_vm'}[10s])"
    wait_until(lambda: (query(drops) or [0])[0] > 0, 60, "a rate", interval=0.5)
    answer = json.loads(host.run(["/usr/bin/python3", "-c", (
        "import urllib.request as r;"
        f"print(r.build_opener(r.ProxyHandler({{}})).open('http://{address}/api/v1/targets').read().decode())")]))
    target, = answer["data"]["activeTargets"]
    assert target["health"] == "up" and not target["lastError"]
    assert forwarder.running()


@pytest.mark.sanitizers
def test_slow_and_hostile_clients(forwarder, endpoint, stack):
    """More clients than the daemon has room for stay silent, send endless garbage or never read. An
    honest one is served at once, and none of the others is kept for long."""
    assert http_get(endpoint)[0] == 200
    files = open_files(forwarder.pid) - 1  # the connection of this request may still be closing

    def connect():
        client = stack.enter_context(socket.socket(socket.AF_UNIX))
        client.settimeout(CLIENT_TIMEOUT_S * 4)
        client.connect(str(endpoint))
        return client

    silent = [connect() for _ in range(40)]
    unread = connect()
    unread.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    slow = connect()
    slow.sendall(b"GET /met")
    start = time.monotonic()
    assert http_get(endpoint)[0] == 200
    assert time.monotonic() - start < CLIENT_TIMEOUT_S, "others were waited for"
    assert open_files(forwarder.pid) <= files + 18

    flood = connect()
    with pytest.raises(OSError):
        for _ in range(10_000):
            flood.sendall(b"x" * 1000)
    assert http_get(endpoint, target="/")[0] == 404

    for client in [*silent, slow]:
        try:
            assert client.recv(1) == b""  # it was closed
        except ConnectionResetError:
            pass
    wait_until(lambda: open_files(forwarder.pid) <= files + 1, 2 * CLIENT_TIMEOUT_S,
               "connections are closed")
    assert http_get(endpoint)[0] == 200


def test_an_endpoint_that_cannot_be_opened(workdir, stack, host):
    """Another process has the port, and the capture endpoint's directory is a file: the daemon says so,
    and forwards all the same."""
    stack.enter_context(Process(
        host.argv(["/usr/bin/python3", "-m", "http.server", "-b", "127.0.0.1", "29177"]),
        "exporter", log_path=workdir / "exporter.log"))
    wait_until(lambda: "29177" in host.run(["ss", "-Hltn"]), 20, "the port is taken")
    (workdir / "file").touch()
    forwarder = stack.enter_context(Forwarder(
        workdir, {0: "net_null0"}, netns=host,
        options=["--metrics-ep=http://127.0.0.1:29177", f"--capture-ep=ipc://{workdir}/file/capture"]))
    assert re.search(r" error metrics endpoint http://127\.0\.0\.1:29177: Address already in use "
                     r"\(ss -ltnp says by whom\); ", forwarder.output.text)
    assert re.search(rf" error capture endpoint: .*{workdir}/file.*; nothing can be captured",
                     forwarder.output.text)
    with Frontend(forwarder.socket(0)) as frontend:
        frontend.start()
        forwarder.wait_vm()


@pytest.mark.parametrize("address", ["http://0.0.0.0:29177", "http://192.0.2.1:29177",
                                     "http://[::]:29177", "tcp://127.0.0.1:29177"])
def test_addresses_that_others_could_reach_are_refused(workdir, address):
    result = subprocess.run([program("virtio-forwarder"), "--config=/dev/null", "-n",
                             f"-C{max(os.sched_getaffinity(0))}", f"-p{workdir}",
                             f"--metrics-ep={address}"],
                            stderr=subprocess.PIPE, text=True, timeout=20)
    assert result.returncode == 2
    assert "--metrics-ep" in result.stderr and address in result.stderr
