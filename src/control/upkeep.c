/* SPDX-License-Identifier: BSD-3-Clause */

/* What the forwarder does once a second. */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/attempt.h"
#include "base/log.h"
#include "control/descriptor_reserve.h"
#include "control/forwarder_internal.h"
#include "control/socket_dir.h"
#include "core/vf/port_events.h"

#define SECOND_US 1000000

/* One line for all VMs and clients that are hung up on for it: they are not logged one by one. */
static void report_descriptors(struct forwarder *forwarder)
{
	const bool none_left = descriptor_reserve_is_last();

	if (none_left && !forwarder->no_descriptors)
		log_warning("no file descriptor is left: new VMs and clients are hung up on; raise "
			    "the limit: ulimit -n, or LimitNOFILE= of the service");
	else if (!none_left && forwarder->no_descriptors)
		log_notice("there are file descriptors again");
	forwarder->no_descriptors = none_left;
}

static bool has_lost_socket(const struct relay *relay)
{
	return relay->guest != NULL && guest_has_lost_socket(relay->guest);
}

static bool has_lost_sockets(const struct forwarder *forwarder)
{
	for (unsigned i = 0; i < RELAYS_MAX; i++)
		if (has_lost_socket(&forwarder->relays[i]))
			return true;
	return access(forwarder->config->socket_dir, F_OK) < 0 && errno == ENOENT;
}

/* Makes all that can be made. Returns the first error. */
static int make_sockets_again(struct forwarder *forwarder, struct err *err)
{
	struct err later;
	int r = socket_dir_make(forwarder->config, err);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < RELAYS_MAX; i++)
		if (has_lost_socket(&forwarder->relays[i])) {
			int one = guest_renew_socket(
				forwarder->relays[i].guest, r < 0 ? &later : err);
			r = r < 0 ? r : one;
		}
	return r;
}

/*
 * The directory or sockets may be removed while the daemon runs (by a cleaner of /tmp), and VMs
 * that start later would find no socket. If somebody else has made a directory in its place, that
 * is left alone. Called once a second.
 */
static void keep_sockets(struct forwarder *forwarder)
{
	const char *dir = forwarder->config->socket_dir;
	struct err err = {""};

	if (forwarder->config->dynamic_sockets || !has_lost_sockets(forwarder)) {
		forwarder->no_sockets_s = 0;
		forwarder->no_sockets_why.text[0] = '\0';
		return;
	}
	if (!attempt_is_due(forwarder->no_sockets_s++))
		return;
	int r = make_sockets_again(forwarder, &err);
	if (r == 0)
		log_warning("sockets in %s had gone, and are made again", dir);
	else if (strcmp(err.text, forwarder->no_sockets_why.text) != 0)
		log_error("sockets in %s have gone, and cannot be made again: %s", dir, err.text);
	forwarder->no_sockets_why = err;
}

static int on_second(sd_event_source *timer, uint64_t time_us, void *userdata)
{
	struct forwarder *forwarder = userdata;

	workers_keep_cpus(forwarder->env.workers);
	placement_sample(&forwarder->placement);
	for (unsigned i = 0; i < RELAYS_MAX; i++) {
		struct relay *relay = &forwarder->relays[i];
		relay_log_guest(relay); /* what was held back until now */
		relay_follow_links(relay);
	}
	port_events_run_timers();
	report_descriptors(forwarder);
	keep_sockets(forwarder);
	sd_event_source_set_time_relative(timer, SECOND_US);
	return sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

int upkeep_start(struct forwarder *forwarder, sd_event *event, struct err *err)
{
	int r = sd_event_add_time_relative(event, &forwarder->upkeep_timer, CLOCK_MONOTONIC,
		SECOND_US, 0, on_second, forwarder);
	if (r < 0)
		return err_set(err, -r, "event loop: %s", strerror(-r));
	return 0;
}
