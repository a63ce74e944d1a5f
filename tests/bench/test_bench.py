# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark runs with every peer and reports what it has measured. No timing is asserted."""

import json
import os
import subprocess
from pathlib import Path

import pytest

BENCH = Path(__file__).with_name("bench.py")


@pytest.mark.timeout(120)
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_every_peer_is_measured(workdir):
    run = subprocess.run(["/usr/bin/python3", BENCH, "smoke", f"--output={workdir}"], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert run.returncode == 0, run.stdout
    results = json.loads((workdir / "results.json").read_text())
    assert results["skipped"] == [], run.stdout
    *rows, many = results["rows"]
    assert many["rings"].endswith("2 relays")
    assert all(many[peer] > 0 for peer in ("ours", "zero-copy", "one-relay", "copies", "testpmd", "ovs")), many
    assert {(row["direction"], row["load"]) for row in rows} == {
        *((direction, "saturated") for direction in ("vf_to_vm", "vm_to_vf", "both")),
        *((direction, load) for direction in ("vf_to_vm", "vm_to_vf") for load in ("half", "idle"))}
    for row in rows:
        if row["unit"] in ("Mpps", "cycles/packet"):
            assert row["ours"] > 0 and row["testpmd"] > 0 and row["ovs"] > 0, row
    table = (workdir / "results.md").read_text().splitlines()
    assert sum(line.startswith("| split mergeable |") for line in table) == len(rows)
    assert sum(line.startswith("| split mergeable 2 relays |") for line in table) == 1
    assert (workdir / "Mpps.svg").read_text().rstrip().endswith("</svg>")
