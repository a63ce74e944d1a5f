/* SPDX-License-Identifier: BSD-3-Clause */

/* Reports what this host lacks to run the daemon as configured. Works on the host itself. */

#include <errno.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/endpoints.h"
#include "base/pid_file.h"
#include "base/unix_socket.h"
#include "bin/clients/clients.h"
#include "config/config.h"
#include "control/socket_dir.h"
#include "host/readiness.h"
#include "host/sysfs.h"
#include "host/usable.h"
#include "wire/client.h"

#define DAEMON_BYTES (32u << 20) /* of hugepages, apart from devices */

enum {
	KEY_CONFIG = 256,
	KEY_SYSFS,
};

static const struct argp_option options[] = {
	{"config", KEY_CONFIG, "FILE", 0,
		"configuration of the daemon (default: " CONFIG_FILE_DEFAULT ")", 0},
	{"sysfs", KEY_SYSFS, "DIR", 0,
		"a copy of another host's /sys, for its IOMMU, drivers, hugepages and NUMA nodes; "
		"all else is still looked up on this host",
		0},
	{},
};

struct arguments {
	struct client_options options;
	const char *file; /* NULL: the default file, which may be missing */
	const char *sysfs;
	char **daemon_options; /* options of the daemon's command line */
	int n_daemon_options;
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case KEY_CONFIG:
		arguments->file = value;
		return 0;
	case KEY_SYSFS:
		arguments->sysfs = value;
		return 0;
	case ARGP_KEY_ARGS: /* the arguments from here on */
		if (!state->quoted)
			return ARGP_ERR_UNKNOWN;
		arguments->daemon_options = state->argv + state->next;
		arguments->n_daemon_options = state->argc - state->next;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "[-- OPTION-OF-THE-DAEMON...]",
	.doc = "Looks whether this host has what virtio-forwarder needs with its configuration, "
	       "and says how to mend what is missing.\v"
	       "Each line begins with ok, warning (works, but slower or less safely) or missing "
	       "(does not work).\n"
	       "Options that the daemon is started with override its configuration here, too: give "
	       "them behind --. Run this as the user that the daemon runs as.\n"
	       "Exit code: 0 nothing is missing, 1 something is, 2 bad usage.",
};

/* The findings so far. */
struct findings {
	json_t *list; /* NULL: print them */
	bool missing;
};

static void add_finding(
	void *userdata, const char *check, enum host_verdict verdict, const char *text)
{
	static const char *const words[] = {
		[HOST_OK] = "ok", [HOST_WARNING] = "warning", [HOST_MISSING] = "missing"};
	struct findings *findings = userdata;

	findings->missing |= verdict == HOST_MISSING;
	if (findings->list == NULL)
		printf("%-8s %-13s %s\n", words[verdict], check, text);
	else
		json_array_append_new(
			findings->list, json_pack("{s:s, s:s, s:s}", "check", check, "verdict",
						words[verdict], "text", text));
}

/* Loads the daemon's configuration; NULL if it is wrong, which is a finding. */
static struct config *load(const struct arguments *arguments, struct findings *findings)
{
	char name[] = "virtio-forwarder", option[4096];
	char *argv[arguments->n_daemon_options + 3];
	int argc = 0;
	struct config *config = NULL;
	struct err err = {"these options start no daemon"};

	argv[argc++] = name;
	snprintf(option, sizeof(option), "--config=%s", arguments->file ? arguments->file : "");
	if (arguments->file)
		argv[argc++] = option;
	for (int i = 0; i < arguments->n_daemon_options; i++)
		argv[argc++] = arguments->daemon_options[i];
	argv[argc] = NULL;
	if (config_load_before_start(argc, argv, &config, &err) == CONFIG_RUN)
		add_finding(findings, "configuration", HOST_OK,
			arguments->file ? arguments->file : CONFIG_FILE_DEFAULT);
	else
		add_finding(findings, "configuration", HOST_MISSING, err.text);
	return config;
}

/*
 * Goes by the pid file, or by whether the daemon answers: options of its unit may name another pid
 * directory.
 */
static bool is_running(const struct config *config)
{
	const struct stats_request request = {0};
	const char *endpoint = config->zmq_stats_ep;
	struct stats_reply *reply;

	if (pid_file_is_taken(config->pid_dir))
		return true;
	if (endpoint == NULL)
		return false;

	/* client_stats() would wait for a listener until its time is up. */
	const char *path = endpoint_ipc_path(endpoint);
	if (path && unix_socket_probe(path) < 0)
		return false;
	if (client_stats(endpoint, &request, &reply, NULL) < 0)
		return false;
	stats_reply_free(reply);
	return true;
}

