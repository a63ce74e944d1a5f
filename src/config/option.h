/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The option table. Every variable of the file and every option of the command line has one entry;
 * the parsers, --help, the man pages and the shipped file are all driven by it.
 *
 * Loading: command line and file => a text per option with its origin (setting.h) => the parsers of
 * the table => struct config => checks across options (check.h).
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* In the order of --help, the man pages and the shipped file. */
enum option_id {
	OPT_CPUS,
	OPT_MASTER_LCORE,
	OPT_SHARE_MASTER,
	OPT_IDLE_LATENCY,
	OPT_CPU_PINS,
	OPT_STATIC_VFS,
	OPT_BIND_VFIO_PCI,
	OPT_VFIO_VF_TOKEN,
	OPT_SOCKET_DIR,
	OPT_SOCKET_PATTERN,
	OPT_SOCKET_OWNER,
	OPT_SOCKET_GROUP,
	OPT_VHOST_CLIENT,
	OPT_DYNAMIC_SOCKETS,
	OPT_JUMBO,
	OPT_MRGBUF,
	OPT_TSO,
	OPT_ZERO_COPY,
	OPT_HUGE_DIR,
	OPT_NO_HUGE,
	OPT_SAME_NUMA,
	OPT_ZMQ_PORT_CONTROL,
	OPT_ZMQ_STATS,
	OPT_ZMQ_CONFIG,
	OPT_ZMQ_CORE_SCHED,
	OPT_CORE_SCHED_ENABLE,
	OPT_METRICS,
	OPT_CAPTURE,
	OPT_ALLOW_TCP,
	OPT_IPC,
	OPT_IPC_PATH,
	OPT_KEEP_PORTS,
	OPT_OVSDB_SOCK,
	OPT_OVSDB_PRIVATE_KEY,
	OPT_OVSDB_CERTIFICATE,
	OPT_OVSDB_CA_CERT,
	OPT_LOG_LEVEL,
	OPT_NODAEMON,
	OPT_PID_DIR,
	OPT_BINARY,
	OPT_SCHED_STATS_EP,
	OPT_SCHED_SCHED_EP,
	OPT_SCHED_POLL_INTERVAL,
	OPT_SCHED_SENSITIVITY,
	OPT_SCHED_GLOBAL_NUMA,
	OPT_SCHED_LOG_LEVEL,
	OPT_SCHED_DRY_RUN,
	OPT_CONFIG,
	OPT_CHECK_CONFIG,
	OPT_HELP,
	OPT_VERSION,
	OPT_N
};

enum program {
	PROGRAM_DAEMON = 1 << 0,
	PROGRAM_SCHED = 1 << 1,
};

enum option_arg {
	ARG_NONE,     /* an action */
	ARG_FLAG,     /* boolean; bare means true, the long form also takes =BOOL */
	ARG_REQUIRED, /* takes a value */
	ARG_OPTIONAL, /* takes a value only as -xVALUE or --long=VALUE */
};

struct config_option {
	unsigned programs;     /* enum program, ORed */
	const char *section;   /* heading of this and the following options, or NULL */
	const char *variable;  /* in the file, or NULL */
	const char *long_name; /* on the command line, or NULL */
	char short_name;       /* '\0' for none */
	enum option_arg arg;
	const char *metavar; /* what --help calls the value */
	/*
	 * Parses a text that is not blank into `target` (at `offset` of struct config or
	 * config_sched).
	 */
	int (*parse)(const struct config_option *option, const char *text, void *target,
		struct err *err);
	size_t offset;
	const char *default_text; /* parsed if nothing is configured; NULL: the field stays 0 */
	const char *when_true;    /* endpoints: the value of "true" or of the bare option */
	const char *shipped;      /* the value in the shipped file; NULL: blank */
	bool list;                /* several items: array form, ';' or repeated options */
	const char *help;         /* one line: no capital, no full stop */
	const char *detail;       /* further sentences for the man pages and the file, or NULL */
};

extern const struct config_option config_options[OPT_N];

/*
 * The option that a variable sets for this program, or else for another one; OPT_N if there is
 * none.
 */
enum option_id option_by_variable(enum program program, const char *variable);

/* The default as named in documents: "1,2", "off", "none". */
const char *option_default_name(const struct config_option *option);
