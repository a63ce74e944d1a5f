/* SPDX-License-Identifier: BSD-3-Clause */

/* Devices of net_null, whose driver is made to refuse what a test has it refuse. */

#include <errno.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/log.h"
#include "core/dpdk/pool.h"
#include "core/packet/packet_fixture.h"
#include "core/vf/vf.h"

#define TRIES_MAX 16

/* The linker puts these functions in place of the real ones. */
__typeof__(rte_dev_probe) __wrap_rte_dev_probe, __real_rte_dev_probe;
__typeof__(rte_eth_dev_info_get) __wrap_rte_eth_dev_info_get, __real_rte_eth_dev_info_get;
__typeof__(rte_eth_dev_configure) __wrap_rte_eth_dev_configure, __real_rte_eth_dev_configure;
__typeof__(rte_eth_dev_start) __wrap_rte_eth_dev_start, __real_rte_eth_dev_start;
__typeof__(rte_eth_dev_set_mtu) __wrap_rte_eth_dev_set_mtu;
__typeof__(rte_eth_promiscuous_enable) __wrap_rte_eth_promiscuous_enable;
__typeof__(rte_eth_allmulticast_enable) __wrap_rte_eth_allmulticast_enable;
__typeof__(rte_eth_macaddr_get) __wrap_rte_eth_macaddr_get;
__typeof__(pool_create) __wrap_pool_create, __real_pool_create;
__typeof__(clock_gettime) __wrap_clock_gettime, __real_clock_gettime;
void __wrap_log_at(int severity, const char *fmt, ...) _printf_(2, 3);
void __wrap_log_event_at(int severity, const struct log_event *event, const char *fmt, ...)
	_printf_(3, 4);

/* What the driver offers, and what of that it grants. */
static struct {
	const char *name;
	unsigned queues_offered, queues, mtu;
	bool no_interrupts, no_memory;
	bool at_start;      /* it refuses only then */
	unsigned failures;  /* so many tries fail before that */
	unsigned silent_at; /* it does not tell what it offers when asked for the n-th time: */
	int silent_error;
	unsigned slow_s;
	unsigned mtu_offered, mtu_set; /* the latter: what it lets be set */
	int mtu_error;
	uint64_t transmit_offloads;
	unsigned segments_max; /* in a packet; 0: it does not tell */
	uint32_t flags;
	bool pci;
	int promiscuous_error;
} driver;

static const char generous_driver[] = "net_null";

/* What it was asked for: "queues/interrupts/MTU" of each try. */
static struct {
	char tries[TRIES_MAX][32];
	unsigned n, n_info;
	bool fresh, too_much; /* about the present try */
	bool link_events, removal_events;
	unsigned passed_s;
} asked;

static char warning[256];

#define RELAY 3

int __wrap_rte_dev_probe(const char *device)
{
	asked.fresh = true;
	return __real_rte_dev_probe(device);
}

int __wrap_rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *ret_info)
{
	int r = __real_rte_eth_dev_info_get(port, ret_info);

	if (++asked.n_info == driver.silent_at)
		return driver.silent_error;
	ret_info->driver_name = driver.name;
	ret_info->max_mtu = driver.mtu_offered;
	ret_info->tx_offload_capa = driver.transmit_offloads;
	ret_info->tx_desc_lim.nb_seg_max = driver.segments_max;
	ret_info->dev_flags = &driver.flags;
	ret_info->max_rx_queues = ret_info->max_tx_queues = driver.queues_offered;
	return r;
}

