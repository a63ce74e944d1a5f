/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The client's end of a capture (base/capture.h): the packets of a relay, ordered by time. */

#include <stdbool.h>

#include "base/capture.h"

struct capture_source;

/* A packet; valid until the next one is taken. */
struct captured {
	unsigned direction;
	struct capture_record record;
	const uint8_t *data;
};

/*
 * Asks the daemon at `endpoint` ("ipc:///path") to capture. Waits up to CLIENT_TIMEOUT_MS for its
 * answer: -ETIMEDOUT without one, otherwise the daemon's result.
 */
int capture_source_open(struct capture_source **ret_source, const char *endpoint,
	const struct capture_request *request, struct err *err);

struct capture_source *capture_source_free(struct capture_source *source);

/* Becomes readable when the daemon ends. */
int capture_source_fd(const struct capture_source *source);

/* Takes the oldest packet; false if there is none at present. */
bool capture_source_next(struct capture_source *source, struct captured *ret_packet);

/* From now on only packets that have come so far are taken. */
void capture_source_end(struct capture_source *source);

/* The packets of a direction that have found no room so far. */
uint64_t capture_source_lost(const struct capture_source *source, unsigned direction);
