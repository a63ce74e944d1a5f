# SPDX-License-Identifier: BSD-3-Clause
"""The catalogue of attacks against the daemon."""

import shutil
import tempfile
from pathlib import Path

import pytest
from arena import Arena, Daemon, LendingDaemon
from catalogue import HARMLESS, REFUSED, Attack, load

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


def test_an_attack_that_comes_to_nothing_is_a_fault(arena, monkeypatch):
    """One that must be refused and is not answered; any that is not through in time."""
    def run(target):
        target.connect().receive()

    ignored = Attack("ignored", "Nothing is sent", REFUSED, False, run)
    assert arena.strike(ignored).faults == ["not refused: silence"]
    monkeypatch.setattr("arena.ATTACK_TIMEOUT_S", 0)
    late = Attack("late", "No time is left", HARMLESS, False, run)
    assert arena.strike(late).faults == ["drawn out: more than 0 s"]


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
