/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The few macros that every module uses.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Beside EXIT_SUCCESS and EXIT_FAILURE, the exit code for bad usage or a bad configuration. */
#define EXIT_USAGE 2

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)

/* `_cleanup_(f) T x`: calls f(&x) when x leaves its scope. */
#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))

/*
 * As calloc(1, size), for a type that is to be aligned more strictly than calloc() does. `size` is
 * a multiple of `alignment`.
 */
static inline void *calloc_aligned(size_t alignment, size_t size)
{
	void *memory = aligned_alloc(alignment, size);

	return memory != NULL ? memset(memory, 0, size) : NULL;
}

static inline void cleanup_freep(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define _cleanup_free_ _cleanup_(cleanup_freep)
#define _cleanup_close_ _cleanup_(cleanup_closep)
