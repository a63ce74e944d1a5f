/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Shared by the fuzzers: assertions that every build checks, and the input as a sequence of values.
 * Past its end, an input continues with zeros.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

/* libFuzzer's entry points. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define require(condition)                                                                      \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                \
		}                                                                               \
	} while (0)

struct input {
	const uint8_t *at;
	size_t left;
};

static inline void input_bytes(struct input *input, void *to, size_t n)
{
	size_t taken = MIN(n, input->left);

	memset(to, 0, n);
	if (taken > 0)
		memcpy(to, input->at, taken);
	input->at += taken;
	input->left -= taken;
}

static inline uint8_t input_byte(struct input *input)
{
	uint8_t byte;

	input_bytes(input, &byte, sizeof(byte));
	return byte;
}

static inline uint16_t input_word(struct input *input)
{
	uint16_t word;

	input_bytes(input, &word, sizeof(word));
	return word;
}

/* The next line, without its end; the caller frees it. A NUL byte ends it for its reader. */
static inline char *input_line(struct input *input)
{
	const uint8_t *end = input->left > 0 ? memchr(input->at, '\n', input->left) : NULL;
	size_t length = end ? (size_t)(end - input->at) : input->left;
	char *line = malloc(length + 1);

	require(line);
	input_bytes(input, line, length);
	line[length] = '\0';
	if (end) {
		input->at++;
		input->left--;
	}
	return line;
}
