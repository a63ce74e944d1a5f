/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/guest/guest_dma.h"

#include <errno.h>
#include <linux/vfio.h>
#include <rte_vfio.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "core/guest/guest.h"

#define MIB (UINT64_C(1) << 20)
#define AT(mib) ((mib)*MIB)

/* What VFIO is asked for. The linker puts these functions in place of the real ones. */
int __wrap_ioctl(int fd, unsigned long request, void *argument);
__typeof__(rte_vfio_get_container_fd) __wrap_rte_vfio_get_container_fd;

#define CONTAINER_FD 1234

static struct {
	char mapped[16][32]; /* "first byte+bytes", MiB */
	char unmapped[16][32];
	unsigned n_mapped, n_unmapped;
	unsigned fails_at; /* the mapping call that fails, from 1; 0: none */
} vfio;

int __wrap_rte_vfio_get_container_fd(void)
{
	return CONTAINER_FD;
}

static void note(char *to, uint64_t at, uint64_t bytes)
{
	snprintf(to, 32, "%u+%u", (unsigned)(at / MIB), (unsigned)(bytes / MIB));
}

static int map(const struct vfio_iommu_type1_dma_map *request)
{
	assert_int_equal(request->vaddr, request->iova);
	assert_int_equal(request->flags, VFIO_DMA_MAP_FLAG_READ);
	if (vfio.n_mapped + 1 == vfio.fails_at) {
		errno = ENOSPC;
		return -1;
	}
	note(vfio.mapped[vfio.n_mapped++], request->iova, request->size);
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
	const struct vfio_iommu_type1_dma_unmap *unmap = argument;

	assert_int_equal(fd, CONTAINER_FD);
	if (request == VFIO_IOMMU_MAP_DMA)
		return map(argument);
	assert_int_equal(request, VFIO_IOMMU_UNMAP_DMA);
	note(vfio.unmapped[vfio.n_unmapped++], unmap->iova, unmap->size);
	return 0;
}

/* A guest with 72 MiB at 1000 MiB and 40 MiB at 5000 MiB; its session is published. */
static int set_up(void **state)
{
	struct guest *guest = calloc_aligned(alignof(struct guest), sizeof(*guest));
	struct guest_session *session = &guest->connections[0];

	memset(&vfio, 0, sizeof(vfio));
	pthread_mutex_init(&guest->dma_mutex, NULL);
	session->memory = (struct guest_memory){.n_regions = 2,
		.regions = {{.host = (uint8_t *)AT(1000), .bytes = 72 * MIB},
			{.host = (uint8_t *)AT(5000), .bytes = 40 * MIB}}};
	atomic_store(&guest->session, session);
	*state = guest;
	return 0;
}

static int tear_down(void **state)
{
	struct guest *guest = *state;

	pthread_mutex_destroy(&guest->dma_mutex);
	free(guest);
	return 0;
}

static void allow(struct guest *guest, bool sent)
{
	guest_dma_follow(guest, &guest->connections[0], sent);
	guest_dma_allow(guest, &guest->connections[0], true);
}

/* Maps `n` parts, none of which is the last. */
static void map_parts(struct guest *guest, unsigned n)
{
	struct err err;

	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(guest_dma_map(guest, &err), GUEST_DMA_PART);
		assert_false(atomic_load(&guest->connections[0].dma_mapped));
	}
}

static void assert_maps_nothing(struct guest *guest)
{
	struct err err;

	assert_int_equal(guest_dma_map(guest, &err), GUEST_DMA_NOTHING);
}

/* Maps the rest, in `n` parts. */
static void map_all(struct guest *guest, unsigned n)
{
	struct err err;

	map_parts(guest, n - 1);
	assert_int_equal(guest_dma_map(guest, &err), GUEST_DMA_DONE);
	assert_true(atomic_load(&guest->connections[0].dma_mapped));
}

/* Both regions have been unmapped, each as a whole. */
static void assert_all_unmapped(void)
{
	assert_int_equal(vfio.n_unmapped, 2);
	assert_string_equal(vfio.unmapped[0], "1000+72");
	assert_string_equal(vfio.unmapped[1], "5000+40");
}

