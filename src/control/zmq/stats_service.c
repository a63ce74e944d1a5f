/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/zmq/stats_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "wire/stats_codec.h"

#define TIMER_ACCURACY_US 1000

/* The counters of a relay from which rates are computed. */
struct relay_counts {
	bool present;
	struct packet_count vf_to_vm_received, vf_to_vm_sent;
	struct packet_count vm_to_vf_received, vm_to_vf_sent;
};

/* A request that waits for its second snapshot. */
struct delayed {
	struct stats_service *service;
	struct zmq_request *request;
	struct stats_request asked;
	sd_event_source *timer;
	uint64_t start_ns;
	struct relay_counts before[RELAYS_MAX];
};

struct stats_service {
	struct zmq_service *zmq;
	sd_event *event;
	stats_snapshot *snapshot;
	void *userdata;
	struct delayed *delayed[STATS_DELAYED_MAX]; /* NULL: a free entry */
	/* Only used while an answer is being made: */
	struct stats_view view;
	struct relay_rates rates[RELAYS_MAX];
};

static void answer_error(struct zmq_request *request, int code)
{
	struct wire_message message = {};

	zmq_request_answer(request, stats_error_encode(code, &message), &message);
}

/*
 * A counter that has gone back belongs to a relay that was set up again meanwhile: its rate is 0.
 */
static double rate(uint64_t before, uint64_t after, double seconds)
{
	return after > before && seconds > 0 ? (double)(after - before) / seconds : 0.0;
}

static void fill_rates(const struct packet_count *received_before,
	const struct packet_count *sent_before, const struct direction_stats *after, double seconds,
	struct direction_rates *ret_rates)
{
	ret_rates->received_packets =
		rate(received_before->packets, after->received.packets, seconds);
	ret_rates->received_bytes = rate(received_before->bytes, after->received.bytes, seconds);
	ret_rates->sent_packets = rate(sent_before->packets, after->sent.packets, seconds);
	ret_rates->sent_bytes = rate(sent_before->bytes, after->sent.bytes, seconds);
}

/* Answers with a fresh snapshot; all rates are 0 if `before` is NULL. */
static void answer_snapshot(struct stats_service *service, struct zmq_request *request,
	const struct stats_request *asked, const struct relay_counts *before, double seconds)
{
	struct stats_view *view = &service->view;
	struct wire_message message = {};
	int r;

	service->snapshot(service->userdata, view);
	memset(service->rates, 0, sizeof(service->rates));
	for (unsigned i = 0; before && i < view->n_relays; i++) {
		const struct relay_stats *relay = &service->view.relays[i];
		const struct relay_counts *counts = &before[relay->id];

		if (!counts->present)
			continue;
		fill_rates(&counts->vf_to_vm_received, &counts->vf_to_vm_sent, &relay->vf_to_vm,
			seconds, &service->rates[i].vf_to_vm);
		fill_rates(&counts->vm_to_vf_received, &counts->vm_to_vf_sent, &relay->vm_to_vf,
			seconds, &service->rates[i].vm_to_vf);
	}
	r = stats_response_encode(asked, view, service->rates, &message);
	if (r < 0)
		answer_error(request, r);
	else
		zmq_request_answer(request, r, &message);
}

static void delayed_free(struct delayed *delayed)
{
	for (unsigned i = 0; i < STATS_DELAYED_MAX; i++)
		if (delayed->service->delayed[i] == delayed)
			delayed->service->delayed[i] = NULL;
	sd_event_source_disable_unref(delayed->timer);
	free(delayed);
}

static void delayed_finish(struct delayed *delayed)
{
	double seconds = (double)(clock_monotonic_ns() - delayed->start_ns) / 1e9;

	answer_snapshot(
		delayed->service, delayed->request, &delayed->asked, delayed->before, seconds);
	delayed_free(delayed);
}

static int on_timer(sd_event_source *source, uint64_t time_us, void *userdata)
{
	delayed_finish(userdata);
	return 0;
}

/* Finds a free entry; if there is none, the oldest request is answered now. */
static struct delayed **free_place(struct stats_service *service)
{
	unsigned oldest = 0;

	for (unsigned i = 0; i < STATS_DELAYED_MAX; i++) {
		if (!service->delayed[i])
			return &service->delayed[i];
		if (service->delayed[i]->start_ns < service->delayed[oldest]->start_ns)
			oldest = i;
	}
	delayed_finish(service->delayed[oldest]);
	return &service->delayed[oldest];
}

static void take_first_snapshot(struct stats_service *service, struct delayed *delayed)
{
	service->snapshot(service->userdata, &service->view);
	delayed->start_ns = clock_monotonic_ns();
	for (unsigned i = 0; i < service->view.n_relays; i++) {
		const struct relay_stats *relay = &service->view.relays[i];

		delayed->before[relay->id] = (struct relay_counts){
			.present = true,
			.vf_to_vm_received = relay->vf_to_vm.received,
			.vf_to_vm_sent = relay->vf_to_vm.sent,
			.vm_to_vf_received = relay->vm_to_vf.received,
			.vm_to_vf_sent = relay->vm_to_vf.sent,
		};
	}
}

static void answer_later(struct stats_service *service, struct zmq_request *request,
	const struct stats_request *asked)
{
	struct delayed **place = free_place(service);
	struct delayed *delayed = calloc(1, sizeof(*delayed));
	uint64_t timer_us;

	if (!delayed) {
		answer_error(request, -ENOMEM);
		return;
	}
	delayed->service = service;
	delayed->request = request;
	delayed->asked = *asked;
	take_first_snapshot(service, delayed);
	/*
	 * Counted from the snapshot, not from when the loop woke: the delay is never less than
	 * asked for.
	 */
	timer_us = delayed->start_ns / 1000 + 1 + (uint64_t)asked->delay_ms * 1000;
	if (sd_event_add_time(service->event, &delayed->timer, CLOCK_MONOTONIC, timer_us,
		    TIMER_ACCURACY_US, on_timer, delayed) < 0) {
		free(delayed);
		answer_error(request, -ENOMEM);
		return;
	}
	*place = delayed;
}

static void on_request(void *userdata, struct zmq_request *request, const void *data, size_t length)
{
	struct stats_service *service = userdata;
	struct stats_request asked;
	int r = stats_request_decode(data, length, &asked);

	if (r < 0)
		answer_error(request, r);
	else if (asked.delay_ms == 0)
		answer_snapshot(service, request, &asked, NULL, 0);
	else
		answer_later(service, request, &asked);
}

int stats_service_new(struct stats_service **ret_service, const struct zmq_endpoint *endpoint,
	stats_snapshot *snapshot, void *userdata, struct err *err)
{
	struct stats_service *service = calloc(1, sizeof(*service));
	int r;

	if (!service)
		return err_set(err, ENOMEM, "out of memory");
	service->event = sd_event_ref(endpoint->event);
	service->snapshot = snapshot;
	service->userdata = userdata;
	r = zmq_service_new(&service->zmq, endpoint, on_request, service, err);
	if (r < 0) {
		stats_service_free(service);
		return r;
	}
	*ret_service = service;
	return 0;
}

struct stats_service *stats_service_free(struct stats_service *service)
{
	if (!service)
		return NULL;
	for (unsigned i = 0; i < STATS_DELAYED_MAX; i++)
		if (service->delayed[i])
			delayed_finish(service->delayed[i]);
	zmq_service_free(service->zmq);
	sd_event_unref(service->event);
	free(service);
	return NULL;
}
