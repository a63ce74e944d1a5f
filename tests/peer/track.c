/* SPDX-License-Identifier: BSD-3-Clause */

#include "track.h"

#include <string.h>

static uint64_t *word_of(struct track *track, uint64_t seq)
{
	return &track->seen[seq % TRACK_WINDOW / 64];
}

static uint64_t bit_of(uint64_t seq)
{
	return 1UL << seq % 64;
}

static void restart(struct track *track, uint32_t epoch, uint64_t base)
{
	*track = (struct track){.started = true, .epoch = epoch, .base = base, .next = base};
}

/*
 * Moves the window so that `seq` is its last number; the numbers in between are missing until they
 * arrive.
 */
static void advance(struct track *track, struct track_counts *counts, uint64_t seq)
{
	uint64_t gap = seq - track->next;

	counts->missing += gap;
	if (gap >= TRACK_WINDOW)
		memset(track->seen, 0, sizeof(track->seen));
	else
		for (uint64_t s = track->next; s < seq; s++)
			*word_of(track, s) &= ~bit_of(s);
	*word_of(track, seq) |= bit_of(seq);
	track->next = seq + 1;
	counts->received++;
}

static void note_late(struct track *track, struct track_counts *counts, uint64_t seq)
{
	if (track->next - seq > TRACK_WINDOW || *word_of(track, seq) & bit_of(seq)) {
		counts->duplicated++;
		return;
	}
	*word_of(track, seq) |= bit_of(seq);
	counts->received++;
	counts->reordered++;
	if (seq >= track->base)
		counts->missing--;
}

void track_note(
	struct track *track, struct track_counts *counts, uint32_t epoch, uint64_t seq, bool joined)
{
	if (!track->started || epoch_is_newer(epoch, track->epoch)) {
		restart(track, epoch, joined ? seq : 0);
	} else if (epoch != track->epoch) {
		counts->received++;
		counts->reordered++;
		return;
	}

	if (seq >= track->next)
		advance(track, counts, seq);
	else
		note_late(track, counts, seq);
}
