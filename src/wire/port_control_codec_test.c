/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/port_control_codec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "virtioforwarder.pb-c.h"

typedef Virtioforwarder__PortControlRequest Request;
typedef Virtioforwarder__PortControlRequest__PciAddress PciAddress;
typedef Virtioforwarder__PortControlResponse Response;

enum {
	ADD = VIRTIOFORWARDER__PORT_CONTROL_REQUEST__OP__ADD,
	REMOVE = VIRTIOFORWARDER__PORT_CONTROL_REQUEST__OP__REMOVE,
	ADD_SOCK = VIRTIOFORWARDER__PORT_CONTROL_REQUEST__OP__ADD_SOCK,
	REMOVE_SOCK = VIRTIOFORWARDER__PORT_CONTROL_REQUEST__OP__REMOVE_SOCK,
	QUERY_PCI = VIRTIOFORWARDER__PORT_CONTROL_REQUEST__OP__QUERY_PCI,
};

/*
 * A request as a table can describe it. Absent are numbers that are not SET and texts that are
 * NULL.
 */
struct number {
	bool set;
	uint32_t value;
};
#define SET(value)          \
	{                   \
		true, value \
	}

struct sketch {
	int op;
	unsigned n_pci; /* 0000:00:01.0, 0000:00:02.0, ... */
	unsigned n_device;
	const char *device[9];
	struct number relay;
	struct number mode;
	struct number socket_mode;
	const char *name;
	const char *path;
	const char *ident;
	struct number bus, slot, function; /* of the first address, if SET */
	const char *reason;                /* must be in the error */
};

static int decode(const struct sketch *sketch, struct op *ret_op, struct err *err)
{
	Request request = VIRTIOFORWARDER__PORT_CONTROL_REQUEST__INIT;
	PciAddress addresses[16];
	PciAddress *list[16];
	uint8_t bytes[4096];

	for (unsigned i = 0; i < sketch->n_pci; i++) {
		virtioforwarder__port_control_request__pci_address__init(&addresses[i]);
		addresses[i].slot = i + 1;
		list[i] = &addresses[i];
	}
	if (sketch->bus.set)
		addresses[0].bus = sketch->bus.value;
	if (sketch->slot.set)
		addresses[0].slot = sketch->slot.value;
	if (sketch->function.set)
		addresses[0].function = sketch->function.value;
	request.op = (Virtioforwarder__PortControlRequest__Op)sketch->op;
	request.pci_addrs = list;
	request.n_pci_addrs = sketch->n_pci;
	request.device = (char **)sketch->device;
	request.n_device = sketch->n_device;
	request.has_virtio_id = sketch->relay.set;
	request.virtio_id = sketch->relay.value;
	request.has_mode = sketch->mode.set;
	request.mode = sketch->mode.value;
	request.has_socket_mode = sketch->socket_mode.set;
	request.socket_mode =
		(Virtioforwarder__PortControlRequest__SocketMode)sketch->socket_mode.value;
	request.name = (char *)sketch->name;
	request.vhost_path = (char *)sketch->path;
	request.ident = (char *)sketch->ident;
	assert_true(
		virtioforwarder__port_control_request__get_packed_size(&request) < sizeof(bytes));
	return port_control_request_decode(
		bytes, virtioforwarder__port_control_request__pack(&request, bytes), ret_op, err);
}

static void test_add(void **state)
{
	struct op op;
	struct err err = {};

	assert_int_equal(decode(&(struct sketch){.op = ADD,
					.n_pci = 1,
					.relay = SET(63),
					.bus = SET(0xff),
					.slot = SET(0x1f),
					.function = SET(7),
					.ident = "port-1"},
				 &op, &err),
		0);
	assert_int_equal(op.kind, OP_ADD);
	assert_int_equal(op.relay_id, 63);
	assert_int_equal(op.device.n_members, 1);
	assert_string_equal(op.device.members[0].text, "0000:ff:1f.7");
	assert_string_equal(op.device.bond_name, "");
	assert_string_equal(op.vhost_path, "");
	assert_string_equal(op.ident, "port-1");
	assert_int_equal(op.socket_mode, SOCKET_MODE_DEFAULT);
	assert_true(op.conditional); /* the default */
}

