# SPDX-License-Identifier: BSD-3-Clause
"""Messages: malformed, truncated, out of order, repeated."""

import random
import struct

from catalogue import BREACH, REFUSED, add, attack

from lib.vhostuser import (NEED_REPLY, NO_FD, REPLY, VERSION, F_IOMMU, F_LOG_ALL, F_MQ, F_PACKED,
                           Disconnected, Frontend, Request, inflight, log_base, mem_table, u64,
                           vring_addr, vring_state)
from lib.virtqueue import Memory

R = Request

# A plausible payload for each message of the handshake and of the time after it.
PAYLOADS = {
    R.SET_FEATURES: u64(1 << 32),
    R.SET_MEM_TABLE: mem_table([(0, 1 << 20, 1 << 32, 0)]),
    R.SET_LOG_BASE: log_base(4096),
    R.SET_VRING_NUM: vring_state(0, 64),
    R.SET_VRING_ADDR: vring_addr(0, 0, 0, 0),
    R.SET_VRING_BASE: vring_state(0, 0),
    R.GET_VRING_BASE: vring_state(0, 0),
    R.SET_VRING_KICK: u64(0x100),
    R.SET_VRING_CALL: u64(0x100),
    R.SET_VRING_ERR: u64(0x100),
    R.SET_PROTOCOL_FEATURES: u64(0),
    R.SET_VRING_ENABLE: vring_state(0, 1),
    R.SEND_RARP: u64(0),
    R.NET_SET_MTU: u64(1500),
    R.IOTLB_MSG: bytes(32),
    R.GET_CONFIG: struct.pack("=III", 0, 256, 0) + bytes(256),
    R.SET_CONFIG: struct.pack("=III", 0, 256, 0) + bytes(256),
    R.GET_INFLIGHT_FD: inflight(0, 0, 2, 64),
    R.SET_INFLIGHT_FD: inflight(4096, 0, 2, 64),
    R.SET_STATUS: u64(15),
}


def _truncated(request, payload):
    def run(target):
        connection = target.connect()
        connection.send(request, payload[:-1])
        target.probe(connection)
    return run


def _empty(request):
    def run(target):
        connection = target.frontend().connection
        connection.send(request)
        target.probe(connection)
    return run


def _repeated(request, payload):
    def run(target):
        connection = target.ready().connection

        def say():
            for _ in range(50):
                connection.send(request, payload)

        target.attempt(say)
        target.probe(connection)
    return run


for _request, _payload in PAYLOADS.items():
    _name = _request.name.lower()
    add(f"truncated_{_name}", f"{_request.name} is one byte short of its payload",
        _truncated(_request, _payload))
    add(f"empty_{_name}", f"{_request.name} without its payload", _empty(_request))
    add(f"repeated_{_name}", f"{_request.name} fifty times while the rings run",
        _repeated(_request, _payload))


def _first(request, payload):
    def run(target):
        connection = target.connect()
        connection.send(request, payload, flags=VERSION | NEED_REPLY)
        target.probe(connection)
    return run


for _request in (R.SET_VRING_ADDR, R.SET_VRING_KICK, R.SET_VRING_CALL, R.SET_VRING_ENABLE,
                 R.GET_VRING_BASE, R.SET_LOG_BASE, R.SET_STATUS, R.SEND_RARP, R.IOTLB_MSG,
                 R.SET_INFLIGHT_FD):
    add(f"first_{_request.name.lower()}", f"{_request.name} is the first message of all",
        _first(_request, PAYLOADS[_request]))


@attack(REFUSED)
def request_zero(target):
    """Request number 0."""
    target.refused(target.connect(), 0)


@attack(REFUSED)
def requests_unknown(target):
    """Request numbers that nobody has defined."""
    for number in (41, 99, 1000, 0x7fffffff, 0xffffffff):
        target.refused(target.connect(), number, bytes(8))


@attack()
def wrong_versions(target):
    """Protocol versions 0, 2 and 3."""
    for version in (0, 2, 3):
        connection = target.connect()
        connection.send(R.GET_FEATURES, flags=version)
        target.answers(connection)


@attack()
def reply_as_request(target):
    """Requests that are marked as replies."""
    connection = target.connect()
    connection.send(R.SET_OWNER, flags=VERSION | REPLY | NEED_REPLY)
    target.answers(connection)


