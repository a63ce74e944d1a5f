/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A gate between a frontend and a library that are both played by the test. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/gate/gate.h"
#include "core/gate/gatekeeper.h"

#define PATIENCE_MS 5000 /* for what must happen */

struct bed {
	char dir[32];
	char path[64];    /* the gate's socket */
	char library[64]; /* the library's socket, while its file exists */
	int library_fd;   /* the descriptor on which the library listens */
	struct gatekeeper *keeper;
	struct gate *gate;
	_Atomic unsigned n_looks;
	_Atomic enum gate_calls next_look; /* what the next look is to find */
};

/* A test with a bed as its state. */
#define BED_TEST(name) cmocka_unit_test_setup_teardown(name, make_bed, free_bed)
int make_bed(void **state);
int free_bed(void **state);

/* Opens the bed's gate; starts the keeper if need be. Returns what gate_open() does. */
int open_gate(struct bed *bed, bool client);

/* Makes a socket that listens. */
int listen_at(const char *path);

/* Waits for a connection. Receiving on it fails after PATIENCE_MS. */
int accept_at(int listen_fd);

/* Receives a message, which must be this one; returns the descriptor that comes with it, or -1. */
int expect_message(int fd, uint32_t request, void *ret_payload, size_t bytes);

/* The other side hangs up; expect_end() closes the descriptor as well. */
void expect_hang_up(int fd);
void expect_end(int fd);

/* The library's answer to a request that has no answer of its own. number 0: it has done it. */
void acknowledge(int library, uint32_t request, uint64_t number);

/* Sends a question and its answer through the gate. */
void assert_served(int frontend, int library);
