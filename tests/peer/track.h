/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What became of the packets of one flow: which sequence numbers came, in which order.
 *
 * The first packet of an epoch sets the base, so that a receiver that joins a running sender does
 * not count what was sent before it came; who knows how many were sent compares the totals. A
 * packet of a newer epoch starts the flow anew (its sender was restarted).
 */

#include <stdbool.h>
#include <stdint.h>

#define TRACK_WINDOW 65536 /* packets back in which late and duplicate are told apart */

struct track {
	bool started;
	uint32_t epoch;
	uint64_t base; /* first sequence number seen of this epoch */
	uint64_t next; /* one more than the highest seen */
	uint64_t seen[TRACK_WINDOW /
		      64]; /* bit seq % TRACK_WINDOW: came; of the last TRACK_WINDOW */
};

struct track_counts {
	uint64_t received;   /* each packet once, late ones too */
	uint64_t missing;    /* sequence numbers passed over that have not come since */
	uint64_t reordered;  /* came after a later one, or after a newer epoch began */
	uint64_t duplicated; /* came before */
};

/* Notes the arrival of packet `seq`, of which there may be several. */
void track_note(struct track *track, struct track_counts *counts, uint32_t epoch, uint64_t seq);
