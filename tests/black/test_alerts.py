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
    """`values` in promtool's notation: "1x9" is ten times 1, "_x9" ten scrapes without the series."""
    labels = {"instance": "host", "job": "virtio-forwarder"} | labels
    text = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return {"series": f"{name}{{{text}}}", "values": values}


def ours(name, values, **labels):
    return series(f"virtio_forwarder_{name}", values, **labels)


# (what happens, alert, series, {minute: the relays for which the alert fires, [None] if it is for none
# of them in particular})
CASES = [
    ("the daemon is down", "Down", [
        series("up", "1x9 0x9 1x20"), ours("start_time_seconds", "100x9 _x9 1200x20")],
     {9: [], 12: [None], 21: []}),
    ("another exporter has its port", "Down", [
        series("up", "1x40"), ours("start_time_seconds", "100x9 _x30"),
        series("up", "1x40", instance="other"),
        ours("start_time_seconds", "100x40", instance="other"),
        series("up", "1x40", instance="third", job="libvirt")],
     {9: [], 17: [None]}),
    # A restart after less than a minute.
    ("the daemon is restarted", "Restarts", [ours("start_time_seconds", "100x9 600x30")],
     {9: [], 11: [None], 30: []}),
    ("a device leaves and comes back", "DeviceMissing", [
        ours("relay_device_attached", "1x9 0x19 1x10", relay=3),
        ours("relay_vm_attached", "1x40", relay=3),
        ours("relay_device_attached", "0x40", relay=4), ours("relay_vm_attached", "0x40", relay=4),
        ours("relay_device_attached", "1x40", relay=5), ours("relay_vm_attached", "1x40", relay=5)],
     {14: [], 16: [3], 31: []}),
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


