# SPDX-License-Identifier: BSD-3-Clause
"""A vhost-user frontend by hand.

Connection sends and receives messages, well-formed or not. Frontend is an honest virtio-net driver
on the memory and rings of virtqueue.py; a test that wants to misbehave uses it as far as it is
useful and continues by hand. Needs nothing but Python. Messages, flags and fields have the names of
the vhost-user and virtio 1.2 specifications."""

import array
import enum
import mmap
import os
import select
import socket
import struct
import time
from dataclasses import dataclass, field

from lib.virtqueue import Memory, PackedRing, SplitRing, memfd

# Feature bits (virtio-net, virtio, vhost).
F_CSUM, F_GUEST_CSUM, F_MTU, F_MAC = 1 << 0, 1 << 1, 1 << 3, 1 << 5
F_GUEST_TSO4, F_GUEST_TSO6, F_HOST_TSO4, F_HOST_TSO6 = 1 << 7, 1 << 8, 1 << 11, 1 << 12
F_GUEST_UFO, F_HOST_ECN, F_HOST_UFO = 1 << 10, 1 << 13, 1 << 14
F_MRG_RXBUF, F_CTRL_VQ, F_MQ = 1 << 15, 1 << 17, 1 << 22
F_LOG_ALL, F_INDIRECT, F_EVENT_IDX, F_PROTOCOL = 1 << 26, 1 << 28, 1 << 29, 1 << 30
F_VERSION_1, F_IOMMU, F_PACKED, F_IN_ORDER = 1 << 32, 1 << 33, 1 << 34, 1 << 35

# Protocol feature bits.
P_MQ, P_LOG_SHMFD, P_RARP, P_REPLY_ACK, P_NET_MTU = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4
P_BACKEND_REQ, P_STATUS = 1 << 5, 1 << 16

VERSION, REPLY, NEED_REPLY = 1, 1 << 2, 1 << 3  # message flags
NO_FD = 1 << 8  # in the payload of SET_VRING_KICK, _CALL and _ERR
LOG_PAGE = 4096  # bytes of guest memory per bit of the dirty log
VRING_F_LOG = 1  # flag of SET_VRING_ADDR

BUFFER_BYTES = 2048
HEADER_VERSION_1, HEADER_LEGACY = 12, 10  # bytes of struct virtio_net_hdr


class Request(enum.IntEnum):
    GET_FEATURES = 1
    SET_FEATURES = 2
    SET_OWNER = 3
    RESET_OWNER = 4
    SET_MEM_TABLE = 5
    SET_LOG_BASE = 6
    SET_LOG_FD = 7
    SET_VRING_NUM = 8
    SET_VRING_ADDR = 9
    SET_VRING_BASE = 10
    GET_VRING_BASE = 11
    SET_VRING_KICK = 12
    SET_VRING_CALL = 13
    SET_VRING_ERR = 14
    GET_PROTOCOL_FEATURES = 15
    SET_PROTOCOL_FEATURES = 16
    GET_QUEUE_NUM = 17
    SET_VRING_ENABLE = 18
    SEND_RARP = 19
    NET_SET_MTU = 20
    SET_BACKEND_REQ_FD = 21
    IOTLB_MSG = 22
    SET_VRING_ENDIAN = 23
    GET_CONFIG = 24
    SET_CONFIG = 25
    CREATE_CRYPTO_SESSION = 26
    CLOSE_CRYPTO_SESSION = 27
    POSTCOPY_ADVISE = 28
    POSTCOPY_LISTEN = 29
    POSTCOPY_END = 30
    GET_INFLIGHT_FD = 31
    SET_INFLIGHT_FD = 32
    GPU_SET_SOCKET = 33
    RESET_DEVICE = 34
    VRING_KICK = 35
    GET_MAX_MEM_SLOTS = 36
    ADD_MEM_REG = 37
    REM_MEM_REG = 38
    SET_STATUS = 39
    GET_STATUS = 40


class Refused(Exception):
    """The backend has answered a message with a failure."""


class Disconnected(Exception):
    """The backend has closed the connection."""


@dataclass
class Message:
    request: int
    flags: int
    payload: bytes
    fds: list = field(default_factory=list)

    @property
    def u64(self):
        return struct.unpack_from("=Q", self.payload)[0]


