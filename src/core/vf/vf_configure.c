/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/vf/vf_configure.h"

#include <errno.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <string.h>

#include "base/direction.h"
#include "base/limits.h"
#include "core/dpdk/dpdk_log.h"
#include "core/dpdk/hugepages.h"
#include "core/dpdk/pool.h"
#include "core/packet/backlog.h"
#include "core/packet/packets.h"
#include "core/vf/port.h"
#include "core/vf/vf_log.h"

#define RING_SIZE 1024   /* descriptors of a single queue; fewer if the device has fewer */
#define RINGS_TOTAL 2048 /* descriptors of all queues of one direction */
/*
 * Packet bytes in one buffer: a jumbo frame takes 5, or 7 if it is cut by the device; drivers take
 * 8 or more (nb_mtu_seg_max).
 */
#define SEGMENT_BYTES 2048
#define TAGS_BYTES (2 * 4) /* two VLAN tags, beyond the MTU and the Ethernet header */

static unsigned ring_size(unsigned n_queues)
{
	return MIN(RING_SIZE, RINGS_TOTAL / n_queues);
}

/*
 * Enough for full rings, with `ring_buffers` for each queue, the backlog of packets for the guest,
 * the bursts in the lanes, and the caches of the threads that run them: one for each lane at most.
 */
static unsigned packets_needed(unsigned n_queues, unsigned ring_buffers, unsigned threads)
{
	unsigned lanes = DIRECTIONS_N * MIN(n_queues, (unsigned)SLICES_MAX);
	unsigned in_lanes = n_queues * 3 * LANE_BURST + n_queues * backlog_budget(n_queues);

	return n_queues * ring_buffers + in_lanes + MIN(lanes, threads) * POOL_CACHED_MAX;
}

static unsigned frame_bytes(unsigned mtu)
{
	return mtu + RTE_ETHER_HDR_LEN + TAGS_BYTES;
}

/* One queue has two lanes, and there are two threads at least: a worker and the control thread. */
uint64_t vf_memory_bytes(void)
{
	return pool_bytes(packets_needed(1, 2 * RING_SIZE, DIRECTIONS_N), SEGMENT_BYTES);
}

#define TX_CHECKSUMS                                                    \
	(RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | \
		RTE_ETH_TX_OFFLOAD_UDP_CKSUM)

/* Guests need not check again what the device has checked. */
#define RX_CHECKSUMS (RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)

static bool is_driven_by(const struct vf *vf, const char *driver)
{
	return port_is_driven_by(vf->port, vf->bond, driver);
}

/*
 * True if the device takes packets of as many segments as the longest one has that is to be
 * segmented; a lent one has no more (ring_chain.c).
 */
static bool takes_all_segments(const struct rte_eth_dev_info *info)
{
	const uint16_t max = info->tx_desc_lim.nb_seg_max; /* 0: not told */

	return max == 0 || max > PACKET_BYTES_MAX / SEGMENT_BYTES;
}

static struct offload_caps offload_caps(const struct vf *vf, const struct rte_eth_dev_info *info)
{
	struct offload_caps caps;

	caps.checksum = (info->tx_offload_capa & TX_CHECKSUMS) == TX_CHECKSUMS;
	caps.tso = caps.checksum && info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_TCP_TSO &&
	           info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS &&
	           takes_all_segments(info);
	/*
	 * Both refuse usual packets for ever: net_tap compares segments with its MTU; net_bnxt has
	 * a limit of 31 segments, and does not tell it.
	 */
	if (is_driven_by(vf, "net_tap") || is_driven_by(vf, "net_bnxt"))
		caps.tso = false;
	return caps;
}

/* The MTU nearest to `wanted` that the device can be configured with. */
static unsigned possible_mtu(const struct rte_eth_dev_info *info, unsigned wanted)
{
	/* Drivers that do not tell their greatest MTU tell how long a frame may be. */
	unsigned max =
		MIN(info->max_mtu, info->max_rx_pktlen - (RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN));

	return MIN(MAX(wanted, info->min_mtu), max);
}