static void test_bond(void **state)
{
	struct op op;

	assert_int_equal(
		decode(
			&(struct sketch){
				.op = ADD, .n_pci = 8, .relay = SET(0), .name = "net_bonding0"},
			&op, NULL),
		0);
	assert_int_equal(op.device.n_members, 8);
	assert_string_equal(op.device.members[7].text, "0000:00:08.0");
	assert_string_equal(op.device.bond_name, "net_bonding0");
	assert_int_equal(op.device.bond_mode, 1);

	assert_int_equal(decode(&(struct sketch){.op = ADD_SOCK,
					.n_device = 2,
					.device = {"net_tap0,iface=a", "05:08.1"},
					.name = "net_bondingX",
					.mode = SET(6),
					.path = "/s",
					.socket_mode = SET(1)},
				 &op, NULL),
		0);
	assert_string_equal(op.device.members[0].text, "net_tap0,iface=a");
	assert_true(op.device.members[1].is_pci);
	assert_int_equal(op.device.bond_mode, 6);
	assert_int_equal(op.socket_mode, SOCKET_MODE_CLIENT);
	assert_int_equal(op.relay_id, -1);

	assert_int_equal(decode(&(struct sketch){.op = REMOVE,
					.relay = SET(3),
					.name = "net_bonding0",
					.mode = SET(0)},
				 &op, NULL),
		0);
	assert_int_equal(op.device.n_members, 0);
	assert_string_equal(op.device.bond_name, "net_bonding0");
}

static void test_sockets(void **state)
{
	struct op op;

	assert_int_equal(
		decode(&(struct sketch){.op = REMOVE_SOCK, .path = "/run/a.sock"}, &op, NULL), 0);
	assert_string_equal(op.vhost_path, "/run/a.sock");
	assert_int_equal(decode(&(struct sketch){.op = REMOVE_SOCK, .n_pci = 1}, &op, NULL), 0);
	assert_int_equal(
		decode(&(struct sketch){.op = REMOVE_SOCK, .name = "net_bonding1"}, &op, NULL), 0);
	assert_int_equal(decode(&(struct sketch){.op = QUERY_PCI, .path = "/a"}, &op, NULL), 0);
	assert_int_equal(op.kind, OP_QUERY_PCI);
	assert_int_equal(
		decode(
			&(struct sketch){
				.op = ADD_SOCK, .n_pci = 1, .path = "/a", .socket_mode = SET(0)},
			&op, NULL),
		0);
	assert_int_equal(op.socket_mode, SOCKET_MODE_SERVER);
}

