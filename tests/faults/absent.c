/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Preloaded into a program that uses DPDK's shared libraries. A device that has a file in the
 * directory named by ABSENT reports that it is gone when it is asked for its counters, and takes a
 * second to refuse to be opened, like a VF whose PF is down. The times of the attempts are written
 * to the file. While the directory has a file "poor", no device takes an MTU above 1500, and a
 * device with a file of its name and ".down" has no link, which it reports when it is asked for its
 * counters: to the bonding driver only, if the directory had a file "mute" at the start. The first
 * device with a file of its name and ".lost" reports that it is gone, without being asked.
 */

#define ALLOW_EXPERIMENTAL_API
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Opens the file of a device, whose arguments may follow its name; -1 if there is none. */
static int open_file(const char *device)
{
	char path[4096];

	snprintf(
		path, sizeof(path), "%s/%.*s", getenv("ABSENT"), (int)strcspn(device, ","), device);
	return open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
}

/* True if there is a file with the name of the device and this ending. */
static bool is_marked(const char *device, const char *ending)
{
	char name[RTE_ETH_NAME_MAX_LEN + 8];

	snprintf(name, sizeof(name), "%s%s", device, ending);
	int fd = open_file(name);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool is_down(const char *device)
{
	return is_marked(device, ".down");
}

/* As a driver does, by functions that DPDK declares for drivers only. */
static void report_link(uint16_t port, const char *device)
{
	static bool down[RTE_MAX_ETHPORTS];
	void *(*find)(const char *) = dlsym(RTLD_NEXT, "rte_eth_dev_allocated");
	int (*report)(void *, enum rte_eth_event_type, void *) =
		dlsym(RTLD_NEXT, "rte_eth_dev_callback_process");

	if (is_down(device) == down[port])
		return;
	down[port] = !down[port];
	report(find(device), RTE_ETH_EVENT_INTR_LSC, NULL);
}

int rte_eth_link_get_nowait(uint16_t port, struct rte_eth_link *ret_link)
{
	static __typeof__(rte_eth_link_get_nowait) *real;
	char name[RTE_ETH_NAME_MAX_LEN];

	if (real == NULL)
		real = dlsym(RTLD_NEXT, "rte_eth_link_get_nowait");
	int r = real(port, ret_link);
	if (r == 0 && rte_eth_dev_get_name_by_port(port, name) == 0 && is_down(name))
		ret_link->link_status = RTE_ETH_LINK_DOWN;
	return r;
}

/* The bonding driver asks about one port, the daemon about all. */
int rte_eth_dev_callback_register(
	uint16_t port, enum rte_eth_event_type type, rte_eth_dev_cb_fn callback, void *userdata)
{
	static __typeof__(rte_eth_dev_callback_register) *real;
	int fd = port == RTE_ETH_ALL && type == RTE_ETH_EVENT_INTR_LSC ? open_file("mute") : -1;

	if (real == NULL)
		real = dlsym(RTLD_NEXT, "rte_eth_dev_callback_register");
	if (fd < 0)
		return real(port, type, callback, userdata);
	close(fd);
	return 0;
}

int rte_eth_stats_get(uint16_t port, struct rte_eth_stats *stats)
{
	static int (*real)(uint16_t port, struct rte_eth_stats * stats);
	char name[RTE_ETH_NAME_MAX_LEN];

	if (real == NULL)
		real = dlsym(RTLD_NEXT, "rte_eth_stats_get");
	if (rte_eth_dev_get_name_by_port(port, name) == 0)
		report_link(port, name);
	int fd = rte_eth_dev_get_name_by_port(port, name) == 0 ? open_file(name) : -1;
	if (fd >= 0) {
		close(fd);
		rte_dev_event_callback_process(name, RTE_DEV_EVENT_REMOVE);
	}
	return real(port, stats);
}

/* As DPDK's interrupt thread does: nobody has asked for counters. */
static void *report_loss(void *unused)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	uint16_t port;

	for (;; usleep(10000))
		RTE_ETH_FOREACH_DEV (port)
			if (rte_eth_dev_get_name_by_port(port, name) == 0 &&
				is_marked(name, ".lost")) {
				rte_dev_event_callback_process(name, RTE_DEV_EVENT_REMOVE);
				return NULL;
			}
}

int rte_eal_init(int argc, char **argv)
{
	__typeof__(rte_eal_init) *real = dlsym(RTLD_NEXT, "rte_eal_init");
	pthread_t thread;

	int r = real(argc, argv);
	if (r >= 0)
		pthread_create(&thread, NULL, report_loss, NULL);
	return r;
}

int rte_eth_dev_configure(
	uint16_t port, uint16_t n_rx, uint16_t n_tx, const struct rte_eth_conf *conf)
{
	static __typeof__(rte_eth_dev_configure) *real;
	int fd = conf->rxmode.mtu > RTE_ETHER_MTU ? open_file("poor") : -1;

	if (real == NULL)
		real = dlsym(RTLD_NEXT, "rte_eth_dev_configure");
	if (fd < 0)
		return real(port, n_rx, n_tx, conf);
	close(fd);
	return -EIO;
}

int rte_dev_probe(const char *device)
{
	static int (*real)(const char *device);
	struct timespec now;

	if (real == NULL)
		real = dlsym(RTLD_NEXT, "rte_dev_probe");
	int fd = open_file(device);
	if (fd < 0)
		return real(device);
	clock_gettime(CLOCK_MONOTONIC, &now);
	dprintf(fd, "%lld.%09ld\n", (long long)now.tv_sec, now.tv_nsec);
	close(fd);
	sleep(1);
	return -EAGAIN;
}
