/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/metrics/metrics_service.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/endpoints.h"
#include "base/log.h"
#include "base/loopback.h"
#include "control/ipc_listener.h"
#include "control/local_server.h"
#include "control/metrics/request.h"
#include "control/metrics/text.h"
#include "control/ovsdb/ovsdb_monitor.h"

#define FRESH_NS 1000000000 /* for so long all clients get the same snapshot */

struct text {
	char *data; /* NULL: not made yet */
	size_t length;
};

struct metrics_service {
	struct metrics_source source;
	struct ipc_listener *listener; /* of an ipc endpoint */
	int fd;
	struct local_server *server;
	uint64_t start_ns;                      /* CLOCK_MONOTONIC */
	uint64_t used_at_start_ns[WORKERS_MAX]; /* busy or asleep before start_ns, per worker */
	uint64_t taken_ns;                      /* when the view was taken; 0: never */
	struct metrics_view view;
	struct text texts[METRICS_FORMATS]; /* of the view */
};

static void forget_texts(struct metrics_service *service)
{
	for (unsigned i = 0; i < METRICS_FORMATS; i++) {
		free(service->texts[i].data);
		service->texts[i] = (struct text){0};
	}
}

/*
 * The time in which a worker was neither busy nor asleep. A sleep is counted only when it ends, so
 * the difference may fall meanwhile; a counter must not.
 */
static void update_idle(struct metrics_service *service, uint64_t now_ns)
{
	struct metrics_view *view = &service->view;

	for (unsigned i = 0; i < view->stats.n_workers; i++) {
		const struct worker_stats *worker = &view->stats.workers[i];
		uint64_t used = worker->busy_ns + worker->sleep_ns - service->used_at_start_ns[i];
		uint64_t all = now_ns - service->start_ns;

		if (all > used)
			view->worker_idle_ns[i] = MAX(view->worker_idle_ns[i], all - used);
	}
}

static void begin_idle(struct metrics_service *service)
{
	const struct stats_view *stats = &service->view.stats;

	service->source.snapshot(service->source.userdata, &service->view.stats);
	for (unsigned i = 0; i < stats->n_workers; i++)
		service->used_at_start_ns[i] =
			stats->workers[i].busy_ns + stats->workers[i].sleep_ns;
	service->start_ns = clock_monotonic_ns();
}

static void refresh(struct metrics_service *service)
{
	uint64_t now_ns = clock_monotonic_ns();

	if (service->taken_ns != 0 && now_ns - service->taken_ns < FRESH_NS)
		return;
	forget_texts(service);
	service->source.snapshot(service->source.userdata, &service->view.stats);
	service->source.devices(service->source.userdata, service->view.devices);
	update_idle(service, now_ns);
	service->view.follows_ovsdb = service->source.ovsdb != NULL;
	service->view.ovsdb_connected =
		service->view.follows_ovsdb && ovsdb_monitor_is_connected(service->source.ovsdb);
	service->taken_ns = now_ns;
}

/* The text of the current view; its data is NULL if out of memory. */
static const struct text *get_text(struct metrics_service *service, enum metrics_format format)
{
	struct text *text = &service->texts[format];

	refresh(service);
	if (text->data != NULL)
		return text;
	FILE *out = open_memstream(&text->data, &text->length);
	if (out == NULL)
		return text;
	metrics_write(out, &service->view, format);
	if (fclose(out) != 0) {
		free(text->data);
		text->data = NULL;
	}
	return text;
}

static enum local_verdict answer(struct local_client *client, const struct http_answer *answer)
{
	_cleanup_free_ char *data = NULL;
	size_t length = 0;

	if (http_answer_write(answer, &data, &length) < 0 ||
		local_client_answer(client, data, length) < 0) {
		log_error("metrics endpoint: out of memory");
		return LOCAL_REFUSE;
	}
	return LOCAL_TAKEN;
}

static enum local_verdict on_request(
	void *userdata, struct local_client *client, const char *data, size_t length)
{
	struct metrics_service *service = userdata;
	bool openmetrics;
	int status = http_request_judge(data, length, &openmetrics);

	if (status == 0)
		return LOCAL_MORE;
	if (status != HTTP_OK)
		return answer(client, &(struct http_answer){.status = status});
	const struct text *text =
		get_text(service, openmetrics ? METRICS_OPENMETRICS : METRICS_PROMETHEUS);
	if (text->data == NULL)
		return LOCAL_REFUSE;
	return answer(client, &(struct http_answer){.status = HTTP_OK,
				      .openmetrics = openmetrics,
				      .body = text->data,
				      .length = text->length});
}

static int open_loopback(struct metrics_service *service, const char *endpoint, struct err *err)
{
	struct sockaddr_storage addr;
	socklen_t length;
	int on = 1;

	int r = loopback_parse(endpoint, &addr, &length, err);
	if (r < 0)
		return r;
	service->fd = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (service->fd < 0 ||
		setsockopt(service->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		bind(service->fd, (struct sockaddr *)&addr, length) < 0 ||
		listen(service->fd, SOMAXCONN) < 0)
		return err_set(err, errno, "metrics endpoint %s: %s%s", endpoint, strerror(errno),
			errno == EADDRINUSE ? " (ss -ltnp says by whom)" : "");
	return 0;
}

static int open_socket(struct metrics_service *service, const char *endpoint, struct err *err)
{
	const char *path = endpoint_ipc_path(endpoint);

	if (path == NULL)
		return open_loopback(service, endpoint, err);
	int r = ipc_listener_new(&service->listener, path, err);
	if (r < 0)
		return err_prefix(err, r, "metrics endpoint");
	service->fd = ipc_listener_fd(service->listener);
	return 0;
}

int metrics_service_new(struct metrics_service **ret_service, sd_event *event, const char *endpoint,
	const struct metrics_source *source, struct err *err)
{
	struct metrics_service *service = calloc(1, sizeof(*service));

	if (service == NULL)
		return err_set(err, ENOMEM, "out of memory");
	service->source = *source;
	service->fd = -1;
	begin_idle(service);
	service->view.version = source->version;
	service->view.dpdk = source->dpdk;
	service->view.start_time_s = clock_realtime_ns() / 1000000000;
	int r = open_socket(service, endpoint, err);
	if (r == 0)
		r = local_server_new(&service->server, event,
			&(struct local_server_options){
				.fd = service->fd,
				.request_max = HTTP_REQUEST_MAX,
				.on_request = on_request,
				.userdata = service,
			},
			err);
	if (r < 0) {
		metrics_service_free(service);
		return r;
	}
	*ret_service = service;
	return 0;
}

struct metrics_service *metrics_service_free(struct metrics_service *service)
{
	if (service == NULL)
		return NULL;
	local_server_free(service->server);
	if (service->listener != NULL)
		ipc_listener_free(service->listener);
	else if (service->fd >= 0)
		close(service->fd);
	forget_texts(service);
	free(service);
	return NULL;
}
