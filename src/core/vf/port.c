/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/vf/port.h"

#include <errno.h>
#include <rte_dev.h>
#include <rte_eth_bond.h>
#include <rte_eth_bond_8023ad.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_malloc.h>
#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "core/dpdk/dpdk_compat.h"
#include "core/dpdk/dpdk_log.h"
#include "core/dpdk/hugepages.h"
#include "core/dpdk/pool.h"

/*
 * What the driver of a bond of mode 4 allocates for a member: a pool of at most so many packets. In
 * whole MiB, for what comes with it.
 */
#define LACP_PACKETS 2049

/* A port's rings: 8 queues of 4096 descriptors each way, which some drivers reserve. */
#define RINGS_BYTES (2u << 20)

static uint64_t lacp_member_bytes(void)
{
	return RTE_ALIGN_CEIL(
		pool_bytes(LACP_PACKETS, sizeof(struct slow_protocol_frame)), 1u << 20);
}

static const char *remedy(const struct device_id *id)
{
	return id->is_pci ? "check that it exists (lspci -s) and is bound to vfio-pci, igb_uio or "
	                    "uio_pci_generic"
	                  : "check the driver's name and its arguments";
}

/* Finds it by its name, or by whatever port the driver has made of it. */
int port_find(uint16_t *ret_port, const struct device_id *id)
{
	struct rte_dev_iterator iterator;
	uint16_t port;

	if (rte_eth_dev_get_port_by_name(id->name, ret_port) == 0)
		return 0;
	RTE_ETH_FOREACH_MATCHING_DEV (port, id->text, &iterator) {
		rte_eth_iterator_cleanup(&iterator);
		*ret_port = port;
		return 0;
	}
	return -ENODEV;
}

static int require_free_port(const char *device, struct err *err)
{
	if (rte_eth_dev_count_total() < RTE_MAX_ETHPORTS)
		return 0;
	return err_set(err, ENOSPC,
		"device %s: this DPDK is built for %d ports and all are in use (a bond takes one, "
		"and one for each member); the packages of virtio-forwarder have a DPDK for 256, "
		"which scripts/build-dpdk in its source makes (-Dmax_ethports)",
		device, RTE_MAX_ETHPORTS);
}

int port_open(uint16_t *ret_port, const struct device_id *id, struct err *err)
{
	uint16_t port;

	if (rte_eth_dev_get_port_by_name(id->name, &port) == 0)
		return err_set(err, EEXIST, "device %s is attached already", id->text);
	int r = require_free_port(id->text, err);
	if (r < 0)
		return r;

	dpdk_log_capture_start();
	r = rte_dev_probe(id->text);
	const char *said = dpdk_log_capture_end();

	if (r == 0 && port_find(&port, id) == 0) {
		*ret_port = port;
		return 0;
	}
	if (r == -ENOMEM) {
		hugepages_missing(DEVICE_MEMORY_BYTES, -1, err);
		return err_prefix(err, r, "device %s cannot be attached", id->text);
	}
	const char *why = r < 0 ? strerror(-r) : "it made no network port";
	/* No errnos: what many drivers return for anything, and the EAL for an unknown driver. */
	if (r == -1 || r == -EFAULT) {
		r = -ENODEV;
		why = "DPDK refuses it";
	}
	return err_set(err, r < 0 ? -r : ENODEV, "device %s cannot be attached: %s%s%s%s; %s",
		id->text, why, said[0] ? " (" : "", said, said[0] ? ")" : "", remedy(id));
}

/* The device of a port. A driver may tell nothing of it, for instance while its NIC is reset. */
static struct rte_device *device_of(uint16_t port, const char *name)
{
	struct rte_dev_iterator iterator;
	struct rte_eth_dev_info info;
	uint16_t found;

	if (rte_eth_dev_info_get(port, &info) == 0)
		return info.device;
	RTE_ETH_FOREACH_MATCHING_DEV (found, name, &iterator)
		if (found == port) {
			struct rte_device *device = iterator.device;
			rte_eth_iterator_cleanup(&iterator); /* forgets it, too */
			return device;
		}
	return NULL;
}

void port_close(uint16_t port)
{
	char name[RTE_ETH_NAME_MAX_LEN] = "?";

	rte_eth_dev_get_name_by_port(port, name);
	struct rte_device *device = device_of(port, name);
	rte_eth_dev_stop(port);
	rte_eth_dev_close(port);
	if (device == NULL || rte_dev_remove(device) != 0)
		log_warning("device %s: DPDK did not let go of it", name);
}

