/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/gate/gate_rules.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <stddef.h>

#include "base/fd_link.h"
#include "core/gate/gate_memory.h"

#define F_LOG_ALL (1ULL << 26)
#define F_PROTOCOL_FEATURES (1ULL << 30)
#define F_PACKED (1ULL << VIRTIO_F_RING_PACKED)

#define P_MQ (1ULL << 0)
#define P_LOG_SHMFD (1ULL << 1)
#define P_RARP (1ULL << 2)
#define P_REPLY_ACK (1ULL << 3)
#define P_MTU (1ULL << 4)
#define P_STATUS (1ULL << 16)

/*
 * No BACKEND_REQ: the library would only use its channel to ask for translations of an IOMMU, which
 * guests are not offered. And it would close the channel, which may be any socket: with a message
 * in it that has a file on FUSE, its thread would wait.
 */
const uint64_t gate_rules_protocol_features =
	P_MQ | P_LOG_SHMFD | P_RARP | P_REPLY_ACK | P_MTU | P_STATUS;

#define RING_FLAG_LOG 1

typedef int check_fn(struct gate_rules *rules, const struct vhost_user_message *message,
	const int *fds, struct err *err);

static int refuse(struct err *err, const char *reason)
{
	return err_set(err, EPROTO, "%s", reason);
}

static bool is_packed(const struct gate_rules *rules)
{
	return rules->features & F_PACKED;
}

bool gate_rules_running(const struct gate_rules *rules)
{
	for (unsigned i = 0; i < RINGS_MAX; i++)
		if (rules->rings[i].started)
			return true;
	return false;
}

bool gate_rules_shares(const struct gate_rules *rules, struct file_id file)
{
	if (file_id_equal(rules->log_file, file))
		return true;
	for (unsigned i = 0; i < rules->memory.n_regions; i++)
		if (file_id_equal(rules->files[i], file))
			return true;
	return false;
}

/* True if a range lies within one region. */
static bool in_memory(const struct vhost_user_memory *memory, uint64_t uva, uint64_t bytes)
{
	for (unsigned i = 0; i < memory->n_regions; i++) {
		const struct vhost_user_region *region = &memory->regions[i];
		if (uva >= region->uva && uva - region->uva < region->bytes &&
			bytes <= region->bytes - (uva - region->uva))
			return true;
	}
	return false;
}

/*
 * Checks the ring's parts as the library will use them, including room for the event index,
 * negotiated or not: drivers leave room for it.
 */
static int check_addresses(const struct gate_rules *rules, const struct vhost_user_memory *memory,
	const struct gate_ring *ring, struct err *err)
{
	const struct vhost_user_ring_addr *addr = &ring->addr;
	uint64_t desc_bytes = 16ULL * ring->size;
	uint64_t avail_bytes = is_packed(rules) ? 4 : 6 + 2ULL * ring->size;
	uint64_t used_bytes = is_packed(rules) ? 4 : 6 + 8ULL * ring->size;
	uint64_t avail_alignment = is_packed(rules) ? 4 : 2;

	if (addr->desc % 16 != 0 || addr->avail % avail_alignment != 0 || addr->used % 4 != 0)
		return refuse(err, "an unaligned ring");
	if (!in_memory(memory, addr->desc, desc_bytes) ||
		!in_memory(memory, addr->avail, avail_bytes) ||
		!in_memory(memory, addr->used, used_bytes))
		return refuse(err, "a ring outside the guest's memory");
	return 0;
}

/* Checks all that the library takes for granted about a ring once it runs. */
static int check_startable(
	const struct gate_rules *rules, const struct gate_ring *ring, struct err *err)
{
	if (!rules->features_set || rules->memory.n_regions == 0 || ring->size == 0 ||
		!ring->addressed)
		return refuse(err, "a ring started before it was set up");
	if (!is_packed(rules) && (ring->size & (ring->size - 1)) != 0)
		return refuse(err, "a split ring whose size is no power of two");
	if (is_packed(rules) && (ring->base & 0x7fff) >= ring->size)
		return refuse(err, "a packed ring that begins behind its end");
	return check_addresses(rules, &rules->memory, ring, err);
}

