/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Logging, for every thread except the workers: the packet path counts, it does not log. Severities
 * are syslog's (0 emergency .. 7 debug).
 *
 * A line goes to stderr: "<time> <severity> <text>". If systemd has connected stderr to its
 * journal, the line goes there as an entry with fields, by which an operator can ask what has
 * happened to a relay: journalctl EVENT=vm-attached RELAY=3.
 */

#include <stdbool.h>
#include <syslog.h>

#include "base/util.h"

/*
 * Sets the name of the program and the highest severity number that is logged (0..7). Before there
 * are other threads; may be called again. `name` must stay valid.
 */
void log_open(const char *name, int max_severity);

/* Changes the highest severity number that is logged (0..7). Any thread. */
void log_set_level(int max_severity);

/* From now on, lines that do not go to the journal go to syslog and to stderr. Any thread. */
void log_to_syslog(void);

/* From now on, lines that go to syslog do not go to stderr any more. Any thread. */
void log_leave_stderr(void);

/*
 * Writes one line. Any thread except a worker; may block on the journal, syslog or a terminal. If
 * nobody reads stderr's pipe, a line is lost after half a second, those behind it at once; the next
 * one that is read comes with a line that says how many were.
 */
void log_at(int severity, const char *fmt, ...) _printf_(2, 3);

/* What a line is about, for machines. What does not apply is NULL or empty. */
struct log_event {
	const char *name;   /* EVENT=: what happened, such as "vm-attached" */
	int relay;          /* RELAY=: its id; -1: none */
	const char *device; /* DEVICE= */
	const char *socket; /* SOCKET=: its path */
};

/* As log_at(), but the journal also gets the event's fields. */
void log_event_at(int severity, const struct log_event *event, const char *fmt, ...) _printf_(3, 4);

#define log_error(...) log_at(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_at(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

/*
 * A limit for messages that a guest or client can cause: at most `burst` at once, then one a
 * second. Those that the log level hides do not count. One thread per limiter, or a mutex.
 */
struct log_limit {
	unsigned tokens;
	unsigned burst;
	unsigned suppressed; /* and not told of yet */
	long last_s;         /* CLOCK_MONOTONIC second of the last refill */
	int relay;           /* that all of the messages are about; -1: of none */
};

#define LOG_LIMIT_OF_RELAY(n, relay_)                               \
	{                                                           \
		.tokens = (n), .burst = (n), .relay = (int)(relay_) \
	}

#define LOG_LIMIT(n) LOG_LIMIT_OF_RELAY(n, -1)

/*
 * True if the message, of that severity, may be written now. If not, it is lost; the next message
 * that may be written comes with a line that says how many were.
 */
bool log_limit_pass(struct log_limit *limit, int severity);

/* As log_limit_pass(), for a caller that asks again: if not now, nothing is lost. */
bool log_limit_try(struct log_limit *limit, int severity);
