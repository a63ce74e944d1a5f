/* SPDX-License-Identifier: BSD-3-Clause */

/* The four services, with the client library on the other side and a fake forwarder. */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "control/zmq/config_service.h"
#include "control/zmq/core_sched_service.h"
#include "control/zmq/port_control_service.h"
#include "control/zmq/service_fixture.h"
#include "control/zmq/stats_service.h"
#include "wire/client.h"

struct test {
	struct fixture fixture;
	/* The fake forwarder. */
	struct op applied;
	struct op_result result;
	unsigned n_applied;
	uint64_t packets; /* counter of relay 5; each snapshot advances it */
	uint64_t packets_step;
	unsigned n_snapshots;
	struct core_move moves[RELAYS_MAX];
	unsigned n_moves;
	/* The client's thread. */
	void (*ask)(struct test *);
	atomic_bool finished;
	int r;
	struct err err;
	struct op op;
	struct op_result answer;
	struct stats_request request;
	struct stats_reply *stats;
	struct cpu_set cpus;
};

static int setup(void **state)
{
	struct test *test = calloc(1, sizeof(*test));

	fixture_init(&test->fixture);
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct test *test = *state;

	fixture_fini(&test->fixture);
	stats_reply_free(test->stats);
	free(test);
	return 0;
}

static void *client_thread(void *userdata)
{
	struct test *test = userdata;

	test->ask(test);
	atomic_store(&test->finished, true);
	return NULL;
}

/* Runs the client's part in a thread and the service in this thread. */
static void run(struct test *test, void (*ask)(struct test *))
{
	pthread_t thread;

	test->ask = ask;
	test->err = (struct err){};
	atomic_store(&test->finished, false);
	assert_int_equal(pthread_create(&thread, NULL, client_thread, test), 0);
	run_until(test->fixture.event, atomic_load(&test->finished));
	pthread_join(thread, NULL);
}

static void apply(void *userdata, const struct op *op, struct op_result *ret_result)
{
	struct test *test = userdata;

	test->applied = *op;
	test->n_applied++;
	*ret_result = test->result;
}

static void ask_port_control(struct test *test)
{
	test->r = client_port_control(test->fixture.address, &test->op, &test->answer, &test->err);
}

static void fill_members(struct op *op, unsigned n, bool pci)
{
	for (unsigned i = 0; i < n; i++) {
		char text[64];

		snprintf(text, sizeof(text), pci ? "12345:0a:%02x.1" : "net_tap%u,iface=a", i);
		assert_int_equal(device_id_parse(text, &op->device.members[i], NULL), 0);
	}
	op->device.n_members = n;
}

static void expect_same_op(const struct op *a, const struct op *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->relay_id, b->relay_id);
	assert_int_equal(a->device.n_members, b->device.n_members);
	for (unsigned i = 0; i < a->device.n_members; i++)
		assert_string_equal(a->device.members[i].text, b->device.members[i].text);
	assert_string_equal(a->device.bond_name, b->device.bond_name);
	assert_int_equal(a->device.bond_mode, b->device.bond_mode);
	assert_string_equal(a->vhost_path, b->vhost_path);
	assert_int_equal(a->socket_mode, b->socket_mode);
	assert_int_equal(a->conditional, b->conditional);
	assert_string_equal(a->ident, b->ident);
}

