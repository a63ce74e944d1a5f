# SPDX-License-Identifier: BSD-3-Clause
"""Guest memory: regions that overlap, overflow, are not there, or vanish."""

import os
import random

from catalogue import BREACH, REFUSED, attack

from lib.vhostuser import NEED_REPLY, VERSION, Request, mem_table, u64
from lib.virtqueue import Memory

R = Request
MAX = (1 << 64) - 1


def _refused_table(target, entries, count=None, fds=None):
    frontend = target.frontend()
    fds = [target.memfd(1 << 20) for _ in entries] if fds is None else fds
    target.refused(frontend.connection, R.SET_MEM_TABLE, mem_table(entries, count), fds)


@attack(REFUSED)
def region_of_no_bytes(target):
    """A region of size 0."""
    _refused_table(target, [(0, 0, 1 << 32, 0)])


@attack(REFUSED)
def region_size_overflows(target):
    """Region sizes and offsets whose sum overflows."""
    for size, offset in ((MAX, 0), (MAX, 4096), (1 << 63, 1 << 63), (4096, MAX), (4096, MAX - 4095),
                         (MAX - 4096, 4096)):
        _refused_table(target, [(0, size, 1 << 32, offset)])


@attack(REFUSED)
def region_beyond_any_file(target):
    """A region of 2**47 bytes."""
    _refused_table(target, [(0, 1 << 47, 1 << 32, 0)])


@attack(REFUSED)
def nine_regions(target):
    """Nine regions, 2**32 - 1 regions, eight of which have descriptors."""
    for count in (9, 0xffffffff):
        _refused_table(target, [(i << 32, 4096, i << 32, 0) for i in range(8)], count)


@attack(BREACH)
def no_regions(target):
    """A table without regions, then rings in it."""
    frontend = target.frontend()
    frontend.share_memory(regions=[])
    frontend.set_up_rings().enable_rings()
    target.work()


@attack(BREACH)
def regions_on_top_of_each_other(target):
    """Eight regions at the same guest and user addresses, of different sizes."""
    frontend = target.frontend()
    frontend.tell(R.SET_MEM_TABLE, mem_table(
        [(Memory.GPA, 4096 << i, Memory.UVA, 0) for i in range(8)]),
        [frontend.memory.regions[0].fd] * 8)
    frontend.post()
    frontend.set_up_rings().enable_rings()
    frontend.send(bytes(64))
    target.work()


@attack(BREACH)
def regions_that_wrap_around(target):
    """Regions whose guest addresses run past the end of the address space."""
    frontend = target.frontend()
    region = frontend.memory.regions[0]
    frontend.tell(R.SET_MEM_TABLE, mem_table(
        [region.entry(), (MAX - 4095, 1 << 20, MAX - 4095, 0)]),
        [r.fd for r in frontend.memory.regions])
    frontend.set_up_rings().enable_rings()
    for index in range(8):
        frontend.tx().write_desc(index, MAX - 4095 + 1024 * index, 1 << 16)
        frontend.tx().publish(index)
    target.work()


@attack(BREACH)
def region_at_an_odd_offset(target):
    """Offsets that are no multiple of a page; the last bytes are beyond the file."""
    frontend = target.frontend()
    region = frontend.memory.regions[0]
    frontend.connection.send(R.SET_MEM_TABLE, mem_table(
        [(region.gpa, region.size, region.uva, 4095)]), [region.fd], flags=VERSION | NEED_REPLY)
    frontend.connection.receive()
    frontend.protocol = 0
    frontend.set_up_rings().enable_rings()
    target.work()


@attack(BREACH)
def memory_of_zeros(target):
    """/dev/zero as memory."""
    frontend = target.frontend()
    zero = target.open("/dev/zero", os.O_RDWR)
    frontend.tell(R.SET_MEM_TABLE, mem_table([r.entry() for r in frontend.memory.regions]),
                  [zero] * 2)
    frontend.set_up_rings().enable_rings()
    target.work()


@attack(REFUSED)
def memory_that_may_not_be_written(target):
    """A region of a file that is sealed against writing."""
    fd = target.memfd(1 << 20)
    target.seal_write(fd)
    _refused_table(target, [(0, 1 << 20, 1 << 32, 0)], fds=[fd])


