/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/vf/vf_lending.h"

#include <rte_ethdev.h>
#include <string.h>

#include "core/dpdk/eal.h"
#include "core/vf/vf_log.h"

#define LENT_PART 2 /* lent segments may take 1/LENT_PART of a transmit queue */

static bool is_one_of(const char *driver, const char *const *drivers, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(driver, drivers[i]) == 0)
			return true;
	return false;
}

/* Software devices that have sent a packet, or copied it, when the call returns. */
static const char *const synchronous[] = {"net_af_packet", "net_null", "net_tap"};

/*
 * Drivers whose rte_eth_tx_done_cleanup() frees every packet that has been sent. Others (ixgbe,
 * iavf, i40e, ice) learn only of every 32nd descriptor: they keep the last packets before a
 * silence.
 */
static const char *const prompt[] = {"net_e1000_igb", "net_e1000_igb_vf", "net_ena"};

/* Decides what is lent to the device. Returns NULL, or why nothing is lent. */
static const char *set_lending(struct vf *vf)
{
	struct rte_eth_dev_info info;

	if (vf->bond)
		return "it is a bond";
	if (rte_eth_dev_info_get(vf->port, &info) != 0)
		return "it does not say what it can";
	vf->chains = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	if (is_one_of(info.driver_name, synchronous, ARRAY_SIZE(synchronous))) {
		vf->lending = LENDS_SYNCHRONOUSLY;
		vf->lend_max = UINT16_MAX;
		return NULL;
	}
	if (!is_one_of(info.driver_name, prompt, ARRAY_SIZE(prompt)))
		return "its driver does not tell of each packet that it has sent";
	if (eal_uses_physical_addresses())
		return "it is given physical addresses, as every device is unless there is an "
		       "IOMMU, none is bound to a UIO driver and VFIO's no-IOMMU mode is off";
	vf->lending = LENDS_ASYNCHRONOUSLY;
	vf->lend_max = vf->ring_tx / LENT_PART;
	return NULL;
}

void vf_set_lending(struct vf *vf)
{
	const char *why_not = set_lending(vf);

	if (why_not == NULL)
		log_of_vf(LOG_INFO, vf, "device %s: long packets of the VM are sent without a copy",
			vf->name);
	else
		log_of_vf(LOG_WARNING, vf, "device %s: packets of the VM are copied: %s", vf->name,
			why_not);
}