/* Callers fill optional fields from defaults: what an operation does not use changes nothing. */
static void test_surplus_fields(void **state)
{
	static const struct sketch plain[] = {
		{.op = ADD, .n_pci = 1, .relay = SET(1)},
		{.op = REMOVE, .n_pci = 1, .relay = SET(1)},
		{.op = REMOVE, .relay = SET(1), .name = "net_bonding0"},
		{.op = ADD_SOCK, .n_pci = 1, .path = "/a"},
		{.op = REMOVE_SOCK, .n_pci = 1},
		{.op = REMOVE_SOCK, .path = "/a"},
		{.op = QUERY_PCI, .path = "/a"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		struct sketch empty = plain[i], full = plain[i];
		bool takes_socket_mode = plain[i].op == ADD_SOCK;
		bool takes_ident = plain[i].op == ADD || plain[i].op == ADD_SOCK;
		bool takes_path = plain[i].op != ADD && plain[i].op != REMOVE;
		struct op expected, op;

		memset(&expected, 0, sizeof(expected));
		memset(&op, 0, sizeof(op));
		assert_int_equal(decode(&plain[i], &expected, NULL), 0);
		empty.name = empty.name ? empty.name : "";
		empty.path = empty.path ? empty.path : "";
		empty.ident = "";
		assert_int_equal(decode(&empty, &op, NULL), 0);
		assert_memory_equal(&op, &expected, sizeof(op));

		full.relay = full.relay.set ? full.relay : (struct number)SET(0);
		full.mode = full.name ? full.mode : (struct number)SET(0);
		full.socket_mode = takes_socket_mode ? full.socket_mode : (struct number)SET(1);
		full.ident = takes_ident ? full.ident : "x";
		full.path = takes_path ? full.path : "/b";
		if (full.op == QUERY_PCI) {
			full.n_pci = 1;
			full.name = "net_bonding0";
		}
		assert_int_equal(decode(&full, &op, NULL), 0);
		assert_memory_equal(&op, &expected, sizeof(op));
	}
}

/* 108 and 128 bytes: one too many for a socket path and for an ident. */
#define TEN "/123456789"
#define PATH_108 TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "/1234567"
#define IDENT_128 PATH_108 TEN TEN

static const struct sketch breaches[] = {
	{.op = 5, .reason = "operation 5"},
	{.op = -1, .reason = "operation -1"},
	{.op = ADD, .n_pci = 1, .reason = "virtio_id"},
	{.op = ADD, .n_pci = 1, .relay = SET(64), .reason = "virtio_id 64"},
	{.op = ADD, .n_pci = 1, .relay = SET(UINT32_MAX), .reason = "0-63"},
	{.op = ADD, .relay = SET(1), .reason = "device"},
	{.op = ADD, .n_pci = 1, .relay = SET(1), .bus = SET(256), .reason = "bus 0x100"},
	{.op = ADD, .n_pci = 1, .relay = SET(1), .slot = SET(32), .reason = "slot 0x20"},
	{.op = ADD, .n_pci = 1, .relay = SET(1), .function = SET(8), .reason = "function 8"},
	{.op = ADD, .n_pci = 1, .relay = SET(1), .bus = SET(UINT32_MAX), .reason = "bus"},
	{.op = ADD, .n_pci = 2, .relay = SET(1), .reason = "name"},
	{.op = ADD, .n_pci = 9, .relay = SET(1), .name = "net_bonding0", .reason = "at most 8"},
	{.op = ADD, .n_pci = 1, .relay = SET(1), .name = "net_bonding0", .reason = "one device"},
	{.op = ADD, .relay = SET(1), .name = "net_bonding0", .reason = "devices of bond"},
	{.op = ADD, .n_pci = 2, .relay = SET(1), .name = "bond0", .reason = "starts with"},
	{.op = ADD, .n_pci = 2, .relay = SET(1), .name = "", .reason = "no name"},
	{.op = ADD,
		.n_pci = 2,
		.relay = SET(1),
		.name = "net_bonding0,mode=1",
		.reason = "letters"},
	{.op = ADD, .n_pci = 2, .relay = SET(1), .name = "net_bonding\n", .reason = "control"},
	{.op = ADD,
		.n_pci = 2,
		.relay = SET(1),
		.name = "net_bonding" TEN TEN TEN TEN TEN TEN,
		.reason = "longer than 63"},
	{.op = ADD,
		.n_pci = 2,
		.relay = SET(1),
		.name = "net_bonding0",
		.mode = SET(7),
		.reason = "mode 7"},
	{.op = ADD, .n_pci = 1, .relay = SET(1), .mode = SET(7), .reason = "mode 7"},
	{.op = ADD,
		.n_pci = 2,
		.relay = SET(1),
		.slot = SET(2),
		.name = "net_bonding0",
		.reason = "given twice"},
	{.op = ADD,
		.n_pci = 1,
		.relay = SET(1),
		.n_device = 1,
		.device = {"net_null0"},
		.reason = "both given"},
	{.op = ADD, .relay = SET(1), .n_device = 1, .device = {""}, .reason = "device is empty"},
	{.op = ADD, .relay = SET(1), .n_device = 1, .device = {"eth0"}, .reason = "eth0"},
	{.op = ADD, .relay = SET(1), .n_device = 1, .device = {"net_null0\t"}, .reason = "control"},
	{.op = ADD, .relay = SET(1), .n_device = 1, .device = {"net_bonding0"}, .reason = "bond"},
	{.op = ADD, .n_pci = 1, .relay = SET(1), .ident = "a\x01", .reason = "ident"},
	{.op = ADD, .n_pci = 1, .relay = SET(1), .ident = IDENT_128, .reason = "longer than 127"},
	{.op = REMOVE, .n_pci = 1, .reason = "virtio_id"},
	{.op = REMOVE, .relay = SET(1), .reason = "device"},
	{.op = ADD_SOCK, .n_pci = 1, .reason = "vhost_path"},
	{.op = ADD_SOCK, .path = "/a", .reason = "device"},
	{.op = ADD_SOCK, .n_pci = 1, .path = "", .reason = "needs vhost_path"},
	{.op = ADD_SOCK, .n_pci = 1, .path = "/a", .relay = SET(64), .reason = "virtio_id 64"},
	{.op = ADD_SOCK, .n_pci = 1, .path = "a.sock", .reason = "not absolute"},
	{.op = ADD_SOCK, .n_pci = 1, .path = "/a\n", .reason = "control"},
	{.op = ADD_SOCK, .n_pci = 1, .path = "/\xff", .reason = "UTF-8"},
	{.op = ADD_SOCK, .n_pci = 1, .path = PATH_108, .reason = "longer than 107"},
	{.op = ADD_SOCK,
		.n_pci = 1,
		.path = "/a",
		.socket_mode = SET(2),
		.reason = "socket_mode 2"},
	{.op = REMOVE_SOCK, .reason = "vhost_path or a device"},
	{.op = REMOVE_SOCK, .path = "", .name = "", .reason = "vhost_path or a device"},
	{.op = QUERY_PCI, .reason = "vhost_path"},
	{.op = QUERY_PCI, .path = "", .n_pci = 1, .reason = "vhost_path"},
};

static void test_breaches(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(breaches); i++) {
		struct op op, untouched;
		struct err err = {};

		memset(&op, 0x5a, sizeof(op));
		untouched = op;
		assert_true(decode(&breaches[i], &op, &err) < 0);
		if (!strstr(err.text, breaches[i].reason))
			fail_msg("breach %zu: '%s' does not mention '%s'", i, err.text,
				breaches[i].reason);
		assert_memory_equal(&op, &untouched, sizeof(op));
	}
}

