# SPDX-License-Identifier: BSD-3-Clause
"""A short run of the fuzzer; VIO4WD_FUZZ_SECONDS makes it longer."""

import os
import random

from fuzz import fuzz

SECONDS = float(os.environ.get("VIO4WD_FUZZ_SECONDS", 5))


def test_damaged_lives_harm_nobody(workdir):
    seed = random.SystemRandom().randrange(1 << 32)
    lives, fault = fuzz(workdir, SECONDS, seed)
    assert fault is None, f"fuzz.py --seed {seed}, {lives['lives']} lives: {fault}"
    assert lives["at work"] > 0  # a quarter is not damaged at all, but one that does harm shuts others out