@attack(REFUSED)
def size_of_four_gigabytes(target):
    """The header announces 4 GiB of payload."""
    target.hung_up_on(target.connect(), R.SET_FEATURES, bytes(8), size=0xffffffff)


@attack(REFUSED)
def size_beyond_any_message(target):
    """A payload of 4 KiB, all of it sent."""
    target.hung_up_on(target.connect(), R.SET_FEATURES, bytes(4096))


@attack()
def payload_too_long(target):
    """Eight bytes more than each message has."""
    for request, payload in PAYLOADS.items():
        connection = target.connect()
        connection.send(request, payload + bytes(8))
        target.probe(connection)


@attack()
def dribbled_header(target):
    """A header in single bytes."""
    connection = target.connect()
    for byte in struct.pack("=III", R.GET_FEATURES, VERSION, 0):
        connection.send_bytes(bytes([byte]))
    target.answers(connection)


@attack()
def half_header_then_gone(target):
    """Six bytes, then the end of the connection."""
    connection = target.connect()
    connection.send_bytes(bytes(6))
    connection.close()


@attack()
def no_payload_then_gone(target):
    """A header alone, then the end of the connection."""
    connection = target.connect()
    connection.send(R.SET_FEATURES, size=8)
    connection.close()


@attack(hold=True)
def half_header_then_silence(target):
    """Six bytes of a header, and the connection stays open."""
    target.connect().send_bytes(struct.pack("=IH", R.SET_FEATURES, 1))


@attack(hold=True)
def no_payload_then_silence(target):
    """A header that announces eight bytes, which never come; the connection stays open."""
    target.connect().send(R.SET_FEATURES, size=8)


@attack(hold=True)
def half_payload_then_silence(target):
    """Half of a memory table, with its descriptors, and the connection stays open."""
    frontend = target.frontend()
    table = mem_table([region.entry() for region in frontend.memory.regions])
    frontend.connection.send(R.SET_MEM_TABLE, table[:20],
                             [region.fd for region in frontend.memory.regions], size=len(table))


@attack(hold=True)
def silence_while_running(target):
    """A running guest sends half a message and is silent from then on."""
    target.ready().connection.send(R.SET_VRING_ENABLE, size=8)


@attack(hold=True)
def answers_never_read(target):
    """Questions without end, and nobody reads the answers."""
    target.flood(target.connect(), R.GET_FEATURES)


@attack(hold=True)
def acknowledgements_never_read(target):
    """A running guest asks for acknowledgements, which take the rings' locks, and reads none."""
    target.flood(target.ready().connection, R.SET_VRING_ENABLE, vring_state(0, 1),
                 flags=VERSION | NEED_REPLY)


@attack()
def garbage(target):
    """4 KiB of random bytes instead of a handshake, ten times."""
    for seed in range(10):
        connection = target.connect()
        connection.send_bytes(random.Random(seed).randbytes(4096))


@attack()
def garbage_while_running(target):
    """4 KiB of random bytes from a running guest."""
    target.ready().connection.send_bytes(random.Random(7).randbytes(4096))


@attack()
def zeros(target):
    """64 KiB of zeros."""
    target.attempt(target.connect().send_bytes, bytes(65536))


@attack()
def random_messages(target):
    """Well-formed messages with random contents, in random order, to running guests."""
    for seed in range(8):
        chance = random.Random(seed)
        connection = target.ready().connection
        try:
            for _ in range(100):
                request = chance.choice(list(PAYLOADS))
                payload = bytearray(PAYLOADS[request])
                for _ in range(chance.randrange(3)):
                    payload[chance.randrange(len(payload))] = chance.choice((0, 1, 127, 255))
                connection.send(request, bytes(payload), flags=VERSION | NEED_REPLY)
        except (Disconnected, TimeoutError):
            continue


@attack()
def every_request_in_order(target):
    """Every request number from 1 to 40 with eight zero bytes, each on a guest that runs."""
    def say(frontend, number):
        frontend.connection.send(number, bytes(8), flags=VERSION | NEED_REPLY)
        frontend.connection.receive()

    target.in_turn(say, [(number,) for number in range(1, 41)])


