# SPDX-License-Identifier: BSD-3-Clause
"""Guests with several queues: flows are spread over exactly the enabled ones, while these change
and whatever the daemon's workers are."""

import os
import re

import pytest

from lib.metrics import scrape, value
from lib.pinger import Pinger
from lib.proc import wait_until
from lib.traffic import tcp_from_guest, tcp_to_guest

WIRE_IP, GUEST_IP = "10.0.0.1", "10.0.0.2"
TRANSFERS = 2  # each way, while the queues change
FLOWS = 1024

# One datagram for each flow, from as many ports.
SEND_FLOWS = f"""
import socket
for port in range(20000, 20000 + {FLOWS}):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("{WIRE_IP}", port))
        one.sendto(b"flow", ("{GUEST_IP}", 9))
"""


def device(veth, queues=1):
    return f"net_af_packet0,iface={veth.outer},qpairs={queues},framecnt=4096"


def received_by_queue(guest):
    """Packets that each receive queue has received, by the guest's own counters."""
    text = guest.run("ethtool -S eth0 | grep rx_queue_.*_packets:")
    return {int(queue): int(packets)
            for queue, packets in re.findall(r"rx_queue_(\d+)_packets: (\d+)", text)}


@pytest.mark.parametrize("queues", [pytest.param(4, marks=pytest.mark.ci), 32])
def test_flows_are_spread_over_the_enabled_queues(make_forwarder, boot, wire, veth, workdir, queues):
    endpoint = workdir / "metrics"
    forwarder = make_forwarder({0: device(veth)}, options=[f"--metrics-ep=ipc://{endpoint}"])

    def told():
        samples = scrape(endpoint)
        return [value(samples, "relay_vm_queues", relay=0, state=state)
                for state in ("offered", "enabled")]

    guest = boot(forwarder, nic={"queues": queues})
    guest.run("echo 0 >/proc/sys/net/ipv4/icmp_ratelimit")
    for enabled in (queues, queues // 2, 1, queues):
        # Refused if it changes nothing; only the result counts.
        guest.run(f"ethtool -L eth0 combined {enabled}", check=False)
        assert re.findall(r"Combined:\s+(\d+)", guest.run("ethtool -l eth0"))[-1] == str(enabled)
        assert wire.ping(GUEST_IP) == 5
        wait_until(lambda: told() == [queues, enabled], 20, "the queues are told", interval=0.3)
        before = received_by_queue(guest)
        wire.run(["/usr/bin/python3", "-c", SEND_FLOWS])
        assert wire.ping(GUEST_IP) == 5  # after them
        after = received_by_queue(guest)
        taken = {queue: after[queue] - before[queue] for queue in after}
        assert sum(taken.values()) >= FLOWS, taken
        used = {queue for queue, packets in taken.items() if packets}
        assert used == set(range(enabled)), taken
        if enabled > 1:
            assert max(taken.values()) < 2 * FLOWS / enabled, taken


@pytest.mark.parametrize("queues, device_queues, workers", [
    pytest.param(4, 1, 1, marks=pytest.mark.ci), (4, 4, 1), (4, 2, 2), (32, 1, 1)])
def test_queues_change_under_load(make_forwarder, boot, wire, veth, queues, device_queues, workers):
    """Again and again, while TCP runs both ways together with pings: all streams are unaltered, all
    but a few pings are answered, and every lane works afterwards."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < workers:
        pytest.skip(f"needs {workers} CPUs")
    forwarder = make_forwarder({0: device(veth, device_queues)}, cpus=(cpus[0], cpus[-workers:]))
    guest = boot(forwarder, nic={"queues": queues})
    guest.run("touch /tmp/go; ((i=1; while [ -e /tmp/go ]; do "
              f"ethtool -L eth0 combined $((7 * i % {queues} + 1)) && echo $i; "
              "i=$((i + 1)); done; echo over) >/tmp/changed 2>&1 &)")
    transfers = []
    with Pinger(wire, GUEST_IP) as pinger:
        for _ in range(TRANSFERS):
            transfers.append(tcp_to_guest(wire, guest, GUEST_IP, mib=2))
            transfers.append(tcp_from_guest(wire, guest, WIRE_IP, mib=2))
        guest.run("rm /tmp/go")
        wait_until(lambda: guest.run("tail -n 1 /tmp/changed") == "over\n", 20, "the last change")
        lost, longest_s = pinger.stop()
    changes = guest.run("cat /tmp/changed").split()
    assert changes == [*map(str, range(1, len(changes))), "over"]
    assert len(changes) > len(transfers)
    assert all(transfer.intact for transfer in transfers), [str(transfer) for transfer in transfers]
    print(f"{len(changes) - 1} changes, {len(transfers)} transfers: {lost} pings lost, "
          f"longest silence {longest_s * 1000:.0f} ms")
    assert lost < len(changes) and longest_s < 5

    for enabled in (queues, 1, 3):
        guest.run(f"ethtool -L eth0 combined {enabled}", check=False)
        assert wire.ping(GUEST_IP) == 5 and guest.ping(WIRE_IP) == 5
