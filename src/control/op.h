/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The one request and answer type for every way in: static VFs, ZeroMQ, OVSDB, command file. Each
 * of them only translates into a `struct op` and calls forwarder_apply(); the core scheduler's
 * translates into `struct core_move`. A leaf: no DPDK, no protobuf.
 */

#include <stdbool.h>

#include "base/device_id.h"
#include "base/err.h"
#include "base/limits.h"

enum op_kind {
	OP_ADD,         /* attach `device` to relay `relay_id` */
	OP_REMOVE,      /* take `device` from relay `relay_id` */
	OP_ADD_SOCK,    /* first free relay: attach `device`, open `vhost_path` */
	OP_REMOVE_SOCK, /* the relay of `vhost_path` and/or `device`: give it back */
	OP_QUERY_PCI,   /* which device does `vhost_path` serve? */
};

enum socket_mode {
	SOCKET_MODE_DEFAULT, /* as the daemon is configured */
	SOCKET_MODE_SERVER,  /* the daemon listens, QEMU connects */
	SOCKET_MODE_CLIENT,  /* QEMU listens, the daemon connects and reconnects */
};

struct op {
	enum op_kind kind;
	int relay_id;                      /* 0..63, -1 where the request names none */
	struct op_device device;           /* REMOVE of a bond needs the name alone */
	char vhost_path[SOCKET_PATH_SIZE]; /* "" where the request names none */
	enum socket_mode socket_mode;      /* ADD_SOCK */
	bool conditional;                  /* true: a request that would change nothing is fine */
	char ident[IDENT_SIZE];            /* an orchestrator's name for the port, "" for none */
	bool clear_ident; /* an addition of what is there already takes its ident away for "" */
};

struct op_result {
	int code;                     /* 0, or a positive errno */
	struct err err;               /* the reason, where code is not 0 */
	char query[DEVICE_TEXT_SIZE]; /* QUERY_PCI: the device in the wire's form; else "" */
};

/* The CPU of each slice of a direction. */
struct slice_cpus {
	unsigned n; /* of those that are said: the others have the direction's CPU */
	unsigned cpus[SLICES_MAX];
};

/* The CPUs that a relay's two directions run on, or are to run on. */
struct core_move {
	unsigned relay_id; /* 0..63 */
	unsigned vf_to_vm_cpu;
	unsigned vm_to_vf_cpu; /* all CPUs 0..CPU_SET_MAX - 1 */
	struct slice_cpus vf_to_vm_slices;
	struct slice_cpus vm_to_vf_slices;
};
