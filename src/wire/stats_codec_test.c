/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/stats_codec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "virtioforwarder.pb-c.h"

typedef Virtioforwarder__StatsResponse Response;

static void test_request(void **state)
{
	struct stats_request request;
	uint8_t many[2 + 65];

	assert_int_equal(stats_request_decode("", 0, &request), 0);
	assert_true(request.relays == STATS_RELAYS_ALL);
	assert_true(request.include_inactive);
	assert_int_equal(request.delay_ms, 0);

	/* relays 1, 63, 64 and 1 again, packed; not the inactive; 60000 ms */
	assert_int_equal(stats_request_decode(
				 "\x0a\x04\x01\x3f\x40\x01\x10\x00\x18\xe0\xd4\x03", 12, &request),
		0);
	assert_true(request.relays == (UINT64_C(1) << 63 | 2));
	assert_false(request.include_inactive);
	assert_int_equal(request.delay_ms, 60000);

	assert_int_equal(stats_request_decode("\x08\x02", 2, &request), 0); /* not packed */
	assert_true(request.relays == 4);
	assert_int_equal(stats_request_decode("\x0a\x01\x40", 3, &request), 0);
	assert_true(request.relays == 0); /* out of range: not all of them, none */

	assert_int_equal(stats_request_decode("\x18\xff\xff\xff\xff\x0f", 6, &request), 0);
	assert_int_equal(request.delay_ms, UINT32_MAX);
	memset(many, 1, sizeof(many));
	many[0] = 0x0a;
	many[1] = 65;
	assert_int_equal(stats_request_decode(many, sizeof(many), &request), -E2BIG);
	many[1] = 64;
	assert_int_equal(stats_request_decode(many, sizeof(many) - 1, &request), 0);
	assert_int_equal(stats_request_decode("\x0a\x05\x01", 3, &request), -EBADR);
	assert_int_equal(stats_request_decode("\xff", 1, &request), -EBADR);
}

static void fill_direction(struct direction_stats *stats, uint64_t base)
{
	stats->active = true;
	stats->received = (struct packet_count){base + 1, base + 2};
	stats->sent = (struct packet_count){base + 3, base + 4};
	for (unsigned i = 0; i < DROP_N; i++)
		stats->dropped[i] = (struct packet_count){base + 10 + i, base + 20 + i};
	stats->backlog = (struct packet_count){base + 5, base + 6};
}

static void make_relays(struct relay_stats relays[static 3])
{
	for (unsigned i = 0; i < 3; i++) {
		relays[i].id = 2 * i;
		relays[i].vf_to_vm.internal_state = "DPDK_UNINIT";
		relays[i].vm_to_vf.internal_state = "VIRTIO_UNINIT";
		relays[i].vf_to_vm.cpu = relays[i].vm_to_vf.cpu = -1;
	}
	relays[1].active = true;
	relays[1].socket_id = 1;
	relays[1].numa_node = -1;
	relays[1].vm.listens = true;
	relays[1].vf_to_vm.internal_state = "DPDK_READY";
	relays[1].vf_to_vm.cpu = 3;
	relays[1].vm_to_vf.cpu = 0;
	relays[1].vm_to_vf.pinned = true;
	relays[1].vm_to_vf.measured = true;
	relays[1].vm_to_vf.busy_ns = 123;
	strcpy(relays[1].ident, "port");
	strcpy(relays[1].vhost_path, "/tmp/\xff.sock");
	strcpy(relays[1].device, "0000:0A:08.1");
	fill_direction(&relays[1].vf_to_vm, 1000);
	fill_direction(&relays[1].vm_to_vf, UINT64_C(1) << 40);
}

static Response *encode(const struct stats_request *request, const struct relay_rates *rates)
{
	static struct stats_view view = {.n_relays = 3,
		.n_workers = 2,
		.workers = {{.cpu = 3,
				    .numa_node = 1,
				    .busy_ns = UINT64_C(1) << 40,
				    .sleep_ns = 7,
				    .has_waiting = true,
				    .waiting_ns = 5},
			{.cpu = 4, .numa_node = -1}}};
	struct wire_message message;
	Response *response;

	make_relays(view.relays);
	assert_int_equal(stats_response_encode(request, &view, rates, &message), 0);
	response = virtioforwarder__stats_response__unpack(NULL, message.length, message.data);
	assert_non_null(response);
	free(message.data);
	return response;
}

