/* SPDX-License-Identifier: BSD-3-Clause */
#include "config/config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/help.h"
#include "config/load.h"
#include "config/setting.h"

#define ALL_IS_WELL "the configuration is good"

/* What one start has read, and which of it is in force. */
struct inputs {
	struct settings cmdline;
	struct settings file;
	struct effective effective;
};

static void inputs_fini(struct inputs *inputs)
{
	settings_fini(&inputs->cmdline);
	settings_fini(&inputs->file);
}

static void config_freep(struct config **config)
{
	config_free(*config);
}

static void config_sched_freep(struct config_sched **config)
{
	config_sched_free(*config);
}

/* Reads the file named by --config, which must exist, or else the default one, which need not. */
static int read_file(struct inputs *inputs, enum program program, struct err *err)
{
	const struct setting *named = &inputs->cmdline.of[OPT_CONFIG];
	int r;

	if (named->n > 0) {
		r = file_read(named->values[0].text, program, &inputs->file, err);
		return r == 0 || r == -EINVAL ? r : err_prefix(err, r, "--config");
	}
	r = file_read(CONFIG_FILE_DEFAULT, program, &inputs->file, err);
	return r == -ENOENT ? 0 : r;
}

/* Reads both sources. Returns an enum config_outcome, or a negative errno. */
static int read_inputs(
	struct inputs *inputs, int argc, char **argv, enum program program, struct err *err)
{
	int r;

	r = command_line_parse(argc, argv, program, &inputs->cmdline, err);
	if (r < 0)
		return r;
	if (inputs->cmdline.of[OPT_HELP].given) {
		help_print(stdout, program);
		return CONFIG_EXIT;
	}
	if (inputs->cmdline.of[OPT_VERSION].given) {
		help_print_version(stdout, program);
		return CONFIG_EXIT;
	}
	r = read_file(inputs, program, err);
	if (r < 0)
		return r;
	for (unsigned id = 0; id < OPT_N; id++) {
		const struct setting *cmdline = &inputs->cmdline.of[id];

		inputs->effective.of[id] = cmdline->given ? cmdline : &inputs->file.of[id];
	}
	inputs->effective.unknown = inputs->file.unknown;
	return CONFIG_RUN;
}

/* Hands a text to the option's parser, or each item of a list. */
static int apply_text(const struct config_option *option, char *text, void *target, struct err *err)
{
	char *rest, *item;
	int r = 0;

	if (!option->list)
		return option->parse(option, text, target, err);
	for (item = strtok_r(text, "; \t", &rest); r == 0 && item;
		item = strtok_r(NULL, "; \t", &rest))
		r = option->parse(option, item, target, err);
	return r;
}

