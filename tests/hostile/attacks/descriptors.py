# SPDX-License-Identifier: BSD-3-Clause
"""File descriptors: too many, too few, of the wrong kind, blocking, and none of our business."""

import array
import os
import socket
import struct

from catalogue import BREACH, REFUSED, attack

from lib.vhostuser import (NEED_REPLY, VERSION, Frontend, Request, log_base, mem_table, u64,
                           vring_state)

R = Request


def _strange_files(target):
    """One descriptor of each strange kind, by name."""
    read_end, write_end = target.pipe()
    dead_read, no_reader = target.pipe()
    os.close(dead_read)
    target.forget(dead_read)
    pair = target.socketpair()
    return {
        "null": target.open("/dev/null", os.O_RDWR),
        "zero": target.open("/dev/zero", os.O_RDWR),
        "directory": target.open("/tmp", os.O_RDONLY | os.O_DIRECTORY),
        "path": target.open("/tmp", os.O_PATH),
        "pipe": write_end,
        "read end": read_end,
        "no reader": no_reader,
        "socket": pair.fileno(),
        "listener": target.listener().fileno(),
        "memory": target.memfd(0),
        "read only": target.open("/etc/hostname", os.O_RDONLY),
        "timer": target.timerfd(),
    }


@attack()
def descriptors_nobody_wants(target):
    """Eight descriptors with each message that takes none."""
    null = target.open("/dev/null", os.O_RDWR)
    for request in (R.GET_FEATURES, R.SET_OWNER, R.SET_VRING_NUM, R.SET_VRING_ENABLE, R.SEND_RARP,
                    R.GET_PROTOCOL_FEATURES, R.SET_VRING_BASE, R.NET_SET_MTU, R.SET_STATUS):
        connection = target.connect()
        connection.send(request, bytes(8), [null] * 8, flags=VERSION | NEED_REPLY)
        target.answers(connection)


@attack()
def descriptors_with_unknown_requests(target):
    """Eight descriptors with requests that do not exist, twenty times."""
    null = target.open("/dev/null", os.O_RDWR)
    for _ in range(20):
        connection = target.connect()
        connection.send(77, bytes(8), [null] * 8)
        target.answers(connection)
        connection.close()


@attack()
def as_many_descriptors_as_fit(target):
    """253 descriptors with one message."""
    null = target.open("/dev/null", os.O_RDWR)
    connection = target.connect()
    connection.send(R.SET_MEM_TABLE, mem_table([(0, 4096, 0, 0)] * 8), [null] * 253)
    target.answers(connection)


@attack()
def descriptors_with_the_payload(target):
    """The descriptors come with the payload instead of the header."""
    frontend = target.frontend()
    table = mem_table([region.entry() for region in frontend.memory.regions])
    frontend.connection.send_bytes(
        struct.pack("=III", R.SET_MEM_TABLE, VERSION | NEED_REPLY, len(table)))
    frontend.connection.send_bytes(table, [region.fd for region in frontend.memory.regions])
    target.answers(frontend.connection)


@attack()
def credentials_instead_of_descriptors(target):
    """Another kind of ancillary data."""
    connection = target.connect()
    data = struct.pack("=III", R.SET_LOG_FD, VERSION, 0)
    ids = array.array("i", (os.getpid(), os.getuid(), os.getgid()))
    connection.socket.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, ids)])
    target.answers(connection)


@attack(REFUSED)
def fewer_descriptors_than_regions(target):
    """Two regions and one descriptor."""
    frontend = target.frontend()
    entries = [region.entry() for region in frontend.memory.regions]
    target.refused(frontend.connection, R.SET_MEM_TABLE, mem_table(entries),
                   [frontend.memory.regions[0].fd])


@attack(REFUSED)
def more_descriptors_than_regions(target):
    """One region and eight descriptors."""
    frontend = target.frontend()
    region = frontend.memory.regions[0]
    target.refused(frontend.connection, R.SET_MEM_TABLE, mem_table([region.entry()]),
                   [region.fd] * 8)


@attack(REFUSED)
def memory_of_strange_files(target):
    """Regions of devices, directories, pipes and sockets."""
    for name, fd in _strange_files(target).items():
        if name not in ("memory", "zero"):  # these can be mapped, see memory.py
            target.refused(target.frontend().connection, R.SET_MEM_TABLE,
                           mem_table([(0, 4096, 1 << 32, 0)]), [fd])


@attack(REFUSED)
def log_without_descriptor(target):
    """SET_LOG_BASE without a descriptor, and with two."""
    target.refused(target.frontend().connection, R.SET_LOG_BASE, log_base(4096))
    target.refused(target.frontend().connection, R.SET_LOG_BASE, log_base(4096),
                   [target.memfd(4096), target.memfd(4096)])


@attack(REFUSED)
def log_of_strange_files(target):
    """Dirty logs in devices, directories, pipes and sockets."""
    for name, fd in _strange_files(target).items():
        if name not in ("memory", "zero"):
            target.refused(target.frontend().connection, R.SET_LOG_BASE, log_base(4096), [fd])


@attack()
def calls_to_strange_files(target):
    """Everything but an eventfd to be called by, with traffic under way."""
    for fd in _strange_files(target).values():
        frontend = target.ready()
        target.attempt(frontend.tell, R.SET_VRING_CALL, u64(0), [fd])
        frontend.receive()
        target.work(0.02)


