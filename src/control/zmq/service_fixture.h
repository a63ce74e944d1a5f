/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* For tests of the services: an event loop, a ZeroMQ context, a folder for sockets. */

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include <cmocka.h>

#include "control/loop_fixture.h"
#include "control/zmq/zmq_service.h"

struct fixture {
	sd_event *event;
	void *server_ctx;
	void *client_ctx;
	char folder[64];
	char address[128];
	struct zmq_endpoint endpoint;
};

static inline void fixture_init(struct fixture *fixture)
{
	*fixture = (struct fixture){.folder = "/tmp/service-test-XXXXXX"};
	assert_int_equal(sd_event_new(&fixture->event), 0);
	fixture->server_ctx = zmq_ctx_new();
	fixture->client_ctx = zmq_ctx_new();
	assert_non_null(mkdtemp(fixture->folder));
	snprintf(
		fixture->address, sizeof(fixture->address), "ipc://%s/run/sub/ep", fixture->folder);
	fixture->endpoint = (struct zmq_endpoint){
		.event = fixture->event,
		.zmq_ctx = fixture->server_ctx,
		.address = fixture->address,
	};
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

/* All services must have been freed before. */
static inline void fixture_fini(struct fixture *fixture)
{
	zmq_ctx_term(fixture->client_ctx);
	zmq_ctx_term(fixture->server_ctx);
	sd_event_unref(fixture->event);
	nftw(fixture->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static inline const char *fixture_path(const struct fixture *fixture)
{
	return fixture->address + strlen("ipc://");
}