@attack()
def terabyte_of_nothing(target):
    """A sparse region of one terabyte, mapped and unmapped twenty times."""
    fd = target.memfd(1 << 40)
    for index in range(20):
        frontend = target.frontend()
        frontend.connection.send(R.SET_MEM_TABLE, mem_table([(index << 41, 1 << 40, 1 << 42, 0)]),
                                 [fd], flags=VERSION | NEED_REPLY)
        target.answers(frontend.connection)


@attack(BREACH)
def file_shorter_than_its_region(target):
    """The rings lie where the file has no bytes: touching them is a bus error."""
    frontend = target.frontend()
    for region in frontend.memory.regions:
        os.ftruncate(region.fd, 0)
    frontend.share_memory().set_up_rings().enable_rings()
    target.work()


@attack()
def rings_truncated_away(target):
    """The file with the rings loses all its bytes while the daemon polls them."""
    frontend = target.ready()
    os.ftruncate(frontend.memory.regions[0].fd, 0)
    target.work()


@attack()
def rings_truncated_away_packed(target):
    """The same with packed rings."""
    frontend = target.ready(packed=True)
    os.ftruncate(frontend.memory.regions[0].fd, 0)
    target.work()


@attack()
def buffers_truncated_away(target):
    """The file with the buffers loses all its bytes: the rings are fine."""
    frontend = target.ready()
    os.ftruncate(frontend.memory.regions[1].fd, 0)
    for _ in range(8):
        frontend.tx().offer([(frontend.memory.regions[1].gpa, 1000, False)])
    target.work()


@attack()
def truncated_and_restored(target):
    """The files shrink and grow twenty times under traffic."""
    frontend = target.ready()
    for _ in range(20):
        for region in frontend.memory.regions:
            os.ftruncate(region.fd, 4096)
            os.ftruncate(region.fd, region.size)


@attack()
def indirect_table_truncated_away(target):
    """A descriptor table where the file ends."""
    frontend = target.ready(memory=Memory((1 << 20, 4 << 20, 1 << 20)))
    table = frontend.memory.regions[2]
    os.ftruncate(table.fd, 0)
    for index in range(4):
        frontend.tx().write_desc(index, table.gpa + 64 * index, 64, 4)
        frontend.tx().publish(index)
    target.work()


@attack(REFUSED)
def table_too_large_as_a_whole(target):
    """Rings run; then their region comes with two of 60 TiB, each of which could be mapped alone."""
    frontend = target.ready()
    regions = frontend.memory.regions
    entries = [r.entry() for r in regions] + [(1 << 60 | i << 50, 60 << 40, 1 << 60 | i << 50, 0) for i in (0, 1)]
    target.refused(frontend.connection, R.SET_MEM_TABLE, mem_table(entries),
                   [*(r.fd for r in regions), *(target.memfd(60 << 40) for _ in (0, 1))])
    target.attempt(frontend.tell, R.SET_VRING_CALL, u64(0), [frontend.rings[0].call])


@attack()
def table_refused_while_running(target):
    """A second table cannot be mapped; the first one is gone by then, and the rings were in it."""
    for _ in range(5):
        frontend = target.ready()
        target.attempt(frontend.tell, R.SET_MEM_TABLE, mem_table([(0, 1 << 20, 1 << 32, 0)]),
                       [target.open("/dev/null", os.O_RDWR)])
        target.work(0.02)


@attack(BREACH)
def table_of_other_memory_while_running(target):
    """A second table, valid, in which the rings are not."""
    frontend = target.ready()
    frontend.connection.send(R.SET_MEM_TABLE, mem_table([(0, 1 << 20, 1 << 32, 0)]),
                             [target.memfd(1 << 20)], flags=VERSION | NEED_REPLY)
    frontend.connection.receive()
    target.work()


@attack(BREACH)
def table_emptied_while_running(target):
    """A second table without any region."""
    frontend = target.ready()
    frontend.share_memory(regions=[])
    target.work()


@attack()
def tables_changed_under_traffic(target):
    """The regions come, go and change places 100 times."""
    chance = random.Random(1)
    tables = [chance.sample((0, 1), chance.randrange(3)) for _ in range(100)]
    target.in_turn(lambda frontend, *table: frontend.share_memory(
        [frontend.memory.regions[index] for index in table]), [*tables, (0, 1)])
    target.work()


@attack()
def hole_punched_under_the_rings(target):
    """The pages of the rings are given back to the system, and read as zeros from then on."""
    frontend = target.ready()
    for region in frontend.memory.regions:
        target.punch_hole(region.fd, region.size)
    target.work()
