/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Closes what a frontend has sent, or may have. close() of a file on FUSE or NFS waits for its file
 * server, for as long as that likes and deaf to signals; and the frontend may run that server. The
 * same goes for a socket with such a file in a message that nobody has read. So a thread of the
 * closer's waits, one at a time. Any thread.
 */

#include <stdbool.h>

/* How many descriptors may wait to be closed: whoever uses a closer that is busy sees to it. */
#define GATE_CLOSER_MAX 128

struct gate_closer;

/* NULL when out of memory. */
struct gate_closer *gate_closer_new(void);

/* What is left is closed all the same. `closer` may be NULL; nobody uses it any more. Returns NULL.
 */
struct gate_closer *gate_closer_free(struct gate_closer *closer);

/* Takes ownership of the descriptor. Waits only if no thread can be made. */
void gate_closer_close(struct gate_closer *closer, int fd);

/* The same for a connected socket. Its peer notices at once. */
void gate_closer_hang_up(struct gate_closer *closer, int fd);

/* True until all is closed. */
bool gate_closer_is_busy(struct gate_closer *closer);
