/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The gate between frontends and DPDK's vhost library.
 *
 * Theory. The library reads all of its connections in one thread, one after the other. It blocks
 * when a message is incomplete or an answer is not read, in some places with ring locks held. So
 * one frontend could stop all others. It also believes more than it checks (gate_rules.h).
 * Therefore frontends do not talk to the library. The gate has their socket, reads each message to
 * its end, judges it, and only then hands it on, over a connection of its own. At most one message
 * per connection is unanswered: the gate has the library answer every message, and if the library
 * refuses one, the connection ends. The gate never waits for anybody. Packets do not pass through
 * it. One thread serves all gates: gatekeeper.h.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct gate;
struct gatekeeper;

/* What a look at the eventfds by which a guest is called finds. */
enum gate_calls {
	GATE_NO_CALLS,     /* none is in use */
	GATE_CALLS,        /* some are in use */
	GATE_CALL_BLOCKED, /* one was full and has been emptied: somebody was waiting */
};

struct gate_options {
	unsigned relay_id; /* of the relay, which must have no other gate */
	const char *path;  /* of the socket that frontends know; valid until gate_close() */
	bool client;       /* true: the frontend listens there, and we connect again and again */
	uid_t uid;         /* owner of the socket in server mode, (uid_t)-1 to leave it */
	gid_t gid;
	/*
	 * An O_PATH descriptor of the socket on which the library listens; its file may be gone.
	 * Owned by the gate once gate_open() has succeeded.
	 */
	int library_socket;
	/* What to do about VMs that need more features, for the log; valid until gate_close(). */
	const char *features_remedy;
	/*
	 * Looks at the guest's call eventfds and empties those that are full. Called in the
	 * gatekeeper's thread until gate_close(); must not wait.
	 */
	enum gate_calls (*relieve)(void *userdata);
	void *userdata;
};

/*
 * Opens a gate. In server mode, a socket file that a dead process left is replaced, and one that is
 * in use is refused; the new one gets its owner and mode 0660. Control thread; waits for no VM.
 */
int gate_open(struct gate **ret_gate, struct gatekeeper *keeper, const struct gate_options *options,
	struct err *err);

/*
 * How often a VM has been hung up on for what it did, or has itself hung up on seeing the features.
 * Any thread.
 */
unsigned gate_refusals(const struct gate *gate);

/* True in server mode if the socket's file has been removed. Any thread. */
bool gate_has_lost_socket(const struct gate *gate);

/*
 * Makes a socket's file anew that has been removed, as gate_open() does. Connections stay. On
 * failure nothing has changed. Control thread; waits for no VM.
 */
int gate_renew(struct gate *gate, struct err *err);

/*
 * Lets nobody in any more, ends every connection, and in server mode removes the socket's file. A
 * frontend that connects again as soon as it notices is refused. The library learns of it in its
 * own thread; until it has let go, the guest's call eventfds are still watched. `gate` may be NULL.
 * Control thread; waits for no VM.
 */
void gate_hang_up(struct gate *gate);

/*
 * Hangs up if that has not been done, and frees the gate. The library must have let go. Control
 * thread; waits for no VM. Returns NULL.
 */
struct gate *gate_close(struct gate *gate);
