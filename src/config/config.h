/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the operator wants, from /etc/default/virtioforwarder and the command line. Plain data, made
 * once at start by config_load() and constant from then on. A blank or missing value has become its
 * default by then.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/cpu_set.h"
#include "base/device_id.h"
#include "base/err.h"
#include "base/limits.h"

#define CONFIG_FILE_DEFAULT "/etc/default/virtioforwarder"

struct config_vf {
	struct device_id device;
	unsigned relay_id;
};

struct config_pin {
	bool set;
	int vf_to_vm_cpu;
	int vm_to_vf_cpu; /* the same as vf_to_vm_cpu where only one was given */
};

struct config {
	struct cpu_set worker_cpus;
	unsigned master_cpu;
	bool share_master_cpu;    /* it may be one of worker_cpus */
	unsigned idle_latency_us; /* 0: workers never sleep */
	int log_level;            /* 0..7 */
	bool foreground;
	bool log_syslog; /* --nodaemon=log_syslog; a daemonized process always logs to syslog */
	bool no_huge;    /* --no-huge: ordinary pages, for trying out */
	bool allow_tcp_endpoints;
	bool same_numa; /* memory on the workers' nodes only */
	char *binary;   /* the program that shall run as the service, or NULL */
	char *pid_dir;
	char *huge_dir;
	char *ovsdb_sock;        /* "PATH", "tcp:IP:PORT" or "ssl:IP:PORT" */
	char *ovsdb_private_key; /* NULL: none; so are the next two */
	char *ovsdb_certificate;
	char *ovsdb_ca_cert;
	bool ovsdb; /* OVSDB port control: on where neither ZMQ nor IPC port control is */
	bool ipc_port_control;
	char *ipc_path;      /* the command file */
	char *zmq_config_ep; /* NULL: off; so are the other endpoints */
	char *zmq_port_control_ep;
	char *zmq_stats_ep;
	char *metrics_ep;        /* "ipc:///PATH" or "http://LOOPBACK:PORT" */
	char *capture_ep;        /* "ipc:///PATH" */
	char *zmq_core_sched_ep; /* only kept where core_sched_enable */
	bool core_sched_enable;
	char *socket_owner; /* a name, or a number */
	char *socket_group;
	uid_t socket_uid; /* of these two; (uid_t)-1: leave it alone, the default account is not on
	                     this machine */
	gid_t socket_gid; /* so here */
	char *socket_dir;
	char *socket_pattern;               /* exactly one %u */
	struct config_pin pins[RELAYS_MAX]; /* by relay id */
	struct config_vf vfs[RELAYS_MAX];
	unsigned n_vfs;
	bool jumbo;
	bool mrgbuf;
	bool tso;
	bool vhost_client;
	bool zero_copy;
	bool dynamic_sockets;
	char *vfio_vf_token; /* UUID, or NULL */
	char *bind_vfio_pci; /* as given, or NULL */
	char **notices;      /* what the operator should know, to be logged at start */
	unsigned n_notices;
};

/* The same for vio4wd_core_scheduler. */
struct config_sched {
	char *stats_ep;
	char *sched_ep;
	double poll_interval_s;
	int log_level;      /* 0..7 */
	double sensitivity; /* 0..1: the improvement that is worth a move */
	bool global_numa_opt;
	char *config_ep; /* NULL: off */
	bool dry_run;    /* move nothing */
	bool watch;      /* of a dry run: go on */
};

enum config_outcome {
	CONFIG_RUN,  /* go on */
	CONFIG_EXIT, /* --help, --version or --check-config has said all: exit 0 */
};

/*
 * Reads the file, then the command line, and checks both. Returns an enum config_outcome, or a
 * negative errno with the reason in err ("<file>:<line>: ..." or "--option: ..."): -EINVAL for bad
 * usage or values (exit code 2), anything else for what went wrong (exit code 1). *ret_config is
 * untouched on failure; free it with config_free().
 */
int config_load(int argc, char **argv, struct config **ret_config, struct err *err);

struct config *config_free(struct config *config);

/* The path of a relay's socket, of a loaded configuration: it is never too long. */
void config_socket_path(
	const struct config *config, unsigned relay_id, char ret_path[static SOCKET_PATH_SIZE]);

/* The same for vio4wd_core_scheduler. */
int config_load_sched(int argc, char **argv, struct config_sched **ret_config, struct err *err);

struct config_sched *config_sched_free(struct config_sched *config);
