# SPDX-License-Identifier: BSD-3-Clause
"""The shipped alerts fire when they should and not otherwise: promtool evaluates them on series that are
written down here, one sample a minute."""

import json
import re

import pytest

from lib.paths import ROOT
from lib.proc import run

RULES = ROOT / "dist/prometheus/virtio-forwarder.rules.yml"


def series(name, values, **labels):
    """`values` in promtool's notation: "1x9" is ten times 1, "stale _x9" ten scrapes without the series."""
    labels = {"instance": "host", "job": "virtio-forwarder"} | labels
    text = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return {"series": f"{name}{{{text}}}", "values": values}


def ours(name, values, **labels):
    return series(f"virtio_forwarder_{name}", values, **labels)


# (what happens, alert, series, {minute: the relays for which the alert fires, [None] if it is for none
# of them in particular})
CASES = [
    ("the daemon is down", "Down", [
        series("up", "1x9 0x9 1x20"), ours("start_time_seconds", "100x9 stale _x9 1200x20")],
     {9: [], 12: [None], 21: []}),
    ("another exporter has its port", "Down", [
        series("up", "1x40"), ours("start_time_seconds", "100x9 stale _x30"),
        series("up", "1x40", instance="other"),
        ours("start_time_seconds", "100x40", instance="other"),
        series("up", "1x40", instance="third", job="libvirt")],
     {9: [], 12: [None]}),
    ("the daemon is restarted within a minute", "Restarts", [
        ours("start_time_seconds", "100x9 600x30")], {9: [], 11: [None], 30: []}),
    ("the daemon is away for hours", "Restarts", [
        ours("start_time_seconds", "100x9 stale _x199 12600x30")], {9: [], 100: [], 211: [None], 230: []}),
    ("the host's clock is an hour slow at the start", "Restarts", [
        ours("start_time_seconds", "7200x9 4200x30")], {9: [], 11: [None], 30: []}),
    ("a scrape is missed long after a restart", "Restarts", [
        ours("start_time_seconds", "100x9 600x60 _x20 600x60")], {11: [None], 60: [], 95: [], 110: []}),
    ("the daemon starts for the first time", "Restarts", [
        ours("start_time_seconds", "_x9 600x30")], {9: [], 11: []}),
    # Relays 1 and 2 are lost in the tenth minute, when only relay 3 comes back; it comes back on the
    # other host, too, where there was no other. The third host has only lost a VM.
    ("relays were known only to the former daemon", "FewerVms", [
        ours("start_time_seconds", "100x9 600x200"),
        ours("relay_vm_attached", "1x9 stale _x200", relay=1),
        ours("relay_vm_attached", "1x9 stale _x200", relay=2),
        ours("relay_vm_attached", "1x9 0 1x200", relay=3),
        ours("start_time_seconds", "100x9 600x200", instance="other"),
        ours("relay_vm_attached", "1x9 0 1x200", relay=3, instance="other"),
        ours("start_time_seconds", "100x200", instance="third"),
        ours("relay_vm_attached", "1x9 0x200", relay=3, instance="third")],
     {9: [], 12: [], 17: [None], 65: [None], 80: []}),
    ("no relay is left", "FewerVms", [
        ours("start_time_seconds", "100x9 600x200"),
        ours("relay_vm_attached", "1x9 stale _x200", relay=1)], {9: [], 17: [None], 80: []}),
    # One was unplugged before, so the sockets' relays move up.
    ("relays get other numbers", "FewerVms", [
        ours("start_time_seconds", "100x9 600x200"),
        ours("relay_vm_attached", "1x9 0 1x200", relay=0),
        ours("relay_vm_attached", "_x11 1x200", relay=1),
        ours("relay_vm_attached", "1x9 0 1x200", relay=2),
        ours("relay_vm_attached", "1x9 stale _x200", relay=3)], {12: [], 17: [], 60: []}),
    # Relay 1's VM stays away; that of relay 2 comes back and goes; relay 3 never had one.
    ("a VM does not connect again", "VmNotBack", [
        ours("start_time_seconds", "100x9 600x200"),
        ours("relay_device_attached", "1x200", relay=1),
        ours("relay_vm_attached", "1x9 0x200", relay=1),
        ours("relay_vm_sessions_total", "1x9 0x200", relay=1),
        ours("relay_device_attached", "1x200", relay=2),
        ours("relay_vm_attached", "1x9 0x2 1x9 0x200", relay=2),
        ours("relay_vm_sessions_total", "1x9 0x2 1x200", relay=2),
        ours("relay_device_attached", "1x200", relay=3),
        ours("relay_vm_attached", "0x200", relay=3),
        ours("relay_vm_sessions_total", "0x200", relay=3)],
     {9: [], 16: [1], 200: [1]}),
    ("a relay's socket is another's now, whose VM is off", "VmNotBack", [
        ours("start_time_seconds", "100x200"),
        ours("relay_device_attached", "1x200", relay=0),
        ours("relay_vm_attached", "1x9 0x200", relay=0),
        ours("relay_vm_sessions_total", "1x9 0x200", relay=0)], {16: [], 200: []}),
    ("a VM leaves", "VmMissing", [
        ours("relay_device_attached", "1x40", relay=1),
        ours("relay_vm_attached", "1x9 0x40", relay=1),
        ours("relay_vm_sessions_total", "1x40", relay=1),
        ours("relay_device_attached", "1x40", relay=2),
        ours("relay_vm_attached", "0x40", relay=2),
        ours("relay_vm_sessions_total", "0x40", relay=2)],
     {15: [], 21: [1]}),
    ("a device leaves and comes back", "DeviceMissing", [
        ours("relay_device_attached", "1x9 0x19 1x10", relay=3),
        ours("relay_vm_attached", "1x40", relay=3),
        ours("relay_device_attached", "0x40", relay=4), ours("relay_vm_attached", "0x40", relay=4),
        ours("relay_device_attached", "1x40", relay=5), ours("relay_vm_attached", "1x40", relay=5)],
     {14: [], 16: [3], 31: []}),
    # Relay 2 has no VM; relay 3 has a bond.
    ("a link goes down", "LinkDown", [
        ours("device_members", "1x9 0x9 1x20", relay=1, state="up"),
        ours("device_members", "0x9 1x9 0x20", relay=1, state="down"),
        ours("relay_vm_attached", "1x40", relay=1),
        ours("device_members", "0x40", relay=2, state="up"),
        ours("relay_vm_attached", "0x40", relay=2),
        ours("device_members", "2x9 1x30", relay=3, state="up"),
        ours("device_members", "0x9 1x30", relay=3, state="down"),
        ours("relay_vm_attached", "1x40", relay=3)],
     {9: [], 16: [1], 21: []}),
    # A member of relay 1's goes away, one of relay 2's has no link; relay 3 is single and has none.
    ("a bond loses a member", "BondDegraded", [
        ours("device_members", "2x9 1x30", relay=1, state="up"),
        ours("device_members", "0x40", relay=1, state="down"),
        ours("device_members", "0x9 1x30", relay=1, state="away"),
        ours("device_members", "2x9 1x30", relay=2, state="up"),
        ours("device_members", "0x9 1x30", relay=2, state="down"),
        ours("device_members", "0x40", relay=2, state="away"),
        ours("device_members", "0x40", relay=3, state="up"),
        ours("device_members", "1x40", relay=3, state="down"),
        ours("device_members", "0x40", relay=3, state="away")],
     {9: [], 16: [1, 2]}),
    # Twenty packets a second.
    ("a relay drops", "Drops", [
        ours("relay_dropped_packets_total", "0x9 0+1200x30", relay=1, reason="oversize"),
        ours("relay_dropped_packets_total", "0x9 0+1200x30", relay=2, reason="not_connected")],
     {9: [], 25: [1]}),
    ("a device misses packets", "DeviceMisses", [
        ours("device_missed_packets_total", "0x9 0+600x30", relay=1),
        ours("device_no_buffer_packets_total", "0x9 0+600x30", relay=1),
        ours("device_missed_packets_total", "0+300x40", relay=2),
        ours("device_no_buffer_packets_total", "0x40", relay=2)], {9: [], 25: [1]}),
    # The VM of relay 1 takes nothing, that of relay 2 too little; packets wait for that of relay 3 half of
    # the time. A device that is at its limit is no fault.
    ("a VM takes its packets too slowly", "VmSlow", [
        ours("relay_backlog_packets", "0x9 20x30", relay=1, direction="vf_to_vm"),
        ours("relay_backlog_packets", "0x9" + " 32 0 3 17 9 1 32 5 30 12" * 3, relay=2, direction="vf_to_vm"),
        ours("relay_backlog_packets", "0x9" + " 32 0" * 15, relay=3, direction="vf_to_vm"),
        ours("relay_backlog_packets", "20x39", relay=4, direction="vm_to_vf")],
     {9: [], 13: [], 25: [1, 2]}),
    # That of relay 1 takes nothing any more, that of relay 2 as much as it can; relay 3 has no link.
    ("a device takes no packets", "DeviceStuck", [
        series for relay, sent, up in ((1, "0+100x9 1000x30", 1), (2, "0+100x40", 1), (3, "1000x40", 0))
        for series in (
            ours("relay_backlog_packets", "0x9 32x30", relay=relay, direction="vm_to_vf"),
            ours("relay_sent_packets_total", sent, relay=relay, direction="vm_to_vf"),
            ours("relay_sent_packets_total", "0x40", relay=relay, direction="vf_to_vm"),
            ours("device_members", f"{up}x40", relay=relay, state="up"))],
     {9: [], 13: [], 25: [1]}),
    ("a device counts errors", "DeviceErrors", [
        ours("device_receive_errors_total", "0x40", relay=1),
        ours("device_transmit_errors_total", "0x9 0+1x30", relay=1),
        ours("device_receive_errors_total", "7x40", relay=2),
        ours("device_transmit_errors_total", "7x40", relay=2)], {9: [], 30: [1]}),
    ("a worker has no time left", "WorkerSaturated", [
        ours("worker_seconds_total", "0x9 0+60x30", cpu=1, state="busy"),
        ours("worker_seconds_total", "0+60x40", cpu=2, state="sleep")], {9: [], 30: [None]}),
    # Six seconds a minute on CPU 1, a second on CPU 2.
    ("a worker waits for its CPU", "WorkerWaits", [
        ours("worker_waiting_seconds_total", "0x9 0+6x30", cpu=1),
        ours("worker_waiting_seconds_total", "0+1x40", cpu=2)], {9: [], 30: [None]}),
    ("the database is away", "OvsdbAway", [
        ours("ovsdb_connected", "1x9 0x9 1x20"), ours("ovsdb_connected", "1x40", instance="other")],
     {9: [], 13: [], 16: [None], 21: []}),
    ("a VM comes and goes", "VmReconnects", [
        ours("relay_vm_sessions_total", "1x9 1+1x30", relay=1),
        ours("relay_vm_sessions_total", "1x9 2x30", relay=2)], {9: [], 25: [1]}),
    ("a VM is refused", "VmRefused", [
        ours("relay_vm_refusals_total", "0x9 0+60x30", relay=1),
        ours("relay_vm_refusals_total", "0x9 2x30", relay=2)], {9: [], 12: [1]}),
    ("a ring is given up", "RingGivenUp", [
        ours("relay_vm_broken_rings", "0x9 1x9 0x30", relay=1),
        ours("relay_vm_broken_rings", "0x50", relay=2)], {9: [], 12: [1], 21: []}),
    ("a migration does not end", "MigrationStuck", [
        ours("relay_vm_migrating", "0x9 1x50", relay=1),
        ours("relay_vm_migrating", "0x9 1x20 0x30", relay=2)], {30: [], 45: [1]}),
    ("a pool runs out", "PoolLow", [
        ours("pool_packets", "1000x40", relay=1), ours("pool_free_packets", "900x9 10x30", relay=1),
        ours("pool_packets", "1000x40", relay=2), ours("pool_free_packets", "30x40", relay=2)],
     {9: [], 16: [1]}),
    ("parts are on different nodes", "NumaMismatch", [
        ours("relay_numa_mismatch", "0x9 1x90", relay=1, direction="vm_to_vf"),
        ours("relay_numa_mismatch", "0x99", relay=2, direction="vm_to_vf")], {60: [], 75: [1]}),
]


@pytest.mark.parametrize("alert, given, told", [case[1:] for case in CASES],
                         ids=[case[0] for case in CASES])
def test_alert(workdir, alert, given, told):
    expression = f'ALERTS{{alertname="VirtioForwarder{alert}",alertstate="firing"}}'
    expected = [
        {"expr": f"count by (relay) ({expression})", "eval_time": f"{minute}m",
         "exp_samples": [{"labels": "{}" if relay is None else f'{{relay="{relay}"}}', "value": 1}
                         for relay in relays]}
        for minute, relays in told.items()]
    path = workdir / "test.yml"
    path.write_text(json.dumps({"rule_files": [str(RULES)], "tests": [
        {"interval": "1m", "input_series": given, "promql_expr_test": expected}]}), encoding="utf-8")
    assert "SUCCESS" in run(["promtool", "test", "rules", path])


def test_every_alert_is_tested():
    alerts = re.findall(r"- alert: VirtioForwarder(\w+)", RULES.read_text(encoding="utf-8"))
    assert {case[1] for case in CASES} == set(alerts)
