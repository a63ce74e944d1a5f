/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * vio4wd_core_scheduler: reads the load of virtio-forwarder's workers at every poll interval and
 * moves relays among them. It stays in the foreground, under a service manager.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/standard_fds.h"
#include "bin/sched/scheduler.h"

#define PROGRAM "vio4wd_core_scheduler"
#define TIMER_ACCURACY_US 1000

/* A dry run is for a reader at a terminal and ends with the terminal. */
static void block_signals(bool dry_run)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (!dry_run)
		signal(SIGHUP, SIG_IGN);
}

static int on_stop_signal(
	sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	log_notice("stopping on %s", strsignal((int)info->ssi_signo));
	return sd_event_exit(sd_event_source_get_event(source), EXIT_SUCCESS);
}

static int on_poll(sd_event_source *timer, uint64_t time_us, void *userdata)
{
	struct scheduler *scheduler = userdata;
	sd_event *event = sd_event_source_get_event(timer);
	uint64_t interval_us = (uint64_t)(scheduler->config->poll_interval_s * 1e6);
	int r = scheduler_poll(scheduler);

	if (scheduler->config->dry_run && (ferror(stdout) || (!scheduler->config->watch && r != 0)))
		return sd_event_exit(event, r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
	/*
	 * Not relative to the event loop's now: that is from before the poll, which may have
	 * blocked.
	 */
	r = sd_event_source_set_time(timer, clock_monotonic_ns() / 1000 + interval_us);
	if (r >= 0)
		r = sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
	return r;
}

/* Returns the exit code. */
static int run(struct scheduler *scheduler)
{
	sd_event *event = NULL;
	int r = sd_event_new(&event);

	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGTERM, on_stop_signal, NULL);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGINT, on_stop_signal, NULL);
	if (r >= 0)
		r = sd_event_set_watchdog(event, true);
	if (r >= 0)
		r = sd_event_add_time_relative(
			event, NULL, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_US, on_poll, scheduler);
	if (r >= 0) {
		sd_notify(0, "READY=1\nSTATUS=waiting for virtio-forwarder");
		r = sd_event_loop(event);
		sd_notify(0, "STOPPING=1");
	}
	sd_event_unref(event);
	if (r < 0)
		log_error("event loop: %s", strerror(-r));
	return r < 0 ? EXIT_FAILURE : r;
}

int main(int argc, char **argv)
{
	struct config_sched *config = NULL;
	struct scheduler scheduler = {};
	struct err err = {};
	int r;

	standard_fds_open();
	log_open(PROGRAM, LOG_INFO);
	r = config_load_sched(argc, argv, &config, &err);
	if (r == CONFIG_EXIT)
		return EXIT_SUCCESS;
	if (r < 0) {
		log_error("%s", err.text);
		return r == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
	}
	/* A dry run prints to stdout; its log is only for errors. */
	log_open(
		PROGRAM, config->dry_run ? MIN(config->log_level, LOG_WARNING) : config->log_level);
	block_signals(config->dry_run);
	scheduler.config = config;
	r = run(&scheduler);
	scheduler_fini(&scheduler);
	config_sched_free(config);
	return r;
}
