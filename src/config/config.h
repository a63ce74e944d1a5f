/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the operator wants, from /etc/default/virtioforwarder and the command line. Plain data,
 * created once at start by config_load() and constant from then on. Blank and missing values have
 * been replaced by their defaults.
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
	int vm_to_vf_cpu; /* same as vf_to_vm_cpu if only one was given */
};

struct config {
	struct cpu_set worker_cpus;
	unsigned master_cpu;
	bool share_master_cpu;    /* master_cpu may be one of worker_cpus */
	unsigned idle_latency_us; /* 0: workers never sleep */
	int log_level;            /* 0..7 */
	bool foreground;
	bool log_syslog; /* --nodaemon=log_syslog; a daemonized process always logs to syslog */
	bool no_huge;    /* --no-huge: ordinary pages, to try the daemon out */
	bool allow_tcp_endpoints;
	bool same_numa; /* memory on the workers' nodes only */
	char *binary;   /* the program to run as the service, or NULL */
	char *pid_dir;
	char *huge_dir;
	char *ovsdb_sock;        /* "PATH", "tcp:IP:PORT" or "ssl:IP:PORT" */
	char *ovsdb_private_key; /* NULL: none; so for the next two */
	char *ovsdb_certificate;
	char *ovsdb_ca_cert;
	bool ovsdb; /* OVSDB port control: on if ZMQ and IPC port control are off */
	bool ipc_port_control;
	char *ipc_path;      /* the command file */
	bool keep_ports;     /* restore at start what port control added; false with OVSDB */
	char *zmq_config_ep; /* NULL: off; so for the other endpoints */
	char *zmq_port_control_ep;
	char *zmq_stats_ep;
	char *metrics_ep;        /* "ipc:///PATH" or "http://LOOPBACK:PORT" */
	char *capture_ep;        /* "ipc:///PATH" */
	char *zmq_core_sched_ep; /* NULL unless core_sched_enable */
	bool core_sched_enable;
	char *socket_owner; /* a name or a number */
	char *socket_group;
	/* of socket_owner; (uid_t)-1: leave it alone, as the default account does not exist */
	uid_t socket_uid;
	gid_t socket_gid; /* likewise */
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
	char *bind_vfio_pci; /* as configured, or NULL */
	char **notices;      /* messages for the operator, to be logged at start */
	unsigned n_notices;
};

/* The same for vio4wd_core_scheduler. */
struct config_sched {
	char *stats_ep;
	char *sched_ep;
	double poll_interval_s;
	int log_level;      /* 0..7 */
	double sensitivity; /* 0..1: improvement needed for a move */
	bool global_numa_opt;
	bool dry_run; /* move nothing */
	bool watch;   /* go on with the dry run until it is stopped or has no reader */
};

enum config_outcome {
	CONFIG_RUN,  /* start the program */
	CONFIG_EXIT, /* exit 0: --help, --version or --check-config is done */
};

/*
 * Reads the file, then the command line, and checks both. Returns an enum config_outcome, or a
 * negative errno with the reason in err ("<file>:<line>: ..." or "--option: ..."): -EINVAL for bad
 * usage or values (exit code 2), anything else for other failures (exit code 1). *ret_config is
 * untouched on failure; free it with config_free().
 */
int config_load(int argc, char **argv, struct config **ret_config, struct err *err);

/*
 * The same for a look at the configuration before the daemon is started: does not look at the pid
 * directory, which the service's unit makes.
 */
int config_load_before_start(int argc, char **argv, struct config **ret_config, struct err *err);

struct config *config_free(struct config *config);

/* The path of a relay's socket. Checked by config_load(), so it always fits. */
void config_socket_path(
	const struct config *config, unsigned relay_id, char ret_path[static SOCKET_PATH_SIZE]);

/* The same for vio4wd_core_scheduler. */
int config_load_sched(int argc, char **argv, struct config_sched **ret_config, struct err *err);

struct config_sched *config_sched_free(struct config_sched *config);
