/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's session and its rings are made up here: nothing is given to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/guest/guest.h"
#include "core/lane/lane.h"
#include "core/packet/packet_fixture.h"
#include "core/vf/vf.h"

#define RING 256

static struct guest guest;
static struct vf_to_vm lane;

/* A VM whose driver has enabled one receive ring, in place of the one before. */
static void connect_vm(struct guest_session *session)
{
	session->rings[GUEST_RECEIVE_RING(0)].size = RING;
	atomic_store(&session->vf_to_vm_enabled, 1);
	atomic_store(&guest.session, session);
	atomic_fetch_add(&guest.n_sessions, 1);
}

static int open_lane(void **state)
{
	struct op_device device = {.n_members = 1};
	const struct vf_options options = {.mtu = 1500};
	struct err err = {};

	vf_to_vm_init(&lane, 0);
	lane.lane.guest = &guest;
	if (device_id_parse("net_ring0", &device.members[0], &err) < 0 ||
		vf_open(&lane.lane.vf, &device, &options, &err) < 0)
		fail_msg("%s", err.text);
	return 0;
}

static int close_lane(void **state)
{
	vf_close(lane.lane.vf);
	return 0;
}

/* What was found out about one VM says nothing of the next, though its rings are the same. */
static void stores_are_measured_anew_for_another_vm(void **state)
{
	connect_vm(&guest.connections[0]);
	vf_to_vm_poll(&lane);
	const uint32_t fresh = lane.stores.left;

	lane.stores = (struct stores){.past = true, .phase = STORES_HOLD, .left = 1000000};
	vf_to_vm_poll(&lane);
	assert_true(lane.stores.past);
	assert_int_equal(lane.stores.left, 1000000);

	connect_vm(&guest.connections[1]);
	vf_to_vm_poll(&lane);
	assert_false(lane.stores.past);
	assert_int_equal(lane.stores.left, fresh);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			stores_are_measured_anew_for_another_vm, open_lane, close_lane),
	};

	return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
