/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the gates (gate.c: one socket and its connections) and their keeper (gatekeeper.c: the
 * thread that polls them all) share. What is changed here is changed with the keeper's mutex.
 */

#include <poll.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "core/gate.h"
#include "core/gate_connection.h"

#define GATE_CONNECTIONS_MAX 4 /* at a time through one gate */
#define GATE_POLL_MAX (1 + 2 * GATE_CONNECTIONS_MAX)

struct gatekeeper {
	pthread_t thread;
	pthread_mutex_t mutex; /* of all that follows, and of every gate */
	struct gate *gates[RELAYS_MAX];
	unsigned generation; /* changes whenever a descriptor may have gone that is being polled */
	bool stop;
	int wake_fd;   /* eventfd: something has changed */
	bool watching; /* call eventfds are in use: */
	int pause_ms;  /* between looks at them */
	uint64_t next_look_ms;
	struct log_limit log_limit;
};

static inline uint64_t gate_now_ms(void)
{
	return clock_monotonic_ns() / 1000000;
}

/* The keeper, to the gates; control thread. The first two take the mutex. */

/* -ENOSPC when there are RELAYS_MAX. */
int gatekeeper_insert(struct gatekeeper *keeper, struct gate *gate);
void gatekeeper_remove(struct gatekeeper *keeper, struct gate *gate);

/* Wakes the thread up, because what it polls has changed. With the mutex. */
void gatekeeper_changed(struct gatekeeper *keeper);

/* The gates, to the keeper's thread, with the mutex. */

/* Up to GATE_POLL_MAX descriptors to be polled, returned how many; lowers *timeout_ms (-1: none) to
 * what the gate can wait. */
unsigned gate_poll(const struct gate *gate, struct pollfd *ret_fds, int *timeout_ms);

/* Does what poll() has answered about them. */
void gate_serve(struct gate *gate, const struct pollfd *fds);

/* Looks at the guest's call eventfds. True where somebody was waiting, and may be again: the guest
 * may have been quicker than he. */
bool gate_relieve(struct gate *gate);

/* True where connections of this gate have shared the file. They end, and nobody is let in for a
 * while. */
bool gate_banish_sharers(struct gate *gate, const struct gate_file *file);
