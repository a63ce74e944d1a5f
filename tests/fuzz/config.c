/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration of both daemons, as a file or as a command line; the first line says which.
 * "file" and "sched-file" are followed by the text, "line" and "sched-line" by one argument per
 * line.
 */
#include "config/load.h"
#include "fuzz.h"

#include <sys/mman.h>

#define ARGS_MAX 32

static const struct machine *machine(void)
{
	static struct machine machine;

	if (cpu_set_count(&machine.online) == 0) {
		require(cpu_set_parse("0-8,100-299", &machine.present, NULL) == 0);
		require(cpu_set_parse("0-7,100-299", &machine.online, NULL) == 0);
		require(cpu_set_parse("0-5,7,100-299", &machine.usable, NULL) == 0);
	}
	return &machine;
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* Checks what config.h promises about every accepted configuration. */
static void check(const struct config *config)
{
	require(config->log_level >= 0 && config->log_level <= 7);
	require(config->n_vfs <= RELAYS_MAX);
	for (unsigned i = 0; i < config->n_vfs; i++) {
		require(config->vfs[i].relay_id < RELAYS_MAX);
		require(config->vfs[i].device.name[0]);
	}
	require(count(config->socket_pattern, "%u") == 1 &&
		count(config->socket_pattern, "%") == 1);
	require(config->pid_dir && config->huge_dir && config->socket_dir && config->ipc_path);
	require(cpu_set_count(&config->worker_cpus) <= WORKERS_MAX);
	CPU_SET_FOR_EACH (cpu, &config->worker_cpus)
		require(cpu_set_has(&machine()->usable, (unsigned)cpu));
	for (unsigned i = 0; i < RELAYS_MAX; i++)
		if (config->pins[i].set)
			require(cpu_set_has(&config->worker_cpus,
					(unsigned)config->pins[i].vf_to_vm_cpu) &&
				cpu_set_has(&config->worker_cpus,
					(unsigned)config->pins[i].vm_to_vf_cpu));
}

static void load(bool sched, int argc, char **argv)
{
	struct config_sched *config_sched = NULL;
	struct config *config = NULL;
	struct err err = {""};
	int r = sched ? config_load_sched(argc, argv, &config_sched, &err)
	              : load_daemon(argc, argv, machine(), false, &config, &err);

	require(r < 0 ? err.text[0] && !strchr(err.text, '\n') : r <= CONFIG_EXIT);
	require((r == CONFIG_RUN) == (config || config_sched));
	if (config)
		check(config);
	if (config_sched)
		require(config_sched->poll_interval_s > 0 && config_sched->sensitivity >= 0 &&
			config_sched->sensitivity <= 1 && config_sched->stats_ep &&
			config_sched->sched_ep);
	config_free(config);
	config_sched_free(config_sched);
}

static void load_file(bool sched, struct input *input)
{
	static char option[64];
	static int fd = -1;
	char *argv[] = {(char *)"program", option, NULL};

	if (fd < 0) {
		fd = memfd_create("config", MFD_CLOEXEC);
		snprintf(option, sizeof(option), "--config=/proc/self/fd/%d", fd);
	}
	require(ftruncate(fd, 0) == 0);
	require(pwrite(fd, input->at, input->left, 0) == (ssize_t)input->left);
	load(sched, 2, argv);
}

static void load_line(bool sched, struct input *input)
{
	char *argv[ARGS_MAX + 1] = {strdup("program"), strdup("--config=/dev/null")};
	char *given[ARGS_MAX] = {argv[0], argv[1]}; /* getopt permutes these */
	int argc = 2;

	while (argc < ARGS_MAX && input->left > 0) {
		argv[argc] = given[argc] = input_line(input);
		argc++;
	}
	load(sched, argc, argv);
	for (int i = 0; i < argc; i++)
		free(given[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	_cleanup_free_ char *kind = input_line(&input);
	bool sched = strncmp(kind, "sched-", 6) == 0;

	if (strcmp(kind + (sched ? 6 : 0), "file") == 0)
		load_file(sched, &input);
	else
		load_line(sched, &input);
	return 0;
}
