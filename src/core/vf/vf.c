/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/vf/vf.h"

#include <assert.h>
#include <errno.h>
#include <rte_eth_bond.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "core/dpdk/dpdk_compat.h"
#include "core/dpdk/dpdk_log.h"
#include "core/dpdk/pool.h"
#include "core/packet/steer.h"
#include "core/vf/packet_sockets.h"
#include "core/vf/port.h"
#include "core/vf/vf_configure.h"
#include "core/vf/vf_lending.h"
#include "core/vf/vf_log.h"

#define SPREADS_LOGGED 3 /* refusals of the RSS table in one go; see log_limit_pass() */
/* After that no further try begins: the watchdog waits for 30 s, and a try may take some, too. */
#define TRIES_NS 10000000000

/*
 * Everything at first, and once more, since a PF that is being reset may refuse it for a moment.
 * Then all but one thing, at last what every device can do.
 */
static const struct vf_wish wishes[] = {
	{SLICES_MAX, true, UINT16_MAX, NULL},
	{SLICES_MAX, true, UINT16_MAX, "a second try succeeded"},
	{SLICES_MAX, true, RTE_ETHER_MTU, "it is used with an MTU of 1500"},
	{SLICES_MAX, false, UINT16_MAX, "it is used with no receive interrupts"},
	{4, true, UINT16_MAX, "it is used with 4 queues"},
	{2, true, UINT16_MAX, "it is used with 2 queues"},
	{1, true, UINT16_MAX, "it is used with 1 queue"},
	{1, false, RTE_ETHER_MTU,
		"it is used with 1 queue, no receive interrupts and an MTU of 1500"},
};

/*
 * Asks for frames to all MAC addresses: the VM may have others than the device. A PF may refuse
 * that. Software devices without such a mode receive everything.
 */
static void receive_all(const struct vf *vf)
{
	struct rte_ether_addr mac;

	int r = rte_eth_promiscuous_enable(vf->port);
	if (r != 0 && (r != -ENOTSUP || vf->pci)) {
		vf_read_mac(vf, mac.addr_bytes);
		log_of_vf(LOG_WARNING, vf,
			"device %s: promiscuous mode refused (%s): only frames for its own "
			"MAC " RTE_ETHER_ADDR_PRT_FMT " arrive",
			vf->name, strerror(-r), RTE_ETHER_ADDR_BYTES(&mac));
	}
	r = rte_eth_allmulticast_enable(vf->port);
	if (r != 0 && r != -ENOTSUP)
		log_of_vf(LOG_WARNING, vf, "device %s: allmulticast refused (%s)", vf->name,
			strerror(-r));
}

static int start(struct vf *vf, struct err *err)
{
	struct err missing;

	dpdk_log_capture_start();
	int r = rte_eth_dev_start(vf->port);
	const char *said = dpdk_log_capture_end();

	/* This may not be the reason, and fewer queues need less: r stays that of the driver. */
	if (r != 0 && vf->bond && port_check_ring_memory(vf->port, true, &missing) < 0)
		return err_set(err, r > 0 ? EIO : -r, "device %s: cannot be started: %s%s%s%s",
			vf->name, missing.text, said[0] ? " (" : "", said, said[0] ? ")" : "");
	if (r != 0)
		return vf_refused(err, r, vf, "started", said);
	receive_all(vf);
	return 0;
}

/*
 * True if the receive queues interrupt. Software devices do so always and have no function to
 * enable it; those that never do have no descriptor. Two drivers have descriptors but tell the
 * device no vector for its queues: igb's for VFs, which has no such function either, and em.
 */
static bool has_interrupts(const struct vf *vf)
{
	struct rte_eth_dev_info info;

	if (vf->bond || rte_eth_dev_info_get(vf->port, &info) != 0 ||
		strcmp(info.driver_name, "net_e1000_em") == 0)
		return false;
	for (uint16_t q = 0; q < vf->n_queues; q++) {
		if (rte_eth_dev_rx_intr_ctl_q_get_fd(vf->port, q) < 0)
			return false;
		int r = rte_eth_dev_rx_intr_enable(vf->port, q);
		if (r != 0 && (vf->pci || r != -ENOTSUP))
			return false;
		rte_eth_dev_rx_intr_disable(vf->port, q);
	}
	return true;
}

/*
 * Finds the sockets that the device has opened, if it receives from nothing else: one for each of
 * its queues.
 */
static void find_sockets(struct vf *vf, const struct packet_sockets *before)
{
	if (port_is_driven_by(vf->port, false, "net_af_packet"))
		vf->n_sockets = packet_sockets_since(before, vf->sockets, SLICES_MAX);
}

static void log_node(const struct vf *vf)
{
	if (vf->node >= 0 && vf->node != vf->pool_node)
		log_of_vf(LOG_INFO, vf,
			"device %s is on NUMA node %d; its packets are kept on node %d, where "
			"there are workers",
			vf->name, vf->node, vf->pool_node);
}

