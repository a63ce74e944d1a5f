/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What is shared by the gates (gate.c: a socket and its connections) and their keeper
 * (gatekeeper.c: the thread that polls them all). Whatever is changed here is changed with the
 * keeper's mutex held.
 */

#include <poll.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "core/gate/gate.h"
#include "core/gate/gate_connection.h"

#define GATE_CONNECTIONS_MAX 4 /* at a time through one gate */
#define GATE_POLL_MAX (1 + 2 * GATE_CONNECTIONS_MAX)
#define GATE_LOG_BURST 20 /* lines in one go; see log_limit_pass() */

struct gatekeeper {
	pthread_t thread;
	pthread_mutex_t mutex;          /* protects all that follows, and every gate */
	struct gate *gates[RELAYS_MAX]; /* by relay */
	unsigned generation; /* changes whenever a descriptor that is being polled may have gone */
	unsigned turn;       /* changes whenever poll() has returned: */
	pthread_cond_t turned;
	bool stop;
	int wake_fd;                /* eventfd: something has changed */
	bool watching;              /* call eventfds are in use, or may be */
	uint64_t next_look_ms;      /* not before that they are looked at again */
	struct log_limit log_limit; /* of lines about no gate; each gate has its own */
};

static inline uint64_t gate_now_ms(void)
{
	return clock_monotonic_ns() / 1000000;
}

/* What the keeper offers to the gates. Control thread. The first takes the mutex. */

/* The relay, which had no gate, has this one now. NULL: it has none any more. */
void gatekeeper_set(struct gatekeeper *keeper, unsigned relay, struct gate *gate);

/*
 * Wakes the thread because what it polls has changed, and waits until it no longer polls what it
 * did. With the mutex held, which is released meanwhile. Only then may descriptors be closed that
 * gate_poll() has filled in: poll() has a reference to each, and would be who releases the file.
 */
void gatekeeper_changed(struct gatekeeper *keeper);

/* What the gates offer to the keeper. The keeper's thread, with the mutex held. */

/*
 * Fills in the descriptors to poll, at most GATE_POLL_MAX, and returns how many. Lowers *timeout_ms
 * (-1: none) to what the gate can wait.
 */
unsigned gate_poll(const struct gate *gate, struct pollfd *ret_fds, int *timeout_ms);

/* Acts on what poll() has reported for them. */
void gate_serve(struct gate *gate, const struct pollfd *fds);

/*
 * Looks at the guest's call eventfds. True if somebody was waiting for one. The same may happen
 * again at once: the guest may be quicker than the waiting writer.
 */
bool gate_relieve(struct gate *gate);

/*
 * Ends the connections of this gate that have shared the file. True if there were any; then nobody
 * is let in for a while.
 */
bool gate_banish_sharers(struct gate *gate, struct file_id file);