static void test_port_control(void **state)
{
	struct test *test = *state;
	struct port_control_service *service;

	assert_int_equal(
		port_control_service_new(&service, &test->fixture.endpoint, apply, test, NULL), 0);
	for (unsigned round = 0; round < 2; round++) {
		test->op = (struct op){.kind = OP_ADD_SOCK,
			.relay_id = -1,
			.socket_mode = SOCKET_MODE_CLIENT,
			.conditional = round == 1};
		fill_members(&test->op, 8, round == 0);
		strcpy(test->op.device.bond_name, "net_bonding7");
		test->op.device.bond_mode = 5;
		strcpy(test->op.vhost_path, "/run/vm.sock");
		strcpy(test->op.ident, "port 1");
		run(test, ask_port_control);
		assert_int_equal(test->r, 0);
		assert_int_equal(test->answer.code, 0);
		expect_same_op(&test->applied, &test->op);
	}

	test->op = (struct op){.kind = OP_QUERY_PCI, .relay_id = -1};
	strcpy(test->op.vhost_path, "/run/vm.sock");
	strcpy(test->result.query, "12345:0A:00.1");
	run(test, ask_port_control);
	assert_string_equal(test->answer.query, "12345:0A:00.1");

	test->op = (struct op){.kind = OP_REMOVE, .relay_id = 3};
	fill_members(&test->op, 1, true);
	test->result = (struct op_result){.code = ENODEV, .err = {"relay 3 has no device"}};
	run(test, ask_port_control);
	assert_int_equal(test->r, 0);
	assert_int_equal(test->answer.code, ENODEV);
	assert_string_equal(test->answer.err.text, "relay 3 has no device");

	/* Requests that the codec refuses never reach the forwarder. */
	test->n_applied = 0;
	test->op.relay_id = 64;
	run(test, ask_port_control);
	assert_int_equal(test->answer.code, EINVAL);
	assert_non_null(strstr(test->answer.err.text, "virtio_id 64"));
	assert_int_equal(test->n_applied, 0);
	port_control_service_free(service);
}

static void test_nobody_there(void **state)
{
	struct test *test = *state;
	uint64_t start_ns = clock_monotonic_ns();

	test->op = (struct op){.kind = OP_QUERY_PCI, .relay_id = -1};
	ask_port_control(test);
	assert_int_equal(test->r, -ETIMEDOUT);
	assert_non_null(strstr(test->err.text, test->fixture.address));
	assert_true(clock_monotonic_ns() - start_ns >= CLIENT_TIMEOUT_MS * UINT64_C(1000000));
}

static void snapshot(void *userdata, struct stats_view *ret_view)
{
	struct test *test = userdata;
	struct relay_stats *ret_relays = ret_view->relays;

	for (unsigned i = 0; i < 2; i++) {
		ret_relays[i] = (struct relay_stats){
			.id = i == 0 ? 5 : 63,
			.active = i == 0,
			.vf_to_vm = {.internal_state = "DPDK_READY", .cpu = 2},
			.vm_to_vf = {.internal_state = "VIRTIO_READY", .cpu = -1},
		};
		strcpy(ret_relays[i].vhost_path, i == 0 ? "/run/a.sock" : "");
		strcpy(ret_relays[i].device, i == 0 ? "net_null0" : "");
	}
	ret_relays[0].vf_to_vm.received = (struct packet_count){test->packets, test->packets * 60};
	ret_relays[0].vf_to_vm.sent = (struct packet_count){1, 60};
	ret_relays[0].vf_to_vm.dropped[DROP_MALFORMED] = (struct packet_count){7, 420};
	ret_relays[0].vm_to_vf.sent = ret_relays[0].vf_to_vm.received;
	test->packets += test->packets_step;
	test->n_snapshots++;
	ret_view->n_relays = 2;
	ret_view->n_workers = 0;
}

static void ask_stats(struct test *test)
{
	test->stats = stats_reply_free(test->stats);
	test->r = client_stats(test->fixture.address, &test->request, &test->stats, &test->err);
}