static void note_mode(struct vf *vf, unsigned mode)
{
	vf->needs_polling = mode == BONDING_MODE_8023AD || mode == BONDING_MODE_ALB;
	vf->hears_one = mode == BONDING_MODE_ACTIVE_BACKUP || mode == BONDING_MODE_TLB;
	vf->announces = mode == BONDING_MODE_ACTIVE_BACKUP;
	vf->sends_singly = mode == BONDING_MODE_ALB;
}

/* Opens the port; it is not configured. */
static int open_port(struct vf **ret_vf, const struct device_spec *device,
	const struct vf_options *options, struct err *err)
{
	struct vf *vf = calloc(1, sizeof(*vf));
	struct packet_sockets before;

	if (vf == NULL)
		return err_set(err, ENOMEM, "out of memory");
	packet_sockets_list(&before);
	vf->spread_limit = (struct log_limit)LOG_LIMIT_OF_RELAY(SPREADS_LOGGED, options->relay_id);
	vf->relay_id = options->relay_id;
	vf->bond = device_spec_is_bond(device);
	vf->pci = !vf->bond && device->members[0].is_pci;
	vf->n_members = MAX(device->n_members, options->n_members);
	strcpy(vf->name, device_spec_name(device));

	int r = vf->bond ? port_open_bond(&vf->port, device, err)
	                 : port_open(&vf->port, &device->members[0], err);
	if (r < 0) {
		free(vf);
		return r;
	}
	if (vf->bond)
		note_mode(vf, device->bond_mode);
	find_sockets(vf, &before);
	*ret_vf = vf;
	return 0;
}

static int check_memory(const struct vf *vf, struct err *err)
{
	uint16_t members[BOND_MEMBERS_MAX];

	if (!vf->bond)
		return 0;
	int n = rte_eth_bond_members_get(vf->port, members, BOND_MEMBERS_MAX);
	int r = port_check_lacp_memory(vf->port, members, MAX(n, 0), err);
	return r < 0 ? err_prefix(err, r, "device %s", vf->name) : 0;
}

/* The wish as far as `most` allows. */
static struct vf_wish within(const struct vf_wish *wish, const struct vf_wish *most)
{
	return (struct vf_wish){MIN(wish->queues, most->queues),
		wish->interrupts && most->interrupts, MIN(wish->mtu, most->mtu), wish->granted};
}

static bool is_same(const struct vf_wish *a, const struct vf_wish *b)
{
	return a->queues == b->queues && a->interrupts == b->interrupts && a->mtu == b->mtu;
}

/*
 * Opens the device and starts it with as much as its driver grants. For each try it is opened anew:
 * a driver that has failed to start it (iavf) may have left it unusable. If nothing helps, err is
 * what was said first.
 */
static int open_and_start(struct vf **ret_vf, const struct device_spec *device,
	const struct vf_options *options, struct err *err)
{
	const uint64_t began_ns = clock_monotonic_ns();
	struct vf_wish most = {.queues = SLICES_MAX, .mtu = options->mtu}, before = {0};
	const struct vf_means *means = options->most;
	struct err later, *told = err; /* err for the first try only, whose reason is reported */
	int r = 0;

	if (means != NULL)
		most = (struct vf_wish){.queues = means->queues, .mtu = means->mtu};
	most.interrupts = !device_spec_is_bond(device) && options->interrupts != 1;
	for (unsigned i = 0; i < ARRAY_SIZE(wishes); i++) {
		const struct vf_wish wish = within(&wishes[i], &most);
		/* The first two are the same on purpose; no other try is repeated. */
		if (i > 1 && (is_same(&wish, &most) || is_same(&wish, &before)))
			continue;
		r = open_port(ret_vf, device, options, told);
		if (r < 0)
			return r;
		r = vf_configure(*ret_vf, options, &wish, told);
		if (r == 0)
			r = check_memory(*ret_vf, told);
		if (r == 0)
			r = start(*ret_vf, told);
		if (r == 0) {
			if (i > 0)
				log_of_vf(LOG_WARNING, *ret_vf, "%s; %s", err->text, wish.granted);
			return 0;
		}
		/* How many it can have at most is known now, which rules out wishes for more. */
		if (i == 0 && (*ret_vf)->n_queues > 0)
			most.queues = (*ret_vf)->n_queues;
		told = &later;
		before = wish;
		dpdk_log_capture_start(); /* closing what has not started may fail in part */
		*ret_vf = vf_close(*ret_vf);
		dpdk_log_capture_end();
		if (r == -ENOMEM || clock_monotonic_ns() - began_ns > TRIES_NS)
			return r;
	}
	return r;
}

int vf_open(struct vf **ret_vf, const struct device_spec *device, const struct vf_options *options,
	struct err *err)
{
	struct vf *vf;

	int r = open_and_start(&vf, device, options, err);
	if (r < 0)
		return r;
	log_node(vf);
	vf->served_by = vf->hears_one ? rte_eth_bond_primary_get(vf->port) : -1;
	for (uint16_t q = 0; vf->hears_one && q < vf->n_queues; q++)
		vf->heard[q].member = vf->served_by;
	dpdk_log_capture_start(); /* these calls may fail without being an error */
	vf->interrupts = has_interrupts(vf);
	dpdk_log_capture_end();
	if (options->zero_copy)
		vf_set_lending(vf);
	*ret_vf = vf;
	return 0;
}