class Connection:
    """A connection to a backend. send() sends anything; call() and ask() follow the protocol."""

    def __init__(self, sock, timeout=5):
        self.socket = sock
        self.timeout = timeout
        sock.settimeout(timeout)

    @classmethod
    def connect(cls, path, timeout=5):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        try:
            sock.connect(str(path))
        except BaseException:
            sock.close()
            raise
        return cls(sock, timeout)

    @classmethod
    def accept(cls, listener, timeout=10):
        """Accepts a backend in client mode. listener: a listening socket."""
        listener.settimeout(timeout)
        return cls(listener.accept()[0])

    def send_bytes(self, data, fds=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            sent = self.socket.sendmsg([data], rights)
            if sent < len(data):
                self.socket.sendall(data[sent:])
        except (BrokenPipeError, ConnectionResetError):
            raise Disconnected from None

    def send(self, request, payload=b"", fds=(), flags=VERSION, size=None):
        """Sends one message. size: what its header says, if that is not the payload's size."""
        size = len(payload) if size is None else size
        self.send_bytes(struct.pack("=III", request, flags, size) + payload, fds)

    def _receive_exactly(self, count):
        data = b""
        while len(data) < count:
            try:
                more = self.socket.recv(count - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                raise Disconnected
            data += more
        return data

    def receive(self):
        """Receives the next message of the backend; the caller owns its descriptors."""
        fds = array.array("i")
        try:
            head, ancillary, *_ = self.socket.recvmsg(12, socket.CMSG_SPACE(8 * fds.itemsize))
        except ConnectionResetError:
            head, ancillary = b"", []
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
        if not head:
            raise Disconnected
        head += self._receive_exactly(12 - len(head))
        request, flags, size = struct.unpack("=III", head)
        return Message(request, flags, self._receive_exactly(size), list(fds))

    def ask(self, request, payload=b"", fds=()):
        """Sends a request that has an answer of its own; returns the answer."""
        self.send(request, payload, fds)
        return self.receive()

    def call(self, request, payload=b"", fds=(), **options):
        """Sends a request and waits until it is done (REPLY_ACK); raises Refused if it failed."""
        self.send(request, payload, fds, flags=VERSION | NEED_REPLY, **options)
        if self.receive().u64 != 0:
            raise Refused(getattr(request, "name", request))

    def closed_by_peer(self, timeout=2):
        """Whether the backend closes the connection in time; what it sends before that is
        discarded."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.socket], [], [], left)[0]:
                return False
            try:
                if not self.socket.recv(65536):
                    return True
            except ConnectionResetError:
                return True
        return False

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def u64(value):
    return struct.pack("=Q", value & (1 << 64) - 1)


def vring_state(index, value):
    return struct.pack("=II", index & 0xffffffff, value & 0xffffffff)


def vring_addr(index, desc, used, avail, log=0, flags=0):
    """The addresses are uvas; log is a gpa."""
    return struct.pack("=IIQQQQ", index, flags, desc, used, avail, log)


def mem_table(entries, count=None):
    """entries: (gpa, size, uva, offset in the file) of each region."""
    count = len(entries) if count is None else count
    mask = (1 << 64) - 1
    return struct.pack("=II", count & 0xffffffff, 0) + b"".join(
        struct.pack("=QQQQ", *(value & mask for value in entry)) for entry in entries)


def log_base(size, offset=0):
    return struct.pack("=QQ", size & (1 << 64) - 1, offset & (1 << 64) - 1)


def inflight(size, offset, queues, queue_size):
    return struct.pack("=QQHH", size & (1 << 64) - 1, offset & (1 << 64) - 1, queues, queue_size)


class Frontend:
    """A virtio-net driver on a vhost-user socket. The steps of start() are methods, so that a
    caller may omit or repeat one, or put something in between."""

    FEATURES = F_VERSION_1 | F_PROTOCOL | F_MRG_RXBUF | F_INDIRECT
    PROTOCOL = P_MQ | P_LOG_SHMFD | P_RARP | P_REPLY_ACK | P_NET_MTU

    def __init__(self, path, packed=False, features=FEATURES, protocol=PROTOCOL, queue_pairs=1,
                 queue_size=64, memory=None, enabled=None, called=True, connection=None):
        """features, protocol: accepted if offered. enabled: queue pairs to enable at start; None:
        all. called: whether rings are started with an eventfd to be called by. connection: an
        existing connection."""
        self.path, self.queue_pairs, self.queue_size = path, queue_pairs, queue_size
        self.features = features | (F_PACKED if packed else 0)
        self.features |= F_MQ if queue_pairs > 1 else 0
        self.protocol, self.called = protocol, called
        self.enabled = set(range(queue_pairs)) if enabled is None else set(enabled)
        self.memory = memory or Memory((1 << 20, 4 * queue_pairs << 20))
        self.connection = connection
        self._posted = {}  # (queue pair, id): gpa of a receive buffer
        self._sent = {}    # (queue pair, id): gpa of a transmit buffer
        self._buffers = []
        self.log = None
        ring = PackedRing if packed else SplitRing
        self.rings = [ring(self.memory, queue_size) for _ in range(2 * queue_pairs)]

    def rx(self, queue=0):
        return self.rings[2 * queue]

    def tx(self, queue=0):
        return self.rings[2 * queue + 1]

    # The handshake, in the order of start().

    def connect(self):
        if self.connection is None:
            self.connection = Connection.connect(self.path)
        return self

    def negotiate(self):
        c = self.connection
        offered = c.ask(Request.GET_FEATURES).u64
        self.features &= offered
        c.send(Request.SET_OWNER)
        if offered & F_PROTOCOL:
            self.protocol &= c.ask(Request.GET_PROTOCOL_FEATURES).u64
            c.send(Request.SET_PROTOCOL_FEATURES, u64(self.protocol))
        else:
            self.protocol = 0
        self.tell(Request.SET_FEATURES, u64(self.features))
        return self

    @property
    def header_bytes(self):
        return (HEADER_VERSION_1 if self.features & (F_VERSION_1 | F_MRG_RXBUF | F_PACKED)
                else HEADER_LEGACY)

    def tell(self, request, payload=b"", fds=(), **options):
        """Sends a message, and waits for its acknowledgement if that was negotiated."""
        method = self.connection.call if self.protocol & P_REPLY_ACK else self.connection.send
        method(request, payload, fds, **options)

    def share_memory(self, regions=None):
        regions = self.memory.regions if regions is None else regions
        self.tell(Request.SET_MEM_TABLE, mem_table([r.entry() for r in regions]),
                  [r.fd for r in regions])
        return self

    def set_ring_addr(self, index, **fields):
        ring = self.rings[index]
        desc, used, avail = (self.memory.uva(part) for part in ring.parts())
        fields = {"desc": desc, "used": used, "avail": avail, **fields}
        self.tell(Request.SET_VRING_ADDR, vring_addr(index, **fields))

    def start_ring(self, index, sized=True, base=None, **addr):
        """base and the fields of SET_VRING_ADDR: to replace the ring's own."""
        ring = self.rings[index]
        if sized:
            self.tell(Request.SET_VRING_NUM, vring_state(index, ring.size))
        self.tell(Request.SET_VRING_BASE, vring_state(index, ring.base if base is None else base))
        self.set_ring_addr(index, **addr)
        if self.called:
            self.tell(Request.SET_VRING_CALL, u64(index), [ring.call])
        self.tell(Request.SET_VRING_KICK, u64(index), [ring.kick])

    def enable_ring(self, index, on=True):
        self.tell(Request.SET_VRING_ENABLE, vring_state(index, int(on)))

    def enable(self, queue, on=True):
        """Enables or disables a queue pair."""
        self.enable_ring(2 * queue, on)
        self.enable_ring(2 * queue + 1, on)

    def set_up_rings(self):
        for index in range(len(self.rings)):
            self.start_ring(index)
        return self

    def enable_rings(self):
        for queue in sorted(self.enabled):
            self.enable(queue)
        if self.protocol & P_STATUS:
            self.tell(Request.SET_STATUS, u64(0x0f))
        return self

    def start(self):
        """Returns with the rings running and receive buffers posted."""
        self.connect().negotiate().share_memory()
        for queue in range(self.queue_pairs):
            self.post(queue)
        return self.set_up_rings().enable_rings()

    # Packets.

    def _buffer(self):
        if not self._buffers:
            return self.memory.alloc(BUFFER_BYTES, 64, -1)
        return self._buffers.pop()

    def post(self, queue=0, count=None, size=BUFFER_BYTES):
        """Offers receive buffers: by default one less than the ring holds."""
        ring = self.rx(queue)
        count = ring.size - 1 if count is None else count
        for _ in range(count):
            gpa = self._buffer()
            self._posted[queue, ring.offer([(gpa, size, True)])] = gpa

    def send(self, frame, queue=0, header=None, parts=1):
        """Puts a frame on a transmit ring, in so many buffers; returns its id."""
        self.reclaim(queue)
        ring, gpa = self.tx(queue), self._buffer()
        data = (bytes(self.header_bytes) if header is None else header) + frame
        self.memory.write(gpa, data)
        step = -(-len(data) // parts)
        chain = [(gpa + at, min(step, len(data) - at), False) for at in range(0, len(data), step)]
        chain_id = ring.offer(chain)
        self._sent[queue, chain_id] = gpa
        ring.notify()
        return chain_id

    def reclaim(self, queue=0):
        """Reclaims sent frames from the ring; returns how many."""
        returned = self.tx(queue).take_used()
        self._buffers += [self._sent.pop((queue, chain_id)) for chain_id, _ in returned]
        return len(returned)

    def under_way(self):
        """How many frames the device has not returned yet."""
        return len(self._sent)

    def wait_sent(self, queue=0, timeout=5):
        """Waits until the device has returned every frame."""
        deadline = time.monotonic() + timeout
        while self.reclaim(queue) or any(q == queue for q, _ in self._sent):
            if time.monotonic() > deadline:
                raise AssertionError(f"queue {queue}: frames not taken within {timeout} s")
            time.sleep(0.001)

    def receive(self, queue=0, repost=True):
        """Takes the frames that have arrived, [(header, frame)]; their buffers are offered again."""
        returned = [(self._posted.pop((queue, chain_id)), length)
                    for chain_id, length in self.rx(queue).take_used()]
        frames, pieces, wanted = [], [], 0
        for gpa, length in returned:
            pieces.append(self.memory.read(gpa, length))
            self._buffers.append(gpa)
            if wanted == 0:
                wanted = (struct.unpack_from("=H", pieces[0], 10)[0]
                          if self.features & F_MRG_RXBUF else 1)
            wanted -= 1
            if wanted == 0:
                data = b"".join(pieces)
                frames.append((data[:self.header_bytes], data[self.header_bytes:]))
                if repost:
                    self.post(queue, len(pieces))
                pieces = []
        return frames

    def wait_frames(self, count, queue=0, timeout=5, repost=True):
        """Receives until so many frames have arrived."""
        deadline = time.monotonic() + timeout
        frames = self.receive(queue, repost)
        while len(frames) < count:
            if time.monotonic() > deadline:
                raise AssertionError(f"queue {queue}: {len(frames)} of {count} frames "
                                     f"within {timeout} s")
            time.sleep(0.001)
            frames += self.receive(queue, repost)
        return frames

    # Migration, and the end.

    def resume(self, bases):
        """Continues with the same memory and rings on a new connection, where stop() has left off."""
        self.connection.close()
        self.connection = None
        self.connect().negotiate().share_memory()
        for index, base in enumerate(bases):
            self.start_ring(index, base=base)
        return self.enable_rings()

    def start_log(self, size=None):
        """As at the start of a migration: dirty pages are logged from now on. Returns the payload of
        the answer to SET_LOG_BASE."""
        size = size or -(-self.memory.end() // LOG_PAGE // 8 // 4096) * 4096
        fd = memfd(size, "log")
        self.log = mmap.mmap(fd, size)
        reply = self.connection.ask(Request.SET_LOG_BASE, log_base(size), [fd])
        assert reply.request == Request.SET_LOG_BASE, reply
        os.close(fd)
        self.features |= F_LOG_ALL
        self.tell(Request.SET_FEATURES, u64(self.features))
        for index, ring in enumerate(self.rings):
            self.set_ring_addr(index, log=ring.parts()[1], flags=VRING_F_LOG)
        return reply.payload

    def stop_log(self):
        self.features &= ~F_LOG_ALL
        self.tell(Request.SET_FEATURES, u64(self.features))
        for index in range(len(self.rings)):
            self.set_ring_addr(index)

    def take_dirty(self):
        """The gpas of the pages written since the last call."""
        bits = self.log[:]
        pages = {LOG_PAGE * (8 * at + bit) for at, byte in enumerate(bits) if byte
                 for bit in range(8) if byte >> bit & 1}
        self.log[:] = bytes(len(bits))
        return pages

    def stop_ring(self, index):
        """Stops a ring; returns where the backend stopped (SET_VRING_BASE of the next start)."""
        reply = self.connection.ask(Request.GET_VRING_BASE, vring_state(index, 0))
        return struct.unpack("=II", reply.payload)[1]

    def stop(self):
        """As at the end of a VM: disables and stops every ring. Returns their bases."""
        for queue in range(self.queue_pairs):
            self.enable(queue, False)
        return [self.stop_ring(index) for index in range(len(self.rings))]

    def close(self):
        if self.connection:
            self.connection.close()
        for ring in self.rings:
            ring.close()
        if self.log:
            self.log.close()
        self.memory.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
