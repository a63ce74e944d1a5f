/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/guest/guest_rings.h"

#include <assert.h>
#include <rte_cycles.h>
#include <rte_vhost.h>
#include <stdlib.h>

#include "core/dpdk/epoch.h"
#include "core/gate/gate_memory.h"
#include "core/gate/vhost_user.h"
#include "core/guest/guest_calls.h"
#include "core/guest/guest_dma.h"
#include "core/guest/guest_internal.h"
#include "core/ring/ring_loans.h"

#define F_PROTOCOL_FEATURES (1ULL << VHOST_USER_F_PROTOCOL_FEATURES)

void guest_rings_reset(struct guest_session *session)
{
	session->started = session->enabled = session->uncalled = 0;
	atomic_store(&session->paused, false);
	atomic_store(&session->vf_to_vm_enabled, 0);
	atomic_store(&session->vm_to_vf_enabled, 0);
	atomic_store(&session->vm_to_vf_disabled, 0);
	atomic_store(&session->announcement, 0);
	atomic_store(&session->source, 0);
}

static bool is_published(struct guest *guest, const struct guest_session *session)
{
	return atomic_load(&guest->session) == session;
}

/* True if the library changes what lanes use. */
static bool changes_rings(uint32_t request)
{
	switch (request) {
	case VHOST_USER_SET_FEATURES:
	case VHOST_USER_RESET_OWNER:
	case VHOST_USER_SET_MEM_TABLE:
	case VHOST_USER_SET_LOG_BASE:
	case VHOST_USER_SET_VRING_NUM:
	case VHOST_USER_SET_VRING_ADDR:
	case VHOST_USER_SET_VRING_BASE:
	case VHOST_USER_GET_VRING_BASE:
	case VHOST_USER_SET_VRING_KICK:
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ENABLE:
		return true;
	default:
		return false;
	}
}

/* The ring that a message is about. The gate lets only numbers through that there are. */
static unsigned ring_of(const struct guest_message *message)
{
	return message->number & VHOST_USER_RING_MASK;
}

static void set_bit(uint64_t *mask, unsigned bit, bool on)
{
	assert(bit < RINGS_MAX);
	if (on)
		*mask |= 1ULL << bit;
	else
		*mask &= ~(1ULL << bit);
}

static uint16_t position(const struct ring *ring)
{
	return ring->packed ? ring->next | ring->wrap << 15 : ring->next;
}

/*
 * Tells the library how far each ring has got. After that, nobody calls the guest by these rings.
 */
static void save_rings(struct guest *guest, struct guest_session *session)
{
	const uint64_t deadline = rte_rdtsc() + rte_get_tsc_hz() / 1000 * LOANS_SETTLE_MS;

	for (uint64_t rest = session->usable; rest != 0; rest &= rest - 1) {
		unsigned i = __builtin_ctzll(rest);
		ring_end(&session->rings[i], deadline);
		uint16_t base = position(&session->rings[i]);
		rte_vhost_set_vring_base(session->vid, i, base, base);
	}
	session->usable = 0;
	guest_calls_end(guest, session);
}

/*
 * False while the device has packets that lie in the guest's memory although their buffers have
 * been given back.
 */
static bool has_sent(struct guest_session *session)
{
	bool sent = true;

	for (unsigned i = 0; i < RINGS_MAX; i++)
		sent &= session->rings[i].loans == NULL || ring_loans_sent(session->rings[i].loans);
	return sent;
}

/*
 * Asks the control thread to make the device let go, if it has not sent everything. If memory goes
 * away too, guest_dma.h must have been told before, and the same: a mapping that is left without
 * this request would be left for ever.
 */
static void tell_unsent(struct guest *guest, bool sent)
{
	if (!sent)
		atomic_store(&guest->unsent, true);
}

void guest_rings_end(struct guest *guest, struct guest_session *session, const char *why)
{
	epoch_synchronize(guest->options.epoch, why);
	save_rings(guest, session);
	tell_unsent(guest, has_sent(session));
}

void guest_rings_forget_memory(struct guest *guest, struct guest_session *session)
{
	const bool sent = has_sent(session);

	guest_dma_end(guest, session, sent);
	tell_unsent(guest, sent);
}