int vf_refused(struct err *err, int r, const struct vf *vf, const char *what, const char *said)
{
	if (r > 0)
		r = -EIO;
	return err_set(err, -r, "device %s: cannot be %s: %s%s%s%s", vf->name, what, strerror(-r),
		said[0] ? " (" : "", said, said[0] ? ")" : "");
}

/*
 * Sets the MTU that the device has been configured with, which many drivers take no notice of.
 * DPDK's idea of the MTU is the configured one all the time, so it does not show what was refused.
 */
static int set_mtu(
	struct vf *vf, const struct rte_eth_dev_info *info, unsigned wanted, struct err *err)
{
	unsigned mtu = possible_mtu(info, wanted);
	char what[32];

	snprintf(what, sizeof(what), "given an MTU of %u", mtu);
	dpdk_log_capture_start();
	/* A bond gives it to its members when it starts, and cannot before. */
	int r = vf->bond ? 0 : rte_eth_dev_set_mtu(vf->port, mtu);
	const char *said = dpdk_log_capture_end();
	if (r != 0 && r != -ENOTSUP) {
		r = vf_refused(err, r, vf, what, said);
		if (mtu > RTE_ETHER_MTU)
			return r;
		log_of_vf(LOG_WARNING, vf, "%s; it keeps its own", err->text);
	}
	if (mtu < wanted)
		log_of_vf(LOG_WARNING, vf, "device %s: its greatest MTU is %u", vf->name, mtu);
	vf->mtu = mtu;
	vf->max_frame_bytes = frame_bytes(mtu);
	return 0;
}

/* The configuration: what the relay can use of what the device offers. */
static struct rte_eth_conf port_conf(
	const struct vf *vf, const struct rte_eth_dev_info *info, const struct vf_wish *wish)
{
	struct rte_eth_conf conf = {0};

	conf.rxmode.mtu = possible_mtu(info, wish->mtu);
	if (frame_bytes(wish->mtu) > SEGMENT_BYTES)
		conf.rxmode.offloads |= info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
	conf.rxmode.offloads |= info->rx_offload_capa & RX_CHECKSUMS;
	conf.txmode.offloads |= info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	conf.intr_conf.rxq = wish->interrupts;
	conf.intr_conf.lsc = vf->pci && *info->dev_flags & RTE_ETH_DEV_INTR_LSC;
	conf.intr_conf.rmv = vf->pci && *info->dev_flags & RTE_ETH_DEV_INTR_RMV;
	if (vf->offloads.checksum)
		conf.txmode.offloads |= TX_CHECKSUMS;
	if (vf->offloads.tso)
		conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_TCP_TSO;
	if (vf->n_queues > 1 && info->flow_type_rss_offloads != 0) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf =
			info->flow_type_rss_offloads &
			(RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);
		conf.rxmode.offloads |= info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH;
	}
	return conf;
}

/* The buffers in the rings of a queue, both ways. Every member of a bond has such rings. */
static unsigned ring_buffers(const struct vf *vf)
{
	unsigned rx = vf->ring_rx;

	/* bnxt has a ring for the rest of long frames besides, which is four times as long. */
	if (is_driven_by(vf, "net_bnxt") && frame_bytes(vf->mtu) > SEGMENT_BYTES)
		rx += 4 * rx;
	return vf->n_members * (rx + vf->ring_tx);
}

/* Packet bytes in an mbuf: a whole frame if the device does not take chains. */
static unsigned room_bytes(const struct rte_eth_dev_info *info, unsigned mtu)
{
	bool chains = (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER) &&
	              (info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS);

	return chains ? SEGMENT_BYTES : MAX((unsigned)SEGMENT_BYTES, frame_bytes(mtu));
}

/*
 * The number of queues: with RSS as many as are of use. A device without RSS that has a few queues
 * spreads packets over all of them by itself (af_packet's fanout), so all are needed. One that
 * could have any number (memif) has no more than its peer asks for, and every peer has one.
 *
 * Most drivers need an interrupt for each receive queue that is to interrupt and one for
 * themselves, but not all ask how many there are (iavf). ixgbe's for VFs needs one for all queues.
 */