@attack(BREACH)
def handshake_backwards(target):
    """Enable, kick, call, address, base, size, memory, features: in that order."""
    frontend = target.frontend()
    c, ring = frontend.connection, frontend.rings[0]
    desc, used, avail = (frontend.memory.uva(part) for part in ring.parts())
    c.send(R.SET_VRING_ENABLE, vring_state(0, 1))
    c.send(R.SET_VRING_KICK, u64(0), [ring.kick])
    c.send(R.SET_VRING_CALL, u64(0), [ring.call])
    c.send(R.SET_VRING_ADDR, vring_addr(0, desc, used, avail))
    c.send(R.SET_VRING_BASE, vring_state(0, 0))
    c.send(R.SET_VRING_NUM, vring_state(0, ring.size))
    c.send(R.SET_MEM_TABLE, mem_table([r.entry() for r in frontend.memory.regions]),
           [r.fd for r in frontend.memory.regions])
    c.ask(R.GET_FEATURES)


@attack(REFUSED)
def features_not_offered(target):
    """Every feature bit that there is."""
    target.refused(target.connect(), R.SET_FEATURES, u64(~0))


@attack(REFUSED)
def protocol_features_not_offered(target):
    """Every protocol feature bit that there is."""
    target.refused(target.frontend().connection, R.SET_PROTOCOL_FEATURES, u64(~0))


@attack(REFUSED)
def features_refused_then_rings_outside(target):
    """Features are refused that would excuse rings from lying in memory; then one lies at its end."""
    frontend = target.frontend()
    target.refused(frontend.connection, R.SET_FEATURES, u64(frontend.features | F_IOMMU))
    end = frontend.memory.uva(frontend.memory.end(0) - 1) + 1

    def use_it():
        frontend.share_memory().post()
        for index in (0, 1):
            frontend.start_ring(index, used=end - 8)
        frontend.enable_rings()
        target.work(0.2)

    target.attempt(use_it)


@attack(REFUSED)
def features_changed_while_running(target):
    """Split rings become packed ones under way."""
    frontend = target.ready()
    target.refused(frontend.connection, R.SET_FEATURES, u64(frontend.features | F_PACKED))


@attack()
def packed_after_split_rings_were_sized(target):
    """The ring is sized as a split one, then negotiated as a packed one, whose records are larger."""
    frontend = target.frontend(queue_size=32)
    frontend.share_memory()
    for index in (0, 1):
        frontend.tell(R.SET_VRING_NUM, vring_state(index, 32))
    frontend.tell(R.SET_FEATURES, u64(frontend.features | F_PACKED))
    for index in (0, 1):
        frontend.start_ring(index, sized=False, base=1 << 15)
    frontend.enable_rings()
    for index in range(32):
        frontend.memory.write(frontend.rx().desc + 16 * index, struct.pack(
            "=QIHH", frontend.memory.regions[1].gpa, 2048, index, 0x82))
    target.work()


@attack()
def queues_dropped_while_logging_starts(target):
    """16 rings, and 256, without MQ; the change of LOG_ALL then frees all but two of a running
    guest."""
    for rings in (16, 256):
        frontend = target.ready(features=target.FEATURES & ~F_MQ)

        def start_logging():
            frontend.tell(R.SET_VRING_CALL, u64(NO_FD | rings - 1))
            for _ in range(5):
                frontend.tell(R.SET_FEATURES, u64(frontend.features | F_LOG_ALL))
                frontend.tell(R.SET_FEATURES, u64(frontend.features))

        target.attempt(start_logging)


@attack()
def owner_reset_while_running(target):
    """RESET_OWNER twenty times, rings and all started anew after each; twenty times more with the
    rings stopped before."""
    def reset(frontend, stop):
        if stop:
            frontend.stop()
        frontend.connection.send(R.RESET_OWNER)
        frontend.connection.send(R.SET_FEATURES, u64(frontend.features))
        frontend.protocol = 0
        frontend.share_memory().set_up_rings().enable_rings()
        frontend.connection.ask(R.GET_FEATURES)

    target.in_turn(reset, [(False,)] * 20 + [(True,)] * 20)


@attack()
def owner_reset_leaks(target):
    """Rings of 4096 and of 32768 descriptors, forgotten by RESET_OWNER, 100 times each."""
    def forget(frontend, size):
        for index in (0, 1):
            frontend.connection.send(R.SET_VRING_NUM, vring_state(index, size))
        frontend.connection.send(R.RESET_OWNER)
        frontend.connection.ask(R.GET_FEATURES)

    target.in_turn(forget, [(4096,), (32768,)] * 100, make=target.frontend)