static void test_stats(void **state)
{
	struct test *test = *state;
	struct stats_service *service;
	double rate;

	assert_int_equal(
		stats_service_new(&service, &test->fixture.endpoint, snapshot, test, NULL), 0);
	test->packets = 1000;
	test->packets_step = 100;
	test->request =
		(struct stats_request){.relays = STATS_RELAYS_ALL, .include_inactive = true};
	run(test, ask_stats);
	assert_int_equal(test->r, 0);
	assert_int_equal(test->stats->n, 2);
	assert_int_equal(test->stats->relays[0].id, 5);
	assert_true(test->stats->relays[0].active);
	assert_string_equal(test->stats->relays[0].vhost_path, "/run/a.sock");
	assert_string_equal(test->stats->relays[0].device, "net_null0");
	assert_string_equal(test->stats->relays[1].vhost_path, "");
	assert_int_equal(test->stats->relays[0].vf_to_vm.cpu, 2);
	assert_int_equal(test->stats->relays[0].vm_to_vf.cpu, -1);
	assert_int_equal(test->stats->relays[0].vf_to_vm.received.packets, 1000);
	assert_int_equal(test->stats->relays[0].vf_to_vm.dropped[DROP_MALFORMED].bytes, 420);
	assert_int_equal(test->stats->relays[0].vf_to_vm.dropped[DROP_QUEUE_FULL].packets, 0);
	assert_true(test->stats->rates[0].vf_to_vm.received_packets == 0.0);

	/* 100 packets in 50 ms or slightly more. */
	test->request = (struct stats_request){.relays = 1 << 5, .delay_ms = 50};
	run(test, ask_stats);
	assert_int_equal(test->stats->n, 1);
	rate = test->stats->rates[0].vf_to_vm.received_packets;
	assert_true(rate > 0 && rate <= 2000);
	assert_true(test->stats->rates[0].vm_to_vf.sent_bytes > 59 * rate);
	assert_true(test->stats->rates[0].vm_to_vf.sent_bytes < 61 * rate);
	assert_true(test->stats->rates[0].vf_to_vm.sent_packets == 0.0);

	/* A counter that goes back belongs to a new relay. */
	test->packets_step = (uint64_t)-10;
	run(test, ask_stats);
	assert_true(test->stats->rates[0].vf_to_vm.received_packets == 0.0);
	stats_service_free(service);
}

/* Returns the number of clients from which an answer was received. */
static unsigned take_answers(void *const *clients, unsigned n)
{
	unsigned n_answered = 0;
	char byte;

	for (unsigned i = 0; i < n; i++)
		n_answered += zmq_recv(clients[i], &byte, 1, ZMQ_DONTWAIT) >= 0;
	return n_answered;
}

/* More delayed requests than may wait: the oldest are answered early, nobody else has to wait. */
static void test_stats_many_delayed(void **state)
{
	struct test *test = *state;
	struct stats_service *service;
	void *clients[STATS_DELAYED_MAX + 3];
	const int no_linger = 0;
	unsigned n_answered = 0;

	assert_int_equal(
		stats_service_new(&service, &test->fixture.endpoint, snapshot, test, NULL), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = zmq_socket(test->fixture.client_ctx, ZMQ_REQ);
		zmq_setsockopt(clients[i], ZMQ_LINGER, &no_linger, sizeof(no_linger));
		zmq_connect(clients[i], test->fixture.address);
		zmq_send(clients[i], "\x18\xff\xff\xff\xff\x0f", 6, 0); /* seven weeks */
	}
	run_until(test->fixture.event,
		(n_answered += take_answers(clients, ARRAY_SIZE(clients))) >= 3);
	assert_int_equal(n_answered, 3);

	test->request = (struct stats_request){.relays = STATS_RELAYS_ALL};
	run(test, ask_stats);
	assert_int_equal(test->r, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(clients); i++)
		zmq_close(clients[i]);
	stats_service_free(service);
}

static void move(void *userdata, const struct core_move *moves, unsigned n)
{
	struct test *test = userdata;

	memcpy(test->moves, moves, n * sizeof(*moves));
	test->n_moves = n;
}

static void worker_cpus(void *userdata, struct cpu_set *ret_cpus)
{
	*ret_cpus = (struct cpu_set){};
	cpu_set_add(ret_cpus, 1);
	cpu_set_add(ret_cpus, 70);
}

static void ask_cpus(struct test *test)
{
	test->r = client_core_sched_cpus(test->fixture.address, &test->cpus, &test->err);
}

static void ask_good_move(struct test *test)
{
	const struct core_move moves[] = {{5, 1, 70}, {6, 70, 70}};

	test->r = client_core_sched_move(test->fixture.address, moves, 2, &test->err);
}

static void ask_bad_move(struct test *test)
{
	const struct core_move moves[] = {{5, 1, 70}, {6, 70, 2}};

	test->r = client_core_sched_move(test->fixture.address, moves, 2, &test->err);
}