static void memory_is_mapped_in_parts(void **state)
{
	static const char *const parts[] = {"1000+32", "1032+32", "1064+8", "5000+32", "5032+8"};
	struct guest *guest = *state;
	struct guest_session *session = &guest->connections[0];

	assert_maps_nothing(guest); /* not allowed yet */
	allow(guest, true);
	map_all(guest, 5);
	assert_int_equal(vfio.n_mapped, 5);
	for (unsigned i = 0; i < 5; i++)
		assert_string_equal(vfio.mapped[i], parts[i]);
	assert_maps_nothing(guest); /* done */
	guest_dma_end(guest, session, true);
	assert_all_unmapped();
}

/* Only the second of the two regions is in hugepages. */
static void hugepages_are_mapped_in_larger_parts(void **state)
{
	struct guest *guest = *state;
	struct guest_session *session = &guest->connections[0];

	session->memory.regions[1].bytes = 1030 * MIB;
	session->memory.hugepages = 1u << 1;
	allow(guest, true);
	map_all(guest, 5);
	assert_string_equal(vfio.mapped[2], "1064+8");
	assert_string_equal(vfio.mapped[3], "5000+1024");
	assert_string_equal(vfio.mapped[4], "6024+6");
}

static void a_failure_takes_back_what_was_mapped(void **state)
{
	struct guest *guest = *state;
	struct err err;

	vfio.fails_at = 3;
	allow(guest, true);
	map_parts(guest, 2);
	assert_int_equal(guest_dma_map(guest, &err), -ENOSPC);
	assert_int_equal(vfio.n_unmapped, 1);
	assert_string_equal(vfio.unmapped[0], "1000+64");
	assert_maps_nothing(guest); /* told once */
	assert_int_equal(vfio.n_mapped, 2);
	guest_dma_unmap(guest); /* another device may try */
	assert_int_equal(vfio.n_unmapped, 1);
	vfio.fails_at = 0;
	map_all(guest, 5);
}

static void memory_may_change_between_two_parts(void **state)
{
	struct guest *guest = *state;
	struct guest_session *session = &guest->connections[0];

	allow(guest, true);
	map_parts(guest, 1);
	guest_dma_allow(guest, session, false);
	assert_maps_nothing(guest);
	assert_int_equal(vfio.n_mapped, 1);
	allow(guest, true); /* the same memory: mapping goes on */
	map_parts(guest, 1);
	assert_string_equal(vfio.mapped[1], "1032+32");

	guest_dma_allow(guest, session, false);
	session->memory.n_regions = 1;
	allow(guest, true); /* other memory */
	assert_int_equal(vfio.n_unmapped, 1);
	assert_string_equal(vfio.unmapped[0], "1000+64");
	map_all(guest, 3);
	assert_string_equal(vfio.mapped[4], "1064+8");
}

/* While no ring runs, memory may not be mapped; what was mapped goes with the old memory. */
static void memory_is_followed_while_no_ring_runs(void **state)
{
	struct guest *guest = *state;
	struct guest_session *session = &guest->connections[0];

	allow(guest, true);
	map_all(guest, 5);
	guest_dma_allow(guest, session, false);
	guest_dma_follow(guest, session, true);
	assert_int_equal(vfio.n_unmapped, 0); /* the same memory */
	session->memory = (struct guest_memory){0};
	guest_dma_follow(guest, session, true);
	assert_all_unmapped();
	assert_false(atomic_load(&session->dma_mapped));
	assert_maps_nothing(guest);
}

/* A device has not sent what it was lent: the mapping stays until the device has let go. */
static void what_is_lent_stays_mapped(void **state)
{
	struct guest *guest = *state;
	struct guest_session *session = &guest->connections[0];

	allow(guest, true);
	map_all(guest, 5);
	guest_dma_end(guest, session, false);
	assert_int_equal(vfio.n_unmapped, 0);
	allow(guest, false);
	assert_maps_nothing(guest);
	assert_int_equal(vfio.n_mapped, 5);
	guest_dma_unmap(guest);
	assert_all_unmapped();
	map_parts(guest, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(memory_is_mapped_in_parts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			hugepages_are_mapped_in_larger_parts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_failure_takes_back_what_was_mapped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			memory_may_change_between_two_parts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			memory_is_followed_while_no_ring_runs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_lent_stays_mapped, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
