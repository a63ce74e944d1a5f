/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/watchdog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

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
	sd_event_source *timer;
};

static int on_timer(sd_event_source *timer, uint64_t due_us, void *userdata)
{
	struct watchdog *watchdog = userdata;
	bool well = epoch_passed(watchdog->epoch, watchdog->token);

	if (well) {
		watchdog->token = epoch_token(watchdog->epoch);
		sd_notify(0, "WATCHDOG=1");
	} else if (!watchdog->alarmed) {
		log_error("a worker does not finish its iteration: systemd's watchdog is no more "
			  "told that all is well");
	}
	watchdog->alarmed = !well;
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
	watchdog->epoch = workers_epoch(forwarder->workers);
	watchdog->token = epoch_token(watchdog->epoch);
	watchdog->interval_us = allowed_us / CHECKS;
	int r = sd_event_add_time_relative(event, &watchdog->timer, CLOCK_MONOTONIC,
		watchdog->interval_us, 0, on_timer, watchdog);
	if (r >= 0)
		r = sd_event_source_set_enabled(watchdog->timer, SD_EVENT_ON);
	if (r < 0) {
		watchdog_free(watchdog);
		return err_set(err, -r, "watchdog timer: %s", strerror(-r));
	}
	*ret_watchdog = watchdog;
	return 0;
}

struct watchdog *watchdog_free(struct watchdog *watchdog)
{
	if (watchdog != NULL) {
		sd_event_source_unref(watchdog->timer);
		free(watchdog);
	}
	return NULL;
}