/* Fails (-ENOMEM) unless there are so many bytes for each member at the same time. */
static int check_memory(
	const uint16_t *members, unsigned n_members, uint64_t bytes, struct err *err)
{
	void *probes[BOND_MEMBERS_MAX];
	unsigned n = 0;
	int r = 0;

	while (n < n_members && r == 0) {
		int node = rte_eth_dev_socket_id(members[n]);

		probes[n] = rte_malloc_socket(NULL, bytes, 0, node);
		if (probes[n++] == NULL)
			r = hugepages_missing(n_members * bytes, node, err);
	}
	while (n > 0)
		rte_free(probes[--n]);
	return r;
}

int port_check_lacp_memory(
	uint16_t bond, const uint16_t *members, unsigned n_members, struct err *err)
{
	if (rte_eth_bond_mode_get(bond) != BONDING_MODE_8023AD)
		return 0;
	int r = check_memory(members, n_members, lacp_member_bytes(), err);
	return r < 0 ? err_prefix(err, r, "802.3ad for %u members", n_members) : 0;
}

int port_check_ring_memory(uint16_t port, bool bond, struct err *err)
{
	uint16_t ports[BOND_MEMBERS_MAX] = {port};
	int n = bond ? rte_eth_bond_members_get(port, ports, BOND_MEMBERS_MAX) : 1;

	return check_memory(ports, MAX(n, 0), RINGS_BYTES, err);
}

int port_add_member(uint16_t bond, uint16_t member, struct err *err)
{
	char bond_name[RTE_ETH_NAME_MAX_LEN] = "?", name[RTE_ETH_NAME_MAX_LEN] = "?";
	struct err missing;

	dpdk_log_capture_start();
	int r = rte_eth_bond_member_add(bond, member);
	const char *said = dpdk_log_capture_end();

	if (r == 0)
		return 0;
	rte_eth_dev_get_name_by_port(bond, bond_name);
	rte_eth_dev_get_name_by_port(member, name);
	if (check_memory(&member, 1, RINGS_BYTES, &missing) < 0)
		return err_set(err, ENOMEM, "bond %s does not take member %s: %s%s%s%s", bond_name,
			name, missing.text, said[0] ? " (" : "", said, said[0] ? ")" : "");
	return err_set(err, EINVAL, "bond %s does not take member %s%s%s", bond_name, name,
		said[0] ? ": " : "", said);
}

void port_keep_mac(uint16_t bond)
{
	struct rte_ether_addr mac;

	if (rte_eth_macaddr_get(bond, &mac) == 0)
		rte_eth_bond_mac_address_set(bond, &mac);
}

/*
 * The member that the bond is to work with without this one: the present one, or one with a link if
 * there is any. This one if there is no other.
 */
static uint16_t successor(uint16_t bond, uint16_t member)
{
	uint16_t members[2 * BOND_MEMBERS_MAX];
	int present = rte_eth_bond_primary_get(bond);

	if (present >= 0 && present != member)
		return present;
	int n = MAX(rte_eth_bond_active_members_get(bond, members, BOND_MEMBERS_MAX), 0);
	n += MAX(rte_eth_bond_members_get(bond, members + n, BOND_MEMBERS_MAX), 0);
	for (int i = 0; i < n; i++)
		if (members[i] != member)
			return members[i];
	return member;
}

/*
 * The driver has a primary member, the first one that was added. It uses that port's MAC (mode 5),
 * receives from it when no member has a link (mode 1) and cannot be started without it, even if the
 * port was closed or is now another device. So the primary member is exchanged before it goes.
 */
void port_remove_member(uint16_t bond, uint16_t member)
{
	rte_eth_bond_primary_set(bond, successor(bond, member));
	rte_eth_bond_member_remove(bond, member);
	port_keep_mac(bond);
}

bool port_follow_links(uint16_t bond)
{
	int present = rte_eth_bond_primary_get(bond);
	struct rte_ether_addr wanted, its_mac;

	if (present < 0)
		return true;
	rte_eth_bond_primary_set(bond, present);
	return rte_eth_macaddr_get(bond, &wanted) != 0 ||
	       rte_eth_macaddr_get(present, &its_mac) != 0 ||
	       rte_is_same_ether_addr(&wanted, &its_mac);
}

static int open_member(uint16_t bond, const struct device_id *id, struct err *err)
{
	uint16_t member;

	int r = port_open(&member, id, err);
	if (r < 0)
		return r;
	r = port_add_member(bond, member, err);
	if (r < 0)
		port_close(member);
	return r;
}

