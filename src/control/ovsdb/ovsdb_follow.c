/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For tests: follows a database and prints the operations that it would apply, one per line.
 *
 *     ovsdb-follow ENDPOINT SYSFS PROBE_MS REFUSE [KEY CERTIFICATE CA]
 *
 * Additions are refused (ENODEV) while the file REFUSE exists. Ends on SIGTERM.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "control/ovsdb/ovsdb_monitor.h"

static void print_op(void *userdata, const struct op *op, struct op_result *ret_result)
{
	const char *refuse = userdata;
	bool refused = op->kind == OP_ADD && access(refuse, F_OK) == 0;

	printf("%s%s %d %s%s%s\n", refused ? "refused " : "", op->kind == OP_ADD ? "add" : "remove",
		op->relay_id, op->device.members[0].text, op->ident[0] ? " " : "", op->ident);
	if (refused)
		ret_result->code = -err_set(&ret_result->err, ENODEV, "no such device");
}

int main(int argc, char **argv)
{
	struct ovsdb_monitor_options options = {0};
	struct ovsdb_monitor *monitor = NULL;
	struct err err = {""};
	sd_event *event = NULL;
	sigset_t signals;
	int r;

	if (argc != 5 && argc != 8)
		return 2;
	setlinebuf(stdout);
	log_open("ovsdb-follow", LOG_DEBUG);
	options.endpoint = argv[1];
	options.sysfs = argv[2];
	options.probe_ms = (unsigned)atoi(argv[3]);
	if (argc == 8) {
		options.credentials.private_key = argv[5];
		options.credentials.certificate = argv[6];
		options.credentials.ca_cert = argv[7];
	}
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	r = sd_event_new(&event);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = ovsdb_monitor_new(&monitor, event, &options, print_op, argv[4], &err);
	if (r >= 0)
		r = sd_event_loop(event);
	else
		fprintf(stderr, "%s\n", err.text);
	ovsdb_monitor_free(monitor);
	sd_event_unref(event);
	return r < 0;
}
