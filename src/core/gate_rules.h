/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What a frontend may say, and when: judged before the vhost library hears of it.
 *
 * Theory. The library is careful with most messages one by one, but not with their order, nor with
 * what a message that it has accepted means for an earlier one: a ring resized while it runs, or
 * features changed after its addresses were checked, or a memory table that cannot be mapped after
 * the old one is gone, leave it with addresses that it believes checked. So the rules keep the
 * state of a connection as the library sees it, and let through only what leaves that state sound.
 * Every frontend that keeps to the specification passes: QEMU, DPDK's virtio_user,
 * cloud-hypervisor.
 *
 * A message that breaks a rule is not answered: its connection ends. Nothing here blocks, and
 * nothing of the guest's memory is read: a value once checked cannot change.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/limits.h"
#include "core/vhost_user.h"

#define GATE_RINGS_MAX (2 * QUEUE_PAIRS_MAX)

/*
 * The shortest ring: where a driver claims more than it has, the library takes a burst of 32 all
 * the same, and notes it in a table as long as the ring. And the longest: it reserves memory for
 * each entry. QEMU's have 64 to 1024.
 */
#define GATE_RING_SIZE_MIN 32
#define GATE_RING_SIZE_MAX 4096

struct gate_ring {
	unsigned size; /* 0: not told */
	unsigned base;
	bool addressed;
	bool started;
	struct vhost_user_ring_addr addr;
};

/* A file that a guest shares, as the kernel names it. */
struct gate_file {
	dev_t device;
	ino_t inode;
};

struct gate_rules {
	bool featured;
	uint64_t features;
	uint64_t protocol_features;
	struct vhost_user_memory memory;
	struct gate_file files[VHOST_USER_REGIONS_MAX]; /* of the regions */
	struct gate_file log_file;                      /* inode 0: none */
	struct gate_ring rings[GATE_RINGS_MAX];
};

/*
 * The payload that a request must have, in bytes: the least and the most. False where the request
 * is none that a network device takes.
 */
bool gate_rules_payload(uint32_t request, size_t *ret_min, size_t *ret_max);

/*
 * Judges a whole message with its descriptors and takes it into account. 0, or a negative errno
 * with the reason in `err`. The descriptors stay the caller's.
 */
int gate_rules_check(struct gate_rules *rules, const struct vhost_user_message *message,
	const int *fds, unsigned n_fds, struct err *err);

/* True where a request has an answer of its own; the others have one where NEED_REPLY asks for it.
 */
bool gate_rules_answered(uint32_t request);

/*
 * Judges an answer of the library's. 0, or -EPROTO with the reason in `err` where it refuses what
 * the rules have taken into account: it may have lost half of what it knew, and would go on. So
 * that every refusal is heard of, each message that has no answer of its own is to ask for one.
 */
int gate_rules_check_answer(const struct vhost_user_message *answer, struct err *err);

/* True where a ring of this connection runs. */
bool gate_rules_running(const struct gate_rules *rules);

/* True where the connection has shared this file. */
bool gate_rules_shares(const struct gate_rules *rules, const struct gate_file *file);