void guest_rings_before(
	struct guest *guest, struct guest_session *session, const struct guest_message *message)
{
	if (!changes_rings(message->header.request))
		return;
	if (is_published(guest, session)) {
		atomic_store(&session->paused, true);
		guest_rings_end(guest, session, "pause the rings of a VM");
	}
	switch (message->header.request) {
	case VHOST_USER_SET_MEM_TABLE:
		guest_dma_allow(guest, session, false);
		break;
	case VHOST_USER_SET_VRING_ENABLE:
		set_bit(&session->enabled, ring_of(message), message->number >> 32 != 0);
		break;
	case VHOST_USER_GET_VRING_BASE:
		set_bit(&session->started, ring_of(message), false);
		break;
	case VHOST_USER_RESET_OWNER:
		guest_rings_forget_memory(guest, session);
		session->started = session->enabled = 0;
		break;
	}
}

static void note_start(struct guest_session *session, unsigned i)
{
	uint64_t features;

	set_bit(&session->started, i, true);
	set_bit(&session->fresh, i, true);
	if (rte_vhost_get_negotiated_features(session->vid, &features) == 0 &&
		!(features & F_PROTOCOL_FEATURES))
		set_bit(&session->enabled, i, true);
}

static void load_memory(struct guest_session *session)
{
	struct guest_memory *to = &session->memory;
	struct rte_vhost_memory *memory = NULL;
	uint64_t log, log_bytes;

	*to = (struct guest_memory){0};
	if (rte_vhost_get_mem_table(session->vid, &memory) != 0)
		return;
	for (; to->n_regions < memory->nregions && to->n_regions < MEMORY_REGIONS_MAX;
		to->n_regions++) {
		const struct rte_vhost_mem_region *from = &memory->regions[to->n_regions];
		to->regions[to->n_regions] =
			(struct guest_region){from->guest_phys_addr, from->size,
				(uint8_t *)(uintptr_t)from->host_user_addr, from->guest_user_addr};
		to->hugepages |= (uint32_t)gate_memory_is_of_hugepages(from->fd) << to->n_regions;
	}
	free(memory);
	if (session->features & 1ULL << VHOST_F_LOG_ALL &&
		rte_vhost_get_log_base(session->vid, &log, &log_bytes) == 0) {
		to->log = (uint8_t *)(uintptr_t)log;
		to->log_bytes = log_bytes;
	}
}

/* The device's mapping follows the memory, even while no ring runs. */
static void follow_memory(struct guest *guest, struct guest_session *session)
{
	load_memory(session);
	const bool sent = has_sent(session);
	guest_dma_follow(guest, session, sent);
	tell_unsent(guest, sent);
}

static bool has(const struct guest_session *session, unsigned feature)
{
	return session->features >> feature & 1;
}

static bool is_transmit(unsigned i)
{
	return i == GUEST_TRANSMIT_RING(i / 2);
}

static void set_options(struct guest_session *session, unsigned i)
{
	struct ring *ring = &session->rings[i];

	ring->memory = &session->memory;
	ring->packed = has(session, VIRTIO_F_RING_PACKED);
	ring->mergeable = has(session, VIRTIO_NET_F_MRG_RXBUF);
	ring->event_index = has(session, VIRTIO_RING_F_EVENT_IDX);
	ring->in_order = has(session, VIRTIO_F_IN_ORDER) && is_transmit(i);
	ring->data_valid = has(session, VIRTIO_NET_F_GUEST_CSUM);
	ring->header_bytes = ring->packed || ring->mergeable || has(session, VIRTIO_F_VERSION_1)
	                             ? sizeof(struct virtio_net_hdr_mrg_rxbuf)
	                             : sizeof(struct virtio_net_hdr);
}

/* A driver that sends in order gets slower by it (docs/performance.md). */
static bool may_hold(const struct ring *ring, unsigned i)
{
	return is_transmit(i) && !ring->in_order;
}

