/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * How lanes receive from a device.
 *
 * A bond of mode 1 or 5 passes on what one of its members receives. The others receive, too, at
 * least what is sent to everybody, the VM's own broadcasts included. DPDK's driver does not read
 * them. Their queues would fill up with old frames, which the VM would get when such a member takes
 * over, and further frames would count as missed. So lanes read the other members now and then, and
 * empty a member that has taken over before they listen to it.
 */

#include <rte_ethdev.h>

#include "core/vf/vf.h"

/* vf_receive() of a device that hears one. */
uint16_t vf_receive_from_one(
	struct vf *vf, uint16_t queue, struct rte_mbuf **ret_packets, uint16_t n);

/* Reads up to `n` received packets from a queue of the device. The lane that has the queue. */
static inline uint16_t vf_receive(
	struct vf *vf, uint16_t queue, struct rte_mbuf **ret_packets, uint16_t n)
{
	if (unlikely(vf->hears_one))
		return vf_receive_from_one(vf, queue, ret_packets, n);
	return rte_eth_rx_burst(vf->port, queue, ret_packets, n);
}
