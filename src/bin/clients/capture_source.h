/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The client's end of a capture (base/capture.h): packets of a relay, in the order of their times.
 */

#include <stdbool.h>

#include "base/capture.h"

struct capture_source;

/* A packet, valid until the next one is taken. */
struct captured {
	unsigned direction;
	struct capture_record record;
	const uint8_t *data;
};

/*
 * Asks the daemon at `endpoint` ("ipc:///path") to capture. Waits for its answer, CLIENT_TIMEOUT_MS
 * at most; -ETIMEDOUT without one, else the daemon's reason.
 */
int capture_source_open(struct capture_source **ret_source, const char *endpoint,
	const struct capture_request *request, struct err *err);

struct capture_source *capture_source_free(struct capture_source *source);

/* Readable when the daemon has ended. */
int capture_source_fd(const struct capture_source *source);

/* The oldest packet that is there; false without one. */
bool capture_source_next(struct capture_source *source, struct captured *ret_packet);

/* Packets of a direction that found no room so far. */
uint64_t capture_source_lost(const struct capture_source *source, unsigned direction);
