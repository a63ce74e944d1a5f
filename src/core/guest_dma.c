/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/guest_dma.h"

#include <errno.h>
#include <rte_common.h>
#include <rte_errno.h>
#include <rte_vfio.h>
#include <string.h>

#include "core/dpdk_log.h"
#include "core/guest.h"

/*
 * Not rte_dev_dma_map(), which does the same but only for memory that is registered with DPDK page
 * by page: some 40 bytes for each of 4 KiB. Devices of DPDK are all in this container.
 */
#define CONTAINER RTE_VFIO_DEFAULT_CONTAINER_FD

/*
 * So much is mapped at once of memory in ordinary pages: ten milliseconds. In hugepages it is
 * quick, and a region as a whole may get larger pages of the IOMMU. The kernel keeps 65,535
 * mappings for all guests.
 */
#define PART_BYTES (UINT64_C(32) << 20)

/* The first `bytes` of all regions; UINT64_MAX: all. */
static void unmap(const struct guest_memory *memory, uint64_t bytes)
{
	for (unsigned i = 0; i < memory->n_regions && bytes > 0; i++) {
		const struct guest_region *region = &memory->regions[i];
		uint64_t mapped = RTE_MIN(bytes, region->bytes);
		rte_vfio_container_dma_unmap(
			CONTAINER, (uintptr_t)region->host, (uintptr_t)region->host, mapped);
		bytes -= mapped;
	}
}

/*
 * Maps the next part of memory behind the first `*bytes` of all regions, which then include it. 1
 * where that was the last one, 0, or a negative errno.
 */
static int map_part(const struct guest_memory *memory, uint64_t *bytes)
{
	uint64_t offset = *bytes;
	unsigned i = 0;

	while (i < memory->n_regions && offset >= memory->regions[i].bytes)
		offset -= memory->regions[i++].bytes;
	if (i == memory->n_regions)
		return 1;
	uintptr_t at = (uintptr_t)memory->regions[i].host + offset;
	uint64_t rest = memory->regions[i].bytes - offset,
		 part = memory->hugepages ? rest : RTE_MIN(rest, PART_BYTES);
	rte_errno = 0;
	if (rte_vfio_container_dma_map(CONTAINER, at, at, part) != 0)
		return rte_errno != 0 ? -rte_errno : -EIO;
	*bytes += part;
	return part == rest && i + 1 == memory->n_regions;
}

/*
 * Mappings of memory that is gone, of all guests. The kernel may put other memory in its place,
 * which DPDK would take to be mapped already: nothing is mapped meanwhile.
 */
static _Atomic unsigned n_left;

static int map_more(struct guest *guest, struct guest_session *session, struct err *err)
{
	if (session == NULL || !session->dma_allowed || session->dma_tried ||
		atomic_load(&n_left) > 0)
		return 0;
	dpdk_log_capture_start();
	int r = map_part(&session->dma_memory, &session->dma_bytes);
	const char *said = dpdk_log_capture_end();
	if (r == 0) {
		guest->options.changed(guest->options.userdata);
		return 0;
	}
	session->dma_tried = true;
	if (r < 0) {
		unmap(&session->dma_memory, session->dma_bytes);
		session->dma_bytes = 0;
		return err_set(err, -r,
			"the memory of the VM on %s cannot be mapped for its device: %s%s%s%s; its "
			"packets are copied",
			guest->path, strerror(-r), said[0] ? " (" : "", said, said[0] ? ")" : "");
	}
	atomic_store_explicit(&session->dma_mapped, true, memory_order_release);
	return 1;
}

int guest_dma_map(struct guest *guest, struct err *err)
{
	pthread_mutex_lock(&guest->dma_mutex);
	int r = map_more(guest, atomic_load(&guest->session), err);
	pthread_mutex_unlock(&guest->dma_mutex);
	return r;
}

/* With the mutex held. */
static void end(struct guest *guest, struct guest_session *session, bool sent)
{
	bool lent = atomic_exchange(&session->dma_mapped, false);

	session->dma_tried = false;
	/* A device that would still read a second one fails, and is restarted anyway. */
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

void guest_dma_allow(struct guest *guest, struct guest_session *session, bool sent)
{
	pthread_mutex_lock(&guest->dma_mutex);
	if (!is_same(&session->dma_memory, &session->memory)) {
		end(guest, session, sent);
		session->dma_memory = session->memory;
	}
	session->dma_allowed = true;
	pthread_mutex_unlock(&guest->dma_mutex);
}

void guest_dma_forbid(struct guest *guest, struct guest_session *session)
{
	pthread_mutex_lock(&guest->dma_mutex);
	session->dma_allowed = false;
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