/* False if the library does not have all parts of the ring, or its position makes no sense. */
static bool load_ring(struct guest *guest, struct guest_session *session, unsigned i)
{
	struct ring *ring = &session->rings[i];
	struct rte_vhost_vring vring;
	uint16_t base, used_base;

	if (rte_vhost_get_vhost_vring(session->vid, i, &vring) != 0 ||
		rte_vhost_get_vring_base(session->vid, i, &base, &used_base) != 0 ||
		vring.desc == NULL || vring.avail == NULL || vring.used == NULL || vring.size == 0)
		return false;
	set_options(session, i);
	ring->desc = vring.desc;
	ring->avail = vring.avail;
	ring->used = vring.used;
	ring->size = vring.size;
	atomic_store(&guest->ring_sizes[i], vring.size);
	ring->call_fd = vring.callfd;
	ring->kick_fd = vring.kickfd;
	ring->next = ring->packed ? base & 0x7fff : base;
	ring->known = ring->next;
	ring->wrap = base >> 15;
	ring->call_considered = false;
	ring->starved.slots = 0;
	if (guest->options.zero_copy && is_transmit(i) && ring->loans == NULL)
		ring->loans = ring_loans_new(); /* if it fails, everything is copied */
	ring->held.n = 0;
	ring->hold_cycles = may_hold(ring, i) ? RING_HOLD_US * rte_get_tsc_hz() / 1000000 : 0;
	return !ring->packed || ring->next < ring->size;
}

/* Bit q of the result is bit 2q + odd of the mask of rings. */
static uint32_t queue_pairs(uint64_t rings, unsigned odd)
{
	uint32_t pairs = 0;

	for (unsigned q = 0; q < QUEUE_PAIRS_MAX; q++)
		pairs |= (uint32_t)(rings >> (2 * q + odd) & 1) << q;
	return pairs;
}

static void publish_rings(struct guest_session *session)
{
	uint64_t sound = 0;

	for (unsigned i = 0; i < RINGS_MAX; i++)
		set_bit(&sound, i, ring_fault(&session->rings[i]) == RING_SOUND);
	atomic_store(&session->n_retired, __builtin_popcountll(session->started & ~sound));
	sound &= session->usable;
	atomic_store(&session->vf_to_vm_enabled, queue_pairs(sound & session->enabled, 0));
	atomic_store(&session->vm_to_vf_enabled, queue_pairs(sound & session->enabled, 1));
	atomic_store(&session->vm_to_vf_disabled, queue_pairs(sound & ~session->enabled, 1));
	atomic_store_explicit(&session->paused, false, memory_order_release);
}

/* A driver that may use indirect tables does not need chains of several descriptors. */
static bool can_find_position(const struct guest_session *session, const struct ring *ring)
{
	return ring->packed && (ring->in_order || has(session, VIRTIO_RING_F_INDIRECT_DESC));
}

void guest_rings_load(struct guest *guest, struct guest_session *session)
{
	if (rte_vhost_get_negotiated_features(session->vid, &session->features) != 0)
		session->features = 0;
	follow_memory(guest, session);
	guest_dma_allow(guest, session, true);
	for (uint64_t rest = session->started; rest != 0; rest &= rest - 1) {
		unsigned i = __builtin_ctzll(rest);
		bool fresh = session->fresh >> i & 1;
		if (fresh)
			atomic_store(&session->rings[i].fault, RING_SOUND);
		if (!load_ring(guest, session, i))
			continue;
		set_bit(&session->usable, i, true);
		guest_calls_watch(guest, session, i);
		if (session->uncalled >> i & 1 && session->rings[i].call_fd >= 0)
			ring_call(&session->rings[i]);
		set_bit(&session->uncalled, i, false);
		if (fresh) {
			if (can_find_position(session, &session->rings[i]))
				ring_packed_find_position(&session->rings[i]);
			ring_ask_to_notify(&session->rings[i], false); /* workers poll at first */
		}
		set_bit(&session->fresh, i, false);
	}
	atomic_store(&guest->n_queues, rte_vhost_get_vring_num(session->vid) / 2);
	publish_rings(session);
}

void guest_rings_after(
	struct guest *guest, struct guest_session *session, const struct guest_message *message)
{
	if (!changes_rings(message->header.request))
		return;
	if (message->header.request == VHOST_USER_SET_VRING_KICK)
		note_start(session, ring_of(message));
	else if (message->header.request == VHOST_USER_SET_VRING_CALL)
		set_bit(&session->uncalled, ring_of(message), true);
	if (is_published(guest, session))
		guest_rings_load(guest, session);
	else if (message->header.request == VHOST_USER_SET_MEM_TABLE)
		follow_memory(guest, session);
	guest_changed(guest);
}
