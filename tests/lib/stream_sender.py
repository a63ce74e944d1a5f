# SPDX-License-Identifier: BSD-3-Clause
"""stream_sender.py ADDRESS PORT: sends random bytes over TCP until a line arrives on standard
input. Then it closes the connection and prints the number of bytes and their SHA-256 sum. Fails if
the connection does."""

import hashlib
import os
import select
import socket
import sys

BLOCKS = [os.urandom(65536) for _ in range(16)]

with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as connection:
    connection.settimeout(30)
    print("connected", flush=True)
    digest, sent = hashlib.sha256(), 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        block = BLOCKS[sent // 65536 % len(BLOCKS)]
        connection.sendall(block)
        digest.update(block)
        sent += len(block)
print(f"sent {sent} {digest.hexdigest()}", flush=True)
