/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The rows of the table Interface which ask for a relay, as the database last told them. A row asks
 * by the key `virtio_forwarder` (older: `virtio_relay`) in external_ids, whatever its value.
 */

#include <jansson.h>

#include "base/err.h"
#include "host/pci.h"

#define ROW_NAME_SIZE 128
#define ROW_UUID_SIZE sizeof("12345678-1234-1234-1234-123456789abc")

struct row {
	char uuid[ROW_UUID_SIZE];
	char name[ROW_NAME_SIZE]; /* of the interface; longer ones are cut, and no interface's */
	char *relay_id; /* external_ids:virtio_forwarder_id; NULL where absent, as the next */
	char *device;   /* external_ids:virtio_forwarder_device */
	char *ident;    /* external_ids:iface-id */

	/* Of ports_from_rows(): */
	bool resolved; /* `vf` is what the interface's name stands for */
	bool retry;    /* the problem may go away by itself */
	struct host_vf
		vf; /* kept when the interface goes: a VF's own does when vfio-pci takes the VF */
	struct err problem; /* why the row has no relay, or not the one it asks for; "" for no
	                       reason */
	struct err told;    /* the problem that was logged last */
};

struct rows {
	struct row *rows;
	unsigned n;
};

/*
 * Takes a <table-updates> of RFC 7047: the reply to a monitor request (initial: all other rows are
 * gone; what was found out of an interface is kept by its name) or an update. Returns 1, or 0 where
 * an update leaves the rows as they are; -EPROTO where it is malformed, -ENOMEM: the rows are a
 * mixture then, and must be replaced by a new initial state.
 */
int rows_take(struct rows *rows, const json_t *table_updates, bool initial, struct err *err);

void rows_fini(struct rows *rows);