int __wrap_rte_eth_dev_configure(
	uint16_t port, uint16_t n_rx, uint16_t n_tx, const struct rte_eth_conf *conf)
{
	assert_true(asked.fresh);
	asked.fresh = false;
	assert_true(asked.n < TRIES_MAX);
	assert_int_equal(n_rx, n_tx);
	snprintf(asked.tries[asked.n++], sizeof(asked.tries[0]), "%u/%u/%u", n_rx,
		conf->intr_conf.rxq, conf->rxmode.mtu);
	struct rte_eth_conf possible = *conf;

	asked.link_events = conf->intr_conf.lsc;
	asked.removal_events = conf->intr_conf.rmv;
	possible.intr_conf.lsc = possible.intr_conf.rmv = 0;
	possible.txmode.offloads = 0;
	asked.passed_s += driver.slow_s;
	asked.too_much = n_rx > driver.queues || conf->rxmode.mtu > driver.mtu ||
	                 (conf->intr_conf.rxq && driver.no_interrupts);
	return (asked.too_much && !driver.at_start) || asked.n <= driver.failures
	               ? -EPERM
	               : __real_rte_eth_dev_configure(port, n_rx, n_tx, &possible);
}

int __wrap_rte_eth_dev_start(uint16_t port)
{
	return asked.too_much ? -EIO : __real_rte_eth_dev_start(port);
}

int __wrap_rte_eth_dev_set_mtu(uint16_t port, uint16_t mtu)
{
	return mtu > driver.mtu_set ? driver.mtu_error : 0;
}

int __wrap_rte_eth_promiscuous_enable(uint16_t port)
{
	return driver.promiscuous_error;
}

int __wrap_rte_eth_allmulticast_enable(uint16_t port)
{
	return 0;
}

int __wrap_rte_eth_macaddr_get(uint16_t port, struct rte_ether_addr *ret_mac)
{
	*ret_mac = (struct rte_ether_addr){{0x52, 0x54, 0, 0x12, 0x34, 0x0a}};
	return 0;
}

int __wrap_pool_create(struct rte_mempool **ret_pool, const char *name, unsigned n,
	unsigned room_bytes, unsigned cache, int node, struct err *err)
{
	return driver.no_memory
	               ? err_set(err, ENOMEM, "no memory")
	               : __real_pool_create(ret_pool, name, n, room_bytes, cache, node, err);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	int r = __real_clock_gettime(clock, ret_now);

	ret_now->tv_sec += asked.passed_s;
	return r;
}

static void note_line(int severity, const char *fmt, va_list args)
{
	if (severity > LOG_WARNING)
		return;
	assert_string_equal(warning, ""); /* a single line */
	vsnprintf(warning, sizeof(warning), fmt, args);
}

void __wrap_log_at(int severity, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	note_line(severity, fmt, args);
	va_end(args);
}

void __wrap_log_event_at(int severity, const struct log_event *event, const char *fmt, ...)
{
	va_list args;

	assert_int_equal(event->relay, RELAY);
	assert_string_equal(event->device, "net_null0");
	va_start(args, fmt);
	note_line(severity, fmt, args);
	va_end(args);
}

static int make_driver(void **state)
{
	memset(&driver, 0, sizeof(driver));
	driver.name = generous_driver;
	driver.queues_offered = driver.queues = 256;
	driver.mtu = driver.mtu_offered = driver.mtu_set = 9000;
	return 0;
}

/* Opens a device for which the host tells that many interrupts; it may fail. */
static struct vf *try_to_open(unsigned interrupts, unsigned mtu, struct err *err)
{
	const struct vf_options options = {.relay_id = RELAY, .mtu = mtu, .interrupts = interrupts};
	struct device_spec device = {.n_members = 1};
	struct vf *vf = NULL;

	memset(&asked, 0, sizeof(asked));
	warning[0] = '\0';
	assert_int_equal(device_id_parse("net_null0", &device.members[0], err), 0);
	device.members[0].is_pci = driver.pci;
	return vf_open(&vf, &device, &options, err) == 0 ? vf : NULL;
}

/*
 * Opens a device; checks all tries until it worked, and what a warning then said. Returns its MTU.
 */
