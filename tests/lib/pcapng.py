# SPDX-License-Identifier: BSD-3-Clause
"""Reads pcapng files (draft-ietf-opsawg-pcapng) of this machine's byte order with times in
nanoseconds; Debian 12's scapy does not tell the interface of a packet."""

import struct
from collections import namedtuple

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6
NAME, RESOLUTION, RECEIVED, DROPPED = 2, 9, 4, 5

Packet = namedtuple("Packet", "interface time_ns length frame")


def _blocks(data):
    at = 0
    while at < len(data):
        kind, total = struct.unpack_from("=II", data, at)
        assert total % 4 == 0 and total >= 12 and at + total <= len(data), "a block that ends early"
        assert struct.unpack_from("=I", data, at + total - 4) == (total,)
        yield kind, data[at + 8:at + total - 4]
        at += total


def _options(data):
    options = {}
    while data:
        code, length = struct.unpack_from("=HH", data)
        if code == 0:
            break
        options[code] = data[4:4 + length]
        data = data[4 + (length + 3 & ~3):]
    return options


def read(path):
    """Returns ([Packet], {interface: (received, dropped)}); fails if the file is not complete."""
    packets, statistics, names = [], {}, []
    for i, (kind, body) in enumerate(_blocks(path.read_bytes())):
        assert (kind == SECTION) == (i == 0)
        if kind == SECTION:
            assert struct.unpack_from("=IHH", body) == (0x1A2B3C4D, 1, 0)
        elif kind == INTERFACE:
            options = _options(body[8:])
            assert struct.unpack_from("=H", body) == (1,) and options[RESOLUTION] == b"\x09"
            names.append(options[NAME].decode())
        elif kind == PACKET:
            interface, high, low, kept, length = struct.unpack_from("=IIIII", body)
            packets.append(Packet(names[interface], high << 32 | low, length, body[20:20 + kept]))
        elif kind == STATISTICS:
            interface, = struct.unpack_from("=I", body)
            options = _options(body[12:])
            statistics[names[interface]] = tuple(
                struct.unpack("=Q", options[code])[0] for code in (RECEIVED, DROPPED))
    return packets, statistics
