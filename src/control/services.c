/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/services.h"

#include <errno.h>
#include <zmq.h>

#include "base/log.h"
#include "control/capture_service.h"
#include "control/command_file/command_file.h"
#include "control/kept_ports.h"
#include "control/metrics/metrics_service.h"
#include "control/ovsdb/ovsdb_monitor.h"
#include "control/zmq/config_service.h"
#include "control/zmq/core_sched_service.h"
#include "control/zmq/port_control_service.h"
#include "control/zmq/stats_service.h"
#include "core/dpdk/eal.h"

struct services {
	void *zmq;
	struct kept_ports *kept; /* NULL: what is added is not kept */
	op_apply *apply;         /* for requests of clients */
	void *apply_userdata;
	struct port_control_service *port_control;
	struct stats_service *stats;
	struct core_sched_service *core_sched;
	struct config_service *config;
	struct metrics_service *metrics;
	struct capture_service *capture;
	struct command_file *command_file;
	struct ovsdb_monitor *ovsdb;
};

/* The forwarder, as the callbacks of the services see it. */

static void apply(void *userdata, const struct op *op, struct op_result *ret_result)
{
	forwarder_apply(userdata, op, ret_result);
}

static void snapshot(void *userdata, struct stats_view *ret_view)
{
	forwarder_snapshot(userdata, ret_view);
}

static void read_devices(void *userdata, struct device_counters ret_counters[static RELAYS_MAX])
{
	forwarder_read_devices(userdata, ret_counters);
}

static void move(void *userdata, const struct core_move *moves, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		forwarder_move(userdata, &moves[i]);
}

static void worker_cpus(void *userdata, struct cpu_set *ret_cpus)
{
	forwarder_worker_cpus(userdata, ret_cpus);
}

static void tap(void *userdata, unsigned relay_id, enum direction direction, struct tap *taps)
{
	forwarder_tap(userdata, relay_id, direction, taps);
}

static int open_config_endpoint(struct services *services, const struct config *config,
	const struct zmq_endpoint *endpoint, struct err *err)
{
	const char *features[8];
	unsigned n = 0;

	if (config->jumbo)
		features[n++] = "jumbo";
	if (config->mrgbuf)
		features[n++] = "mrgbuf";
	if (config->tso)
		features[n++] = "tso";
	if (config->dynamic_sockets)
		features[n++] = "dynamic_sockets";
	if (config->vhost_client)
		features[n++] = "vhost_client";
	if (config->zero_copy)
		features[n++] = "zero_copy";
	if (config->same_numa)
		features[n++] = "same_numa";
	features[n] = NULL;
	return config_service_new(&services->config, endpoint, config->pins,
		&(struct config_service_versions){
			.daemon = PROJECT_VERSION, .dpdk = eal_version(), .features = features},
		err);
}

static int open_zmq(struct services *services, const struct config *config,
	struct forwarder *forwarder, sd_event *event, struct err *err)
{
	static const struct core_sched_callbacks core_sched = {
		.move = move, .worker_cpus = worker_cpus};
	struct zmq_endpoint endpoint = {.event = event, .zmq_ctx = services->zmq};
	int r = 0;

	if (config->zmq_port_control_ep != NULL) {
		endpoint.address = config->zmq_port_control_ep;
		r = port_control_service_new(&services->port_control, &endpoint, services->apply,
			services->apply_userdata, err);
	}
	if (r == 0 && config->zmq_stats_ep != NULL) {
		endpoint.address = config->zmq_stats_ep;
		r = stats_service_new(&services->stats, &endpoint, snapshot, forwarder, err);
	}
	if (r == 0 && config->zmq_core_sched_ep != NULL) {
		endpoint.address = config->zmq_core_sched_ep;
		r = core_sched_service_new(
			&services->core_sched, &endpoint, &core_sched, forwarder, err);
	}
	if (r == 0 && config->zmq_config_ep != NULL) {
		endpoint.address = config->zmq_config_ep;
		r = open_config_endpoint(services, config, &endpoint, err);
	}
	return r;
}