/* The ring that a message names by its index; NULL if there is none, with the reason in `err`. */
static struct gate_ring *find_ring(struct gate_rules *rules, uint64_t index, struct err *err)
{
	if (index < RINGS_MAX)
		return &rules->rings[index];
	refuse(err, "a ring number out of range");
	return NULL;
}

/* The same; also NULL if the ring is running. */
static struct gate_ring *find_stopped(struct gate_rules *rules, uint64_t index, struct err *err)
{
	struct gate_ring *ring = find_ring(rules, index, err);

	if (ring == NULL || !ring->started)
		return ring;
	refuse(err, "a ring changed while it runs");
	return NULL;
}

static int check_get_features(struct gate_rules *rules, const struct vhost_user_message *message,
	const int *fds, struct err *err)
{
	(void)message, (void)fds, (void)err;
	rules->features_asked = true;
	return 0;
}

static int check_set_features(struct gate_rules *rules, const struct vhost_user_message *message,
	const int *fds, struct err *err)
{
	uint64_t features = message->payload.number;

	if (gate_rules_running(rules)) {
		/* See gate_rules_complete_request(). */
		if ((features & ~F_LOG_ALL) == F_PROTOCOL_FEATURES)
			features |= rules->features & ~F_LOG_ALL;
		if (((features ^ rules->features) & ~F_LOG_ALL) != 0)
			return refuse(err, "features changed while rings run");
	}
	rules->features = features;
	rules->features_set = true;
	return 0;
}

static int check_set_protocol_features(struct gate_rules *rules,
	const struct vhost_user_message *message, const int *fds, struct err *err)
{
	rules->protocol_features = message->payload.number;
	return 0;
}

/*
 * The library would forget, without freeing it, what it has allocated for rings that have a size.
 */
static int check_reset_owner(struct gate_rules *rules, const struct vhost_user_message *message,
	const int *fds, struct err *err)
{
	for (unsigned i = 0; i < RINGS_MAX; i++)
		if (rules->rings[i].size != 0)
			return refuse(err, "a reset before the rings are stopped");
	*rules = (struct gate_rules){0};
	return 0;
}

static int check_set_mem_table(struct gate_rules *rules, const struct vhost_user_message *message,
	const int *fds, struct err *err)
{
	const struct vhost_user_memory *memory = &message->payload.memory;
	struct stat files[MEMORY_REGIONS_MAX];

	int r = gate_memory_check(memory, fds, files, err);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < RINGS_MAX; i++) {
		r = rules->rings[i].started ? check_addresses(rules, memory, &rules->rings[i], err)
		                            : 0;
		if (r < 0)
			return r;
	}
	r = gate_memory_check_mappable(memory, files, fds, err);
	if (r < 0)
		return r;
	memset(&rules->memory, 0, sizeof(rules->memory));
	memcpy(&rules->memory, memory, message->header.payload_bytes);
	for (unsigned i = 0; i < memory->n_regions; i++)
		rules->files[i] = file_id_of(&files[i]);
	rules->unshared = gate_memory_is_private(files, fds, memory->n_regions);
	rules->on_disk = gate_memory_is_on_disk(files, memory->n_regions);
	return 0;
}

/* No offset: the library maps one and then adds it once more. No frontend uses one. */
static int check_set_log_base(struct gate_rules *rules, const struct vhost_user_message *message,
	const int *fds, struct err *err)
{
	const struct vhost_user_log *log = &message->payload.log;
	struct stat st;

	if (log->bytes == 0 || log->offset != 0)
		return refuse(err, "a log of no size, or at an offset");
	int r = gate_memory_check_file(fds[0], log->bytes, &st, err);
	if (r == 0 && gate_memory_is_on_disk(&st, 1))
		r = err_set(err, EPROTO, "a log on a disk; " GATE_MEMORY_ADVICE);
	if (r == 0)
		rules->log_file = file_id_of(&st);
	return r;
}

static int check_set_vring_num(struct gate_rules *rules, const struct vhost_user_message *message,
	const int *fds, struct err *err)
{
	struct gate_ring *ring = find_stopped(rules, message->payload.ring.index, err);
	unsigned size = message->payload.ring.number;

	if (ring == NULL)
		return -EPROTO;
	if (size < GATE_RING_SIZE_MIN || size > GATE_RING_SIZE_MAX)
		return refuse(err, "a ring size out of range");
	if (!is_packed(rules) && (size & (size - 1)) != 0)
		return refuse(err, "a split ring whose size is no power of two");
	ring->size = size;
	return 0;
}

