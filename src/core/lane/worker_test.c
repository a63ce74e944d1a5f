/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "core/lane/workers.h"
#include "core/vf/vf.h"

#define SETTLE_US 50000 /* CPU time: longer than a silent lane stays awake */
#define MEASURE_US 100000

static _Atomic unsigned polls; /* of the silent device */

/* One worker, on the CPU of the test itself, which sleeps. */
static int start_dpdk_with_worker(void **state)
{
	char lcores[32];
	char *argv[] = {"test", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry", "-m",
		"512", "--lcores", lcores, "--log-level=error"};

	snprintf(lcores, sizeof(lcores), "0@%d,1@%d", sched_getcpu(), sched_getcpu());
	return rte_eal_init(ARRAY_SIZE(argv), argv) < 0 ? -1 : 0;
}

static uint16_t count_poll(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t n,
	uint16_t max, void *userdata)
{
	polls++;
	return n;
}

/* A lane without a VM, which drops what the device receives. */
static struct vf_to_vm *open_lane(const char *name)
{
	struct vf_to_vm *lane = test_calloc(1, sizeof(*lane));
	struct device_spec device = {.n_members = 1};
	const struct vf_options options = {.mtu = 1500};
	struct err err = {};

	vf_to_vm_init(lane, 0);
	if (device_id_parse(name, &device.members[0], &err) < 0 ||
		vf_open(&lane->lane.vf, &device, &options, &err) < 0)
		fail_msg("%s", err.text);
	return lane;
}

static void close_lane(struct vf_to_vm *lane)
{
	vf_close(lane->lane.vf);
	test_free(lane);
}

static uint64_t cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * UINT64_C(1000000) + now.tv_nsec / 1000;
}

static void let_work(unsigned us)
{
	for (uint64_t end = cpu_us() + us; cpu_us() < end;)
		usleep(1000);
}

/* How often a silent lane that nobody can wake is polled beside a busy one. */
static unsigned polls_of_silent(
	struct vf_to_vm *busy, struct vf_to_vm *silent, unsigned idle_latency_us)
{
	struct workers *workers;

	assert_int_equal(workers_start(&workers, idle_latency_us, NULL), 0);
	workers_grant(workers, 0, VF_TO_VM, &busy->lane);
	workers_grant(workers, 0, VF_TO_VM, &silent->lane);
	let_work(SETTLE_US);
	const unsigned before = polls;
	let_work(MEASURE_US);
	const unsigned n = polls - before;
	workers_retract(workers, &silent->lane);
	workers_retract(workers, &busy->lane);
	workers_stop(workers);
	return n;
}

/* Otherwise after 50 us. */
static void idle_latency_is_kept_beside_a_busy_lane(void **state)
{
	struct vf_to_vm *busy = open_lane("net_null0"), *silent = open_lane("net_ring0");

	assert_non_null(rte_eth_add_rx_callback(silent->lane.vf->port, 0, count_poll, NULL));
	const unsigned usual = polls_of_silent(busy, silent, 1000);
	assert_in_range(usual, 1, MEASURE_US / 25);
	assert_true(polls_of_silent(busy, silent, 5) > usual + usual / 2);
	close_lane(silent);
	close_lane(busy);
}

static unsigned dear_us;             /* CPU time of a burst of the dear device */
static _Atomic unsigned dear_bursts; /* counted, since the worker may be off the CPU at any time */

static uint16_t spin(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t n,
	uint16_t max, void *userdata)
{
	for (uint64_t end = cpu_us() + dear_us; cpu_us() < end;)
		;
	dear_bursts++;
	return n;
}

/* A packet now and then. */
static uint16_t receive_sometimes(uint16_t port, uint16_t queue, struct rte_mbuf **packets,
	uint16_t n, uint16_t max, void *userdata)
{
	static uint64_t due[RTE_MAX_ETHPORTS];
	const struct vf_to_vm *lane = userdata;

	if (rte_rdtsc() < due[port])
		return n;
	due[port] = rte_rdtsc() + rte_get_tsc_hz() / 1000;
	return n + (rte_pktmbuf_alloc_bulk(lane->lane.vf->pool, &packets[n], 1) == 0);
}

#define LIGHT_MAX 10

/*
 * The percentage of a full worker that a lane with bursts of `us` has beside one with ordinary
 * ones, and beside so many with a packet now and then.
 */
static unsigned share_of_dear(unsigned us, unsigned n_light)
{
	struct vf_to_vm *dear = open_lane("net_null0"), *cheap = open_lane("net_null1");
	struct vf_to_vm *light[LIGHT_MAX];
	struct workers *workers;
	char name[24];

	dear_us = us;
	assert_non_null(rte_eth_add_rx_callback(dear->lane.vf->port, 0, spin, NULL));
	assert_int_equal(workers_start(&workers, 1000, NULL), 0);
	for (unsigned i = 0; i < n_light; i++) {
		snprintf(name, sizeof(name), "net_ring%u", i);
		light[i] = open_lane(name);
		assert_non_null(rte_eth_add_rx_callback(
			light[i]->lane.vf->port, 0, receive_sometimes, light[i]));
		workers_grant(workers, 0, VF_TO_VM, &light[i]->lane);
	}
	workers_grant(workers, 0, VF_TO_VM, &cheap->lane);
	workers_grant(workers, 0, VF_TO_VM, &dear->lane);
	const unsigned before = dear_bursts;
	const uint64_t began_us = cpu_us();
	let_work(MEASURE_US);
	const unsigned share = (dear_bursts - before) * us * 100 / (cpu_us() - began_us);
	workers_retract(workers, &dear->lane);
	workers_retract(workers, &cheap->lane);
	for (unsigned i = 0; i < n_light; i++)
		workers_retract(workers, &light[i]->lane);
	workers_stop(workers);
	for (unsigned i = 0; i < n_light; i++)
		close_lane(light[i]);
	close_lane(cheap);
	close_lane(dear);
	return share;
}

/* Turn by turn, the others would get some microseconds for each such burst. */
static void long_bursts_leave_the_others_their_time(void **state)
{
	assert_in_range(share_of_dear(1000, 0), 0, 90);
}

/* Lanes that need no time are not waited for. */
static void long_bursts_keep_their_time(void **state)
{
	assert_in_range(share_of_dear(60, LIGHT_MAX), 20, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_latency_is_kept_beside_a_busy_lane),
		cmocka_unit_test(long_bursts_leave_the_others_their_time),
		cmocka_unit_test(long_bursts_keep_their_time),
	};

	return cmocka_run_group_tests(tests, start_dpdk_with_worker, NULL);
}