static void test_edges_of_length(void **state)
{
	struct op op;

	assert_int_equal(decode(&(struct sketch){.op = QUERY_PCI, .path = &PATH_108[1]}, &op, NULL),
		-EINVAL); /* 107 bytes, but not absolute */
	assert_int_equal(decode(&(struct sketch){.op = QUERY_PCI,
					.path = TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "/123456"},
				 &op, NULL),
		0);
	assert_int_equal(strlen(op.vhost_path), SOCKET_PATH_SIZE - 1);
}

static void test_bytes(void **state)
{
	/* Written by hand: ADD 000a:05:08.1 to relay 5, conditional = false. */
	static const char add[] =
		"\x08\x00\x12\x08\x08\x0a\x10\x05\x18\x08\x20\x01\x18\x05\x20\x00";
	/* QUERY_PCI of "/a\0b" */
	static const char nul[] = "\x08\x04\x3a\x04/a\0b";
	struct err err = {};
	struct op op;

	assert_int_equal(port_control_request_decode(add, sizeof(add) - 1, &op, &err), 0);
	assert_int_equal(op.kind, OP_ADD);
	assert_string_equal(op.device.members[0].text, "000a:05:08.1");
	assert_int_equal(op.relay_id, 5);
	assert_false(op.conditional);

	assert_int_equal(port_control_request_decode(nul, sizeof(nul) - 1, &op, &err), -EINVAL);
	assert_non_null(strstr(err.text, "NUL"));

	/*
	 * Cut anywhere except right before `conditional`, it is garbage or an incomplete request.
	 */
	for (size_t cut = 0; cut < sizeof(add) - 1; cut += cut == 13 ? 2 : 1)
		assert_true(port_control_request_decode(add, cut, &op, &err) < 0);
	assert_int_equal(port_control_request_decode("", 0, &op, &err), -EBADMSG);
	assert_int_equal(port_control_request_decode("\xff\xff\xff", 3, &op, &err), -EBADMSG);
}

static Response *encode(const struct op_result *result)
{
	struct wire_message message;
	Response *response;

	assert_int_equal(port_control_response_encode(result, &message), 0);
	response =
		virtioforwarder__port_control_response__unpack(NULL, message.length, message.data);
	assert_non_null(response);
	free(message.data);
	return response;
}

static void test_response(void **state)
{
	struct op_result result = {.query = "0000:05:08.1"};
	Response *response = encode(&result);

	assert_int_equal(response->status, VIRTIOFORWARDER__PORT_CONTROL_RESPONSE__STATUS__OK);
	assert_false(response->has_error_code);
	assert_null(response->error_code_source);
	assert_string_equal(response->query_string, "0000:05:08.1");
	virtioforwarder__port_control_response__free_unpacked(response, NULL);

	result = (struct op_result){.code = ENOENT, .err = {"no such \xff thing"}};
	response = encode(&result);
	assert_int_equal(response->status, VIRTIOFORWARDER__PORT_CONTROL_RESPONSE__STATUS__ERROR);
	assert_int_equal(response->error_code, ENOENT);
	assert_string_equal(response->error_code_source, "no such ? thing");
	assert_null(response->query_string);
	virtioforwarder__port_control_response__free_unpacked(response, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_bond),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_surplus_fields),
		cmocka_unit_test(test_breaches),
		cmocka_unit_test(test_edges_of_length),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_response),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
