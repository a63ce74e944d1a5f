/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * bench-copies: the work of a relay that had nothing to do but copy. It has as many rings of
 * buffers as there would be VMs, and each in turn gets or gives a burst; the other side of each
 * copy is 32 buffers that stay in the cache.
 *
 * Prints "ready", and runs until it is killed.
 */

#include <rte_memcpy.h>
#include <rte_prefetch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "load.h"

#define BURST 32
#define ROOM_BYTES 2048 /* of a buffer */
#define HUGE_PAGE_BYTES ((size_t)2 << 20)

struct direction {
	struct load *load;
	char *buffers;     /* of all VMs, ring by ring */
	unsigned position; /* of each ring */
	bool from_vm;
};

struct copies {
	unsigned vms, ring;
	struct direction directions[2];
	char relay[BURST][ROOM_BYTES];
};

static char *buffers(const struct copies *copies, bool huge)
{
	size_t bytes =
		RTE_ALIGN_CEIL((size_t)copies->vms * copies->ring * ROOM_BYTES, HUGE_PAGE_BYTES);
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | (huge ? MAP_HUGETLB : 0), -1, 0);

	if (memory == MAP_FAILED) {
		perror("bench-copies");
		return NULL;
	}
	return memset(memory, 1, bytes); /* otherwise all of it could be one page of zeros */
}

static void copy_burst(struct copies *copies, struct direction *direction, unsigned vm)
{
	struct load *load = direction->load;
	char *ring = direction->buffers + (size_t)vm * copies->ring * ROOM_BYTES;
	char *buffer = ring + (size_t)direction->position * ROOM_BYTES;
	uint16_t size = load->sizes[0];

	for (unsigned i = 0; i < BURST; i++, buffer += ROOM_BYTES) {
		if (direction->from_vm) {
			for (unsigned at = 0; at < size; at += RTE_CACHE_LINE_SIZE)
				rte_prefetch0(buffer + ROOM_BYTES + at);
			rte_memcpy(copies->relay[i], buffer, size);
		} else {
			rte_memcpy(buffer, copies->relay[i], size);
		}
	}
	load->received[vm * LOAD_QUEUES].packets += BURST;
}

/* Copies one burst for each VM. Returns whether there was one to copy. */
static bool copy_round(struct copies *copies)
{
	bool busy = false;

	for (unsigned vm = 0; vm < copies->vms; vm++)
		for (unsigned d = 0; d < RTE_DIM(copies->directions); d++)
			if (copies->directions[d].load->on) {
				copy_burst(copies, &copies->directions[d], vm);
				busy = true;
			}
	for (unsigned d = 0; d < RTE_DIM(copies->directions); d++)
		copies->directions[d].position =
			(copies->directions[d].position + BURST) % copies->ring;
	return busy;
}

static int usage(void)
{
	fprintf(stderr, "usage: bench-copies [--huge] VF-TO-VM-FILE VM-TO-VF-FILE VMS RING\n");
	return 2;
}

int main(int argc, char **argv)
{
	static struct copies copies;
	bool huge = argc == 6 && strcmp(argv[1], "--huge") == 0;

	if (argc != 5 + huge)
		return usage();
	argv += huge;
	copies.vms = (unsigned)atoi(argv[3]);
	copies.ring = (unsigned)atoi(argv[4]);
	if (copies.vms < 1 || copies.vms > LOAD_SLOTS / LOAD_QUEUES || copies.ring % BURST != 0)
		return usage();
	for (unsigned d = 0; d < RTE_DIM(copies.directions); d++) {
		struct direction *direction = &copies.directions[d];

		direction->from_vm = d == 1;
		direction->load = load_open(argv[1 + d]);
		direction->buffers = buffers(&copies, huge);
		if (direction->load == NULL || direction->buffers == NULL)
			return 2;
	}
	printf("ready\n");
	fflush(stdout);
	for (;;)
		if (!copy_round(&copies))
			usleep(1000);
}
