/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What has become of the packets of one flow: which sequence numbers arrived, in which order.
 *
 * An epoch is one run of the sender; a packet of a newer epoch restarts the flow. If the sender was
 * there before us, its first packet that we see sets the base: what it sent before is not missing.
 */

#include <stdbool.h>
#include <stdint.h>

#define TRACK_WINDOW 65536 /* so many packets back, late and duplicate ones are told apart */

struct track {
	bool started;
	uint32_t epoch;
	uint64_t base; /* the first sequence number that we could have seen */
	uint64_t next; /* one more than the highest seen */
	uint64_t seen[TRACK_WINDOW /
		      64]; /* bit seq % TRACK_WINDOW: arrived; for the last TRACK_WINDOW */
};

struct track_counts {
	uint64_t received;   /* each packet once, late ones too */
	uint64_t missing;    /* sequence numbers passed over that have not arrived since */
	uint64_t reordered;  /* arrived after a later one, or after a newer epoch began */
	uint64_t duplicated; /* arrived before */
};

/* Notes the arrival of packet `seq`. `joined`: the sender was there before us. */
void track_note(struct track *track, struct track_counts *counts, uint32_t epoch, uint64_t seq,
	bool joined);

/* Whether epoch `a` began after `b`: they count milliseconds and wrap. */
static inline bool epoch_is_newer(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}