void vf_stop(struct vf *vf)
{
	rte_eth_dev_stop(vf->port);
}

int vf_restart(struct vf *vf, struct err *err)
{
	int r = rte_eth_dev_stop(vf->port);

	if (r != 0)
		return vf_refused(err, r, vf, "stopped", "");
	return start(vf, err);
}

/*
 * A bond passes on to the members that it has, or to the one that it works with, what it is asked
 * now, not what it was asked before these were so.
 */
static void receive_all_anew(const struct vf *vf)
{
	rte_eth_promiscuous_disable(vf->port);
	rte_eth_allmulticast_disable(vf->port);
	receive_all(vf);
}

int vf_add_member(struct vf *vf, uint16_t member, struct err *err)
{
	int r = port_check_lacp_memory(vf->port, &member, 1, err);
	if (r == 0)
		r = port_add_member(vf->port, member, err);
	if (r == 0)
		receive_all_anew(vf);
	return r;
}

/*
 * The bond has noted for each queue the member whose turn it is, by its place among them, and looks
 * only after a read whether there is one at that place.
 */
static void renew_turns(const struct vf *vf)
{
	for (uint16_t q = 0; q < vf->n_queues; q++)
		rte_eth_rx_burst(vf->port, q, NULL, 0);
}

void vf_remove_member(struct vf *vf, uint16_t member)
{
	const int before = rte_eth_bond_primary_get(vf->port);

	port_remove_member(vf->port, member);
	if (!vf->hears_one)
		renew_turns(vf);
	if (rte_eth_bond_primary_get(vf->port) != before)
		receive_all_anew(vf);
}

/*
 * The first time the bond's driver may just be giving the MAC to the member, on another thread.
 * After that it is given less and less often: a PF may refuse it.
 */
static void follow_mac(struct vf *vf)
{
	if (port_follow_links(vf->port)) {
		vf->n_strayed = 0;
		return;
	}
	const unsigned n = vf->n_strayed++;
	if (n > 0 && (n & (n - 1)) == 0)
		port_keep_mac(vf->port);
}

#define STRAYED_MAX 3

bool vf_follow_links(struct vf *vf)
{
	const int before = vf->served_by;

	if (!vf->hears_one)
		return false;
	follow_mac(vf);
	vf->served_by = rte_eth_bond_primary_get(vf->port);
	if (vf->served_by != before)
		vf->unannounced = vf->announces && vf->served_by >= 0;
	if (!vf->unannounced || (vf->n_strayed > 0 && vf->n_strayed <= STRAYED_MAX))
		return false;
	vf->unannounced = false;
	return true;
}

struct vf_means vf_means(const struct vf *vf)
{
	return (struct vf_means){.queues = vf->n_queues,
		.mtu = vf->mtu,
		.interrupts = vf->interrupts,
		.rx_offloads = vf->rx_offloads,
		.tx_offloads = vf->tx_offloads,
		.rss_types = vf->rss_types};
}

void vf_read_mac(const struct vf *vf, uint8_t ret_mac[static 6])
{
	struct rte_ether_addr mac = {0};

	rte_eth_macaddr_get(vf->port, &mac);
	memcpy(ret_mac, &mac, sizeof(mac));
}

/* A flow's entry of the table, hash % size, must be its bucket modulo STEER_BUCKETS. */
static_assert(RTE_ETH_RSS_RETA_SIZE_64 % STEER_BUCKETS == 0, "more buckets than entries");

void vf_spread(struct vf *vf, unsigned n)
{
	struct rte_eth_rss_reta_entry64 reta[RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE] =
		{0};
	struct rte_eth_dev_info info;

	if (vf->n_queues == 1 || rte_eth_dev_info_get(vf->port, &info) != 0 ||
		info.reta_size == 0 || info.reta_size > RTE_ETH_RSS_RETA_SIZE_512)
		return;
	for (unsigned i = 0; i < info.reta_size; i++) {
		reta[i / RTE_ETH_RETA_GROUP_SIZE].mask |= 1ULL << i % RTE_ETH_RETA_GROUP_SIZE;
		reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] =
			i % STEER_BUCKETS % n % vf->n_queues;
	}
	int r = rte_eth_dev_rss_reta_update(vf->port, reta, info.reta_size);
	if (r != 0 && r != -ENOTSUP && log_limit_pass(&vf->spread_limit, LOG_WARNING))
		log_of_vf(LOG_WARNING, vf,
			"device %s: RSS table refused (%s): its own spreading is kept", vf->name,
			strerror(-r));
}

struct vf *vf_close(struct vf *vf)
{
	if (vf == NULL)
		return NULL;
	if (vf->bond)
		port_close_bond(vf->port);
	else
		port_close(vf->port);
	pool_destroy(vf->pool);
	pool_destroy(vf->old_pool);
	free(vf);
	return NULL;
}
