# SPDX-License-Identifier: BSD-3-Clause
"""The catalogue: every attack by its name.

An attack is a function in attacks/*.py that takes a Target and whose docstring says what it does.
What it must lead to is always the same (see arena.py: nobody else suffers). How it ends is known as
well:

- THROUGH: everything is executed. What may be refused on the way is in target.attempt() or
  in_turn().
- BREACH: the daemon hangs up because of what the attack is about. Another program may accept it and
  survive.
- REFUSED: any program must answer each of its deeds with a failure or a hang-up."""

from dataclasses import dataclass

THROUGH = "through"
BREACH = "breach"
REFUSED = "refused"

CATALOGUE = {}


@dataclass
class Attack:
    name: str
    what: str
    expected: str
    hold: bool  # its connections stay open while the honest frontend is served
    run: object


def add(name, what, run, expected=THROUGH, hold=False):
    assert name not in CATALOGUE and what, name
    CATALOGUE[name] = Attack(name, what, expected, hold, run)


def attack(expected=THROUGH, hold=False):
    """Decorates an attack."""
    def register(function):
        add(function.__name__, " ".join(function.__doc__.split()), function, expected, hold)
        return function
    return register


def load():
    """Imports all parts; returns the catalogue."""
    # The parts register themselves, and need this module to be loaded before.
    from attacks import descriptors, floods, memory, messages, migration, packets, rings  # noqa: F401
    from attacks import laps  # noqa: F401 - repeats some of the others
    return CATALOGUE
