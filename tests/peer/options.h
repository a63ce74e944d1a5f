/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MAX_FLOWS 64
#define MAX_QUEUES 16

enum sizes { SIZES_FIXED, SIZES_IMIX, SIZES_RANDOM };

struct options {
	/* The VM side: net_virtio_user on this vhost-user socket; NULL: none. */
	const char *vm_socket;
	bool vm_server; /* the VM side listens */
	bool vm_packed;
	bool vm_mergeable;
	bool vm_in_order;
	unsigned vm_queue_size; /* descriptors */

	/* The network side: net_memif on this abstract socket, or any device; NULL: none. */
	const char *net_socket;
	bool net_server;
	const char *net_device; /* "NAME,ARGUMENTS" */

	bool vm_to_vf; /* generate and check this direction, as far as its ends are ours */
	bool vf_to_vm;
	bool reflect; /* instead, the network side sends, and checks what comes back */

	uint64_t count; /* packets per direction; 0: until stopped */
	unsigned flows;
	unsigned queues; /* queue pairs on both sides */
	enum sizes sizes;
	uint16_t size_bytes; /* FIXED: each frame; RANDOM: the longest */
	uint64_t rate_pps;   /* per direction; 0: as fast as it goes */
	uint64_t pause_at;   /* the VM stops reading after so many packets; 0: never */
	unsigned pause_ms;   /* for so long */
	bool latency;        /* measure it */
	unsigned drain_ms;   /* after so much silence, missing packets are lost */
	unsigned cpu;
	unsigned nap_us; /* sleep if nothing has moved; 0: only yield */
	bool control;    /* obey commands on stdin */
};

/*
 * Returns 0, or the exit code: the command line is wrong and stderr says how, or --help was
 * printed.
 */
int options_parse(struct options *ret_options, int argc, char **argv);

/* The longest frame that these options generate, bytes. */
uint16_t options_max_frame(const struct options *options);
