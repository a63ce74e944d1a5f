/* SPDX-License-Identifier: BSD-3-Clause */

/* All clients in one program: `vio4wd COMMAND`, or a link with the compatible name of a client. */

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bin/clients/clients.h"
#include "bin/sched/top.h"

static const struct command {
	const char *name;
	const char *compatible_name; /* name of a link to this program; NULL: none */
	client_main *main;
	const char *summary;
} commands[] = {
	{"port", "virtioforwarder_port_control.py", port_control_main,
		"add, remove and look up ports"},
	{"stats", "virtioforwarder_stats.py", stats_main, "state and counters of the relays"},
	{"pins", "virtioforwarder_core_pinner.py", core_pinner_main,
		"on which CPUs the relays run"},
	{"top", "virtioforwarder_monitor_load.py", top_main,
		"load of the workers and rates of the relays, refreshed"},
	{"vf", NULL, vf_main, "the VFs of this host, their drivers and relays; binds them"},
	{"capture", NULL, capture_main, "the packets of a relay, into a pcapng file"},
	{"check-host", NULL, check_host_main,
		"what this host lacks for the daemon, and how to mend it"},
	{"config", NULL, config_main, "versions, features and configured pins of the daemon"},
	{"guest-config", NULL, guest_config_main,
		"a libvirt domain or QEMU options for a VM behind a relay"},
};

static void usage(FILE *out)
{
	fprintf(out, "Usage: vio4wd COMMAND [OPTION...]\n"
		     "Talks to a running virtio-forwarder and binds devices for it.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-13s %s\n", commands[i].name, commands[i].summary);
	fprintf(out, "\n`vio4wd COMMAND --help` tells more.\n");
}

static int finish(const char *program, int code)
{
	/* A full disk or a closed pipe is a failure too. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == 0) {
		fprintf(stderr, "%s: cannot write the output: %s\n", program, strerror(errno));
		return EXIT_REFUSED;
	}
	return code;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash ? slash + 1 : argv[0];
	char program[64];

	argp_err_exit_status = EXIT_USAGE;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].compatible_name && strcmp(name, commands[i].compatible_name) == 0) {
			argv[0] = (char *)name;
			return finish(name, commands[i].main(argc, argv, true));
		}
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		usage(stdout);
		return finish("vio4wd", 0);
	}
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0) {
			snprintf(program, sizeof(program), "vio4wd %s", commands[i].name);
			argv[1] = program;
			return finish(program, commands[i].main(argc - 1, argv + 1, false));
		}
	if (argc > 1)
		fprintf(stderr, "vio4wd: there is no command '%s'\n\n", argv[1]);
	usage(stderr);
	return EXIT_USAGE;
}