static void check_active_relay(const Virtioforwarder__StatsResponse__RelayState *relay)
{
	uint64_t other_drops = 0;

	for (unsigned i = 0; i < DROP_N; i++)
		other_drops += i == DROP_NOT_CONNECTED ? 0 : 1010 + i;
	assert_int_equal(relay->id, 2);
	assert_true(relay->active);
	assert_int_equal(relay->socket_id, 1);
	assert_true(relay->has_numa_node);
	assert_int_equal(relay->numa_node, -1);
	assert_true(relay->has_vm_listens && relay->vm_listens);
	assert_string_equal(relay->ident, "port");
	assert_string_equal(relay->vhost->vhost_socket_name, "/tmp/?.sock");
	assert_string_equal(relay->vf->pci_addr_str, "0000:0A:08.1");
	assert_string_equal(relay->device, "0000:0A:08.1");
	assert_int_equal(relay->cpu->vf_to_vm, 3);
	assert_true(relay->cpu->has_vm_to_vf);
	assert_int_equal(relay->cpu->vm_to_vf, 0);

	assert_string_equal(relay->vf_to_vm->internal_state, "DPDK_READY");
	assert_int_equal(relay->vf_to_vm->pkts_rx_from_vf, 1001);
	assert_int_equal(relay->vf_to_vm->bytes_rx_from_vf, 1002);
	assert_int_equal(relay->vf_to_vm->pkts_tx_to_vm, 1003);
	assert_int_equal(relay->vf_to_vm->bytes_tx_to_vm, 1004);
	assert_int_equal(relay->vf_to_vm->pkts_dropped_vm_queue_full, other_drops);
	assert_int_equal(relay->vf_to_vm->pkts_dropped_vm_not_connected, 1010 + DROP_NOT_CONNECTED);
	assert_int_equal(
		relay->vf_to_vm->bytes_dropped_vm_not_connected, 1020 + DROP_NOT_CONNECTED);
	assert_int_equal(relay->vf_to_vm->backlog_packets, 1005);
	assert_int_equal(relay->vf_to_vm->n_drop, DROP_N);
	assert_string_equal(relay->vf_to_vm->drop[DROP_OVERSIZE]->name, "oversize");
	assert_int_equal(relay->vf_to_vm->drop[DROP_OVERSIZE]->bytes, 1020 + DROP_OVERSIZE);

	assert_true(relay->vm_to_vf->bytes_tx_to_vf == (UINT64_C(1) << 40) + 4);
	assert_true(relay->vm_to_vf->pkt_rate_rx_from_vm == 12.5f);
	assert_true(relay->vm_to_vf->byte_rate_tx_to_vf == 1e9f);
	assert_true(relay->vf_to_vm->pkt_rate_tx_to_vm == 0.0f);
	assert_false(relay->vf_to_vm->has_busy_ns);
	assert_false(relay->vf_to_vm->has_pinned);
	assert_true(relay->vm_to_vf->has_busy_ns);
	assert_int_equal(relay->vm_to_vf->busy_ns, 123);
	assert_true(relay->vm_to_vf->pinned);
}

static void check_workers(const Response *response)
{
	assert_int_equal(response->n_worker, 2);
	assert_int_equal(response->worker[0]->cpu, 3);
	assert_int_equal(response->worker[0]->numa_node, 1);
	assert_true(response->worker[0]->busy_ns == UINT64_C(1) << 40);
	assert_int_equal(response->worker[0]->sleep_ns, 7);
	assert_true(response->worker[0]->has_waiting_ns);
	assert_int_equal(response->worker[0]->waiting_ns, 5);
	assert_int_equal(response->worker[1]->cpu, 4);
	assert_false(response->worker[1]->has_numa_node);
	assert_false(response->worker[1]->has_waiting_ns);
}

static void test_response(void **state)
{
	struct relay_rates rates[3] = {};
	struct stats_request request = {.relays = STATS_RELAYS_ALL, .include_inactive = true};
	Response *response;

	rates[1].vm_to_vf.received_packets = 12.5;
	rates[1].vm_to_vf.sent_bytes = 1e9;
	response = encode(&request, rates);
	assert_int_equal(response->status, VIRTIOFORWARDER__STATS_RESPONSE__STATUS__OK);
	check_workers(response);
	assert_int_equal(response->n_relay, 3);
	check_active_relay(response->relay[1]);
	assert_string_equal(response->relay[0]->vhost->vhost_socket_name, "NONE");
	assert_null(response->relay[0]->vf);
	assert_null(response->relay[0]->cpu);
	assert_null(response->relay[0]->ident);
	assert_string_equal(response->relay[0]->vm_to_vf->internal_state, "VIRTIO_UNINIT");
	virtioforwarder__stats_response__free_unpacked(response, NULL);

	request.include_inactive = false;
	response = encode(&request, rates);
	assert_int_equal(response->n_relay, 1);
	check_active_relay(response->relay[0]);
	virtioforwarder__stats_response__free_unpacked(response, NULL);

	request = (struct stats_request){.relays = 1 << 4 | 1 << 3, .include_inactive = true};
	response = encode(&request, rates);
	assert_int_equal(response->n_relay, 1);
	assert_int_equal(response->relay[0]->id, 4);
	virtioforwarder__stats_response__free_unpacked(response, NULL);
}

static void test_errors(void **state)
{
	static const struct {
		int code, status;
	} cases[] = {{-EBADR, 400}, {-E2BIG, 413}, {-ENOMEM, 500}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct wire_message message;
		Response *response;

		assert_int_equal(stats_error_encode(cases[i].code, &message), 0);
		response =
			virtioforwarder__stats_response__unpack(NULL, message.length, message.data);
		assert_int_equal(response->status, cases[i].status);
		assert_int_equal(response->n_relay, 0);
		virtioforwarder__stats_response__free_unpacked(response, NULL);
		free(message.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_response),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