@attack()
def call_that_blocks(target):
    """The eventfd to be called by is at its limit: writing to it waits until somebody reads."""
    frontend = target.ready()
    call = target.eventfd(blocking=True)
    frontend.tell(R.SET_VRING_CALL, u64(0), [call])
    target.fill(call)  # not earlier: a frontend with a full eventfd is hung up on at once
    frontend.receive()
    target.work(0.2)


@attack(hold=True)
def call_that_blocks_for_good(target):
    """The same with both rings, and it stays so."""
    frontend = target.ready()
    calls = [target.eventfd(blocking=True) for _ in range(2)]
    for index, call in enumerate(calls):
        frontend.tell(R.SET_VRING_CALL, u64(index), [call])
    for call in calls:
        target.fill(call)
    frontend.receive()
    frontend.send(bytes(64))
    target.work(0.2)


def _with_full_call(target):
    """A frontend whose eventfd is full again as soon as somebody has emptied it, while somebody
    waits for it."""
    call = target.eventfd(blocking=True)

    def come():
        frontend = target.ready()
        frontend.tell(R.SET_VRING_CALL, u64(0), [call])
        return frontend

    frontend = target.until_let_in(come)  # the one before may be found out at any moment
    target.keep_full(call)
    frontend.receive()
    target.work(0.005)
    return frontend


@attack(hold=True)
def full_call_is_replaced(target):
    """An eventfd that its guest fills again and again is replaced while somebody waits for it."""
    for _ in range(2):
        frontend = _with_full_call(target)
        target.attempt(frontend.connection.send, R.SET_VRING_CALL, u64(0),
                       [frontend.rings[0].call])
        target.work()


@attack(hold=True)
def full_call_is_left_behind(target):
    """The same, and its frontend hangs up."""
    for _ in range(2):
        _with_full_call(target).connection.close()
        target.work()


@attack(BREACH, hold=True)
def call_into_a_full_pipe(target):
    """The calls go into a pipe that is full and that nobody reads."""
    frontend = target.ready()
    _, write_end = target.pipe()
    os.set_blocking(write_end, False)
    try:
        while True:
            os.write(write_end, bytes(4096))
    except BlockingIOError:
        os.set_blocking(write_end, True)
    frontend.tell(R.SET_VRING_CALL, u64(0), [write_end])
    frontend.receive()
    target.work(0.2)


@attack(BREACH)
def call_into_its_own_connection(target):
    """The calls come back to the daemon as messages, through a socket of its own."""
    frontend = target.ready()
    frontend.tell(R.SET_VRING_CALL, u64(0), [frontend.connection.socket.fileno()])
    frontend.receive()
    target.work()


@attack()
def calls_changed_under_traffic(target):
    """Both call descriptors are replaced 50 times."""
    frontend = target.ready()
    for _ in range(50):
        for index, ring in enumerate(frontend.rings):
            frontend.tell(R.SET_VRING_CALL, u64(index), [ring.call])
        frontend.receive()


@attack()
def kicks_changed_under_traffic(target):
    """Both kick descriptors are replaced 50 times."""
    frontend = target.ready()
    for _ in range(50):
        for index, ring in enumerate(frontend.rings):
            frontend.tell(R.SET_VRING_KICK, u64(index), [ring.kick])
        frontend.receive()


@attack()
def kick_and_call_taken_away(target):
    """The rings lose their descriptors while they run."""
    frontend = target.ready()
    for request in (R.SET_VRING_CALL, R.SET_VRING_KICK, R.SET_VRING_ERR):
        for index in (0, 1):
            frontend.connection.send(request, u64(index | 0x100), flags=VERSION | NEED_REPLY)
            frontend.connection.receive()
    target.work()


@attack(REFUSED)
def kick_without_descriptor(target):
    """SET_VRING_KICK says that it has a descriptor, and has none."""
    target.refused(target.frontend().connection, R.SET_VRING_KICK, u64(0))


@attack(REFUSED)
def kick_with_eight_descriptors(target):
    """SET_VRING_KICK with eight descriptors."""
    null = target.open("/dev/null", os.O_RDWR)
    target.refused(target.frontend().connection, R.SET_VRING_KICK, u64(0), [null] * 8)


@attack()
def backend_channel_of_strange_files(target):
    """SET_BACKEND_REQ_FD with everything but a socket, over and over."""
    target.in_turn(Frontend.tell, [(R.SET_BACKEND_REQ_FD, b"", [fd])
                                   for fd in _strange_files(target).values() for _ in range(10)])


@attack()
def rings_of_other_numbers(target):
    """Descriptors for rings 2, 127 and 255, which nobody has set up."""
    eventfd = target.eventfd(blocking=False)
    target.in_turn(Frontend.tell, [
        (request, u64(index), [eventfd]) for index in (2, 127, 255)
        for request in (R.SET_VRING_KICK, R.SET_VRING_CALL, R.SET_VRING_ERR)])


@attack()
def ring_numbers_out_of_range(target):
    """Rings 256, 65536 and 2**32 - 1 are sized, based, enabled and stopped."""
    for index in (256, 65536, 0xffffffff):
        for request in (R.SET_VRING_NUM, R.SET_VRING_BASE, R.SET_VRING_ENABLE, R.GET_VRING_BASE):
            connection = target.frontend().connection
            connection.send(request, vring_state(index, 1), flags=VERSION | NEED_REPLY)
            target.answers(connection)
