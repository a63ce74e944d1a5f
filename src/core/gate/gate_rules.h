/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What a frontend may say, and when: each message is judged before the vhost library sees it.
 *
 * Theory. The library checks most messages carefully one by one, but neither their order nor what
 * an accepted message means for an earlier one. A ring resized while it runs, features changed
 * after ring addresses were checked, or a memory table that cannot be mapped after the old one is
 * gone leave it with addresses that it takes for checked. So the rules track the state of a
 * connection as the library sees it, and let through only what leaves that state sound. Every
 * frontend that keeps to the specification passes: QEMU, DPDK's virtio_user, cloud-hypervisor.
 *
 * A message that breaks a rule is not answered: its connection ends. Nothing here blocks, and the
 * guest's memory is never read: a value once checked cannot change.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/file_id.h"
#include "base/limits.h"
#include "core/gate/vhost_user.h"

/*
 * The sizes of a ring that are accepted, in descriptors. QEMU's rings have 64 to 1024, of which a
 * driver may use fewer: those of small systems use 16. The minimum: no driver has a ring of one.
 * The maximum: the library reserves memory for each entry.
 */
#define GATE_RING_SIZE_MIN 2
#define GATE_RING_SIZE_MAX 4096

/*
 * The protocol features that a frontend may be offered. With any other it might send requests that
 * the rules refuse.
 */
extern const uint64_t gate_rules_protocol_features;

struct gate_ring {
	unsigned size; /* 0: not known yet */
	unsigned base;
	bool addressed;
	bool call_told; /* the library has got what to call by, or heard that there is nothing */
	bool started;
	struct vhost_user_ring_addr addr;
};

struct gate_rules {
	bool features_asked; /* the frontend has seen those that are offered */
	bool features_set;
	uint64_t features;
	uint64_t protocol_features;
	struct vhost_user_memory memory;
	struct file_id files[MEMORY_REGIONS_MAX]; /* of the regions */
	struct file_id log_file;                  /* inode 0: none */
	/*
	 * The guest does not seem to be in the hugepages that the frontend shares. Set with the
	 * memory; cleared by whoever has told of it.
	 */
	bool unshared;
	bool on_disk; /* some of the memory is; set and cleared likewise */
	struct gate_ring rings[RINGS_MAX];
};

/*
 * Judges a complete message with its descriptors and takes it into account. 0, or a negative errno
 * with the reason in `err`. The descriptors remain the caller's.
 */
int gate_rules_check(struct gate_rules *rules, const struct vhost_user_message *message,
	const int *fds, unsigned n_fds, struct err *err);

/*
 * Adds to a request that has been judged what the frontend leaves out. SET_FEATURES, while rings
 * run: the device's virtio features, if it contains none. After a reconnection, QEMU 4.2 to 5.1
 * still knows them for the first queue pair, but not for the others, which it starts later.
 */
void gate_rules_complete_request(
	const struct gate_rules *rules, struct vhost_user_message *message);

/* True if a request always has an answer of its own; others have one only if NEED_REPLY asks. */
bool gate_rules_answered(uint32_t request);

/*
 * Judges an answer of the library. 0, or -EPROTO with the reason in `err` if the library refuses a
 * message that the rules have taken into account: it may have lost half of its state and would go
 * on. For every refusal to be noticed, each message without an answer of its own has to ask for
 * one.
 */
int gate_rules_check_answer(const struct vhost_user_message *answer, struct err *err);

/*
 * Adds to an answer what the library leaves out. GET_VRING_BASE, for a packed ring: where buffers
 * are used next (vhost-user, "Vring descriptor indices for packed virtqueues"). A ring that has
 * been stopped has given all buffers back, so that is where the next one is available.
 * SET_LOG_BASE: a payload of 0, for success (a log that fails is not answered). QEMU takes the
 * answer with and without it; rust-vmm's frontends (cloud-hypervisor) wait for it for ever.
 */
void gate_rules_complete_answer(const struct gate_rules *rules, struct vhost_user_message *answer);

/*
 * A request of the gate's own, once the library has answered the frontend's: SET_VRING_CALL without
 * a descriptor, for a ring that has been started without that message. The library does not use
 * such a ring, but a frontend need not send it: cloud-hypervisor does not if the guest polls. True
 * if there is one, which has been taken into account; it asks for an answer.
 */
bool gate_rules_add_request(struct gate_rules *rules, struct vhost_user_message *ret_message);

/* True if any ring of this connection runs. */
bool gate_rules_running(const struct gate_rules *rules);

/* True if the connection has shared this file. */
bool gate_rules_shares(const struct gate_rules *rules, struct file_id file);
