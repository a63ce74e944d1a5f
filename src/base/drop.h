/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Why a relay drops packets. One table for counters, wire, metrics and tools; a reason is never
 * renumbered. In both directions, received = sent + the sum of these + the backlog.
 *
 * DROP(id, name, text)
 */
#define DROP_REASONS(DROP)                                                                       \
	DROP(QUEUE_FULL, "queue_full", "the destination queue stayed full")                      \
	DROP(NOT_CONNECTED, "not_connected",                                                     \
		"no VM with a usable receive ring (vf_to_vm) or no device (vm_to_vf) was there") \
	DROP(OVERSIZE, "oversize", "longer than the destination's largest frame")                \
	DROP(MALFORMED, "malformed",                                                             \
		"no Ethernet header, headers unfit for the wanted offload, or refused by the "   \
		"device")                                                                        \
	DROP(DETACHED, "detached", "in the backlog when the device or VM was taken away")

enum drop_reason {
#define DROP(id, name, text) DROP_##id,
	DROP_REASONS(DROP)
#undef DROP
		DROP_N
};

/* The stable name ("queue_full") and a description; reason < DROP_N. */
const char *drop_reason_name(enum drop_reason reason);
const char *drop_reason_text(enum drop_reason reason);
