/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Writes a pcapng file (draft-ietf-opsawg-pcapng): Ethernet packets with times in nanoseconds. What
 * cannot be written shows as ferror().
 */

#include <stdint.h>
#include <stdio.h>

/* The head of the file: the program that writes it. */
void pcapng_begin(FILE *out, const char *program);

/* The next interface; the first is number 0. */
void pcapng_interface(FILE *out, const char *name, const char *description, uint32_t snaplen);

struct pcapng_packet {
	uint32_t interface;
	uint64_t time_ns; /* since 1970 */
	uint32_t length;  /* of the packet on the wire */
	uint32_t kept;    /* bytes of it at `data` */
	const uint8_t *data;
};

void pcapng_packet(FILE *out, const struct pcapng_packet *packet);

/* What an interface has seen, at the end. */
void pcapng_statistics(
	FILE *out, uint32_t interface, uint64_t time_ns, uint64_t received, uint64_t lost);
