/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * One frontend's connection through a gate: it passes on the frontend's requests and the library's
 * answers. Never blocks. The gatekeeper's thread only.
 */

#include "core/gate/gate_closer.h"
#include "core/gate/gate_rules.h"

/* What is read or written next. Only one message is under way at a time. */
enum gate_phase {
	GATE_REQUEST,        /* from the frontend */
	GATE_REQUEST_ONWARD, /* to the library */
	GATE_ANSWER,         /* from the library */
	GATE_ANSWER_ONWARD,  /* to the frontend */
};

#define GATE_FDS_MAX MEMORY_REGIONS_MAX

struct gate_connection {
	int frontend_fd;
	int library_fd;
	struct gate_closer *closer;
	uint64_t began_ms; /* set by the gate, for its own use */
	struct gate_rules rules;
	enum gate_phase phase;
	struct vhost_user_message message; /* the one under way */
	bool answer_wanted;                /* by the frontend */
	size_t done;                       /* bytes of the message so far, header included */
	int fds[GATE_FDS_MAX];             /* that came with the message, not passed on yet */
	unsigned n_fds;
	int seen_fds[GATE_FDS_MAX]; /* that come with the next bytes which have any, not read yet */
	unsigned n_seen_fds;
};

/*
 * Takes ownership of both descriptors. What the frontend sends and the library does not get is left
 * to `closer`. NULL when out of memory; then the descriptors are still the caller's.
 */
struct gate_connection *gate_connection_new(
	int frontend_fd, int library_fd, struct gate_closer *closer);

/* Hangs up on both sides and frees the connection. Returns NULL. */
struct gate_connection *gate_connection_free(struct gate_connection *connection);

/* The events that poll() has to wait for on each side. */
short gate_connection_frontend_events(const struct gate_connection *connection);
short gate_connection_library_events(const struct gate_connection *connection);

/*
 * Goes on as far as possible without waiting. 0, or a negative errno if the connection is to end:
 * -ECONNRESET if a side has hung up, otherwise with the frontend's fault in `err`.
 */
int gate_connection_proceed(struct gate_connection *connection, struct err *err);
