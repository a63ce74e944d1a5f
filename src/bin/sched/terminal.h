/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The terminal as a screen that is repainted, or a plain stream of text if stdout is not a
 * terminal. One at a time, main thread; signals are blocked except while waiting.
 */

#include <signal.h>
#include <stdbool.h>
#include <termios.h>

#include "bin/sched/top_view.h"

struct terminal {
	bool is_screen;
	bool has_keys; /* stdin is a terminal that delivers single keys */
	struct termios before;
	sigset_t signals; /* the former signal mask */
};

void terminal_open(struct terminal *terminal);

/* Restores everything as it was before. */
void terminal_close(struct terminal *terminal);

struct top_size terminal_size(const struct terminal *terminal);

/* Begin and end a picture. Each of its lines must end with terminal_line_end(). */
void terminal_begin(const struct terminal *terminal);
void terminal_end(const struct terminal *terminal);
const char *terminal_line_end(const struct terminal *terminal);

/* Waits; false if the user wants to quit: `q`, SIGINT, SIGTERM or SIGHUP. */
bool terminal_wait(const struct terminal *terminal, double seconds);
