/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The rows of the table Interface that ask for a relay, as the database last reported them. A row
 * asks by having the key `virtio_forwarder` (older name: `virtio_relay`) in external_ids, whatever
 * its value.
 */

#include <jansson.h>

#include "base/err.h"
#include "host/pci.h"

#define ROW_NAME_SIZE 128
#define ROW_UUID_SIZE sizeof("12345678-1234-1234-1234-123456789abc")

struct row {
	char uuid[ROW_UUID_SIZE];
	char name[ROW_NAME_SIZE]; /* of the interface; cut if longer, then it matches none */
	char *relay_id; /* external_ids:virtio_forwarder_id; NULL if absent, like the next two */
	char *device;   /* external_ids:virtio_forwarder_device */
	char *ident;    /* external_ids:iface-id */

	/* Set by ports_from_rows(): */
	bool resolved;     /* `vf` is what the interface stands for */
	bool retry;        /* the problem may go away by itself */
	struct host_vf vf; /* kept when the interface goes, as a VF's does once vfio-pci has it */
	/* why the row has no relay, or not the one it asks for; "" for none */
	struct err problem;
	struct err logged; /* the problem that was logged last */
};

struct rows {
	struct row *rows;
	unsigned n;
};

/*
 * Takes a <table-updates> of RFC 7047. `initial`: it is the reply to a monitor request, so all
 * other rows are gone; what was resolved for an interface is kept by its name. Otherwise it is an
 * update. Returns 1, or 0 if an update changes nothing; -EPROTO if it is malformed, or -ENOMEM.
 * After an error the rows are a mixture of old and new, and a new initial state must replace them.
 */
int rows_take(struct rows *rows, const json_t *table_updates, bool initial, struct err *err);

void rows_fini(struct rows *rows);