static void test_core_sched(void **state)
{
	const struct core_sched_callbacks callbacks = {.move = move, .worker_cpus = worker_cpus};
	struct test *test = *state;
	struct core_sched_service *service;

	assert_int_equal(
		core_sched_service_new(&service, &test->fixture.endpoint, &callbacks, test, NULL),
		0);
	run(test, ask_cpus);
	assert_int_equal(test->r, 0);
	assert_int_equal(cpu_set_count(&test->cpus), 2);
	assert_true(cpu_set_has(&test->cpus, 70));

	run(test, ask_bad_move);
	assert_int_equal(test->r, -EINVAL);
	assert_non_null(strstr(test->err.text, "CPU 2"));
	assert_non_null(strstr(test->err.text, "1,70"));
	assert_int_equal(test->n_moves, 0);

	run(test, ask_good_move);
	assert_int_equal(test->r, 0);
	assert_int_equal(test->n_moves, 2);
	assert_int_equal(test->moves[0].relay_id, 5);
	assert_int_equal(test->moves[0].vm_to_vf_cpu, 70);
	core_sched_service_free(service);
}

static void exchange(struct test *test, void *client, const char *request, size_t request_length,
	const char *expected, size_t expected_length)
{
	char answer[64];
	int length;

	assert_int_equal(zmq_send(client, request, request_length, 0), request_length);
	run_until(test->fixture.event,
		(length = zmq_recv(client, answer, sizeof(answer), ZMQ_DONTWAIT)) >= 0);
	assert_int_equal(length, expected_length);
	assert_memory_equal(answer, expected, expected_length);
}

static bool out_of_memory;

int __real_stats_response_encode(const struct stats_request *request, const struct stats_view *view,
	const struct relay_rates *rates, struct wire_message *ret_message);
int __wrap_stats_response_encode(const struct stats_request *request, const struct stats_view *view,
	const struct relay_rates *rates, struct wire_message *ret_message);

int __wrap_stats_response_encode(const struct stats_request *request, const struct stats_view *view,
	const struct relay_rates *rates, struct wire_message *ret_message)
{
	return out_of_memory ? -ENOMEM
	                     : __real_stats_response_encode(request, view, rates, ret_message);
}

static void test_stats_without_memory(void **state)
{
	struct test *test = *state;
	struct stats_service *service;
	void *client = zmq_socket(test->fixture.client_ctx, ZMQ_REQ);

	assert_int_equal(
		stats_service_new(&service, &test->fixture.endpoint, snapshot, test, NULL), 0);
	assert_int_equal(zmq_connect(client, test->fixture.address), 0);
	out_of_memory = true;
	exchange(test, client, "", 0, "\x08\xf4\x03", 3); /* ENOMEM */
	out_of_memory = false;
	zmq_close(client);
	stats_service_free(service);
}

static void test_config(void **state)
{
	/* status OK, "1.0", "D", "x", relay 63 on CPUs 3 and 4 */
	static const char expected[] = "\x08\x00\x12\x03"
				       "1.0\x1a\x01"
				       "D\x22\x01x\x2a\x06\x08\x3f\x10\x03\x18\x04";
	const struct config_service_versions versions = {
		.daemon = "1.0", .dpdk = "D", .features = (const char *const[]){"x", NULL}};
	struct config_pin pins[RELAYS_MAX] = {
		[63] = {.set = true, .vf_to_vm_cpu = 3, .vm_to_vf_cpu = 4}};
	struct test *test = *state;
	struct config_service *service;
	void *client = zmq_socket(test->fixture.client_ctx, ZMQ_REQ);

	assert_int_equal(
		config_service_new(&service, &test->fixture.endpoint, pins, &versions, NULL), 0);
	assert_int_equal(zmq_connect(client, test->fixture.address), 0);
	exchange(test, client, "", 0, expected, sizeof(expected) - 1);
	exchange(test, client, "\xff", 1, "\x08\x90\x03", 3); /* EBADR */
	zmq_close(client);
	config_service_free(service);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_port_control),
		TEST(test_nobody_there),
		TEST(test_stats),
		TEST(test_stats_many_delayed),
		TEST(test_stats_without_memory),
		TEST(test_core_sched),
		TEST(test_config),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
