/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/ring/ring_fixture.h"

#include <string.h>

#define F_NEXT 1
#define F_WRITE 2
#define F_INDIRECT 4
#define F_AVAIL 0x80
#define F_USED 0x8000

static struct vring_desc *split_desc(const struct driver *driver, unsigned number)
{
	return (struct vring_desc *)(driver->memory + AT_DESC) + number;
}

static struct vring_packed_desc *packed_desc(const struct driver *driver, unsigned number)
{
	return (struct vring_packed_desc *)(driver->memory + AT_DESC) + number;
}

static struct vring_avail *avail(const struct driver *driver)
{
	return (struct vring_avail *)(driver->memory + AT_AVAIL);
}

static struct vring_used *used(const struct driver *driver)
{
	return (struct vring_used *)(driver->memory + AT_USED);
}

void driver_init(struct driver *driver, uint8_t *memory, uint16_t size, bool packed)
{
	*driver = (struct driver){
		.memory = memory,
		.gpa = GUEST_GPA,
		.size = size,
		.packed = packed,
		.wrap = true,
		.used_wrap = true,
		.n_free = size,
	};
	memset(memory, 0, GUEST_BYTES);
}

struct guest_memory one_region(uint8_t *memory)
{
	return (struct guest_memory){
		.n_regions = 1,
		.regions = {{.gpa = GUEST_GPA, .bytes = GUEST_BYTES, .host = memory}},
	};
}

void driver_ring(const struct driver *driver, const struct guest_memory *memory, struct ring *ring)
{
	*ring = (struct ring){
		.memory = memory,
		.size = driver->size,
		.packed = driver->packed,
		.wrap = driver->packed,
		.header_bytes = sizeof(struct virtio_net_hdr_mrg_rxbuf),
		.call_fd = -1,
		.kick_fd = -1,
	};
	ring->desc = (struct vring_desc *)(driver->memory + AT_DESC);
	ring->avail = (struct vring_avail *)(driver->memory + AT_AVAIL);
	ring->used = (struct vring_used *)(driver->memory + AT_USED);
}

uint8_t *driver_buffer(const struct driver *driver)
{
	return driver->memory + AT_BUFFERS + driver->next * BUFFER_BYTES;
}

/* The pieces of a buffer are adjacent. */
static unsigned fill_table(
	struct driver *driver, const uint32_t *piece_bytes, unsigned n, bool writable)
{
	unsigned at = AT_TABLES + driver->next * TABLE_ENTRIES * sizeof(struct vring_desc);
	uint64_t gpa = driver->gpa + AT_BUFFERS + driver->next * BUFFER_BYTES;

	for (unsigned i = 0; i < n; i++) {
		uint16_t flags = writable ? F_WRITE : 0;
		uint8_t *entry = driver->memory + at + i * sizeof(struct vring_desc);
		if (driver->packed)
			*(struct vring_packed_desc *)entry =
				(struct vring_packed_desc){gpa, piece_bytes[i], 0, flags};
		else
			*(struct vring_desc *)entry = (struct vring_desc){
				gpa, piece_bytes[i], flags | (i + 1 < n ? F_NEXT : 0), i + 1};
		gpa += piece_bytes[i];
	}
	return at;
}

static void write_desc(struct driver *driver, unsigned number, uint16_t id, uint64_t gpa,
	uint32_t bytes, uint16_t flags)
{
	if (!driver->packed) {
		*split_desc(driver, number) =
			(struct vring_desc){gpa, bytes, flags, (number + 1) % driver->size};
		return;
	}
	bool wrap = number < id ? !driver->wrap : driver->wrap;
	struct vring_packed_desc *at = packed_desc(driver, number);
	at->addr = gpa;
	at->len = bytes;
	at->id = id;
	at->flags = flags | (wrap ? F_AVAIL : F_USED);
}

static void write_chain(
	struct driver *driver, const uint32_t *piece_bytes, unsigned n, bool writable)
{
	uint16_t head = driver->next;
	uint64_t gpa = driver->gpa + AT_BUFFERS + head * BUFFER_BYTES;

	for (unsigned i = 0; i < n; i++) {
		write_desc(driver, (head + i) % driver->size, head, gpa, piece_bytes[i],
			(writable ? F_WRITE : 0) | (i + 1 < n ? F_NEXT : 0));
		gpa += piece_bytes[i];
	}
}

bool driver_offer(struct driver *driver, const uint32_t *piece_bytes, unsigned n, bool writable)
{
	bool indirect = driver->indirect && n > 1;
	unsigned slots = indirect ? 1 : n;
	uint16_t head = driver->next;

	if (slots > driver->n_free)
		return false;
	if (indirect)
		write_desc(driver, head, head,
			driver->gpa + fill_table(driver, piece_bytes, n, writable),
			n * sizeof(struct vring_desc), F_INDIRECT);
	else
		write_chain(driver, piece_bytes, n, writable);
	driver->slots[head] = slots;
	driver->n_free -= slots;
	driver->next += slots;
	if (driver->next >= driver->size) {
		driver->next -= driver->size;
		driver->wrap = !driver->wrap;
	}
	if (!driver->packed) {
		avail(driver)->ring[driver->avail++ % driver->size] = head;
		avail(driver)->idx = driver->avail;
	}
	return true;
}

static bool take_packed(struct driver *driver, uint16_t *ret_id, uint32_t *ret_bytes)
{
	const struct vring_packed_desc *at = packed_desc(driver, driver->used);
	bool is_avail = at->flags & F_AVAIL, is_used = at->flags & F_USED;

	if (driver->n_free == driver->size ||
		(!driver->in_burst && (is_avail != is_used || is_used != driver->used_wrap)))
		return false;
	if (!driver->in_burst) {
		driver->burst_id = at->id;
		*ret_bytes = at->len;
	}
	*ret_id = driver->in_order ? driver->used : at->id; /* the id of a buffer is its place */
	driver->in_burst = *ret_id != driver->burst_id;
	driver->used += driver->slots[*ret_id];
	if (driver->used >= driver->size) {
		driver->used -= driver->size;
		driver->used_wrap = !driver->used_wrap;
	}
	return true;
}

static bool take_split(struct driver *driver, uint16_t *ret_id, uint32_t *ret_bytes)
{
	if (used(driver)->idx == driver->used)
		return false;
	const struct vring_used_elem *element = &used(driver)->ring[driver->used++ % driver->size];
	*ret_id = element->id;
	*ret_bytes = element->len;
	return true;
}

bool driver_take_used(struct driver *driver, uint8_t **ret_buffer, uint32_t *ret_bytes)
{
	uint16_t id = 0;

	if (!(driver->packed ? take_packed(driver, &id, ret_bytes)
			     : take_split(driver, &id, ret_bytes)))
		return false;
	driver->n_free += driver->slots[id];
	*ret_buffer = driver->memory + AT_BUFFERS + id * BUFFER_BYTES;
	return true;
}
