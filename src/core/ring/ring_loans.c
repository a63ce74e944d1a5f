/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/ring/ring_loans.h"

#include <stdlib.h>

/* Called when the last segment of a loan is freed: by the owner of the lane. */
static void end_loan(void *address, void *opaque)
{
	struct loan *loan = opaque;

	loan->lender->n_out -= loan->n_segments;
	atomic_store_explicit(&loan->out, false, memory_order_release);
}

struct ring_loans *ring_loans_new(void)
{
	struct ring_loans *loans = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*loans));

	if (loans == NULL)
		return NULL;
	*loans = (struct ring_loans){0};
	for (unsigned i = 0; i < LOANS_MAX; i++) {
		loans->loans[i].shared.free_cb = end_loan;
		loans->loans[i].shared.fcb_opaque = &loans->loans[i];
	}
	return loans;
}

/* True if the i-th free loan is still used by a device. */
static bool is_out(struct ring_loans *loans, uint16_t i)
{
	return atomic_load_explicit(&ring_loan(loans, loans->n + i)->out, memory_order_acquire);
}

uint16_t ring_loans_recount(struct ring_loans *loans, uint16_t n)
{
	const uint16_t all = LOANS_MAX - loans->n;
	uint16_t room = 0;

	while (room < all && !is_out(loans, room))
		room++;
	loans->unsent = room < all;
	return RTE_MIN(n, room);
}

bool ring_loans_free(struct ring_loans *loans)
{
	for (unsigned i = 0; loans != NULL && i < LOANS_MAX; i++)
		if (atomic_load_explicit(&loans->loans[i].out, memory_order_acquire))
			return false;
	free(loans);
	return true;
}
