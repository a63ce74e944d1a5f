/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The gate between frontends and DPDK's vhost library.
 *
 * Theory. The library reads its connections one after the other in one thread, and blocks where a
 * message is unfinished or an answer is not read, in places while it holds the locks of rings that
 * workers wait for. So one frontend could stop every other one, and the packets of its neighbours.
 * And it believes more than it checks (gate_rules.h). Therefore frontends do not talk to the
 * library: the gate has their socket, reads every message to its end, judges it, and only then
 * hands it on, over a connection of its own, with one unanswered message at a time: it has the
 * library answer each, and where that refuses one, the connection ends. It never waits for anybody.
 * The packets know nothing of it. One thread serves all gates: gatekeeper.h.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct gate;
struct gatekeeper;

/* What a look at the eventfds by which a guest is called finds. */
enum gate_calls {
	GATE_NO_CALLS,     /* nobody may write to one */
	GATE_CALLS,        /* somebody may */
	GATE_CALL_BLOCKED, /* one was full, which has been emptied: somebody was waiting */
};

struct gate_options {
	const char *path; /* of the socket that frontends know */
	bool client;      /* true: the frontend listens there, and we connect again and again */
	uid_t uid;        /* owner of the socket in server mode, (uid_t)-1 to leave it */
	gid_t gid;
	/* An O_PATH descriptor of the socket on which the library listens; the file may be gone.
	 * The gate's own once gate_open() has succeeded. */
	int library_socket;
	/* Looks at the guest's call eventfds and empties those that are full. The gatekeeper's
	 * thread, until gate_close(); does not wait. */
	enum gate_calls (*relieve)(void *userdata);
	void *userdata;
};

/*
 * Opens a gate. In server mode a file that a dead daemon left is replaced and a live one refused;
 * the new one gets its owner, and mode 0660. Control thread; does not block.
 */
int gate_open(struct gate **ret_gate, struct gatekeeper *keeper, const struct gate_options *options,
	struct err *err);

/*
 * Ends every connection, lets nobody in any more and removes the socket's file in server mode. The
 * library hears of it in its own thread; until it has let go, the guest's call eventfds are looked
 * at. NULL is fine. Control thread; does not block.
 */
void gate_hang_up(struct gate *gate);

/* Hangs up, if that was not done, and frees it: the library has let go. Control thread; does not
 * block. Returns NULL. */
struct gate *gate_close(struct gate *gate);
