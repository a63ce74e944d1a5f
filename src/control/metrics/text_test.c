/* SPDX-License-Identifier: BSD-3-Clause */

/* Tests the values. The formats are checked by their own parsers in tests/black/test_metrics.py. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/virtio_net.h>
#include <string.h>

#include "control/metrics/text.h"

static char *text_of(const struct metrics_view *view, enum metrics_format format)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	metrics_write(out, view, format);
	fclose(out);
	return text;
}

static struct metrics_view *make_view(void)
{
	struct metrics_view *view = calloc(1, sizeof(*view));
	struct relay_stats *relay = &view->stats.relays[1];

	view->version = "1";
	view->dpdk = "DPDK \"x\"\\\n";
	view->stats.n_workers = 2;
	view->stats.workers[0] = (struct worker_stats){.cpu = 2,
		.numa_node = 0,
		.busy_ns = 1500000000,
		.sleep_ns = 7,
		.has_waiting = true,
		.waiting_ns = 8};
	view->stats.workers[1] = (struct worker_stats){.cpu = 3, .numa_node = 1};
	view->stats.n_relays = RELAYS_MAX;
	for (unsigned i = 0; i < RELAYS_MAX; i++)
		view->stats.relays[i].id = i;
	strcpy(relay->device, "0000:0A:08.1");
	strcpy(relay->vhost_path, "/caf\xe9");
	strcpy(relay->ident, "port-\xc3\xa9");
	relay->device_node = 1;
	relay->vm = (struct vm_stats){.sessions = 3,
		.announcements = 4,
		.refusals = 5,
		.broken_rings = 6,
		.migrates = true,
		.features = 1ull << VIRTIO_NET_F_MRG_RXBUF,
		.numa_node = 1,
		.n_queues = 2};
	relay->vf_to_vm.queues[0] = (struct queue_stats){.ring_size = 256, .packets = 18};
	relay->vf_to_vm.queues[1] = (struct queue_stats){.packets = 19, .dropped = 20};
	relay->vm_to_vf.queues[0] = (struct queue_stats){.ring_size = 512, .packets = 21};
	relay->vf_to_vm.interrupts = 22;
	relay->vf_to_vm.active = true;
	relay->vf_to_vm.cpu = 3;
	relay->vf_to_vm.n_slices = 2;
	relay->vf_to_vm.slices[0] = (struct slice_stats){.cpu = 3};
	relay->vf_to_vm.slices[1] = (struct slice_stats){.cpu = 2, .busy_ns = 17};
	relay->vm_to_vf.cpu = 3;
	relay->vm_to_vf.n_slices = 1;
	relay->vm_to_vf.slices[0] = (struct slice_stats){.cpu = 3};
	relay->vf_to_vm.received = (struct packet_count){40, 4000};
	relay->vf_to_vm.dropped[DROP_OVERSIZE] = (struct packet_count){2, 3000};
	relay->vf_to_vm.bursts[0] = 8;
	relay->vf_to_vm.bursts[5] = 1;
	view->devices[1] = (struct device_counters){.n_queues = 2,
		.answered = true,
		.missed = 9,
		.no_buffer = 10,
		.receive_errors = 11,
		.transmit_errors = 12,
		.members = {[MEMBER_UP] = 14, [MEMBER_DOWN] = 15, [MEMBER_AWAY] = 16},
		.pool_packets = 5};
	view->devices[1].queue_received[1] = 13;
	view->devices[1].queue_sent[1] = UINT64_MAX;
	return view;
}

static void assert_lines(const char *text, const char *const *lines)
{
	for (; *lines; lines++)
		if (!strstr(text, *lines))
			fail_msg("no line %s in %s", *lines, text);
}

static void values_stand_where_they_belong(void **state)
{
	static const char *const lines[] = {
		"\nvirtio_forwarder_worker_seconds_total{cpu=\"2\",state=\"busy\"} 1.500000000\n",
		"\nvirtio_forwarder_worker_seconds_total{cpu=\"2\",state=\"sleep\"} 0.000000007\n",
		"\nvirtio_forwarder_worker_waiting_seconds_total{cpu=\"2\"} 0.000000008\n",
		"\nvirtio_forwarder_relay_received_packets_total{relay=\"1\",direction=\"vf_to_"
		"vm\"} 40\n",
		"_relay_dropped_bytes_total{relay=\"1\",direction=\"vf_to_vm\",reason=\"oversize\"}"
		" 3000\n",
		"_relay_burst_packets_bucket{relay=\"1\",direction=\"vf_to_vm\",le=\"16.0\"} 8\n",
		"_relay_burst_packets_bucket{relay=\"1\",direction=\"vf_to_vm\",le=\"32.0\"} 9\n",
		"_relay_burst_packets_bucket{relay=\"1\",direction=\"vf_to_vm\",le=\"+Inf\"} 9\n",
		"_relay_burst_packets_sum{relay=\"1\",direction=\"vf_to_vm\"} 40\n",
		"_relay_device_attached{relay=\"1\"} 1\n", "_relay_vm_attached{relay=\"1\"} 0\n",
		"_relay_vm_sessions_total{relay=\"1\"} 3\n",
		"_relay_vm_announcements_total{relay=\"1\"} 4\n",
		"_relay_vm_refusals_total{relay=\"1\"} 5\n",
		"_relay_vm_broken_rings{relay=\"1\"} 6\n", "_relay_vm_migrating{relay=\"1\"} 1\n",
		"_relay_vm_feature{relay=\"1\",feature=\"mrg_rxbuf\"} 1\n",
		"_relay_worker_cpu{relay=\"1\",direction=\"vf_to_vm\"} 3\n",
		"_relay_worker_cpu{relay=\"1\",direction=\"vm_to_vf\"} 3\n",
		"_relay_slice_cpu{relay=\"1\",direction=\"vf_to_vm\",slice=\"0\"} 3\n",
		"_relay_slice_cpu{relay=\"1\",direction=\"vf_to_vm\",slice=\"1\"} 2\n",
		"_relay_slice_cpu{relay=\"1\",direction=\"vm_to_vf\",slice=\"0\"} 3\n",
		"_relay_slice_busy_seconds_total{relay=\"1\",direction=\"vf_to_vm\",slice=\"1\"}"
		" 0.000000017\n",
		"_device_members{relay=\"1\",state=\"up\"} 14\n",
		"_device_members{relay=\"1\",state=\"down\"} 15\n",
		"_device_members{relay=\"1\",state=\"away\"} 16\n",
		"_device_missed_packets_total{relay=\"1\"} 9\n",
		"_device_no_buffer_packets_total{relay=\"1\"} 10\n",
		"_device_receive_errors_total{relay=\"1\"} 11\n",
		"_device_transmit_errors_total{relay=\"1\"} 12\n",
		"_device_queue_received_packets_total{relay=\"1\",queue=\"1\"} 13\n",
		"_device_queue_sent_packets_total{relay=\"1\",queue=\"1\"} 18446744073709551615\n",
		"_pool_packets{relay=\"1\"} 5\n",
		"_relay_vm_queues{relay=\"1\",state=\"offered\"} 2\n",
		"_relay_vm_queues{relay=\"1\",state=\"enabled\"} 1\n",
		"_relay_vm_ring_size{relay=\"1\",direction=\"vf_to_vm\",queue=\"0\"} 256\n",
		"_relay_vm_ring_size{relay=\"1\",direction=\"vm_to_vf\",queue=\"0\"} 512\n",
		"_relay_vm_queue_packets_total{relay=\"1\",direction=\"vf_to_vm\",queue=\"1\"} "
		"19\n",
		"_relay_vm_queue_packets_total{relay=\"1\",direction=\"vm_to_vf\",queue=\"0\"} "
		"21\n",
		"_relay_vm_queue_dropped_packets_total{relay=\"1\",queue=\"1\"} 20\n",
		"_relay_vm_interrupts_total{relay=\"1\",direction=\"vf_to_vm\"} 22\n",
		/* Device and VM are on node 1, and so is worker 3; worker 2, of a slice, is not. */
		"_relay_numa_mismatch{relay=\"1\",direction=\"vf_to_vm\"} 1\n",
		"_relay_numa_mismatch{relay=\"1\",direction=\"vm_to_vf\"} 0\n",
		"dpdk=\"DPDK \\\"x\\\"\\\\?\"} 1\n",
		",socket=\"/caf?\",ident=\"port-\xc3\xa9\"} 1\n", NULL};
	struct metrics_view *view = make_view();
	_cleanup_free_ char *text = text_of(view, METRICS_OPENMETRICS);
	_cleanup_free_ char *classic = text_of(view, METRICS_PROMETHEUS);

	assert_lines(text, lines);
	assert_lines(classic, lines);
	free(view);
}