@attack()
def configuration_beyond_its_end(target):
    """GET_CONFIG and SET_CONFIG with offsets and sizes beyond the configuration."""
    for request in (R.GET_CONFIG, R.SET_CONFIG):
        for offset, size in ((0, 0xffffffff), (0xffffffff, 256), (255, 256), (0, 257)):
            connection = target.frontend().connection
            connection.send(request, struct.pack("=III", offset, size, 0) + bytes(256),
                            flags=VERSION | NEED_REPLY)
            target.answers(connection)


@attack(REFUSED)
def status_of_nine_bits(target):
    """A device status that does not fit into a byte."""
    target.refused(target.frontend().connection, R.SET_STATUS, u64(0x100))


@attack()
def status_reset_while_running(target):
    """The driver resets the device and claims to be ready again, without touching the rings."""
    frontend = target.ready()
    for status in (0, 1, 3, 11, 15, 0x80, 0, 15):
        frontend.connection.send(R.SET_STATUS, u64(status))
    frontend.connection.send(R.GET_STATUS)
    target.answers(frontend.connection)


@attack(REFUSED)
def mtu_out_of_range(target):
    """MTUs of 0, 67, 65536 and 2**64 - 1."""
    for mtu in (0, 67, 65536, -1):
        target.refused(target.frontend().connection, R.NET_SET_MTU, u64(mtu))


@attack()
def translations_without_iommu(target):
    """IOTLB updates and invalidations that nobody asked for, of ranges that overflow."""
    target.in_turn(Frontend.tell, [
        (R.IOTLB_MSG, struct.pack("=QQQBB", iova, size, uva, 3, kind) + bytes(6))
        for kind in (2, 3, 1, 4, 255)
        for iova, size, uva in ((0, 1 << 63, Memory.UVA), (1 << 63, 1 << 63, 0),
                                (Memory.GPA, 4096, Memory.UVA))])


@attack()
def crypto_on_a_network_device(target):
    """Sessions of a device that this is not."""
    for request in (R.CREATE_CRYPTO_SESSION, R.CLOSE_CRYPTO_SESSION, R.GPU_SET_SOCKET):
        connection = target.frontend().connection
        connection.send(request, bytes(200), flags=VERSION | NEED_REPLY)
        target.answers(connection)


@attack()
def inflight_buffer_too_small(target):
    """SET_INFLIGHT_FD: one page for two rings of 65535 descriptors, each of which is written to."""
    frontend = target.frontend()
    connection = frontend.connection
    connection.send(R.SET_VRING_NUM, vring_state(1, 64))
    connection.send(R.SET_INFLIGHT_FD, inflight(4096, 0, 2, 65535), [target.memfd(4096)],
                    flags=VERSION | NEED_REPLY)
    target.answers(connection)


@attack()
def inflight_buffer_of_an_empty_file(target):
    """SET_INFLIGHT_FD with a file that has no bytes: touching it is a bus error."""
    connection = target.frontend().connection
    connection.send(R.SET_INFLIGHT_FD, inflight(4096, 0, 1, 64), [target.memfd(0)],
                    flags=VERSION | NEED_REPLY)
    target.answers(connection)


@attack()
def inflight_buffer_of_a_quarter_gigabyte(target):
    """GET_INFLIGHT_FD for 256 queues of 65535 descriptors: memory in the daemon's name."""
    connection = target.frontend().connection
    connection.send(R.GET_INFLIGHT_FD, inflight(0, 0, 256, 65535), flags=VERSION | NEED_REPLY)
    target.answers(connection)


@attack()
def inflight_of_no_queues(target):
    """SET_INFLIGHT_FD and GET_INFLIGHT_FD for no queue at all and for 65535."""
    for queues in (0, 65535):
        for request in (R.SET_INFLIGHT_FD, R.GET_INFLIGHT_FD):
            connection = target.frontend().connection
            fds = [target.memfd(4096)] if request == R.SET_INFLIGHT_FD else []
            connection.send(request, inflight(4096, 0, queues, 1), fds,
                            flags=VERSION | NEED_REPLY)
            target.answers(connection)
