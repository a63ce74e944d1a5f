/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/watchdog.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "control/forwarder_internal.h"
#include "core/dpdk/epoch.h"
#include "core/lane/workers.h"

#define CHECKS 4 /* per watchdog period of systemd */

struct watchdog {
	struct epoch *epoch;
	uint64_t token; /* taken at the last check at which all workers had passed */
	uint64_t interval_us;
	bool alarmed; /* a worker hangs, and this has been logged */
	bool unheard; /* systemd cannot be told, and this has been logged */
	/*
	 * To tell systemd. Not by sd_notify(), which opens a descriptor each time: the daemon goes
	 * on when none is left.
	 */
	int fd;
	struct sockaddr_un addr;
	socklen_t addr_bytes;
	sd_event_source *timer;
};

/* False if there is nobody to tell. */
static bool find_systemd(struct watchdog *watchdog)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path != NULL ? strlen(path) : 0;

	if (length < 2 || length >= sizeof(watchdog->addr.sun_path))
		return false;
	watchdog->addr.sun_family = AF_UNIX;
	memcpy(watchdog->addr.sun_path, path, length);
	if (path[0] == '@') /* an abstract name */
		watchdog->addr.sun_path[0] = '\0';
	watchdog->addr_bytes = offsetof(struct sockaddr_un, sun_path) + length;
	return true;
}

static void tell_systemd(struct watchdog *watchdog)
{
	static const char all_is_well[] = "WATCHDOG=1";
	ssize_t n = sendto(watchdog->fd, all_is_well, strlen(all_is_well), MSG_NOSIGNAL,
		(struct sockaddr *)&watchdog->addr, watchdog->addr_bytes);

	if (n < 0 && !watchdog->unheard)
		log_error(
			"systemd's watchdog cannot be told that all is well: %s", strerror(errno));
	watchdog->unheard = n < 0;
}

static int on_timer(sd_event_source *timer, uint64_t due_us, void *userdata)
{
	struct watchdog *watchdog = userdata;

	if (epoch_passed(watchdog->epoch, watchdog->token)) {
		if (watchdog->alarmed)
			log_notice("all workers go on");
		watchdog->alarmed = false;
		watchdog->token = epoch_token(watchdog->epoch);
		tell_systemd(watchdog);
	} else if (!watchdog->alarmed) {
		watchdog->alarmed = epoch_log_late(watchdog->epoch, watchdog->token,
			watchdog->interval_us * 1000, "tell systemd's watchdog that all is well");
	}
	return sd_event_source_set_time_relative(timer, watchdog->interval_us);
}

int watchdog_new(struct watchdog **ret_watchdog, struct forwarder *forwarder, sd_event *event,
	struct err *err)
{
	uint64_t allowed_us;

	if (sd_watchdog_enabled(0, &allowed_us) <= 0) {
		*ret_watchdog = NULL;
		return 0;
	}
	struct watchdog *watchdog = calloc(1, sizeof(*watchdog));
	if (watchdog == NULL)
		return err_set(err, ENOMEM, "out of memory");
	if (!find_systemd(watchdog)) {
		free(watchdog);
		*ret_watchdog = NULL;
		return 0;
	}
	watchdog->epoch = workers_epoch(forwarder->env.workers);
	watchdog->token = epoch_token(watchdog->epoch);
	watchdog->interval_us = allowed_us / CHECKS;
	watchdog->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = watchdog->fd < 0
	                ? -errno
	                : sd_event_add_time_relative(event, &watchdog->timer, CLOCK_MONOTONIC,
				  watchdog->interval_us, 0, on_timer, watchdog);
	if (r >= 0)
		r = sd_event_source_set_enabled(watchdog->timer, SD_EVENT_ON);
	if (r < 0) {
		watchdog_free(watchdog);
		return err_set(err, -r, "watchdog: %s", strerror(-r));
	}
	*ret_watchdog = watchdog;
	return 0;
}

struct watchdog *watchdog_free(struct watchdog *watchdog)
{
	if (watchdog != NULL) {
		sd_event_source_unref(watchdog->timer);
		if (watchdog->fd >= 0)
			close(watchdog->fd);
		free(watchdog);
	}
	return NULL;
}