int port_open_bond(uint16_t *ret_port, const struct device_spec *spec, struct err *err)
{
	int r = require_free_port(spec->bond_name, err);
	if (r < 0)
		return r;

	dpdk_log_capture_start();
	int bond = rte_eth_bond_create(spec->bond_name, spec->bond_mode, SOCKET_ID_ANY);
	const char *said = dpdk_log_capture_end();

	if (bond < 0)
		return err_set(err, EIO, "bond %s of mode %u cannot be made%s%s", spec->bond_name,
			spec->bond_mode, said[0] ? ": " : "", said);
	struct rte_ether_addr mac;
	memcpy(&mac, spec->bond_mac, sizeof(mac));
	if (!rte_is_zero_ether_addr(&mac))
		rte_eth_bond_mac_address_set(bond, &mac);
	for (unsigned i = 0; i < spec->n_members; i++) {
		r = open_member(bond, &spec->members[i], err);
		if (r < 0) {
			port_close_bond(bond);
			return r;
		}
	}
	*ret_port = bond;
	return 0;
}

void port_close_bond(uint16_t port)
{
	uint16_t members[BOND_MEMBERS_MAX];
	char name[RTE_ETH_NAME_MAX_LEN];

	rte_eth_dev_stop(port);
	int n = rte_eth_bond_members_get(port, members, BOND_MEMBERS_MAX);
	for (int i = 0; i < n; i++)
		rte_eth_bond_member_remove(port, members[i]);
	if (rte_eth_dev_get_name_by_port(port, name) == 0 && rte_eth_bond_free(name) != 0)
		log_warning("bond %s: DPDK did not let go of it", name);
	for (int i = 0; i < n; i++)
		port_close(members[i]);
}

bool port_is_driven_by(uint16_t port, bool bond, const char *driver)
{
	uint16_t ports[BOND_MEMBERS_MAX] = {port};
	int n = bond ? rte_eth_bond_members_get(port, ports, BOND_MEMBERS_MAX) : 1;
	struct rte_eth_dev_info info;

	for (int i = 0; i < n; i++)
		if (rte_eth_dev_info_get(ports[i], &info) == 0 &&
			strcmp(info.driver_name, driver) == 0)
			return true;
	return false;
}

static bool has_link(uint16_t port)
{
	struct rte_eth_link link;

	return rte_eth_link_get_nowait(port, &link) == 0 && link.link_status;
}

/* True if the bond sends on a member that is up: with LACP, only where the partner has agreed. */
static bool sends_on(uint16_t bond, uint16_t member)
{
	struct rte_eth_bond_8023ad_member_info info;

	return rte_eth_bond_mode_get(bond) != BONDING_MODE_8023AD ||
	       (rte_eth_bond_8023ad_member_info(bond, member, &info) == 0 &&
		       info.actor_state & STATE_DISTRIBUTING);
}

unsigned port_links(uint16_t port, bool bond, unsigned *ret_up)
{
	uint16_t ports[BOND_MEMBERS_MAX] = {port};
	int n = bond ? rte_eth_bond_members_get(port, ports, BOND_MEMBERS_MAX) : 1;

	*ret_up = 0;
	for (int i = 0; i < n; i++)
		*ret_up += has_link(ports[i]) && (!bond || sends_on(port, ports[i]));
	return MAX(n, 0);
}

bool port_is_up(uint16_t port, bool bond)
{
	uint16_t members[BOND_MEMBERS_MAX];

	if (!bond)
		return has_link(port);
	int n = rte_eth_bond_active_members_get(port, members, BOND_MEMBERS_MAX);
	for (int i = 0; i < n; i++)
		if (sends_on(port, members[i]))
			return true;
	return false;
}

void port_describe_link(const char *device_name, char *ret_text, size_t size)
{
	struct rte_eth_link link;
	uint16_t port;

	if (rte_eth_dev_get_port_by_name(device_name, &port) != 0 ||
		rte_eth_link_get_nowait(port, &link) != 0)
		snprintf(ret_text, size, "Link state unknown");
	else
		rte_eth_link_to_str(ret_text, size, &link);
}

uint64_t port_received(const char *device_name)
{
	struct rte_eth_stats stats = {0};
	uint16_t port;

	if (rte_eth_dev_get_port_by_name(device_name, &port) == 0)
		rte_eth_stats_get(port, &stats);
	return stats.ipackets;
}