static int check_set_vring_base(struct gate_rules *rules, const struct vhost_user_message *message,
	const int *fds, struct err *err)
{
	struct gate_ring *ring = find_stopped(rules, message->payload.ring.index, err);

	if (ring == NULL)
		return -EPROTO;
	/*
	 * QEMU puts a packed ring's used index in the upper half; the library starts with the
	 * available index.
	 */
	if (!is_packed(rules) && message->payload.ring.number > UINT16_MAX)
		return refuse(err, "a ring that begins behind its end");
	ring->base = message->payload.ring.number & UINT16_MAX;
	return 0;
}

/* A running ring may be told its addresses again, with or without logging. */
static int check_set_vring_addr(struct gate_rules *rules, const struct vhost_user_message *message,
	const int *fds, struct err *err)
{
	const struct vhost_user_ring_addr *addr = &message->payload.addr;
	struct gate_ring *ring = find_ring(rules, addr->index, err);

	if (ring == NULL)
		return -EPROTO;
	if (rules->memory.n_regions == 0)
		return refuse(err, "a ring's addresses before the memory");
	if ((addr->flags & ~RING_FLAG_LOG) != 0)
		return refuse(err, "an unknown flag");
	/*
	 * QEMU before 5.1 sends addresses of rings that the guest has not set up, when it switches
	 * the log on or off. They do not count: such a ring cannot be started.
	 */
	if (ring->size == 0)
		return 0;
	if (ring->started && (addr->desc != ring->addr.desc || addr->used != ring->addr.used ||
				     addr->avail != ring->addr.avail))
		return refuse(err, "a ring moved while it runs");

	struct gate_ring next = *ring;
	next.addr = *addr;
	next.addressed = true;
	int r = check_addresses(rules, &rules->memory, &next, err);
	if (r == 0)
		*ring = next;
	return r;
}

/* Stopping a ring undoes its setup: the library has freed what it had for the ring. */
static int check_get_vring_base(struct gate_rules *rules, const struct vhost_user_message *message,
	const int *fds, struct err *err)
{
	struct gate_ring *ring = find_ring(rules, message->payload.ring.index, err);

	if (ring == NULL)
		return -EPROTO;
	*ring = (struct gate_ring){0};
	return 0;
}

/* Any other file might block whoever writes to it, or closes it. */
static int check_eventfd(int fd, struct err *err)
{
	return fd_is_on(fd, "anon_inode:[eventfd]")
	               ? 0
	               : refuse(err, "a descriptor that is no eventfd");
}

/* The library closes it. */
static int check_set_log_fd(struct gate_rules *rules, const struct vhost_user_message *message,
	const int *fds, struct err *err)
{
	return check_eventfd(fds[0], err);
}

static int check_ring_fd(struct gate_rules *rules, const struct vhost_user_message *message,
	const int *fds, struct err *err)
{
	uint64_t number = message->payload.number;

	if (find_ring(rules, number & ~(uint64_t)VHOST_USER_NO_FD, err) == NULL)
		return -EPROTO;
	return number & VHOST_USER_NO_FD ? 0 : check_eventfd(fds[0], err);
}

static int check_set_vring_call(struct gate_rules *rules, const struct vhost_user_message *message,
	const int *fds, struct err *err)
{
	int r = check_ring_fd(rules, message, fds, err);

	if (r == 0)
		rules->rings[message->payload.number & VHOST_USER_RING_MASK].call_told = true;
	return r;
}

static int check_set_vring_kick(struct gate_rules *rules, const struct vhost_user_message *message,
	const int *fds, struct err *err)
{
	int r = check_ring_fd(rules, message, fds, err);

	if (r < 0)
		return r;
	struct gate_ring *ring = &rules->rings[message->payload.number & VHOST_USER_RING_MASK];
	r = ring->started ? 0 : check_startable(rules, ring, err);
	if (r == 0)
		ring->started = true;
	return r;
}

static int check_set_vring_enable(struct gate_rules *rules,
	const struct vhost_user_message *message, const int *fds, struct err *err)
{
	return find_ring(rules, message->payload.ring.index, err) != NULL ? 0 : -EPROTO;
}

