/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Preloaded into a program that uses DPDK's shared libraries. The driver of its only device checks
 * it in a timer, as ENA's does: once there is a file named by DEAD, it reports, once, that the
 * device must be reset.
 */

#include <dlfcn.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_timer.h>
#include <stdlib.h>
#include <unistd.h>

/* For drivers only: the headers that declare them are not installed. */
struct rte_eth_dev *rte_eth_dev_get_by_name(const char *name);
int rte_eth_dev_callback_process(
	struct rte_eth_dev *device, enum rte_eth_event_type event, void *argument);

static struct rte_timer timer;

static void check(struct rte_timer *expired, void *argument)
{
	char name[RTE_ETH_NAME_MAX_LEN];

	if (unlink(getenv("DEAD")) == 0 && rte_eth_dev_get_name_by_port(0, name) == 0)
		rte_eth_dev_callback_process(
			rte_eth_dev_get_by_name(name), RTE_ETH_EVENT_INTR_RESET, NULL);
}

int rte_eth_dev_start(uint16_t port)
{
	static int (*real)(uint16_t port);

	if (real == NULL) {
		real = dlsym(RTLD_NEXT, "rte_eth_dev_start");
		rte_timer_subsystem_init();
		rte_timer_init(&timer);
	}
	rte_timer_reset(&timer, rte_get_timer_hz(), PERIODICAL, rte_lcore_id(), check, NULL);
	return real(port);
}

int rte_eth_dev_stop(uint16_t port)
{
	static int (*real)(uint16_t port);

	if (real == NULL)
		real = dlsym(RTLD_NEXT, "rte_eth_dev_stop");
	rte_timer_stop_sync(&timer);
	return real(port);
}