/* Checks that no other backend listens on the sockets that the daemon will open. */
static void check_backends(const struct config *config, bool running, struct findings *findings)
{
	char path[SOCKET_PATH_SIZE], text[2 * SOCKET_PATH_SIZE];

	if (running || config->vhost_client || config->dynamic_sockets)
		return;
	for (unsigned i = 0; i < RELAYS_MAX; i++) {
		config_socket_path(config, i, path);
		if (unix_socket_probe(path) != 0)
			continue;
		snprintf(text, sizeof(text),
			"another program listens on %s: stop it (ss -xlp names it)", path);
		add_finding(findings, "sockets", HOST_MISSING, text);
	}
}

/* A missing one may be no fault: `maker` may make it when the service starts. */
static void check_directory(const char *name, const char *dir, const char *setting,
	const char *maker, struct findings *findings)
{
	char text[PATH_MAX + 256];
	struct stat st;
	const bool there = stat(dir, &st) == 0;

	if (there && S_ISDIR(st.st_mode))
		return;
	if (there)
		snprintf(text, sizeof(text), "%s is no directory: name another with %s", dir,
			setting);
	else
		snprintf(text, sizeof(text), "%s is not there: make it, unless %s", dir, maker);
	add_finding(findings, name, there ? HOST_MISSING : HOST_WARNING, text);
}

static void check_command_file(const struct config *config, struct findings *findings)
{
	char path[PATH_MAX];

	if (!config->ipc_port_control)
		return;
	snprintf(path, sizeof(path), "%s", config->ipc_path);
	check_directory("command file", dirname(path), "VIRTIOFWD_IPC_PATH",
		"the service's unit (RuntimeDirectory=) or the daemon (for its sockets) does",
		findings);
}

/*
 * Checks that the directories of the endpoints can be made, and that nobody else can take the place
 * of the daemon in them.
 */
static void check_endpoints(const struct config *config, struct findings *findings)
{
	const char *const endpoints[] = {config->zmq_port_control_ep, config->zmq_stats_ep,
		config->zmq_core_sched_ep, config->zmq_config_ep, config->metrics_ep,
		config->capture_ep};
	struct err err;

	for (unsigned i = 0; i < ARRAY_SIZE(endpoints); i++) {
		const char *path = endpoints[i] ? endpoint_ipc_path(endpoints[i]) : NULL;

		int r = path ? unix_socket_check_directory(path, &err) : 0;
		if (r == -EPERM || r == -ENOTDIR)
			add_finding(findings, "endpoints",
				r == -EPERM ? HOST_WARNING : HOST_MISSING, err.text);
	}
}

static void check_all(
	const struct arguments *arguments, const struct config *config, struct findings *findings)
{
	struct device_id devices[RELAYS_MAX];
	const struct host_needs needs = {
		.devices = devices,
		.n_devices = config->n_vfs,
		.bind_vfio_pci = config->bind_vfio_pci,
		.vf_token = config->vfio_vf_token != NULL,
		.worker_cpus = &config->worker_cpus,
		.huge_dir = config->no_huge ? NULL : config->huge_dir,
		.sees_physical_addresses = host_sees_physical_addresses(),
		.same_numa = config->same_numa,
		.bytes = DAEMON_BYTES,
		.running = is_running(config),
	};
	const struct vm_account vms = socket_dir_account(config);

	for (unsigned i = 0; i < config->n_vfs; i++)
		devices[i] = config->vfs[i].device;
	add_finding(findings, "daemon", HOST_OK, needs.running ? "runs" : "does not run");
	host_check_hugepages(arguments->sysfs, &needs, add_finding, findings);
	host_check_vfio(arguments->sysfs, &needs, add_finding, findings);
	host_check_devices(arguments->sysfs, "/dev", &needs, add_finding, findings);
	host_check_cpus(arguments->sysfs, &needs, add_finding, findings);
	host_check_socket_dir(config->socket_dir, &vms, config->dynamic_sockets, needs.running,
		add_finding, findings);
	check_directory("pid directory", config->pid_dir, "VIRTIOFWD_PID_DIR",
		"the service's unit does (RuntimeDirectory=)", findings);
	check_backends(config, needs.running, findings);
	check_endpoints(config, findings);
	check_command_file(config, findings);
}

int check_host_main(int argc, char **argv, bool compatible)
{
	struct arguments arguments = {.sysfs = SYSFS_ROOT};
	struct findings findings = {0};

	client_parse(&argp, CLIENT_JSON, argc, argv, &arguments.options, &arguments);
	if (arguments.options.json)
		findings.list = json_array();
	struct config *config = load(&arguments, &findings);
	if (config != NULL)
		check_all(&arguments, config, &findings);
	else /* checks that do not depend on it */
		host_check_vfio(arguments.sysfs,
			&(struct host_needs){
				.sees_physical_addresses = host_sees_physical_addresses()},
			add_finding, &findings);
	config_free(config);
	if (findings.list != NULL) {
		json_dumpf(findings.list, stdout, JSON_INDENT(2));
		printf("\n");
		json_decref(findings.list);
	}
	return findings.missing ? EXIT_REFUSED : 0;
}