/* Fills in all values of a program, including defaults. */
static int apply(
	const struct effective *effective, enum program program, void *target, struct err *err)
{
	for (unsigned id = 0; id < OPT_N; id++) {
		const struct config_option *option = &config_options[id];
		const struct setting *setting = effective->of[id];
		int r = 0;

		if (!(option->programs & program) || !option->parse)
			continue;
		if (setting->n == 0 && option->default_text)
			r = option->parse(option, option->default_text, target, err);
		for (unsigned i = 0; r == 0 && i < setting->n; i++) {
			r = apply_text(option, setting->values[i].text, target, err);
			if (r < 0)
				err_prefix(err, r, "%s", setting->values[i].origin);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int load_daemon(int argc, char **argv, const struct machine *machine, bool before_start,
	struct config **ret_config, struct err *err)
{
	_cleanup_(inputs_fini) struct inputs inputs = {};
	_cleanup_(config_freep) struct config *config = NULL;
	int r;

	r = read_inputs(&inputs, argc, argv, PROGRAM_DAEMON, err);
	if (r != CONFIG_RUN)
		return r;
	config = calloc(1, sizeof(*config));
	if (!config)
		return err_set(err, ENOMEM, "out of memory");
	r = apply(&inputs.effective, PROGRAM_DAEMON, config, err);
	if (r == 0)
		r = check_resolve(config, &inputs.effective, err);
	if (r == 0)
		r = check_config(config, &inputs.effective, machine, err);
	if (r == 0 && !before_start)
		r = check_pid_dir(config, &inputs.effective, err);
	if (r < 0)
		return r;
	if (inputs.cmdline.of[OPT_CHECK_CONFIG].given) {
		for (unsigned i = 0; i < config->n_notices; i++)
			puts(config->notices[i]);
		puts(ALL_IS_WELL);
		return CONFIG_EXIT;
	}
	*ret_config = config;
	config = NULL;
	return CONFIG_RUN;
}

static int load(
	int argc, char **argv, bool before_start, struct config **ret_config, struct err *err)
{
	struct machine machine;
	int r;

	r = machine_probe(&machine, err);
	if (r < 0)
		return r == -EINVAL ? -EIO : r;
	return load_daemon(argc, argv, &machine, before_start, ret_config, err);
}

int config_load(int argc, char **argv, struct config **ret_config, struct err *err)
{
	return load(argc, argv, false, ret_config, err);
}

int config_load_before_start(int argc, char **argv, struct config **ret_config, struct err *err)
{
	return load(argc, argv, true, ret_config, err);
}

void config_socket_path(
	const struct config *config, unsigned relay_id, char ret_path[static SOCKET_PATH_SIZE])
{
	int n = snprintf(ret_path, SOCKET_PATH_SIZE, "%s/", config->socket_dir);

	assert(n < SOCKET_PATH_SIZE); /* check_sockets() */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* value_socket_pattern() */
	n += snprintf(
		ret_path + n, (size_t)(SOCKET_PATH_SIZE - n), config->socket_pattern, relay_id);
#pragma GCC diagnostic pop
	assert(n < SOCKET_PATH_SIZE);
}

int config_load_sched(int argc, char **argv, struct config_sched **ret_config, struct err *err)
{
	_cleanup_(inputs_fini) struct inputs inputs = {};
	_cleanup_(config_sched_freep) struct config_sched *config = NULL;
	int r;

	r = read_inputs(&inputs, argc, argv, PROGRAM_SCHED, err);
	if (r != CONFIG_RUN)
		return r;
	config = calloc(1, sizeof(*config));
	if (!config)
		return err_set(err, ENOMEM, "out of memory");
	r = apply(&inputs.effective, PROGRAM_SCHED, config, err);
	if (r == 0)
		r = check_sched(config, &inputs.effective, err);
	if (r < 0)
		return r;
	if (inputs.cmdline.of[OPT_CHECK_CONFIG].given) {
		puts(ALL_IS_WELL);
		return CONFIG_EXIT;
	}
	*ret_config = config;
	config = NULL;
	return CONFIG_RUN;
}

struct config *config_free(struct config *config)
{
	if (!config)
		return NULL;
	free(config->binary);
	free(config->pid_dir);
	free(config->huge_dir);
	free(config->ovsdb_sock);
	free(config->ovsdb_private_key);
	free(config->ovsdb_certificate);
	free(config->ovsdb_ca_cert);
	free(config->ipc_path);
	free(config->zmq_config_ep);
	free(config->zmq_port_control_ep);
	free(config->zmq_stats_ep);
	free(config->zmq_core_sched_ep);
	free(config->metrics_ep);
	free(config->capture_ep);
	free(config->socket_owner);
	free(config->socket_group);
	free(config->socket_dir);
	free(config->socket_pattern);
	free(config->vfio_vf_token);
	free(config->bind_vfio_pci);
	for (unsigned i = 0; i < config->n_notices; i++)
		free(config->notices[i]);
	free(config->notices);
	free(config);
	return NULL;
}

struct config_sched *config_sched_free(struct config_sched *config)
{
	if (!config)
		return NULL;
	free(config->stats_ep);
	free(config->sched_ep);
	free(config);
	return NULL;
}
