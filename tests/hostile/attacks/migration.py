# SPDX-License-Identifier: BSD-3-Clause
"""Migration: dirty logs that are not there, announcements, post-copy."""

import os

from catalogue import BREACH, REFUSED, attack

from lib.vhostuser import (F_LOG_ALL, NEED_REPLY, VERSION, VRING_F_LOG, Request, log_base, u64)

R = Request
MAX = (1 << 64) - 1


def _log(target, size, offset, file_size, packed=False):
    """A running guest that logs into such a log; returns the guest."""
    frontend = target.ready(packed=packed)
    frontend.connection.send(R.SET_LOG_BASE, log_base(size, offset), [target.memfd(file_size)],
                             flags=VERSION | NEED_REPLY)
    frontend.connection.receive()
    frontend.tell(R.SET_FEATURES, u64(frontend.features | F_LOG_ALL))
    for index, ring in enumerate(frontend.rings):
        frontend.set_ring_addr(index, log=ring.parts()[1], flags=VRING_F_LOG)
    frontend.receive()
    frontend.send(bytes(64))
    return frontend


@attack(BREACH)
def log_in_an_empty_file(target):
    """A dirty log of 1 MiB in a file of no bytes: a bus error with the first packet."""
    _log(target, 1 << 20, 0, 0)
    target.work()


@attack(BREACH)
def log_in_an_empty_file_packed(target):
    """The same with packed rings."""
    _log(target, 1 << 20, 0, 0, packed=True)
    target.work()


@attack()
def log_truncated_away(target):
    """The log loses its bytes while it is written."""
    frontend = target.ready()
    fd = target.memfd(1 << 20)
    frontend.connection.ask(R.SET_LOG_BASE, log_base(1 << 20), [fd])
    frontend.tell(R.SET_FEATURES, u64(frontend.features | F_LOG_ALL))
    for _ in range(10):
        frontend.receive()
        target.work(0.005)
    os.ftruncate(fd, 0)
    frontend.receive()
    target.work()


@attack(BREACH)
def log_at_an_offset(target):
    """An offset is both mapped and added: the bits land a gigabyte behind the log."""
    _log(target, 1 << 20, 1 << 30, 2 << 30)
    target.work()


@attack(BREACH)
def log_at_a_small_offset(target):
    """An offset of one page."""
    _log(target, 1 << 20, 4096, 2 << 20)
    target.work()


@attack(REFUSED)
def log_sizes_that_overflow(target):
    """Sizes and offsets of the log whose sum overflows, and a size of 0."""
    for size, offset in ((0, 0), (MAX, 0), (MAX, 1), (4096, MAX), (1 << 63, 1 << 63)):
        target.refused(target.frontend().connection, R.SET_LOG_BASE, log_base(size, offset),
                       [target.memfd(4096)])


@attack()
def log_too_small(target):
    """A log of eight bytes for memory at high addresses."""
    _log(target, 8, 0, 4096)
    target.work()


@attack()
def log_at_an_odd_size(target):
    """A log whose size is no multiple of eight bytes, up to the last page that is used."""
    frontend = target.ready()
    size = frontend.memory.end() // 4096 // 8
    for wanted in (size - 1, size + 1, size + 3):
        frontend.connection.ask(R.SET_LOG_BASE, log_base(wanted), [target.memfd(wanted)])
        frontend.tell(R.SET_FEATURES, u64(frontend.features | F_LOG_ALL))
        frontend.receive()
        target.work(0.02)


@attack()
def logs_changed_under_traffic(target):
    """A new log 100 times while packets are logged."""
    frontend = target.ready()
    frontend.tell(R.SET_FEATURES, u64(frontend.features | F_LOG_ALL))
    for _ in range(100):
        frontend.connection.ask(R.SET_LOG_BASE, log_base(1 << 20), [target.memfd(1 << 20)])
        frontend.receive()


@attack()
def logging_without_a_log(target):
    """LOG_ALL and logged rings, and no log at all."""
    frontend = target.ready()
    frontend.tell(R.SET_FEATURES, u64(frontend.features | F_LOG_ALL))
    for index in (0, 1):
        frontend.set_ring_addr(index, log=MAX, flags=VRING_F_LOG)
    frontend.receive()
    target.work()


@attack()
def ring_log_address_bogus(target):
    """The used ring is logged at addresses from nowhere."""
    for address in (0, 1, 1 << 63, MAX - 4, MAX):
        frontend = target.ready()
        frontend.start_log()
        for index in (0, 1):
            frontend.set_ring_addr(index, log=address, flags=VRING_F_LOG)
        frontend.receive()
        target.work(0.02)


@attack()
def announcements_without_end(target):
    """SEND_RARP 500 times, with and without rings."""
    for frontend in (target.frontend(), target.ready()):
        for number in range(500):
            frontend.tell(R.SEND_RARP, u64(number))


@attack()
def post_copy(target):
    """Post-copy, which needs memory to fault in the daemon: advised, begun and ended out of order."""
    def say(frontend, *requests):
        for request in requests:
            if request == R.SET_MEM_TABLE:
                frontend.share_memory()
            else:
                frontend.connection.send(request, flags=VERSION | NEED_REPLY)
                frontend.connection.receive()

    for requests in ((R.POSTCOPY_ADVISE, R.POSTCOPY_LISTEN, R.SET_MEM_TABLE, R.POSTCOPY_END),
                     (R.POSTCOPY_LISTEN, R.SET_MEM_TABLE), (R.POSTCOPY_END, R.POSTCOPY_END)):
        target.attempt(say, target.frontend(), *requests)