static int check_set_status(struct gate_rules *rules, const struct vhost_user_message *message,
	const int *fds, struct err *err)
{
	return message->payload.number <= UINT8_MAX ? 0 : refuse(err, "a status that is no byte");
}

enum descriptors {
	NONE,
	ONE,
	ONE_A_REGION,
	ONE_UNLESS_TOLD, /* unless VHOST_USER_NO_FD is set */
};

#define PAYLOAD(field) sizeof(((union vhost_user_payload *)NULL)->field)

/* Every request that a network device accepts; all others are refused. */
static const struct request {
	const char *name;
	size_t payload_bytes; /* of SET_MEM_TABLE: without the regions */
	enum descriptors descriptors;
	bool answered;   /* always has an answer of its own */
	check_fn *check; /* NULL: nothing more to check */
	uint64_t needs;  /* protocol feature that must have been negotiated; 0: none */
} requests[VHOST_USER_REQUESTS] = {
	[VHOST_USER_GET_FEATURES] = {"GET_FEATURES", 0, NONE, true, check_get_features},
	[VHOST_USER_SET_FEATURES] = {"SET_FEATURES", PAYLOAD(number), NONE, false,
		check_set_features},
	[VHOST_USER_SET_OWNER] = {"SET_OWNER", 0, NONE, false, NULL},
	[VHOST_USER_RESET_OWNER] = {"RESET_OWNER", 0, NONE, false, check_reset_owner},
	[VHOST_USER_SET_MEM_TABLE] = {"SET_MEM_TABLE", offsetof(struct vhost_user_memory, regions),
		ONE_A_REGION, false, check_set_mem_table},
	[VHOST_USER_SET_LOG_BASE] = {"SET_LOG_BASE", PAYLOAD(log), ONE, true, check_set_log_base,
		P_LOG_SHMFD},
	[VHOST_USER_SET_LOG_FD] = {"SET_LOG_FD", 0, ONE, false, check_set_log_fd},
	[VHOST_USER_SET_VRING_NUM] = {"SET_VRING_NUM", PAYLOAD(ring), NONE, false,
		check_set_vring_num},
	[VHOST_USER_SET_VRING_ADDR] = {"SET_VRING_ADDR", PAYLOAD(addr), NONE, false,
		check_set_vring_addr},
	[VHOST_USER_SET_VRING_BASE] = {"SET_VRING_BASE", PAYLOAD(ring), NONE, false,
		check_set_vring_base},
	[VHOST_USER_GET_VRING_BASE] = {"GET_VRING_BASE", PAYLOAD(ring), NONE, true,
		check_get_vring_base},
	[VHOST_USER_SET_VRING_KICK] = {"SET_VRING_KICK", PAYLOAD(number), ONE_UNLESS_TOLD, false,
		check_set_vring_kick},
	[VHOST_USER_SET_VRING_CALL] = {"SET_VRING_CALL", PAYLOAD(number), ONE_UNLESS_TOLD, false,
		check_set_vring_call},
	[VHOST_USER_SET_VRING_ERR] = {"SET_VRING_ERR", PAYLOAD(number), ONE_UNLESS_TOLD, false,
		check_ring_fd},
	[VHOST_USER_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", 0, NONE, true, NULL},
	[VHOST_USER_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", PAYLOAD(number), NONE, false,
		check_set_protocol_features},
	[VHOST_USER_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", 0, NONE, true, NULL},
	[VHOST_USER_SET_VRING_ENABLE] = {"SET_VRING_ENABLE", PAYLOAD(ring), NONE, false,
		check_set_vring_enable},
	[VHOST_USER_SEND_RARP] = {"SEND_RARP", PAYLOAD(number), NONE, false, NULL, P_RARP},
	[VHOST_USER_NET_SET_MTU] = {"NET_SET_MTU", PAYLOAD(number), NONE, false, NULL, P_MTU},
	[VHOST_USER_SET_STATUS] = {"SET_STATUS", PAYLOAD(number), NONE, false, check_set_status,
		P_STATUS},
	[VHOST_USER_GET_STATUS] = {"GET_STATUS", 0, NONE, true, NULL},
};

static const struct request *find_request(uint32_t number)
{
	return number < VHOST_USER_REQUESTS && requests[number].name != NULL ? &requests[number]
	                                                                     : NULL;
}

bool gate_rules_answered(uint32_t number)
{
	const struct request *request = find_request(number);

	return request != NULL && request->answered;
}

int gate_rules_check_answer(const struct vhost_user_message *answer, struct err *err)
{
	uint32_t number = answer->header.request;

	/*
	 * If the library does not take an MTU, it has kept nothing of it. The frontend is told and
	 * may decide.
	 */
	if (gate_rules_answered(number) || number == VHOST_USER_NET_SET_MTU ||
		(answer->header.payload_bytes == sizeof(answer->payload.number) &&
			answer->payload.number == 0))
		return 0;
	const struct request *request = find_request(number);
	return err_set(err, EPROTO, "%s: the vhost library refuses it",
		request != NULL ? request->name : "unknown request");
}

void gate_rules_complete_request(const struct gate_rules *rules, struct vhost_user_message *message)
{
	if (message->header.request == VHOST_USER_SET_FEATURES)
		message->payload.number = rules->features;
}

bool gate_rules_add_request(struct gate_rules *rules, struct vhost_user_message *ret_message)
{
	for (unsigned i = 0; i < RINGS_MAX; i++) {
		struct gate_ring *ring = &rules->rings[i];
		if (!ring->started || ring->call_told)
			continue;
		ring->call_told = true;
		ret_message->header = (struct vhost_user_header){VHOST_USER_SET_VRING_CALL,
			VHOST_USER_VERSION | VHOST_USER_NEED_REPLY,
			sizeof(ret_message->payload.number)};
		ret_message->payload.number = i | VHOST_USER_NO_FD;
		return true;
	}
	return false;
}

void gate_rules_complete_answer(const struct gate_rules *rules, struct vhost_user_message *answer)
{
	uint32_t *position = &answer->payload.ring.number;

	if (answer->header.request == VHOST_USER_GET_VRING_BASE && is_packed(rules)) {
		*position = (*position & UINT16_MAX) | *position << 16;
	} else if (answer->header.request == VHOST_USER_SET_LOG_BASE) {
		answer->header.payload_bytes = sizeof(answer->payload.number);
		answer->payload.number = 0;
	}
}

/* A payload for which there is room has no more regions than there may be. */
static_assert(sizeof(union vhost_user_payload) == PAYLOAD(memory), "payload");

static uint64_t payload_expected(
	const struct request *request, const struct vhost_user_message *message)
{
	uint64_t n_regions =
		request->descriptors == ONE_A_REGION ? message->payload.memory.n_regions : 0;

	return request->payload_bytes + n_regions * sizeof(struct vhost_user_region);
}

static unsigned descriptors_expected(
	const struct request *request, const struct vhost_user_message *message)
{
	switch (request->descriptors) {
	case NONE:
		break;
	case ONE:
		return 1;
	case ONE_A_REGION:
		return message->payload.memory.n_regions;
	case ONE_UNLESS_TOLD:
		return message->payload.number & VHOST_USER_NO_FD ? 0 : 1;
	}
	return 0;
}

static int check_form(const struct request *request, const struct vhost_user_message *message,
	unsigned n_fds, struct err *err)
{
	const struct vhost_user_header *header = &message->header;

	if ((header->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION ||
		header->flags & VHOST_USER_REPLY)
		return refuse(err, "no request of version 1");
	if (header->payload_bytes != payload_expected(request, message))
		return refuse(err, "a payload of the wrong size");
	if (n_fds != descriptors_expected(request, message))
		return refuse(err, "the wrong number of descriptors");
	return 0;
}

int gate_rules_check(struct gate_rules *rules, const struct vhost_user_message *message,
	const int *fds, unsigned n_fds, struct err *err)
{
	const struct request *request = find_request(message->header.request);

	if (request == NULL)
		return err_set(err, EPROTO, "unknown request %u", message->header.request);
	int r = check_form(request, message, n_fds, err);
	if (r == 0 && request->needs & ~rules->protocol_features)
		r = refuse(err, "not negotiated");
	if (r == 0 && request->check != NULL)
		r = request->check(rules, message, fds, err);
	return r < 0 ? err_prefix(err, r, "%s", request->name) : 0;
}
