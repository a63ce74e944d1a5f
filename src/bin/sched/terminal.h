/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The terminal as a screen that is painted anew, or a mere stream of text where stdout is none. One
 * at a time, main thread: signals are blocked but for the wait.
 */

#include <signal.h>
#include <stdbool.h>
#include <termios.h>

#include "bin/sched/top_view.h"

struct terminal {
	bool is_screen;
	bool has_keys; /* stdin is a terminal, whose keys come one by one */
	struct termios before;
	sigset_t signals; /* as they were before */
};

void terminal_open(struct terminal *terminal);

/* Leaves everything as it was. */
void terminal_close(struct terminal *terminal);

struct top_size terminal_size(const struct terminal *terminal);

/* Begins a picture; each of its lines ends with what terminal_line_end() says. */
void terminal_begin(const struct terminal *terminal);
void terminal_end(const struct terminal *terminal);
const char *terminal_line_end(const struct terminal *terminal);

/* Waits; false where the user wants an end: `q`, SIGINT, SIGTERM or SIGHUP. */
bool terminal_wait(const struct terminal *terminal, double seconds);
