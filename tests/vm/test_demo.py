# SPDX-License-Identifier: BSD-3-Clause
"""What `make demo` runs."""

import pytest

from lib.paths import SCRIPTS
from lib.proc import run


@pytest.mark.ci
def test_demo(image):  # which is made before, however long it takes
    run(["timeout", 250, SCRIPTS / "demo"], timeout=280)