static void relays_that_never_did_anything_are_left_out(void **state)
{
	struct metrics_view *view = make_view();
	_cleanup_free_ char *text = text_of(view, METRICS_OPENMETRICS);

	assert_null(strstr(text, "relay=\"0\""));
	assert_null(strstr(text, "relay=\"2\""));
	free(view);
}

static void queues_that_are_not_in_use_have_no_ring(void **state)
{
	struct metrics_view *view = make_view();
	_cleanup_free_ char *text = text_of(view, METRICS_OPENMETRICS);

	assert_null(strstr(text, "_ring_size{relay=\"1\",direction=\"vf_to_vm\",queue=\"1\"}"));
	assert_null(strstr(text, "queue=\"2\"}"));
	free(view);
}

/* A value of 0 would look like a counter that was reset. */
static void a_device_that_does_not_answer_has_no_counters(void **state)
{
	static const char *const pool[] = {"_pool_packets{relay=\"1\"} 5\n", NULL};
	struct metrics_view *view = make_view();

	view->devices[1].answered = false;
	_cleanup_free_ char *text = text_of(view, METRICS_OPENMETRICS);
	assert_null(strstr(text, "_device_missed_packets_total{"));
	assert_null(strstr(text, "_device_queue_sent_packets_total{"));
	assert_lines(text, pool);
	free(view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_stand_where_they_belong),
		cmocka_unit_test(relays_that_never_did_anything_are_left_out),
		cmocka_unit_test(queues_that_are_not_in_use_have_no_ring),
		cmocka_unit_test(a_device_that_does_not_answer_has_no_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
