# SPDX-License-Identifier: BSD-3-Clause
"""Connections: too many, too short, several at once, cut off at any point."""

from catalogue import add, attack

from lib.vhostuser import Frontend, Request, u64, vring_state


@attack()
def connections_without_end(target):
    """Connects and hangs up 100 times."""
    for _ in range(100):
        target.attempt(lambda: target.connect().close())


@attack()
def idle_connections(target):
    """A hundred connections that say nothing."""
    for _ in range(100):
        target.attempt(target.connect)


@attack(hold=True)
def idle_connections_that_stay(target):
    """A hundred connections that say nothing and stay."""
    for _ in range(100):
        target.attempt(target.connect)


@attack(hold=True)
def two_frontends(target):
    """Two guests on one socket, both running, both sending."""
    for frontend in (target.ready(), target.ready()):
        frontend.send(bytes(64))


@attack()
def ten_frontends(target):
    """Ten guests on one socket, which start, send and stop in turn."""
    frontends = [target.frontend() for _ in range(10)]
    for _ in range(3):
        for frontend in frontends:
            target.attempt(frontend.share_memory)
            target.attempt(frontend.set_up_rings)
            target.attempt(frontend.enable_rings)
            target.attempt(frontend.stop)


@attack()
def started_and_gone(target):
    """A guest starts, gets packets and disappears, 30 times."""
    for _ in range(30):
        target.ready().connection.close()


def _cut_off(steps):
    def run(target):
        for _ in range(5):
            frontend = target.frontend()
            actions = [frontend.share_memory, frontend.post, lambda: frontend.start_ring(0),
                       lambda: frontend.enable_ring(0), lambda: frontend.start_ring(1),
                       lambda: frontend.enable_ring(1), lambda: frontend.send(bytes(64)),
                       lambda: frontend.enable_ring(0, False), lambda: frontend.stop_ring(0)]
            for action in actions[:steps]:
                action()
            frontend.connection.close()
    return run


for _steps, _what in enumerate((
        "the features", "the memory", "the buffers", "the first ring", "its start",
        "the second ring", "its start", "the first packet", "a ring is disabled",
        "a ring is stopped")):
    add(f"cut_off_{_steps}", f"The connection ends right after {_what}, five times",
        _cut_off(_steps))


@attack()
def queues_toggled(target):
    """The rings are enabled and disabled 500 times in random order, under traffic."""
    frontend = target.ready()
    chance = target.chance()
    for _ in range(500):
        frontend.connection.send(Request.SET_VRING_ENABLE,
                                 vring_state(chance.randrange(2), chance.randrange(2)))
        frontend.receive()
    target.probe(frontend.connection)


@attack()
def every_queue_enabled(target):
    """Rings 0 to 255 are enabled, disabled and enabled, though only two were set up."""
    target.in_turn(Frontend.tell, [(Request.SET_VRING_ENABLE, vring_state(index, on))
                                   for on in (1, 0, 1) for index in range(256)])


@attack()
def rings_stopped_and_started(target):
    """Each ring is stopped and started 50 times, the other one runs."""
    frontend = target.ready()
    for round_number in range(50):
        index = round_number % 2
        frontend.stop_ring(index)
        if round_number % 3 == 0:
            frontend.stop_ring(index)
        frontend.start_ring(index)


@attack()
def stopped_rings_enabled(target):
    """The rings are stopped, then enabled and called for, without being started."""
    for index in (0, 1):
        frontend = target.ready()
        frontend.stop_ring(index)
        frontend.enable_ring(index)
        frontend.tell(Request.SET_VRING_CALL, u64(index), [frontend.rings[index].call])
        target.attempt(frontend.tell, Request.SET_VRING_KICK, u64(index),
                       [frontend.rings[index].kick])
        target.work()
