# SPDX-License-Identifier: BSD-3-Clause
"""The catalogue of attacks against the daemon."""

import pytest
from arena import Arena, ClientDaemon, Daemon, LendingDaemon
from catalogue import BREACH, REFUSED, THROUGH, Attack, load

from lib.paths import work_directory
from lib.proc import wait_until
from lib.vhostuser import Request

CATALOGUE = load()
ENDS = {THROUGH: "through", BREACH: "hung up", REFUSED: "refused"}

# These send nothing that could be lent, and are shut out for seconds.
LEND_NOTHING = {"full_call_is_replaced", "full_call_is_left_behind"}

# With the daemon as the client, only how a connection comes about and comes back differs: one or
# two attacks of each kind suffice, on one connection at a time.
ON_CLIENTS = (
    "request_zero", "size_of_four_gigabytes", "features_changed_while_running", "garbage",
    "half_header_then_gone", "half_header_then_silence", "silence_while_running",
    "acknowledgements_never_read", "truncated_set_mem_table", "region_of_no_bytes",
    "buffers_truncated_away", "rings_truncated_away_packed",
    "call_that_blocks_for_good", "kick_and_call_taken_away", "log_truncated_away",
    "started_and_gone", "cut_off_5", "rings_stopped_and_started")


def _arena(program):
    with work_directory() as directory, Arena(directory, program) as arena:
        yield arena


@pytest.fixture(scope="module")
def arena():
    yield from _arena(Daemon)


@pytest.fixture(scope="module")
def lending_arena():
    yield from _arena(LendingDaemon)


@pytest.fixture(scope="module")
def client_arena():
    yield from _arena(ClientDaemon)


def assert_neighbour_has_lost_nothing(arena):
    if arena.program is None:
        pytest.fail("no daemon has survived")
    result = arena.finish()
    assert result["ok"], result
    for direction in ("vm_to_vf", "vf_to_vm"):
        assert result[direction]["sent"] == result[direction]["received"] > 0


def assert_as_expected(arena, attack):
    verdict = arena.strike(attack)
    assert not verdict.faults, f"{attack.what}: {verdict}"
    assert verdict.answer == ENDS[attack.expected], attack.what


def test_catalogue_is_complete():
    assert len(CATALOGUE) >= 80
    assert LEND_NOTHING <= CATALOGUE.keys()


def test_an_attack_that_comes_to_nothing_is_a_fault(arena, monkeypatch):
    """An attack that must be refused and is not answered is a fault; so is any that is not through
    in time, or ends differently than it is known to."""
    def run(target):
        target.connect().receive()

    monkeypatch.setattr(Daemon, "answer_timeout_s", 1)
    ignored = Attack("ignored", "Nothing is sent", REFUSED, False, run)
    assert arena.strike(ignored).faults == ["not refused: silence"]
    monkeypatch.setattr("arena.ATTACK_TIMEOUT_S", 0)
    late = Attack("late", "No time is left", THROUGH, False, run)
    assert arena.strike(late).faults == ["drawn out: more than 0 s"]
    monkeypatch.undo()
    for expected, request in ((THROUGH, 0), (BREACH, Request.GET_FEATURES)):
        other = Attack("other", "Something else", expected, False,
                       lambda target: target.connect().ask(request))
        with pytest.raises(AssertionError, match="Something else"):
            assert_as_expected(arena, other)


def test_a_neighbour_that_is_starved_is_a_fault(arena, monkeypatch):
    """One whose rate is a thousandth of what it should be."""
    held = Attack("held", "Nothing is done", THROUGH, True, lambda target: None)
    assert not arena.strike(held).faults
    monkeypatch.setattr("arena.NEIGHBOUR_PPS", 20000000)
    monkeypatch.setattr("arena.STARVED_TIMEOUT_S", 2)
    assert arena.strike(held).faults == ["the neighbour is starved"]


def test_descriptors_are_met(arena):
    """Each of the ways in which attacks put descriptors into rings leads to something: a worker has read them,
    and gives the ring up."""
    if arena.program is None:
        arena.start()
    for name in ("tx_loop_of_one", "rx_loop_of_one", "indirect_loop_split", "rx_indirect_loop_packed",
                 "tx_packed_endless_chain", "rx_packed_endless_chain"):
        before = arena.program.rings_given_up()
        assert_as_expected(arena, CATALOGUE[name])
        wait_until(lambda: arena.program.rings_given_up() > before, 20, f"{name}: a ring is given up")


@pytest.mark.parametrize("name", CATALOGUE)
def test_attack(arena, name):
    assert_as_expected(arena, CATALOGUE[name])


def test_neighbour_has_lost_nothing(arena):
    """Over all attacks since the daemon was started: this must be the last of these tests."""
    assert_neighbour_has_lost_nothing(arena)


@pytest.mark.parametrize("name", [name for name in CATALOGUE if name not in LEND_NOTHING])
def test_attack_while_lending(lending_arena, name):
    assert_as_expected(lending_arena, CATALOGUE[name])


def test_neighbour_of_a_lender_has_lost_nothing(lending_arena):
    assert_neighbour_has_lost_nothing(lending_arena)


@pytest.mark.parametrize("name", ON_CLIENTS)
def test_attack_on_a_client(client_arena, name):
    assert_as_expected(client_arena, CATALOGUE[name])


def test_neighbour_of_a_client_has_lost_nothing(client_arena):
    assert_neighbour_has_lost_nothing(client_arena)
