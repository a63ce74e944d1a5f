/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/guest/guest_dma.h"

#include <errno.h>
#include <linux/vfio.h>
#include <rte_common.h>
#include <rte_vfio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "core/guest/guest.h"

/*
 * The size of a part. For ordinary pages, what takes ten milliseconds to map; for hugepages, the
 * largest page that an IOMMU has. The kernel keeps at most 65,535 mappings, for all guests
 * together.
 */
#define PART_BYTES (UINT64_C(32) << 20)
#define PART_BYTES_HUGE (UINT64_C(1) << 30)

/*
 * Not by rte_dev_dma_map(), which wants memory registered with DPDK page by page. Nor by
 * rte_vfio_container_dma_map(), which has room for 256 pieces and regards memory as mapped if
 * another's mapping is in its place. All devices of DPDK are in its default container.
 */
static int ask_vfio(unsigned long request, void *argument)
{
	return ioctl(rte_vfio_get_container_fd(), request, argument) < 0 ? -errno : 0;
}

/* Unmaps the first `bytes` of all regions; UINT64_MAX: everything. */
static void unmap(const struct guest_memory *memory, uint64_t bytes)
{
	for (unsigned i = 0; i < memory->n_regions && bytes > 0; i++) {
		const struct guest_region *region = &memory->regions[i];
		uint64_t mapped = RTE_MIN(bytes, region->bytes);
		struct vfio_iommu_type1_dma_unmap request = {
			.argsz = sizeof(request), .iova = (uintptr_t)region->host, .size = mapped};
		ask_vfio(VFIO_IOMMU_UNMAP_DMA, &request);
		bytes -= mapped;
	}
}

static uint64_t part_bytes(const struct guest_memory *memory, unsigned region)
{
	return memory->hugepages >> region & 1 ? PART_BYTES_HUGE : PART_BYTES;
}

/*
 * Maps the next part of the memory, for reading by the device. `*bytes` is how much of all regions,
 * in their order, is mapped already; it then includes the new part. Returns what guest_dma_map()
 * returns.
 */
static int map_part(const struct guest_memory *memory, uint64_t *bytes)
{
	uint64_t offset = *bytes;
	unsigned i = 0;

	while (i < memory->n_regions && offset >= memory->regions[i].bytes)
		offset -= memory->regions[i++].bytes;
	if (i == memory->n_regions)
		return GUEST_DMA_DONE;
	uint64_t rest = memory->regions[i].bytes - offset;
	struct vfio_iommu_type1_dma_map map = {.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.size = RTE_MIN(rest, part_bytes(memory, i))};
	map.vaddr = map.iova = (uintptr_t)memory->regions[i].host + offset;
	int r = ask_vfio(VFIO_IOMMU_MAP_DMA, &map);
	if (r < 0)
		return r;
	*bytes += map.size;
	return map.size == rest && i + 1 == memory->n_regions ? GUEST_DMA_DONE : GUEST_DMA_PART;
}

/*
 * The number of guests with a mapping of memory that is gone (dma_left). The kernel may put other
 * memory in its place, so nothing is mapped meanwhile.
 */
static _Atomic unsigned n_left;

static int map_more(struct guest *guest, struct guest_session *session, struct err *err)
{
	if (session == NULL || !session->dma_allowed || session->dma_tried ||
		session->dma_memory.n_regions == 0 || atomic_load(&n_left) > 0)
		return GUEST_DMA_NOTHING;
	int r = map_part(&session->dma_memory, &session->dma_bytes);
	if (r == GUEST_DMA_PART)
		return r;
	session->dma_tried = true;
	if (r < 0) {
		unmap(&session->dma_memory, session->dma_bytes);
		session->dma_bytes = 0;
		return err_set(err, -r,
			"the memory of the VM on %s cannot be mapped for its device: %s; "
			"its packets are copied",
			guest->path, strerror(-r));
	}
	atomic_store_explicit(&session->dma_mapped, true, memory_order_release);
	return r;
}

int guest_dma_map(struct guest *guest, struct err *err)
{
	pthread_mutex_lock(&guest->dma_mutex);
	int r = map_more(guest, atomic_load(&guest->session), err);
	pthread_mutex_unlock(&guest->dma_mutex);
	return r;
}

/* With dma_mutex held. */
static void end(struct guest *guest, struct guest_session *session, bool sent)
{
	bool lent = atomic_exchange(&session->dma_mapped, false);

	session->dma_tried = false;
	/*
	 * Only one is left mapped: a device that still reads a second one fails, and is restarted
	 * anyway.
	 */
	if (lent && !sent && guest->dma_left.n_regions == 0) {
		guest->dma_left = session->dma_memory;
		atomic_fetch_add(&n_left, 1);
	} else {
		unmap(&session->dma_memory, session->dma_bytes);
	}
	session->dma_bytes = 0;
}

void guest_dma_unmap(struct guest *guest)
{
	pthread_mutex_lock(&guest->dma_mutex);
	for (unsigned i = 0; i < GUEST_CONNECTIONS_MAX; i++)
		end(guest, &guest->connections[i], true);
	if (guest->dma_left.n_regions > 0) {
		unmap(&guest->dma_left, UINT64_MAX);
		guest->dma_left.n_regions = 0;
		atomic_fetch_sub(&n_left, 1);
	}
	pthread_mutex_unlock(&guest->dma_mutex);
}

static bool is_same(const struct guest_memory *a, const struct guest_memory *b)
{
	return a->n_regions == b->n_regions &&
	       memcmp(a->regions, b->regions, a->n_regions * sizeof(a->regions[0])) == 0;
}

void guest_dma_follow(struct guest *guest, struct guest_session *session, bool sent)
{
	pthread_mutex_lock(&guest->dma_mutex);
	if (!is_same(&session->dma_memory, &session->memory)) {
		end(guest, session, sent);
		session->dma_memory = session->memory;
	}
	pthread_mutex_unlock(&guest->dma_mutex);
}

void guest_dma_allow(struct guest *guest, struct guest_session *session, bool on)
{
	pthread_mutex_lock(&guest->dma_mutex);
	session->dma_allowed = on;
	pthread_mutex_unlock(&guest->dma_mutex);
}

void guest_dma_end(struct guest *guest, struct guest_session *session, bool sent)
{
	pthread_mutex_lock(&guest->dma_mutex);
	session->dma_allowed = false;
	end(guest, session, sent);
	session->dma_memory = (struct guest_memory){0};
	pthread_mutex_unlock(&guest->dma_mutex);
}
