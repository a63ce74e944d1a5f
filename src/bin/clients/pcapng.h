/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Writes a pcapng file (draft-ietf-opsawg-pcapng): Ethernet packets with timestamps in nanoseconds.
 * Write errors show in ferror().
 */

#include <stdint.h>
#include <stdio.h>

/* The section header, with the name of the program that writes the file. */
void pcapng_begin(FILE *out, const char *program);

/* Adds an interface; the first is number 0. */
void pcapng_interface(FILE *out, const char *name, const char *description, uint32_t snaplen);

struct pcapng_packet {
	uint32_t interface;
	uint64_t time_ns; /* since 1970 */
	uint32_t length;  /* length of the packet on the wire */
	uint32_t kept;    /* number of its bytes at `data` */
	const uint8_t *data;
};

void pcapng_packet(FILE *out, const struct pcapng_packet *packet);

/* The statistics of an interface, at the end of the file. */
void pcapng_statistics(
	FILE *out, uint32_t interface, uint64_t time_ns, uint64_t received, uint64_t lost);
