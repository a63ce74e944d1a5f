/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * KeptPorts, the list from which a daemon that is started again restores its relays, <-> operations
 * that add them. Pure; any thread.
 */

#include "base/err.h"
#include "control/op.h"
#include "wire/message.h"

/* The longest list of RELAYS_MAX relays, amply. */
#define KEPT_PORTS_BYTES_MAX (512 * 1024)

/* The ops are ADD or ADD_SOCK, with the id of the relay in either case. 0 or -ENOMEM. */
int kept_ports_encode(const struct op *ops, unsigned n, struct wire_message *ret_message);

/*
 * Returns the number of ops, which keep every promise of op.h and are as for kept_ports_encode().
 * Ports that could not be requested so, as from another version, are left out: *ret_n_refused of
 * them, and `err` says why the last is. A negative errno if the list is none, or not all of one.
 */
int kept_ports_decode(const void *data, size_t length, struct op ret_ops[static RELAYS_MAX],
	unsigned *ret_n_refused, struct err *err);
