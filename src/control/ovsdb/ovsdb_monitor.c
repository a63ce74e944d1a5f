/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ovsdb/ovsdb_monitor.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#include "base/log.h"
#include "control/ovsdb/jsonrpc.h"
#include "control/ovsdb/reconciler.h"
#include "control/settle.h"
#include "control/turn.h"
#include "host/sysfs.h"
#include "host/uevent.h"

#define MONITOR_NAME "virtio-forwarder"
#define MONITOR_REQUEST_ID 1
#define PROBE_DEFAULT_MS 5000
#define RECONNECT_MIN_MS 100
#define RECONNECT_MAX_MS 8000
#define STABLE_MS 10000     /* a connection that lasted so long resets the delay */
#define PROBLEMS_LOGGED 100 /* in one go; see log_limit_pass() */

struct ovsdb_monitor {
	sd_event *event;
	struct ovsdb_endpoint endpoint;
	struct stream_credentials credentials;
	unsigned probe_ms;
	struct reconciler reconciler;

	struct jsonrpc *rpc; /* NULL: not connected, waiting for the next attempt */
	bool synced;         /* the rows are those of the present connection */
	uint64_t synced_us;
	unsigned reconnect_ms; /* delay after the next failure */
	struct err logged;     /* the failure to connect that was logged last */
	sd_event_source *reconnect_timer;
	sd_event_source *socket_watch; /* on the directory of a unix socket */

	bool look_again;     /* the host has changed since the last plan */
	uint64_t changed_us; /* when it did so first */
	bool under_way;      /* the plan is to be continued in the next turn */
	sd_event_source *run_timer;
	sd_event_source *uevents;
};

static void set_timer(sd_event_source *timer, unsigned ms)
{
	turn_set_timer(timer, ms * 1000ULL);
}

static void go_on(struct ovsdb_monitor *monitor)
{
	unsigned ms = reconciler_run(&monitor->reconciler);

	monitor->under_way = ms == 0;
	if (!monitor->under_way && monitor->look_again)
		ms = SETTLE_US / 1000;
	if (ms != UINT_MAX)
		set_timer(monitor->run_timer, ms);
}

static void plan(struct ovsdb_monitor *monitor)
{
	reconciler_plan(&monitor->reconciler, monitor->look_again);
	monitor->look_again = false;
	monitor->under_way = true;
}

static int on_run_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ovsdb_monitor *monitor = userdata;

	if (!monitor->under_way)
		plan(monitor);
	go_on(monitor);
	return 0;
}

static int on_uevent(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct ovsdb_monitor *monitor = userdata;

	if (!host_uevent_read(fd))
		return 0;
	if (!monitor->look_again)
		monitor->changed_us = clock_monotonic_ns() / 1000;
	monitor->look_again = true;
	/* A plan under way is finished first: all relays get their step. */
	if (!monitor->under_way)
		settle_timer(monitor->run_timer, monitor->changed_us);
	return 0;
}

/* An update may not concern us: it may be of rows that ask for nothing, or of other keys. */
static void take_rows(struct ovsdb_monitor *monitor, const json_t *table_updates, bool initial)
{
	struct err err = {""};
	int r = rows_take(&monitor->reconciler.rows, table_updates, initial, &err);

	if (r < 0) {
		jsonrpc_fail(monitor->rpc, "%s", err.text);
		return;
	}
	if (initial) {
		monitor->synced = true;
		sd_event_now(monitor->event, CLOCK_MONOTONIC, &monitor->synced_us);
		monitor->logged.text[0] = '\0';
		log_notice("OVSDB %s: connected; %u interfaces ask for a relay",
			monitor->endpoint.text, monitor->reconciler.rows.n);
	}
	if (r == 0)
		return;
	monitor->reconciler.retry_ms = 0;
	if (!monitor->under_way)
		set_timer(monitor->run_timer, 0);
	plan(monitor);
}

static void take_reply(struct ovsdb_monitor *monitor, const json_t *message)
{
	const json_t *error = json_object_get(message, "error");
	_cleanup_free_ char *text = NULL;

	if (json_integer_value(json_object_get(message, "id")) != MONITOR_REQUEST_ID ||
		monitor->synced)
		return;
	if (error && !json_is_null(error)) {
		text = json_dumps(error, JSON_COMPACT | JSON_ENCODE_ANY);
		jsonrpc_fail(monitor->rpc,
			"the server does not let its table Interface be monitored: %s",
			text ? text : "");
		return;
	}
	take_rows(monitor, json_object_get(message, "result"), true);
}

static void on_message(void *userdata, const json_t *message)
{
	struct ovsdb_monitor *monitor = userdata;
	const char *method = json_string_value(json_object_get(message, "method"));
	const json_t *params = json_object_get(message, "params");
	const char *name = json_string_value(json_array_get(params, 0));

	if (!method)
		take_reply(monitor, message);
	else if (!strcmp(method, "update") && monitor->synced && name &&
		 !strcmp(name, MONITOR_NAME))
		take_rows(monitor, json_array_get(params, 1), false);
}

static void on_connected(void *userdata)
{
	struct ovsdb_monitor *monitor = userdata;

	jsonrpc_send(monitor->rpc,
		json_pack("{s:i, s:s, s:[s, s, {s:[{s:[s, s]}]}]}", "id", MONITOR_REQUEST_ID,
			"method", "monitor", "params", "Open_vSwitch", MONITOR_NAME, "Interface",
			"columns", "name", "external_ids"));
}

