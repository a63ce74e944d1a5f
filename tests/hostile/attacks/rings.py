# SPDX-License-Identifier: BSD-3-Clause
"""Rings: sizes, addresses and bases that do not fit, and rings changed while they run."""

import itertools
import random

from catalogue import BREACH, REFUSED, THROUGH, add, attack

from lib.vhostuser import F_EVENT_IDX, NEED_REPLY, VERSION, Frontend, Request, u64, vring_state
from lib.virtqueue import Memory

R = Request
MAX = (1 << 64) - 1


def at_the_end(memory, ring, region=0, event_index=True):
    """Moves a split ring's parts to the very end of a region, so that one byte more is outside; with
    the event index, or with room for all but it."""
    ring.used = memory.end(region) - (4 + 8 * ring.size) - (4 if event_index else 0)
    ring.avail = ring.used - 6 - 2 * ring.size & ~15
    ring.desc = ring.avail - 16 * ring.size & ~15


@attack(REFUSED)
def ring_of_no_descriptors(target):
    """A ring of size 0."""
    target.refused(target.frontend().connection, R.SET_VRING_NUM, vring_state(0, 0))


@attack(REFUSED)
def ring_sizes_impossible(target):
    """Sizes that are no power of two or more than 32768."""
    for size in (3, 100, 32769, 65535, 65536, 1 << 31, 0xffffffff):
        target.refused(target.frontend().connection, R.SET_VRING_NUM, vring_state(0, size))


@attack(BREACH)
def ring_without_size(target):
    """Rings that were never given a size are started."""
    frontend = target.frontend()
    frontend.share_memory()
    for index in (0, 1):
        frontend.start_ring(index, sized=False)
    frontend.enable_rings()
    frontend.send(bytes(64))
    target.work()


@attack(BREACH)
def size_refused_but_kept(target):
    """A refused size of 32767 after an accepted one of 32: what was reserved is too small for it."""
    frontend = target.frontend(queue_size=64)
    frontend.share_memory().post()
    for index in (0, 1):
        frontend.tell(R.SET_VRING_NUM, vring_state(index, 32))
        frontend.connection.send(R.SET_VRING_NUM, vring_state(index, 32767),
                                 flags=VERSION | NEED_REPLY)
        frontend.connection.receive()
        frontend.start_ring(index, sized=False)
    frontend.enable_rings()
    for _ in range(32):
        frontend.tx().offer([(frontend.memory.regions[1].gpa, 76, False)])
    target.work()


@attack()
def ring_grows_while_running(target):
    """Rings at the end of memory are told to have 32768 descriptors while they run."""
    def grow(frontend, index):
        frontend.tell(R.SET_VRING_NUM, vring_state(index, 32768))
        for value in (40000, 20000, 60000, 0):
            frontend.rings[index].set_avail_idx(value)
            target.work(0.02)

    def at_the_ends():
        frontend = target.frontend(memory=Memory((1 << 20, 1 << 20)))
        for region, ring in enumerate(frontend.rings):
            at_the_end(frontend.memory, ring, region)
        return frontend.share_memory().set_up_rings().enable_rings()

    target.in_turn(grow, [(0,), (1,)], at_the_ends)


@attack()
def ring_shrinks_while_running(target):
    """Rings are told to have two descriptors while they run."""
    target.in_turn(Frontend.tell, [(R.SET_VRING_NUM, vring_state(index, 2)) for index in (0, 1)])
    target.work()


@attack()
def event_index_behind_the_ring(target):
    """EVENT_IDX is negotiated after the addresses were accepted, before the rings are started or after:
    its field is outside memory, or the last of it."""
    def start(frontend, late):
        frontend.share_memory()
        for index, ring in enumerate(frontend.rings):
            frontend.tell(R.SET_VRING_NUM, vring_state(index, ring.size))
            frontend.set_ring_addr(index)
        steps = [(R.SET_VRING_KICK, u64(index), [ring.kick])
                 for index, ring in enumerate(frontend.rings)]
        steps.insert(2 if late else 0, (R.SET_FEATURES, u64(frontend.features | F_EVENT_IDX)))
        for step in steps:
            frontend.tell(*step)
        frontend.enable_rings()

    for event_index, late in itertools.product((False, True), (False, True)):
        frontend = target.frontend(memory=Memory((1 << 20, 1 << 20)))
        for region, ring in enumerate(frontend.rings):
            at_the_end(frontend.memory, ring, region, event_index)
        target.attempt(start, frontend, late)
        frontend.rx().set_avail_idx(60)
        target.work(0.03)


def _base(value, packed):
    def run(target):
        frontend = target.frontend(packed=packed, queue_size=32)
        frontend.share_memory()
        frontend.post(count=2)
        for index in (0, 1):
            frontend.start_ring(index, base=value)
        frontend.enable_rings()
        frontend.send(bytes(64))
        target.work()
    return run


for _value in (33, 0x7fff, 0x8000, 0xffff):
    add(f"base_{_value:#06x}", f"A split ring of 32 begins at index {_value:#x}",
        _base(_value, False))
    add(f"base_{_value:#06x}_packed", f"A packed ring of 32 begins at index {_value & 0x7fff:#x}",
        _base(_value, True), BREACH if _value & 0x7fff else THROUGH)


