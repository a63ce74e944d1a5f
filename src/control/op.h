/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The one request and answer type of every way in: static VFs, ZeroMQ, OVSDB, command file. Each of
 * them only translates its requests into a `struct op` and calls forwarder_apply(). The core
 * scheduler's requests are translated into `struct core_move`. A leaf header: no DPDK, no protobuf.
 */

#include <stdbool.h>

#include "base/device_spec.h"
#include "base/err.h"
#include "base/limits.h"

enum op_kind {
	OP_ADD,    /* attach `device` to relay `relay_id` */
	OP_REMOVE, /* detach `device` from relay `relay_id` */
	/* From ZeroMQ only, whose decoder refuses a request that does not name what is used here.
	 */
	OP_ADD_SOCK,    /* attach `device` to the first free relay and open `vhost_path` */
	OP_REMOVE_SOCK, /* free the relay of `vhost_path` and/or `device` */
	OP_QUERY_PCI,   /* which device does `vhost_path` belong to? */
};

enum socket_mode {
	SOCKET_MODE_DEFAULT, /* as the daemon is configured */
	SOCKET_MODE_SERVER,  /* the daemon listens, QEMU connects */
	SOCKET_MODE_CLIENT,  /* QEMU listens, the daemon connects and reconnects */
};

/* What happens if the device cannot be opened. */
enum op_opening {
	OPENING_NOW,     /* the request fails */
	OPENING_WAITING, /* the relay gets the device, and waits for it */
	OPENING_LATER,   /* the same, without trying to open it now */
};

struct op {
	enum op_kind kind;
	/* 0..63; -1 if the request names none. For ADD_SOCK: used if it is free */
	int relay_id;
	struct device_spec device;         /* to REMOVE a bond, its name suffices */
	char vhost_path[SOCKET_PATH_SIZE]; /* absolute; "" if the request names none */
	enum socket_mode socket_mode;      /* for ADD_SOCK */
	bool conditional;                  /* true: a request that would change nothing succeeds */
	char ident[IDENT_SIZE];            /* an orchestrator's name for the port, "" for none */
	enum op_opening opening;           /* for ADD and ADD_SOCK; not in a client's request */
	bool clear_ident; /* with ident "": an addition of what is there removes its ident */
};

struct op_result {
	int code;                     /* 0, or a positive errno */
	struct err err;               /* the reason, if code is not 0 */
	char query[DEVICE_TEXT_SIZE]; /* QUERY_PCI: the device in the wire's form; else "" */
};

/* Does the operation or changes nothing, before it returns. *ret_result comes zeroed. */
typedef void op_apply(void *userdata, const struct op *op, struct op_result *ret_result);

/* The CPU of each slice of a direction. */
struct slice_cpus {
	unsigned n; /* slices named here; all others run on the direction's CPU */
	unsigned cpus[SLICES_MAX];
};

/*
 * The CPUs on which the two directions of a relay run or shall run: all CPUs are 0..CPU_SET_MAX -
 * 1.
 */
struct core_move {
	unsigned relay_id; /* 0..63 */
	unsigned vf_to_vm_cpu;
	unsigned vm_to_vf_cpu;
	struct slice_cpus vf_to_vm_slices;
	struct slice_cpus vm_to_vf_slices;
};