static uint16_t queue_count(const struct vf *vf, const struct rte_eth_dev_info *info,
	const struct vf_wish *wish, unsigned interrupts)
{
	unsigned max = MIN(info->max_rx_queues, info->max_tx_queues);

	if (info->flow_type_rss_offloads == 0 && max > SLICES_MAX)
		return 1;
	if (wish->interrupts && interrupts > 1 && strcmp(info->driver_name, "net_ixgbe_vf") != 0)
		max = MIN(max, interrupts - 1);
	/*
	 * net_tap writes the descriptors of all queues, both ways, into a message with room for
	 * eight.
	 */
	if (is_driven_by(vf, "net_tap"))
		max = MIN(max, 4U);
	return MAX(1U, MIN(max, wish->queues));
}

static int configure_port(struct vf *vf, const struct rte_eth_dev_info *info,
	const struct vf_wish *wish, struct err *err)
{
	struct rte_eth_conf conf = port_conf(vf, info, wish);

	vf->rx_offloads = conf.rxmode.offloads;
	vf->tx_offloads = conf.txmode.offloads;
	vf->rss_types = conf.rx_adv_conf.rss_conf.rss_hf;
	dpdk_log_capture_start();
	int r = rte_eth_dev_configure(vf->port, vf->n_queues, vf->n_queues, &conf);
	const char *said = dpdk_log_capture_end();
	if (r != 0)
		return vf_refused(err, r, vf, "configured", said);
	vf->ring_rx = vf->ring_tx = ring_size(vf->n_queues);
	r = rte_eth_dev_adjust_nb_rx_tx_desc(vf->port, &vf->ring_rx, &vf->ring_tx);
	return r == 0 ? 0 : vf_refused(err, r, vf, "given rings", "");
}

static int set_up_queues(const struct vf *vf, struct err *err)
{
	int r = 0;

	dpdk_log_capture_start();
	for (uint16_t q = 0; q < vf->n_queues && r == 0; q++) {
		r = rte_eth_rx_queue_setup(vf->port, q, vf->ring_rx, vf->pool_node, NULL, vf->pool);
		if (r == 0)
			r = rte_eth_tx_queue_setup(vf->port, q, vf->ring_tx, vf->pool_node, NULL);
	}
	const char *said = dpdk_log_capture_end();

	if (r == -ENOMEM && port_check_ring_memory(vf->port, vf->bond, err) < 0) {
		hugepages_missing(DEVICE_MEMORY_BYTES, vf->pool_node, err);
		return err_prefix(err, r, "device %s: queues cannot be set up", vf->name);
	}
	return r == 0 ? 0 : vf_refused(err, r, vf, "given queues", said);
}

int vf_configure(struct vf *vf, const struct vf_options *options, const struct vf_wish *wish,
	struct err *err)
{
	struct rte_eth_dev_info info;
	char pool_name[RTE_MEMPOOL_NAMESIZE];

	int r = rte_eth_dev_info_get(vf->port, &info);
	if (r != 0)
		return vf_refused(err, r, vf, "asked what it offers", "");

	if (options->most != NULL) {
		info.rx_offload_capa &= options->most->rx_offloads;
		info.tx_offload_capa &= options->most->tx_offloads;
		info.flow_type_rss_offloads &= options->most->rss_types;
	}
	vf->n_queues = queue_count(vf, &info, wish, options->interrupts);
	vf->offloads = offload_caps(vf, &info);
	r = configure_port(vf, &info, wish, err);
	if (r == 0)
		r = set_mtu(vf, &info, wish->mtu, err);
	if (r < 0)
		return r;

	vf->frame_buffers = (vf->max_frame_bytes - 1) / room_bytes(&info, vf->mtu) + 1;
	vf->node = rte_eth_dev_socket_id(vf->port);
	vf->pool_node = hugepages_node(vf->node);
	snprintf(pool_name, sizeof(pool_name), "relay%u_%u", options->relay_id, vf->port);
	r = pool_create(&vf->pool, pool_name,
		packets_needed(vf->n_queues, ring_buffers(vf), rte_lcore_count()),
		room_bytes(&info, vf->mtu), POOL_CACHE, vf->pool_node, err);
	if (r < 0)
		return err_prefix(err, r, "device %s", vf->name);
	return set_up_queues(vf, err);
}