def _address(**fields):
    def start(frontend):
        frontend.share_memory()
        memory = frontend.memory
        values = {name: value(memory) if callable(value) else value
                  for name, value in fields.items()}
        for index in (0, 1):
            frontend.start_ring(index, **values)
        frontend.enable_rings()

    def run(target):
        for packed in (False, True):
            target.attempt(start, target.frontend(packed=packed))
            target.work(0.03)
    return run


def _last_byte(memory):
    return memory.regions[0].uva + memory.regions[0].size - 1


for _name, _what, _fields in (
        ("zero", "are 0", {"desc": 0, "used": 0, "avail": 0}),
        ("highest", "are 2**64 - 1", {"desc": MAX, "used": MAX, "avail": MAX}),
        ("physical", "are guest physical ones", {part: lambda m: m.regions[0].gpa
                                                 for part in ("desc", "used", "avail")}),
        ("equal", "are all the same", {part: lambda m: m.regions[0].uva
                                       for part in ("desc", "used", "avail")}),
        ("last_byte", "are the last byte of memory", {part: _last_byte
                                                      for part in ("desc", "used", "avail")}),
        ("unaligned", "are odd", {part: lambda m: m.regions[0].uva + 4097
                                  for part in ("desc", "used", "avail")}),
        ("behind", "begin just behind memory", {part: lambda m: _last_byte(m) + 1
                                                for part in ("desc", "used", "avail")}),
        ("used_outside", "of the used ring alone are outside", {"used": 0x1000}),
        ("avail_outside", "of the available ring alone are outside", {"avail": 0x1000})):
    add(f"ring_addresses_{_name}", f"The addresses of the rings {_what}", _address(**_fields))


@attack()
def addresses_changed_while_running(target):
    """The rings move to where nothing is, and back, 50 times under traffic."""
    def move(frontend, index):
        target.attempt(frontend.set_ring_addr, index, desc=0x1000, used=0x1000, avail=0x1000)
        frontend.set_ring_addr(index)
        frontend.receive()

    target.in_turn(move, [(0,), (1,)] * 50)


@attack()
def base_changed_while_running(target):
    """Running rings are told to have begun elsewhere."""
    def change(frontend, base, index):
        frontend.tell(R.SET_VRING_BASE, vring_state(index, base))
        target.work(0.005)

    for packed in (False, True):
        target.in_turn(change, itertools.product((1, 0x7fff, 0x8001, 0xffff, 33), (0, 1)),
                       lambda: target.ready(packed=packed))


@attack()
def both_directions_in_one_ring(target):
    """The same ring is given for receiving and for sending."""
    frontend = target.frontend()
    frontend.rings[1] = frontend.rings[0]
    frontend.share_memory()
    frontend.post(count=16)
    frontend.set_up_rings().enable_rings()
    target.work()


@attack()
def available_index_jumps(target):
    """The available index jumps by everything from 1 to 65535."""
    frontend = target.ready()
    for step in (1, 64, 65, 255, 32767, 32768, 65535, 12345):
        for ring in frontend.rings:
            ring.set_avail_idx(ring.avail_idx + step)
        target.work(0.01)


@attack()
def used_ring_scribbled_over(target):
    """The guest writes the device's half of the rings."""
    frontend = target.ready()
    chance = random.Random(3)
    for _ in range(50):
        for ring in frontend.rings:
            frontend.memory.write(ring.used, chance.randbytes(4 + 8 * ring.size))
        target.work(0.002)


def _noise(packed, index, seconds=0.2):
    def run(target):
        for seed in range(2):
            frontend = target.ready(packed=packed)
            chance = random.Random(seed)
            region = frontend.memory.regions[0]
            used = frontend.memory._used[0]

            def scribble():
                ring = frontend.rings[index]
                for _ in range(16):
                    at = chance.randrange(used // 2)
                    region.u16[at] = chance.choice((0, 1, 2, 4, 0x80, 0x8080, 0xffff, 63, 64,
                                                    chance.randrange(65536)))
                if not packed:
                    frontend.memory.store16(ring.avail + 2, chance.randrange(65536))

            target.work(seconds, scribble)
    return run


for _packed in (False, True):
    for _index, _direction in enumerate(("receive", "transmit")):
        _kind = "packed" if _packed else "split"
        add(f"noise_in_{_kind}_{_direction}_ring",
            f"Random values all over the rings while they run ({_kind}, {_direction} ring)",
            _noise(_packed, _index))


@attack()
def buffers_in_the_rings(target):
    """Receive buffers that are the rings themselves: packets overwrite descriptors."""
    for packed in (False, True):
        frontend = target.frontend(packed=packed)
        frontend.share_memory()
        for ring in frontend.rings:
            for part in ring.parts() * 5:
                frontend.rx().offer([(part, 2048, True)])
        frontend.set_up_rings().enable_rings()
        target.work()


@attack()
def memory_full_of_ones(target):
    """Every byte of the guest's memory becomes 0xff, then 0, while the rings run."""
    for packed in (False, True):
        frontend = target.ready(packed=packed)
        for value in (b"\xff", b"\0", b"\x80", b"\x02"):
            for region in frontend.memory.regions:
                region.bytes[:] = value * region.size
            target.work(0.02)
