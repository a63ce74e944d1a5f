/* SPDX-License-Identifier: BSD-3-Clause */

#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROBE_MAGIC UINT64_C(0x70726f6265363421)

/* Ethernet, IPv4 and UDP, and the contents of a probe. Nobody looks at the checksums. */
struct frame {
	uint8_t headers[34];
	uint16_t source_port; /* big endian, like the other headers */
	uint8_t rest_of_udp[6];
	uint8_t padding[6];
	uint64_t magic;
	uint64_t tsc;
} __attribute__((packed));

static const struct frame template = {
	.headers = {0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00,            /* Ethernet */
		0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}, /* IPv4 */
	.rest_of_udp = {0x12, 0xb5, 0, 26, 0, 0},
};

struct load *load_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct load *load = MAP_FAILED;
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && (size_t)st.st_size >= sizeof(*load))
		load = mmap(NULL, sizeof(*load), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	if (load == MAP_FAILED || load->size_bytes != sizeof(*load)) {
		fprintf(stderr, "bench: %s is no load file of %zu bytes\n", path, sizeof(*load));
		return NULL;
	}
	return load;
}

void load_source_init(struct load_source *source, struct load *load, unsigned slot)
{
	*source = (struct load_source){.load = load, .count = &load->sent[slot]};
}

static void follow_orders(struct load_source *source, uint32_t generation)
{
	const struct load *load = source->load;

	source->generation = generation;
	source->next_flow = source->next_size = 0;
	source->until_probe = load->probe_every;
	source->start_tsc = rte_rdtsc();
	source->due = 0;
	source->cycles_per_packet = load->pps > 0 ? (double)rte_get_tsc_hz() / load->pps : 0;
}

uint16_t load_due(struct load_source *source, uint16_t max)
{
	struct load *load = source->load;
	uint32_t generation = atomic_load_explicit(&load->generation, memory_order_acquire);

	if (unlikely(generation != source->generation))
		follow_orders(source, generation);
	if (!load->on)
		return 0;
	if (source->cycles_per_packet <= 0)
		return max;

	uint64_t due =
		(uint64_t)((double)(rte_rdtsc() - source->start_tsc) / source->cycles_per_packet) +
		1;
	uint64_t waiting = due - source->due;
	if (waiting > LOAD_WAITING) {
		source->count->missed += waiting - LOAD_WAITING;
		source->due += waiting - LOAD_WAITING;
		waiting = LOAD_WAITING;
	}
	return RTE_MIN(waiting, max);
}

/* A packet's time is when it was due, so that the time it waits for the relay counts. */
static uint64_t due_tsc(const struct load_source *source)
{
	if (source->cycles_per_packet <= 0)
		return rte_rdtsc();
	return source->start_tsc + (uint64_t)((double)source->due * source->cycles_per_packet);
}

static void write_frame(struct load_source *source, struct rte_mbuf *packet, uint16_t size)
{
	struct frame *frame = rte_pktmbuf_mtod(packet, struct frame *);

	*frame = template;
	if (source->load->written && size > sizeof(*frame))
		memset(frame + 1, (int)source->due, size - sizeof(*frame));
	frame->source_port = (uint16_t)(source->next_flow << 8);
	if (++source->next_flow >= source->load->flows)
		source->next_flow = 0;
	if (source->until_probe > 0 && --source->until_probe == 0) {
		source->until_probe = source->load->probe_every;
		frame->magic = PROBE_MAGIC;
		frame->tsc = due_tsc(source);
	}
}

void load_fill(struct load_source *source, struct rte_mbuf **packets, uint16_t n)
{
	const struct load *load = source->load;
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++) {
		uint16_t size = load->sizes[source->next_size];

		if (++source->next_size >= load->n_sizes)
			source->next_size = 0;
		write_frame(source, packets[i], size);
		packets[i]->data_len = size;
		packets[i]->pkt_len = size;
		bytes += size;
		source->due++;
	}
	source->count->packets += n;
	source->count->bytes += bytes;
}

static unsigned bucket(uint64_t ns)
{
	if (ns < LATENCY_STEPS)
		return (unsigned)ns;
	unsigned log2 = 63 - (unsigned)__builtin_clzll(ns);
	unsigned step = (unsigned)(ns >> (log2 - 5)) & (LATENCY_STEPS - 1);
	return RTE_MIN((log2 - 4) * LATENCY_STEPS + step, LATENCY_BUCKETS - 1U);
}

static void time_probes(struct load *load, struct rte_mbuf **packets, uint16_t n)
{
	uint64_t now = rte_rdtsc();
	double ns_per_cycle = 1e9 / (double)rte_get_tsc_hz();

	for (uint16_t i = 0; i < n; i++) {
		const struct frame *frame = rte_pktmbuf_mtod(packets[i], struct frame *);

		if (packets[i]->data_len >= sizeof(*frame) && frame->magic == PROBE_MAGIC &&
			now > frame->tsc)
			load->latency[bucket(
				(uint64_t)((double)(now - frame->tsc) * ns_per_cycle))]++;
	}
}

/* Reads packets as their final receiver does. */
static void read_all(struct rte_mbuf **packets, uint16_t n)
{
	uint64_t sum = 0;

	for (uint16_t i = 0; i < n; i++) {
		const uint64_t *words = rte_pktmbuf_mtod(packets[i], const uint64_t *);
		for (unsigned w = 0; w < packets[i]->data_len / sizeof(*words); w++)
			sum += words[w];
	}
	__asm__ volatile("" : : "r"(sum)); /* keeps the compiler from dropping the loop */
}

void load_receive(struct load *load, unsigned slot, struct rte_mbuf **packets, uint16_t n)
{
	struct load_count *count = &load->received[slot];
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++)
		bytes += packets[i]->pkt_len;
	if (load->probe_every > 0)
		time_probes(load, packets, n);
	if (load->read)
		read_all(packets, n);
	count->packets += n;
	count->bytes += bytes;
}
