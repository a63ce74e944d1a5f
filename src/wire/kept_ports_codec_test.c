/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/kept_ports_codec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "virtioforwarder.pb-c.h"

static struct op ops[RELAYS_MAX], read_ops[RELAYS_MAX];

static struct device_id device(const char *text)
{
	struct device_id id;

	assert_int_equal(device_id_parse(text, &id, NULL), 0);
	return id;
}

/* One of each kind. Returns their number. */
static unsigned fill_ops(void)
{
	static const uint8_t mac[] = {2, 0, 0, 0, 0, 9};

	memset(ops, 0, sizeof(ops));
	ops[0] = (struct op){.kind = OP_ADD, .relay_id = 0, .conditional = true, .ident = "port 1"};
	ops[0].device.n_members = 1;
	ops[0].device.members[0] = device("0000:05:08.1");
	ops[0].device.bond_mode = 1;
	ops[1] = (struct op){.kind = OP_ADD, .relay_id = 63, .conditional = true};
	ops[1].device.n_members = 2;
	ops[1].device.members[0] = device("net_null0,size=64");
	ops[1].device.members[1] = device("0000:05:08.2");
	ops[1].device.bond_mode = 4;
	strcpy(ops[1].device.bond_name, "net_bonding7");
	memcpy(ops[1].device.bond_mac, mac, sizeof(mac));
	ops[2] = ops[1];
	ops[2].kind = OP_ADD_SOCK;
	ops[2].relay_id = 5;
	ops[2].socket_mode = SOCKET_MODE_CLIENT;
	strcpy(ops[2].vhost_path, "/run/vm/sock");
	return 3;
}

static void a_list_is_read_as_it_was_written(void **state)
{
	struct wire_message list;
	const unsigned n = fill_ops();
	unsigned n_refused;
	struct err err = {""};

	assert_int_equal(kept_ports_encode(ops, n, &list), 0);
	assert_int_equal(kept_ports_decode(list.data, list.length, read_ops, &n_refused, &err), n);
	assert_int_equal(n_refused, 0);
	for (unsigned i = 0; i < n; i++)
		assert_memory_equal(&read_ops[i], &ops[i], sizeof(ops[i]));
	free(list.data);
}

static void a_list_that_was_cut_is_refused(void **state)
{
	struct wire_message list;
	const unsigned n = fill_ops();

	assert_int_equal(kept_ports_encode(ops, n, &list), 0);
	for (size_t length = 0; length < list.length; length++) {
		unsigned n_refused;
		struct err err = {""};
		assert_true(kept_ports_decode(list.data, length, read_ops, &n_refused, &err) < 0);
		assert_true(err.text[0] != '\0');
	}
	free(list.data);
}

static void the_longest_list_is_not_too_long(void **state)
{
	struct wire_message list;
	unsigned n_refused;
	struct err err;

	memset(ops, 0, sizeof(ops));
	for (unsigned i = 0; i < RELAYS_MAX; i++) {
		struct op *op = &ops[i];
		op->kind = OP_ADD_SOCK;
		op->relay_id = (int)i;
		op->vhost_path[0] = '/';
		memset(op->vhost_path + 1, 'x', sizeof(op->vhost_path) - 2);
		memset(op->ident, 'x', sizeof(op->ident) - 1);
		op->device.n_members = BOND_MEMBERS_MAX;
		strcpy(op->device.bond_name, "net_bonding");
		memset(op->device.bond_name + 11, 'x', sizeof(op->device.bond_name) - 12);
		for (unsigned k = 0; k < BOND_MEMBERS_MAX; k++) {
			char text[DEVICE_TEXT_SIZE] = "net_null0,args=";
			text[8] = (char)('0' + k);
			memset(text + 15, 'x', sizeof(text) - 16);
			op->device.members[k] = device(text);
		}
	}
	assert_int_equal(kept_ports_encode(ops, RELAYS_MAX, &list), 0);
	assert_true(list.length <= KEPT_PORTS_BYTES_MAX);
	assert_int_equal(
		kept_ports_decode(list.data, list.length, read_ops, &n_refused, &err), RELAYS_MAX);
	assert_int_equal(n_refused, 0);
	free(list.data);
}

/*
 * Writes a list whose first request is spoilt by `spoil`; it must be refused with this reason, and
 * the other be read.
 */
static void refused(void (*spoil)(Virtioforwarder__KeptPorts *list), const char *reason)
{
	struct wire_message list, spoilt;
	unsigned n_refused;
	struct err err = {""};

	fill_ops();
	assert_int_equal(kept_ports_encode(ops + 1, 2, &list), 0);
	Virtioforwarder__KeptPorts *wire =
		virtioforwarder__kept_ports__unpack(NULL, list.length, list.data);
	assert_non_null(wire);
	spoil(wire);
	assert_int_equal(wire_message_pack(&wire->base, &spoilt), 0);
	assert_int_equal(
		kept_ports_decode(spoilt.data, spoilt.length, read_ops, &n_refused, &err), 1);
	assert_int_equal(n_refused, 1);
	assert_memory_equal(&read_ops[0], &ops[2], sizeof(ops[2]));
	if (strstr(err.text, reason) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", err.text, reason);
	virtioforwarder__kept_ports__free_unpacked(wire, NULL);
	free(spoilt.data);
	free(list.data);
}

static void spoil_op(Virtioforwarder__KeptPorts *list)
{
	list->port[0]->add->op = VIRTIOFORWARDER__PORT_CONTROL_REQUEST__OP__REMOVE;
}

static void spoil_relay(Virtioforwarder__KeptPorts *list)
{
	list->port[0]->add->op = VIRTIOFORWARDER__PORT_CONTROL_REQUEST__OP__ADD_SOCK;
	list->port[0]->add->vhost_path = strdup("/x");
	list->port[0]->add->has_virtio_id = false;
}

static void spoil_mac(Virtioforwarder__KeptPorts *list)
{
	list->port[0]->bond_mac.len--;
}

static void spoil_mode(Virtioforwarder__KeptPorts *list)
{
	list->port[0]->add->mode = 7;
}

static void a_list_that_lacks_a_port_is_refused(void **state)
{
	Virtioforwarder__KeptPorts wire = VIRTIOFORWARDER__KEPT_PORTS__INIT;
	struct wire_message list;
	unsigned n_refused;
	struct err err = {""};

	wire.count = 1;
	assert_int_equal(wire_message_pack(&wire.base, &list), 0);
	assert_true(kept_ports_decode(list.data, list.length, read_ops, &n_refused, &err) < 0);
	assert_string_equal(err.text, "it has 0 ports, not the 1 that it says");
	free(list.data);
}

static void what_makes_no_sense_is_refused(void **state)
{
	refused(spoil_op, "adds nothing");
	refused(spoil_relay, "no relay");
	refused(spoil_mac, "5 bytes");
	refused(spoil_mode, "mode 7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_is_read_as_it_was_written),
		cmocka_unit_test(a_list_that_was_cut_is_refused),
		cmocka_unit_test(a_list_that_lacks_a_port_is_refused),
		cmocka_unit_test(the_longest_list_is_not_too_long),
		cmocka_unit_test(what_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
