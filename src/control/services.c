/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/services.h"

#include <errno.h>
#include <zmq.h>

#include "control/port_control_service.h"
#include "control/stats_service.h"

struct services {
	void *zmq;
	struct port_control_service *port_control;
	struct stats_service *stats;
};

static void apply(void *userdata, const struct op *op, struct op_result *ret_result)
{
	forwarder_apply(userdata, op, ret_result);
}

static unsigned snapshot(void *userdata, struct relay_stats ret_relays[RELAYS_MAX])
{
	return forwarder_snapshot(userdata, ret_relays);
}

static int open_all(struct services *services, const struct config *config,
	struct forwarder *forwarder, sd_event *event, struct err *err)
{
	struct zmq_endpoint endpoint = {.event = event, .zmq_ctx = services->zmq};
	int r = 0;

	if (config->zmq_port_control_ep != NULL) {
		endpoint.address = config->zmq_port_control_ep;
		r = port_control_service_new(
			&services->port_control, &endpoint, apply, forwarder, err);
	}
	if (r == 0 && config->zmq_stats_ep != NULL) {
		endpoint.address = config->zmq_stats_ep;
		r = stats_service_new(&services->stats, &endpoint, snapshot, forwarder, err);
	}
	return r;
}

int services_new(struct services **ret_services, const struct config *config,
	struct forwarder *forwarder, sd_event *event, struct err *err)
{
	struct services *services = calloc(1, sizeof(*services));

	if (services == NULL)
		return err_set(err, ENOMEM, "out of memory");
	services->zmq = zmq_ctx_new();
	int r = services->zmq != NULL ? open_all(services, config, forwarder, event, err)
	                              : err_set(err, ENOMEM, "no ZeroMQ context");
	if (r < 0) {
		services_free(services);
		return r;
	}
	*ret_services = services;
	return 0;
}

struct services *services_free(struct services *services)
{
	if (services == NULL)
		return NULL;
	port_control_service_free(services->port_control);
	stats_service_free(services->stats);
	if (services->zmq != NULL)
		zmq_ctx_term(services->zmq);
	free(services);
	return NULL;
}