static void connect_later(struct ovsdb_monitor *monitor, const struct err *reason)
{
	if (monitor->synced)
		log_warning("OVSDB %s: connection lost: %s; the relays stay as they are meanwhile",
			monitor->endpoint.text, reason->text);
	else if (strcmp(monitor->logged.text, reason->text) != 0)
		log_warning("OVSDB %s: %s; trying again", monitor->endpoint.text, reason->text);
	monitor->logged = *reason;
	monitor->synced = false;
	set_timer(monitor->reconnect_timer, monitor->reconnect_ms);
	monitor->reconnect_ms = MIN(2 * monitor->reconnect_ms, RECONNECT_MAX_MS);
}

static void on_closed(void *userdata, const struct err *reason)
{
	struct ovsdb_monitor *monitor = userdata;
	uint64_t now_us = 0;

	monitor->rpc = jsonrpc_free(monitor->rpc);
	sd_event_now(monitor->event, CLOCK_MONOTONIC, &now_us);
	if (monitor->synced && now_us - monitor->synced_us >= STABLE_MS * 1000ULL)
		monitor->reconnect_ms = RECONNECT_MIN_MS;
	connect_later(monitor, reason);
}

/*
 * The socket's file has appeared or its mode has changed: the server listens now, or in a moment.
 */
static int on_directory(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
	struct ovsdb_monitor *monitor = userdata;
	const char *file = strrchr(ovsdb_endpoint_path(&monitor->endpoint), '/') + 1;

	if (monitor->rpc || event->len == 0 || strcmp(event->name, file) != 0)
		return 0;
	monitor->reconnect_ms = RECONNECT_MIN_MS;
	set_timer(monitor->reconnect_timer, 0);
	return 0;
}

/* Repeated before each attempt: the directory may have been missing or may have been replaced. */
static void watch_directory(struct ovsdb_monitor *monitor)
{
	const char *path = ovsdb_endpoint_path(&monitor->endpoint);
	char copy[sizeof(monitor->endpoint.addr.local.sun_path)];

	monitor->socket_watch = sd_event_source_disable_unref(monitor->socket_watch);
	if (!path)
		return;
	strcpy(copy, path);
	sd_event_add_inotify(monitor->event, &monitor->socket_watch, dirname(copy),
		IN_CREATE | IN_MOVED_TO | IN_ATTRIB, on_directory, monitor);
}

static void connect_now(struct ovsdb_monitor *monitor)
{
	static const struct jsonrpc_callbacks callbacks = {
		.connected = on_connected,
		.message = on_message,
		.closed = on_closed,
	};
	struct err err = {""};

	watch_directory(monitor);
	if (jsonrpc_new(&monitor->rpc, monitor->event, &monitor->endpoint, &monitor->credentials,
		    monitor->probe_ms, &callbacks, monitor, &err) < 0)
		connect_later(monitor, &err);
}

static int on_reconnect_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ovsdb_monitor *monitor = userdata;

	if (!monitor->rpc)
		connect_now(monitor);
	return 0;
}

/* Without the kernel's events, the timer still retries. */
static void watch_uevents(struct ovsdb_monitor *monitor)
{
	struct err err = {""};
	int fd = host_uevent_open(&err);

	if (fd < 0) {
		log_warning("OVSDB: %s; new devices are noticed later", err.text);
		return;
	}
	if (sd_event_add_io(monitor->event, &monitor->uevents, fd, EPOLLIN, on_uevent, monitor) < 0)
		close(fd);
	else
		sd_event_source_set_io_fd_own(monitor->uevents, true);
}

int ovsdb_monitor_new(struct ovsdb_monitor **ret_monitor, sd_event *event,
	const struct ovsdb_monitor_options *options, op_apply *apply, void *userdata,
	struct err *err)
{
	struct ovsdb_monitor *monitor = calloc(1, sizeof(*monitor));
	int r;

	if (!monitor)
		return err_set(err, ENOMEM, "out of memory");
	monitor->event = sd_event_ref(event);
	monitor->credentials = options->credentials;
	monitor->probe_ms = options->probe_ms ? options->probe_ms : PROBE_DEFAULT_MS;
	monitor->reconciler.sysfs = options->sysfs ? options->sysfs : SYSFS_ROOT;
	monitor->reconciler.apply = apply;
	monitor->reconciler.userdata = userdata;
	monitor->reconciler.log_limit = (struct log_limit)LOG_LIMIT(PROBLEMS_LOGGED);
	monitor->reconnect_ms = RECONNECT_MIN_MS;
	r = ovsdb_endpoint_parse(options->endpoint, &monitor->endpoint, err);
	if (r < 0)
		goto failed;
	r = sd_event_add_time_relative(event, &monitor->reconnect_timer, CLOCK_MONOTONIC, 0, 0,
		on_reconnect_timer, monitor);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &monitor->run_timer, CLOCK_MONOTONIC,
			UINT64_MAX / 4, TURN_TIMER_ACCURACY_US, on_run_timer, monitor);
	if (r < 0) {
		err_set(err, -r, "OVSDB: %s", strerror(-r));
		goto failed;
	}
	sd_event_source_set_enabled(monitor->run_timer, SD_EVENT_OFF);
	watch_uevents(monitor);
	*ret_monitor = monitor;
	return 0;
failed:
	ovsdb_monitor_free(monitor);
	return r;
}

bool ovsdb_monitor_is_connected(const struct ovsdb_monitor *monitor)
{
	return monitor->synced;
}

struct ovsdb_monitor *ovsdb_monitor_free(struct ovsdb_monitor *monitor)
{
	if (!monitor)
		return NULL;
	jsonrpc_free(monitor->rpc);
	sd_event_source_disable_unref(monitor->reconnect_timer);
	sd_event_source_disable_unref(monitor->socket_watch);
	sd_event_source_disable_unref(monitor->run_timer);
	sd_event_source_disable_unref(monitor->uevents);
	rows_fini(&monitor->reconciler.rows);
	sd_event_unref(monitor->event);
	free(monitor);
	return NULL;
}
