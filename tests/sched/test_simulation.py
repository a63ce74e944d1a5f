# SPDX-License-Identifier: BSD-3-Clause
"""The policy against greedy longest-first, in simulated worlds."""

import re

from lib.paths import ROOT, build_dir
from lib.proc import run

TIMEOUT_S = 250  # on a loaded machine; a few seconds otherwise


def test_document_has_these_figures():
    """The simulator itself fails if the policy is no better."""
    *_, everything, not_carried = run(
        [build_dir() / "tests" / "sched" / "sched-simulate"], timeout=TIMEOUT_S).splitlines()
    table = (ROOT / "docs" / "scheduler-results.md").read_text(encoding="utf-8").splitlines()
    for line in (everything, not_carried):
        assert re.sub(r"(\| ){5}", "| ", line) in table
