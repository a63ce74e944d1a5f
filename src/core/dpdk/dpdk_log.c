/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/dpdk/dpdk_log.h"

#include <errno.h>
#include <pthread.h>
#include <rte_log.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/log.h"

#define LINE_SIZE 256

/* DPDK has one log stream per process, so this state is the process's too. */
static struct {
	pthread_mutex_t mutex; /* protects what follows: any thread of DPDK's may log */
	struct log_limit limit;
	struct log_limit relay_limits[RELAYS_MAX]; /* guests can make vhost log */
} dpdk_log = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.limit = LOG_LIMIT(50),
};

/* Of one thread: meanwhile others may complain about other things. */
static _Thread_local struct {
	bool on;
	char first[LINE_SIZE];
} capture;

/* DPDK numbers severities from 1 (emergency) to 8 (debug). */
static int severity_of_current_message(void)
{
	return rte_log_cur_msg_loglevel() > 0 ? rte_log_cur_msg_loglevel() - 1 : LOG_INFO;
}

/*
 * The vhost library's lines about a VM are "VHOST_CONFIG: (SOCKET) what has happened". Returns the
 * relay and what has happened; -1 for any other line.
 */
static int relay_of(const char *line, const char **ret_what)
{
	unsigned relay = RELAYS_MAX;
	int length = 0;

	sscanf(line, "VHOST_%*[A-Z]: (/tmp/virtio-forwarder.%*6[^/]/%2u) %n", &relay, &length);
	if (length == 0 || relay >= RELAYS_MAX)
		return -1;
	*ret_what = line + length;
	return (int)relay;
}

static void write_limited(int severity, const char *line)
{
	const char *what;
	const int relay = relay_of(line, &what);
	struct log_limit *limit = relay < 0 ? &dpdk_log.limit : &dpdk_log.relay_limits[relay];

	if (!log_limit_pass(limit, severity))
		return;
	if (relay < 0)
		log_at(severity, "DPDK: %s", line);
	else
		log_event_at(severity, &(struct log_event){.relay = relay},
			"relay %d: DPDK's vhost library: %s", relay, what);
}

static ssize_t write_line(void *cookie, const char *text, size_t size)
{
	char line[LINE_SIZE];
	int severity = severity_of_current_message();
	size_t length = MIN(size, sizeof(line) - 1);

	memcpy(line, text, length);
	while (length > 0 && line[length - 1] == '\n')
		length--;
	line[length] = '\0';
	if (length == 0)
		return size;

	if (capture.on && severity <= LOG_WARNING) {
		if (capture.first[0] == '\0')
			strcpy(capture.first, line);
		if (severity > LOG_CRIT) /* a panic's: after those nobody reports */
			severity = LOG_DEBUG;
	}
	pthread_mutex_lock(&dpdk_log.mutex);
	write_limited(severity, line);
	pthread_mutex_unlock(&dpdk_log.mutex);
	return size;
}

int dpdk_log_open(int max_severity, struct err *err)
{
	static const cookie_io_functions_t functions = {.write = write_line};
	FILE *stream = fopencookie(NULL, "w", functions);

	if (stream == NULL)
		return err_set(err, errno, "cannot open a log stream: %s", strerror(errno));
	setvbuf(stream, NULL, _IOLBF, 0);
	for (int i = 0; i < RELAYS_MAX; i++)
		dpdk_log.relay_limits[i] = (struct log_limit)LOG_LIMIT_OF_RELAY(20, i);
	rte_openlog_stream(stream);
	dpdk_log_set_level(max_severity);
	return 0;
}

void dpdk_log_set_level(int max_severity)
{
	/* DPDK's messages about ordinary events are for debugging only. */
	rte_log_set_global_level(max_severity >= LOG_DEBUG ? RTE_LOG_DEBUG : RTE_LOG_WARNING);
}

void dpdk_log_capture_start(void)
{
	capture.on = true;
	capture.first[0] = '\0';
}

const char *dpdk_log_capture_end(void)
{
	capture.on = false;
	return capture.first;
}
