# SPDX-License-Identifier: BSD-3-Clause
"""The catalogue of attacks against the daemon."""

import shutil
import tempfile
from pathlib import Path

import pytest
from arena import Arena, Daemon, LendingDaemon
from catalogue import load

CATALOGUE = load()


@pytest.fixture(scope="module", params=[Daemon, LendingDaemon], ids=["copied", "lent"])
def arena(request):
    directory = Path(tempfile.mkdtemp(prefix="vio4wd-"))
    directory.chmod(0o755)
    arena = Arena(directory, request.param)
    yield arena
    arena.abandon()
    shutil.rmtree(directory, ignore_errors=True)


def test_catalogue_is_complete():
    assert len(CATALOGUE) >= 80
    assert all(attack.what for attack in CATALOGUE.values())


@pytest.mark.parametrize("name", CATALOGUE)
def test_attack(arena, name):
    verdict = arena.strike(CATALOGUE[name])
    assert not verdict.faults, f"{CATALOGUE[name].what}: {verdict}"


def test_neighbour_has_lost_nothing(arena):
    """Over all the attacks since the daemon was started: the last of these tests."""
    if arena.program is None:
        pytest.fail("no daemon has survived")
    result = arena.finish()
    assert result["ok"], result
    for direction in ("vm_to_vf", "vf_to_vm"):
        assert result[direction]["sent"] == result[direction]["received"] > 0
