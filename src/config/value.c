/* SPDX-License-Identifier: BSD-3-Clause */
#include "config/value.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/bind_list.h"
#include "base/endpoints.h"
#include "base/number.h"
#include "base/text.h"
#include "config/config.h"
#include "config/option.h"

static void *field(const struct config_option *option, void *target)
{
	return (char *)target + option->offset;
}

static int store(
	const struct config_option *option, const char *text, void *target, struct err *err)
{
	char **at = field(option, target), *copy = NULL;

	if (text) {
		copy = strdup(text);
		if (!copy)
			return err_set(err, ENOMEM, "out of memory");
	}
	free(*at);
	*at = copy;
	return 0;
}

/* Clients and metrics would show the name of a file in another form, which leads nowhere. */
static int store_name(
	const struct config_option *option, const char *text, void *target, struct err *err)
{
	if (!text_valid(text))
		return err_set(
			err, EINVAL, "'%s' is not UTF-8, or holds a control character", text);
	return store(option, text, target, err);
}

/* 1, 0 or -1 (neither), for the spellings that every boolean accepts. */
static int value_as_bool(const char *text)
{
	static const char *const spellings[2][5] = {
		{"false", "no", "off", "n", "0"}, {"true", "yes", "on", "y", "1"}};

	for (int value = 0; value < 2; value++)
		for (unsigned i = 0; i < ARRAY_SIZE(spellings[value]); i++)
			if (strcasecmp(text, spellings[value][i]) == 0)
				return value;
	return -1;
}

int value_bool(const struct config_option *option, const char *text, void *target, struct err *err)
{
	int value = value_as_bool(text);

	if (value < 0)
		return err_set(err, EINVAL,
			"'%s' is no boolean; use true or false (yes/no, on/off, y/n, 1/0)", text);
	*(bool *)field(option, target) = value;
	return 0;
}

int value_text(const struct config_option *option, const char *text, void *target, struct err *err)
{
	return store(option, text, target, err);
}

int value_bind_list(
	const struct config_option *option, const char *text, void *target, struct err *err)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *entry;
	struct bind_entry ignored;

	if (!copy)
		return err_set(err, ENOMEM, "out of memory");
	while ((entry = bind_list_next(&rest)))
		if (bind_entry_parse(entry, &ignored, err) < 0)
			return -EINVAL;
	return store(option, text, target, err);
}

int value_path(const struct config_option *option, const char *text, void *target, struct err *err)
{
	if (text[0] != '/')
		return err_set(err, EINVAL, "'%s' is no absolute path; start it with '/'", text);
	int r = store_name(option, text, target, err);
	if (r < 0)
		return r;
	char *path = *(char **)field(option, target);
	for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
		path[n - 1] = '\0';
	return 0;
}

int value_socket_pattern(
	const struct config_option *option, const char *text, void *target, struct err *err)
{
	const char *percent = strchr(text, '%');

	if (strchr(text, '/'))
		return err_set(err, EINVAL,
			"'%s' holds a '/'; the directory is set by VIRTIOFWD_SOCKET_DIR or "
			"--vhost-path",
			text);
	if (!percent || percent[1] != 'u' || strchr(percent + 1, '%'))
		return err_set(err, EINVAL,
			"'%s' must hold exactly one %%u, for the relay, and no other '%%'", text);
	return store_name(option, text, target, err);
}

int value_endpoint(
	const struct config_option *option, const char *text, void *target, struct err *err)
{
	static const char ipc[] = "ipc://", inproc[] = "inproc://";
	const char *scheme_end = strstr(text, "://"), *path = endpoint_ipc_path(text);
	int as_bool = value_as_bool(text);

	if (as_bool >= 0)
		return store(option, as_bool ? option->when_true : NULL, target, err);
	if (!scheme_end || scheme_end == text || !scheme_end[3])
		return err_set(err, EINVAL,
			"'%s' is neither an endpoint (%s) nor a boolean (true, false)", text,
			option->when_true);
	if (strncmp(text, inproc, strlen(inproc)) == 0)
		return err_set(err, EINVAL,
			"'%s' is within one process, so nobody else could reach it; write "
			"ipc:///directory/file",
			text);
	/* No relative path, and no abstract socket, which no file mode protects. */
	if (!path && strncmp(text, ipc, strlen(ipc)) == 0)
		return err_set(err, EINVAL,
			"'%s' names no absolute path; write ipc:///directory/file", text);
	if (path && strlen(path) >= SOCKET_PATH_SIZE)
		return err_set(err, EINVAL, "'%s' is longer than a socket's path may be (%d)", text,
			SOCKET_PATH_SIZE - 1);
	return store_name(option, text, target, err);
}

int value_vf_token(
	const struct config_option *option, const char *text, void *target, struct err *err)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	bool matches = strlen(text) == strlen(form);

	if (strcmp(text, "0") == 0)
		return store(option, VALUE_DEFAULT_VF_TOKEN, target, err);
	for (size_t i = 0; matches && form[i]; i++)
		matches = form[i] == '-' ? text[i] == '-' : isxdigit((unsigned char)text[i]) != 0;
	if (!matches)
		return err_set(err, EINVAL,
			"'%s' is no UUID (" VALUE_DEFAULT_VF_TOKEN "); 0 stands for that one",
			text);
	return store(option, text, target, err);
}

int value_cpu_set(
	const struct config_option *option, const char *text, void *target, struct err *err)
{
	return cpu_set_parse(text, field(option, target), err);
}

int value_cpu(const struct config_option *option, const char *text, void *target, struct err *err)
{
	if (number_parse(text, CPU_SET_MAX - 1, field(option, target)) < 0)
		return err_set(err, EINVAL, "'%s' is no CPU (0 to %d)", text, CPU_SET_MAX - 1);
	return 0;
}

