/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Parsers of single values, for the option table. Each parses a text that is not blank and stores
 * the value at `target + option->offset`, or in those members of the struct config at `target` that
 * its name implies. A former string is freed. Returns 0, or -EINVAL with the reason in err and the
 * target untouched, or -ENOMEM.
 */

#include "base/err.h"

#define VALUE_DEFAULT_VF_TOKEN "14d63f20-8445-11ea-8900-1f9ce7d5650d"

struct config_option;

#define VALUE_PARSER(name)                                                           \
	int name(const struct config_option *option, const char *text, void *target, \
		struct err *err)

VALUE_PARSER(value_bool);           /* bool */
VALUE_PARSER(value_text);           /* char * */
VALUE_PARSER(value_path);           /* char *, absolute, without '/' at its end */
VALUE_PARSER(value_socket_pattern); /* char *, one %u */
VALUE_PARSER(value_endpoint);       /* char *, an endpoint or a boolean: when_true or NULL */
VALUE_PARSER(value_bind_list);      /* char *, see base/bind_list.h */
VALUE_PARSER(value_vf_token);       /* char *, UUID */
VALUE_PARSER(value_cpu_set);        /* struct cpu_set */
VALUE_PARSER(value_cpu);            /* unsigned */
VALUE_PARSER(value_idle_latency);   /* unsigned, microseconds */
VALUE_PARSER(value_log_level);      /* int */
VALUE_PARSER(value_interval);       /* double, seconds */
VALUE_PARSER(value_fraction);       /* double, 0..1 */
VALUE_PARSER(value_nodaemon);       /* foreground, log_syslog */
VALUE_PARSER(value_dry_run);        /* dry_run, watch */
VALUE_PARSER(value_pin);            /* adds to pins */
VALUE_PARSER(value_static_vf);      /* adds to vfs */