static unsigned assert_opened(
	unsigned interrupts, const char *const *tries, unsigned n, const char *words)
{
	struct err err = {""};
	struct vf *vf = try_to_open(interrupts, 9000, &err);

	if (vf == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(asked.n, n);
	for (unsigned i = 0; i < n; i++)
		assert_string_equal(asked.tries[i], tries[i]);
	if (words[0] == '\0')
		assert_string_equal(warning, "");
	else if (strstr(warning, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", warning, words);
	unsigned mtu = vf->mtu;
	vf_close(vf);
	return mtu;
}

#define OPENS(interrupts, words, ...)                                 \
	assert_opened(interrupts, (const char *const[]){__VA_ARGS__}, \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *), words)

static void everything_is_asked_for_first(void **state)
{
	OPENS(0, "", "8/1/9000");
	driver.queues_offered = 3;
	OPENS(0, "", "3/1/9000");
}

/* One is the driver's own; and that is all there is with UIO. */
static void interrupts_limit_the_queues(void **state)
{
	OPENS(5, "", "4/1/9000");
	OPENS(2, "", "1/1/9000");
	OPENS(33, "", "8/1/9000");
	OPENS(1, "", "8/0/9000");
	driver.name = "net_ixgbe_vf";
	OPENS(3, "", "8/1/9000");
}

static void a_long_mtu_is_given_up(void **state)
{
	driver.mtu = 1500;
	OPENS(0, "; it is used with an MTU of 1500", "8/1/9000", "8/1/9000", "8/1/1500");
	driver.at_start = true;
	OPENS(0, "cannot be started: Input/output error; it is used with an MTU of 1500",
		"8/1/9000", "8/1/9000", "8/1/1500");
}

/* A driver that takes no notice of the configured MTU may refuse it when it is to be set. */
static void an_mtu_that_cannot_be_set_is_not_believed(void **state)
{
	driver.mtu_set = 1500;
	driver.mtu_error = -EINVAL;
	assert_int_equal(
		OPENS(0,
			"cannot be given an MTU of 9000: Invalid argument; it is used with an "
			"MTU of 1500",
			"8/1/9000", "8/1/9000", "8/1/1500"),
		1500);
	driver.mtu_error = EINVAL; /* no driver should return it like that */
	assert_int_equal(
		OPENS(0,
			"cannot be given an MTU of 9000: Input/output error; it is used with an "
			"MTU of 1500",
			"8/1/9000", "8/1/9000", "8/1/1500"),
		1500);
	driver.mtu_error = -ENOTSUP; /* it has no function for that */
	assert_int_equal(OPENS(0, "", "8/1/9000"), 9000);
}

/* The device is of use all the same. */
static void no_mtu_can_be_set(void **state)
{
	struct err err = {""};

	driver.mtu_set = 0;
	driver.mtu_error = -ENODEV;
	struct vf *vf = try_to_open(0, 1500, &err);
	assert_non_null(vf);
	assert_int_equal(asked.n, 1);
	assert_string_equal(warning,
		"relay 3: device net_null0: cannot be given an MTU of 1500: No such "
		"device; it keeps its own");
	vf_close(vf);
}

static void the_greatest_mtu_is_used(void **state)
{
	driver.mtu_offered = driver.mtu_set = 3000;
	driver.mtu_error = -EINVAL;
	assert_int_equal(OPENS(0, "device net_null0: its greatest MTU is 3000", "8/1/3000"), 3000);
}

static void interrupts_are_given_up(void **state)
{
	driver.no_interrupts = true;
	OPENS(0, "; it is used with no receive interrupts", "8/1/9000", "8/1/9000", "8/1/1500",
		"8/0/9000");
	OPENS(1, "", "8/0/9000");
}

static void queues_are_given_up(void **state)
{
	driver.queues = 4;
	OPENS(0, "; it is used with 4 queues", "8/1/9000", "8/1/9000", "8/1/1500", "8/0/9000",
		"4/1/9000");
	OPENS(5, "", "4/1/9000");
	driver.queues = 1;
	OPENS(5, "; it is used with 1 queue", "4/1/9000", "4/1/9000", "4/1/1500", "4/0/9000",
		"2/1/9000", "1/1/9000");
	OPENS(1, "; it is used with 1 queue", "8/0/9000", "8/0/9000", "8/0/1500", "4/0/9000",
		"2/0/9000", "1/0/9000");
}

static void in_the_end_everything_is_given_up(void **state)
{
	driver.queues_offered = 2;
	driver.queues = 1;
	driver.no_interrupts = true;
	driver.mtu = 1500;
	driver.at_start = true;
	OPENS(0, "; it is used with 1 queue, no receive interrupts and an MTU of 1500", "2/1/9000",
		"2/1/9000", "2/1/1500", "2/0/9000", "1/1/9000", "1/0/1500");
}

/* Whatever is tried; only the first try is repeated. */
static void a_device_that_does_not_start(void **state)
{
	struct err err = {""};

	driver.queues = 0;
	assert_null(try_to_open(0, 9000, &err));
	assert_int_equal(asked.n, 8);
	assert_string_equal(warning, "");
	assert_string_equal(
		err.text, "device net_null0: cannot be configured: Operation not permitted");

	driver.queues_offered = 1;
	assert_null(try_to_open(0, 9000, &err));
	assert_int_equal(asked.n, 5);
	assert_null(try_to_open(1, 9000, &err));
	assert_int_equal(asked.n, 3);
	assert_null(try_to_open(1, 1500, &err));
	assert_int_equal(asked.n, 2);
}

/* As while its PF is being reset: it is used with everything. */
static void what_fails_once_is_tried_again(void **state)
{
	driver.failures = 1;
	OPENS(0, "Operation not permitted; a second try succeeded", "8/1/9000", "8/1/9000");
	driver.failures = 0;
	driver.silent_at = 2; /* for its configuration */
	driver.silent_error = -ENODEV;
	OPENS(0, "asked what it offers: No such device; a second try succeeded", "8/1/9000");
	driver.silent_error = EIO; /* no driver should return it like that */
	OPENS(0, "asked what it offers: Input/output error; a second try succeeded", "8/1/9000");
}

/* Otherwise DPDK would refuse to open it once more. */
static void a_device_that_tells_nothing_is_let_go(void **state)
{
	struct err err = {""};
	struct vf *vf = try_to_open(0, 9000, &err);

	assert_non_null(vf);
	driver.silent_at = asked.n_info + 1;
	driver.silent_error = -EIO;
	vf_close(vf);
	assert_string_equal(warning, "");
	assert_int_equal(asked.n_info, driver.silent_at);
	driver.silent_at = 0;
	OPENS(0, "", "8/1/9000");
}

/* The later errors may only say that the driver has not survived the first one. */
static void the_first_error_is_told(void **state)
{
	struct err err = {""};

	driver.failures = 1;
	driver.queues = 0;
	driver.at_start = true;
	assert_null(try_to_open(0, 9000, &err));
	assert_int_equal(asked.n, 8);
	assert_string_equal(
		err.text, "device net_null0: cannot be configured: Operation not permitted");
}

/* The control thread must not be away for as long as the watchdog waits. */
static void a_slow_device_is_not_tried_for_long(void **state)
{
	struct err err = {""};

	driver.queues = 0;
	driver.slow_s = 4;
	assert_null(try_to_open(0, 9000, &err));
	assert_int_equal(asked.n, 3);
}

/* The operator gets to know how much is missing, not a device with fewer queues. */
static void missing_memory_is_told(void **state)
{
	struct err err = {""};

	driver.no_memory = true;
	assert_null(try_to_open(0, 9000, &err));
	assert_int_equal(asked.n, 1);
	assert_non_null(strstr(err.text, "no memory"));
}

/* Of a PCI function the driver tells what it can tell. */
static void events_are_asked_for(void **state)
{
	driver.flags = RTE_ETH_DEV_INTR_RMV | RTE_ETH_DEV_INTR_LSC;
	OPENS(0, "", "8/1/9000");
	assert_false(asked.link_events || asked.removal_events);
	driver.pci = true;
	OPENS(0, "", "8/1/9000");
	assert_true(asked.link_events && asked.removal_events);
	driver.flags = 0;
	OPENS(0, "", "8/1/9000");
	assert_false(asked.link_events || asked.removal_events);
}

/* ixgbe's driver says that it does not support what its PF refuses. */
static void only_frames_for_its_mac(void **state)
{
	driver.promiscuous_error = -ENOTSUP;
	OPENS(0, "", "8/1/9000");
	driver.pci = true;
	OPENS(0, "only frames for its own MAC 52:54:00:12:34:0A arrive", "8/1/9000");
	driver.pci = false;
	driver.promiscuous_error = -EPERM;
	OPENS(0, "promiscuous mode refused (Operation not permitted)", "8/1/9000");
}

static struct offload_caps offloads_of(const char *name, uint64_t offloads, unsigned segments_max)
{
	struct err err = {""};

	driver.name = name;
	driver.transmit_offloads = offloads;
	driver.segments_max = segments_max;
	struct vf *vf = try_to_open(0, 1500, &err);
	assert_non_null(vf);
	struct offload_caps caps = vf->offloads;
	vf_close(vf);
	return caps;
}

/* A packet of 64 KiB with its headers has 33 segments; net_bnxt does not tell that it takes 31. */
static void segmentation_is_left_to_who_takes_all_segments(void **state)
{
	const uint64_t checksums = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
	                           RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	const uint64_t all = checksums | RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_MULTI_SEGS;

	assert_true(offloads_of(generous_driver, all, 0).tso);
	assert_true(offloads_of(generous_driver, all, UINT16_MAX).tso);
	assert_true(offloads_of(generous_driver, all, 33).tso);
	assert_false(offloads_of(generous_driver, all, 32).tso);
	assert_true(offloads_of(generous_driver, all, 32).checksum);
	assert_false(offloads_of("net_bnxt", all, 0).tso);
	assert_true(offloads_of("net_bnxt", all, 0).checksum);
	assert_false(offloads_of(generous_driver, all & ~RTE_ETH_TX_OFFLOAD_MULTI_SEGS, 0).tso);
	assert_false(offloads_of(generous_driver, checksums, 0).tso);
}

/* How many buffers more there are for long frames than for short ones. */
static unsigned buffers_for_long_frames(void)
{
	struct err err = {""};
	unsigned n[2];

	driver.queues_offered = 1;
	for (unsigned i = 0; i < 2; i++) {
		struct vf *vf = try_to_open(0, i ? 3000 : 1500, &err);
		assert_non_null(vf);
		n[i] = vf->pool->size;
		assert_int_equal(vf->ring_rx, 1024);
		vf_close(vf);
	}
	return n[1] - n[0];
}

/* bnxt has four buffers more for each receive descriptor, if frames may be longer than a buffer. */
static void a_second_ring_has_room(void **state)
{
	assert_int_equal(buffers_for_long_frames(), 0);
	driver.name = "net_bnxt";
	assert_int_equal(buffers_for_long_frames(), 4 * 1024);
}

#define WITH_DRIVER(test) cmocka_unit_test_setup(test, make_driver)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DRIVER(everything_is_asked_for_first),
		WITH_DRIVER(interrupts_limit_the_queues),
		WITH_DRIVER(a_long_mtu_is_given_up),
		WITH_DRIVER(an_mtu_that_cannot_be_set_is_not_believed),
		WITH_DRIVER(no_mtu_can_be_set),
		WITH_DRIVER(the_greatest_mtu_is_used),
		WITH_DRIVER(interrupts_are_given_up),
		WITH_DRIVER(queues_are_given_up),
		WITH_DRIVER(in_the_end_everything_is_given_up),
		WITH_DRIVER(a_device_that_does_not_start),
		WITH_DRIVER(what_fails_once_is_tried_again),
		WITH_DRIVER(a_device_that_tells_nothing_is_let_go),
		WITH_DRIVER(the_first_error_is_told),
		WITH_DRIVER(a_slow_device_is_not_tried_for_long),
		WITH_DRIVER(missing_memory_is_told),
		WITH_DRIVER(events_are_asked_for),
		WITH_DRIVER(only_frames_for_its_mac),
		WITH_DRIVER(segmentation_is_left_to_who_takes_all_segments),
		WITH_DRIVER(a_second_ring_has_room),
	};

	return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
