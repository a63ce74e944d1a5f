/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The messages of the vhost-user protocol, as a frontend sends them. Names are the specification's.
 */

#include <stdint.h>

#include "base/limits.h"

enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_RESET_OWNER = 4,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_LOG_BASE = 6,
	VHOST_USER_SET_LOG_FD = 7,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SEND_RARP = 19,
	VHOST_USER_NET_SET_MTU = 20,
	VHOST_USER_SET_STATUS = 39,
	VHOST_USER_GET_STATUS = 40,
	VHOST_USER_REQUESTS,
};

enum vhost_user_flags {
	VHOST_USER_VERSION = 1,
	VHOST_USER_VERSION_MASK = 3,
	VHOST_USER_REPLY = 1 << 2,
	VHOST_USER_NEED_REPLY = 1 << 3,
};

/* In the payload of SET_VRING_KICK, _CALL and _ERR. */
#define VHOST_USER_RING_MASK 0xff
#define VHOST_USER_NO_FD 0x100

struct vhost_user_region {
	uint64_t gpa; /* guest physical address */
	uint64_t bytes;
	uint64_t uva;    /* address in the frontend */
	uint64_t offset; /* in the file */
};

struct vhost_user_memory {
	uint32_t n_regions;
	uint32_t padding;
	struct vhost_user_region regions[MEMORY_REGIONS_MAX];
};

struct vhost_user_ring_state {
	uint32_t index;
	uint32_t number;
};

struct vhost_user_ring_addr {
	uint32_t index;
	uint32_t flags; /* bit 0: log writes */
	uint64_t desc;  /* a uva, as are the next two */
	uint64_t used;
	uint64_t avail;
	uint64_t log; /* gpa of the used ring */
};

struct vhost_user_log {
	uint64_t bytes;
	uint64_t offset;
};

struct vhost_user_header {
	uint32_t request; /* enum vhost_user_request */
	uint32_t flags;
	uint32_t payload_bytes;
};

union vhost_user_payload {
	uint64_t number;
	struct vhost_user_memory memory;
	struct vhost_user_ring_state ring;
	struct vhost_user_ring_addr addr;
	struct vhost_user_log log;
};

/* On the wire the payload follows the header directly; the two are read and written separately. */
struct vhost_user_message {
	struct vhost_user_header header;
	union vhost_user_payload payload;
};
