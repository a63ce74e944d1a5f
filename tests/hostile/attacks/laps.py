# SPDX-License-Identifier: BSD-3-Clause
"""Running rings whose order is broken: wrap counters, notification areas, memory that vanishes
under buffers; split and packed."""

import itertools
import random
import struct

from catalogue import CATALOGUE, add, attack

from lib.vhostuser import F_EVENT_IDX
from lib.virtqueue import DESC_INDIRECT, DESC_NEXT, DESC_WRITE, PACKED_AVAIL, PACKED_USED


def _packed_too(name):
    """An attack of another part, on packed rings."""
    known = CATALOGUE[name]

    def run(target):
        target.defaults["packed"] = True
        known.run(target)

    add(f"{name}_packed", f"{known.what.rstrip('.')} (packed ring)", run, known.expected)


for _name in ("buffers_truncated_away", "truncated_and_restored", "table_refused_while_running",
              "table_of_other_memory_while_running", "table_emptied_while_running",
              "tables_changed_under_traffic", "hole_punched_under_the_rings",
              "addresses_changed_while_running"):
    _packed_too(_name)


def _send_some(frontend, count=8):
    """Sends while the ring has room: after a breach nobody may take it."""
    for _ in range(min(count, frontend.queue_size - 1 - frontend.under_way())):
        frontend.send(bytes(60))


def _flags_of_all(change):
    """Packed rings at work: every descriptor's flags become what change() makes of them, 20 times."""
    def run(target):
        chance = random.Random(7)
        frontend = target.ready(packed=True)
        for turn in range(20):
            for _ in range(3):
                frontend.tx().offer([(frontend.memory.regions[1].gpa, 72, False)])
            frontend.tx().notify()
            for ring, index in itertools.product(frontend.rings, range(frontend.queue_size)):
                at = ring.desc + 16 * index + 14
                frontend.memory.store16(at, change(frontend.memory.load16(at), turn, chance))
            target.work(0.005)
    return run


for _name, _what, _change in (
        ("inverted", "say the other lap", lambda flags, turn, chance:
         flags ^ (PACKED_AVAIL | PACKED_USED)),
        ("used_by_driver", "say that they are used already", lambda flags, turn, chance:
         flags | PACKED_AVAIL | PACKED_USED),
        ("of_both_laps", "say one lap, then the other, in turn", lambda flags, turn, chance:
         flags & ~(PACKED_AVAIL | PACKED_USED) | (PACKED_USED if turn % 2 else PACKED_AVAIL)),
        ("of_chance", "say any lap, each its own", lambda flags, turn, chance:
         flags & ~(PACKED_AVAIL | PACKED_USED)
         | chance.choice((0, PACKED_AVAIL, PACKED_USED, PACKED_AVAIL | PACKED_USED)))):
    add(f"wrap_flags_{_name}", f"The flags of all descriptors {_what} (packed ring)",
        _flags_of_all(_change))


@attack()
def packed_base_of_the_other_lap(target):
    """A packed ring begins with the wrong wrap counter."""
    frontend = target.frontend(packed=True)
    frontend.share_memory().post()
    for index in (0, 1):
        frontend.start_ring(index, base=0)
    frontend.enable_rings()
    frontend.send(bytes(60))
    target.work()


@attack()
def packed_chain_across_the_lap(target):
    """Chains whose second half lies at the ring's beginning, where the flags are of the same lap."""
    for index in (0, 1):
        frontend = target.ready(packed=True, post=False)
        ring, gpa = frontend.rings[index], frontend.memory.regions[1].gpa
        direction = 0 if index else DESC_WRITE
        for number in range(ring.size):
            ring.write_desc(number, gpa + 64 * number, 64, number,
                            PACKED_AVAIL | direction | (DESC_NEXT if number % 3 != 1 else 0))
        target.work()


def _wants_lie(packed):
    """Where it wants to be called changes all the time, under traffic."""
    def run(target):
        frontend = target.ready(packed=packed, features=target.FEATURES | F_EVENT_IDX)
        chance = random.Random(9)

        def change():
            for ring in frontend.rings:
                if packed:
                    frontend.memory.write(ring.driver_event, chance.randbytes(4))
                else:
                    ring.suppress_calls(chance.randrange(2))
                    ring.call_after(chance.randrange(65536))
            _send_some(frontend, 2)
            frontend.receive()

        target.work(0.3, change)
    return run


for _packed in (False, True):
    _kind = "packed" if _packed else "split"
    add(f"calls_wanted_anywhere_{_kind}",
        f"Where the guest wants to be called changes all the time ({_kind} ring)",
        _wants_lie(_packed))


def _buffers_go(packed):
    def run(target):
        frontend = target.ready(packed=packed)
        for _ in range(20):
            _send_some(frontend)
            frontend.share_memory(frontend.memory.regions[:1])
            target.work(0.005)
            frontend.share_memory()
    return run


def _empty_tables(packed, receive):
    """The work of a ring full of tables that describe nothing, again and again."""
    def run(target):
        frontend = target.ready(packed=packed, post=False, queue_size=256)
        ring, entries = frontend.rings[0 if receive else 1], 4096
        table = frontend.memory.alloc(16 * entries, 16, 1)
        direction = DESC_WRITE if receive else 0
        for entry in range(entries):
            fields = ((0, direction) if packed else
                      (direction | (DESC_NEXT if entry + 1 < entries else 0), entry + 1))
            frontend.memory.write(table + 16 * entry, struct.pack("=QIHH", table, 0, *fields))

        def offer_all():
            if not packed:
                for number in range(ring.size):
                    ring.write_desc(number, table, 16 * entries, DESC_INDIRECT)
                    ring.publish(number)
                return
            for number in range(ring.size):
                ring.write_desc(number, table, 16 * entries, number,
                                DESC_INDIRECT | (PACKED_AVAIL if ring.wrap else PACKED_USED))
            ring.wrap = 1 - ring.wrap

        target.work(0.5, offer_all)
    return run


for _packed in (False, True):
    _kind = "packed" if _packed else "split"
    add(f"buffers_leave_the_table_{_kind}",
        f"The region with the buffers goes and comes back while they are under way ({_kind} ring)",
        _buffers_go(_packed))
    for _receive in (False, True):
        add(f"{'rx' if _receive else 'tx'}_tables_of_nothing_{_kind}",
            f"A ring full of indirect tables of 4096 empty entries each, again and again, "
            f"{'to receive into' if _receive else 'to send'} ({_kind} ring)",
            _empty_tables(_packed, _receive))