int value_idle_latency(
	const struct config_option *option, const char *text, void *target, struct err *err)
{
	unsigned latency_us;

	if (number_parse(text, 10000, &latency_us) < 0)
		return err_set(err, EINVAL, "'%s' is no number of microseconds; 0 to 10000", text);
	*(unsigned *)field(option, target) = latency_us;
	return 0;
}

int value_log_level(
	const struct config_option *option, const char *text, void *target, struct err *err)
{
	unsigned level;

	if (number_parse(text, 7, &level) < 0)
		return err_set(
			err, EINVAL, "'%s' is no log level; 0 (emergency) to 7 (debug)", text);
	*(int *)field(option, target) = (int)level;
	return 0;
}

/* Parses a decimal number in min..max. */
static int read_decimal(const char *text, double min, double max, double *ret_number)
{
	double number;
	char *end;

	if (!*text || text[strspn(text, "0123456789.")])
		return -EINVAL;
	number = strtod(text, &end);
	if (*end || number < min || number > max)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

int value_interval(
	const struct config_option *option, const char *text, void *target, struct err *err)
{
	if (read_decimal(text, 0.1, 86400, field(option, target)) < 0)
		return err_set(err, EINVAL, "'%s' is no interval; 0.1 to 86400 seconds", text);
	return 0;
}

int value_fraction(
	const struct config_option *option, const char *text, void *target, struct err *err)
{
	if (read_decimal(text, 0, 1, field(option, target)) < 0)
		return err_set(err, EINVAL, "'%s' is no fraction; 0 to 1", text);
	return 0;
}

int value_nodaemon(
	const struct config_option *option, const char *text, void *target, struct err *err)
{
	struct config *config = target;
	bool log_syslog = strcmp(text, "log_syslog") == 0;
	int as_bool = value_as_bool(text);

	if (as_bool < 0 && !log_syslog)
		return err_set(err, EINVAL, "'%s' is unknown; use log_syslog, true or false", text);
	config->foreground = log_syslog || as_bool;
	config->log_syslog = log_syslog;
	return 0;
}

int value_dry_run(
	const struct config_option *option, const char *text, void *target, struct err *err)
{
	struct config_sched *config = target;
	bool watch = strcmp(text, "watch") == 0;
	int as_bool = value_as_bool(text);

	if (as_bool < 0 && !watch)
		return err_set(err, EINVAL, "'%s' is unknown; use watch, true or false", text);
	config->dry_run = watch || as_bool;
	config->watch = watch;
	return 0;
}

/* "RELAY:CPU[,CPU]" */
int value_pin(const struct config_option *option, const char *text, void *target, struct err *err)
{
	struct config *config = target;
	unsigned relay_id, vf_to_vm_cpu, vm_to_vf_cpu;
	_cleanup_free_ char *copy = strdup(text);
	char *first, *second;

	if (!copy)
		return err_set(err, ENOMEM, "out of memory");
	first = strchr(copy, ':');
	if (!first)
		return err_set(
			err, EINVAL, "'%s' is no pin; write RELAY:CPU or RELAY:CPU,CPU", text);
	*first++ = '\0';
	second = strchr(first, ',');
	if (second)
		*second++ = '\0';
	else
		second = first;
	if (number_parse(copy, RELAYS_MAX - 1, &relay_id) < 0)
		return err_set(err, EINVAL, "'%s': '%s' is no relay (0 to %d)", text, copy,
			RELAYS_MAX - 1);
	if (number_parse(first, CPU_SET_MAX - 1, &vf_to_vm_cpu) < 0 ||
		number_parse(second, CPU_SET_MAX - 1, &vm_to_vf_cpu) < 0)
		return err_set(err, EINVAL,
			"'%s' names no CPUs (0 to %d); write RELAY:CPU or RELAY:CPU,CPU", text,
			CPU_SET_MAX - 1);
	if (config->pins[relay_id].set)
		return err_set(err, EINVAL, "'%s': relay %u is pinned twice", text, relay_id);
	config->pins[relay_id] = (struct config_pin){true, (int)vf_to_vm_cpu, (int)vm_to_vf_cpu};
	return 0;
}

int value_static_vf(
	const struct config_option *option, const char *text, void *target, struct err *err)
{
	struct config *config = target;
	const char *equals = strrchr(text, '=');
	_cleanup_free_ char *device = NULL;
	struct config_vf vf;
	int r;

	if (!equals)
		return err_set(err, EINVAL, "'%s' names no relay; write DEVICE=RELAY", text);
	if (number_parse(equals + 1, RELAYS_MAX - 1, &vf.relay_id) < 0)
		return err_set(err, EINVAL, "'%s': '%s' is no relay (0 to %d); write DEVICE=RELAY",
			text, equals + 1, RELAYS_MAX - 1);
	device = strndup(text, (size_t)(equals - text));
	if (!device)
		return err_set(err, ENOMEM, "out of memory");
	r = device_id_parse(device, &vf.device, err);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < config->n_vfs; i++) {
		if (config->vfs[i].relay_id == vf.relay_id)
			return err_set(err, EINVAL, "'%s': relay %u already has device %s", text,
				vf.relay_id, config->vfs[i].device.text);
		if (device_id_equal(&config->vfs[i].device, &vf.device))
			return err_set(err, EINVAL, "'%s': device %s is already on relay %u", text,
				vf.device.name, config->vfs[i].relay_id);
	}
	config->vfs[config->n_vfs++] = vf; /* cannot overflow: each relay has at most one */
	return 0;
}