static int open_metrics(struct services *services, const struct config *config,
	struct forwarder *forwarder, sd_event *event, struct err *err)
{
	const struct metrics_source source = {
		.version = PROJECT_VERSION,
		.dpdk = eal_version(),
		.snapshot = snapshot,
		.devices = read_devices,
		.userdata = forwarder,
		.ovsdb = services->ovsdb,
	};

	return metrics_service_new(&services->metrics, event, config->metrics_ep, &source, err);
}

/*
 * The endpoints for looking only. One that cannot be opened must not keep the VMs from their
 * network.
 */
static void open_metrics_and_capture(struct services *services, const struct config *config,
	struct forwarder *forwarder, sd_event *event)
{
	struct err err;

	if (config->metrics_ep != NULL &&
		open_metrics(services, config, forwarder, event, &err) < 0)
		log_error("%s; there are no metrics until the daemon is restarted", err.text);
	if (config->capture_ep != NULL && capture_service_new(&services->capture, event,
						  config->capture_ep, tap, forwarder, &err) < 0)
		log_error("%s; nothing can be captured until the daemon is restarted", err.text);
}

/* The ways of port control other than ZeroMQ. The configuration leaves only one of the three on. */
static int open_other_port_control(struct services *services, const struct config *config,
	struct forwarder *forwarder, sd_event *event, struct err *err)
{
	if (config->ipc_port_control)
		return command_file_new(&services->command_file, event,
			&(struct command_file_options){.path = config->ipc_path}, services->apply,
			services->apply_userdata, err);
	if (config->ovsdb)
		return ovsdb_monitor_new(&services->ovsdb, event,
			&(struct ovsdb_monitor_options){.endpoint = config->ovsdb_sock,
				.credentials = {.private_key = config->ovsdb_private_key,
					.certificate = config->ovsdb_certificate,
					.ca_cert = config->ovsdb_ca_cert}},
			apply, forwarder, err);
	return 0;
}

/* Restores what was added in an earlier run, if that is kept, before anybody asks for more. */
static int restore_ports(struct services *services, const struct config *config,
	struct forwarder *forwarder, struct err *err)
{
	services->apply = apply;
	services->apply_userdata = forwarder;
	if (!config->keep_ports) {
		kept_ports_set_aside(config);
		return 0;
	}
	int r = kept_ports_new(&services->kept, config, forwarder, err);
	if (r < 0)
		return r;
	services->apply = kept_ports_apply;
	services->apply_userdata = services->kept;
	return 0;
}

static void log_port_control(const struct config *config)
{
	if (config->zmq_port_control_ep != NULL)
		log_notice("port control over ZeroMQ at %s; command file and OVSDB are off",
			config->zmq_port_control_ep);
	else if (config->ipc_port_control)
		log_notice("port control by command file %s; ZeroMQ and OVSDB are off",
			config->ipc_path);
	else
		log_notice("port control by OVSDB at %s; ZeroMQ and command file are off",
			config->ovsdb_sock);
}

int services_new(struct services **ret_services, const struct config *config,
	struct forwarder *forwarder, sd_event *event, struct err *err)
{
	struct services *services = calloc(1, sizeof(*services));

	if (services == NULL)
		return err_set(err, ENOMEM, "out of memory");
	services->zmq = zmq_ctx_new();
	int r = services->zmq != NULL ? restore_ports(services, config, forwarder, err)
	                              : err_set(err, ENOMEM, "no ZeroMQ context");
	if (r == 0)
		r = open_zmq(services, config, forwarder, event, err);
	if (r == 0)
		r = open_other_port_control(services, config, forwarder, event, err);
	if (r < 0) {
		services_free(services);
		return r;
	}
	open_metrics_and_capture(services, config, forwarder, event);
	log_port_control(config);
	*ret_services = services;
	return 0;
}

struct services *services_free(struct services *services)
{
	if (services == NULL)
		return NULL;
	ovsdb_monitor_free(services->ovsdb);
	command_file_free(services->command_file);
	port_control_service_free(services->port_control);
	stats_service_free(services->stats);
	core_sched_service_free(services->core_sched);
	config_service_free(services->config);
	metrics_service_free(services->metrics);
	capture_service_free(services->capture);
	kept_ports_free(services->kept);
	if (services->zmq != NULL)
		zmq_ctx_term(services->zmq);
	free(services);
	return NULL;
}
