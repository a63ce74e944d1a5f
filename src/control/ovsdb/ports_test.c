/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "control/ovsdb/ports.h"
#include "host/former_names.h"
#include "host/sysfs_fixture.h"

struct bed {
	struct fake_sysfs fs;
	struct rows rows;
	struct port have[RELAYS_MAX];
	char log[1024]; /* the steps, as text */
};

static int make_bed(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	fake_sysfs_init(&bed->fs);
	fake_sysfs_pci(&bed->fs, "0000:05:00.0", "nfp", 1);
	fake_sysfs_netdev(&bed->fs, "p0", "0000:05:00.0", "aa", "p0");
	for (int i = 0; i < 4; i++) {
		char addr[32], name[16], port[16];

		snprintf(addr, sizeof(addr), "0000:05:08.%d", i);
		snprintf(name, sizeof(name), "eth%d", i);
		snprintf(port, sizeof(port), "pf0vf%d", i);
		fake_sysfs_pci(&bed->fs, addr, "vfio-pci", 2 + i);
		fake_sysfs_vf(&bed->fs, "0000:05:00.0", addr, i);
		fake_sysfs_netdev(&bed->fs, name, NULL, "aa", port);
	}
	*state = bed;
	return 0;
}

static int remove_bed(void **state)
{
	struct bed *bed = *state;

	rows_fini(&bed->rows);
	fake_sysfs_fini(&bed->fs);
	free(bed);
	return 0;
}

/* Parses an update, in which ' stands for ". */
static json_t *parse(const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	json_error_t error;
	json_t *update;

	for (char *c = copy; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	update = json_loads(copy, 0, &error);
	if (!update)
		fail_msg("%s: %s", text, error.text);
	return update;
}

static void take(struct bed *bed, bool initial, const char *text)
{
	json_t *update = parse(text);
	struct err err = {""};

	if (rows_take(&bed->rows, update, initial, &err) < 0)
		fail_msg("%s", err.text);
	json_decref(update);
}

/* A row as the server sends it; `ids` are the pairs of external_ids. */
#define ROW(uuid, name, ids) \
	"'" uuid "':{'new':{'name':'" name "','external_ids':['map',[" ids "]]}}"
#define MARK "['virtio_forwarder','1']"
#define INTERFACES(rows) "{'Interface':{" rows "}}"

/* Takes the steps to what the rows ask for; all succeed, and bed->log lists them. */
static void follow(struct bed *bed, bool look_again)
{
	struct port_step steps[PORT_STEPS_MAX];
	struct port want[RELAYS_MAX];
	struct op op;
	unsigned n;

	bed->log[0] = '\0';
	ports_from_rows(&bed->rows, bed->have, bed->fs.root, look_again, want);
	n = ports_diff(bed->have, want, 0, steps);
	for (unsigned i = 0; i < n; i++) {
		struct port *have = &bed->have[steps[i].relay_id], *to = &want[steps[i].relay_id];
		size_t length = strlen(bed->log);

		port_step_op(&steps[i], steps[i].add ? to : have, &op);
		/* what somebody else has given the relay is not taken over */
		assert_int_equal(op.conditional, op.kind == OP_REMOVE || have->set);
		assert_int_equal(op.device.n_members, 1);
		snprintf(bed->log + length, sizeof(bed->log) - length, "%s %d %s%s%s;",
			op.kind == OP_ADD ? "add" : "remove", op.relay_id,
			op.device.members[0].text, op.ident[0] ? " " : "", op.ident);
		*have = steps[i].add ? *to : (struct port){0};
	}
}

static const struct row *row_of(const struct bed *bed, const char *name)
{
	for (unsigned i = 0; i < bed->rows.n; i++)
		if (!strcmp(bed->rows.rows[i].name, name))
			return &bed->rows.rows[i];
	fail_msg("no row %s", name);
	return NULL;
}

static void expect_problem(const struct bed *bed, const char *name, const char *part, bool retry)
{
	const struct row *row = row_of(bed, name);

	if (!strstr(row->problem.text, part))
		fail_msg("%s: \"%s\" does not say \"%s\"", name, row->problem.text, part);
	assert_int_equal(row->retry, retry);
}

static void rows_come_change_and_go(void **state)
{
	struct bed *bed = *state;

	take(bed, true,
		INTERFACES(
			ROW("u1", "eth1", MARK ",['iface-id','port-1']") "," ROW("u2", "br0", "")));
	follow(bed, false);
	assert_string_equal(bed->log, "add 1 0000:05:08.1 port-1;");
	follow(bed, true);
	assert_string_equal(bed->log, "");

	take(bed, false, INTERFACES(ROW("u3", "eth3", "['x','y'],['virtio_relay','']")));
	follow(bed, false);
	assert_string_equal(bed->log, "add 3 0000:05:08.3;");
	/* the key is removed, an ident changes */
	take(bed, false,
		INTERFACES(ROW("u3", "eth3", "['x','y']") "," ROW(
			"u1", "eth1", MARK ",['iface-id','other']")));
	follow(bed, false);
	assert_string_equal(bed->log, "remove 3 0000:05:08.3;add 1 0000:05:08.1 other;");
	/* the ident is removed */
	take(bed, false, INTERFACES(ROW("u1", "eth1", MARK)));
	follow(bed, false);
	assert_string_equal(bed->log, "add 1 0000:05:08.1;");
	/* the key is added, in one update with the deletion of a row, whose key does not matter */
	take(bed, false,
		INTERFACES(
			ROW("u3", "eth3", MARK) ",'u1':{'old':{'name':'eth1'}},'u2':{'old':{}}"));
	follow(bed, false);
	assert_string_equal(bed->log, "remove 1 0000:05:08.1;add 3 0000:05:08.3;");
	take(bed, false, "{}");
	take(bed, true, "{}");
	follow(bed, false);
	assert_string_equal(bed->log, "remove 3 0000:05:08.3;");
}

static void a_new_initial_state_is_compared(void **state)
{
	struct bed *bed = *state;

	take(bed, true, INTERFACES(ROW("u0", "eth0", MARK) "," ROW("u1", "eth1", MARK)));
	follow(bed, false);
	take(bed, true, INTERFACES(ROW("v1", "eth1", MARK) "," ROW("v2", "eth2", MARK)));
	follow(bed, false);
	assert_string_equal(bed->log, "remove 0 0000:05:08.0;add 2 0000:05:08.2;");
}

static void ids_and_devices_may_be_named(void **state)
{
	struct bed *bed = *state;

	take(bed, true,
		INTERFACES(ROW("u1", "eth1", MARK ",['virtio_forwarder_id','63']") "," ROW("u2",
			"any-name-at-all",
			MARK ",['virtio_forwarder_id','0'],['virtio_forwarder_device','net_null0,"
			     "size=64']") "," ROW("u3", "tap7",
			MARK ",['virtio_forwarder_device','05:08.2']")));
	follow(bed, false);
	assert_string_equal(
		bed->log, "add 0 net_null0,size=64;add 2 0000:05:08.2;add 63 0000:05:08.1;");
	/* another relay for the device: removed first */
	take(bed, false, INTERFACES(ROW("u1", "eth1", MARK ",['virtio_forwarder_id','1']")));
	follow(bed, false);
	assert_string_equal(bed->log, "remove 63 0000:05:08.1;add 1 0000:05:08.1;");
	/* another device for the relay */
	take(bed, false,
		INTERFACES(ROW("u2", "x",
			MARK
			",['virtio_forwarder_id','0'],['virtio_forwarder_device','net_null1']")));
	follow(bed, false);
	assert_string_equal(bed->log, "remove 0 net_null0,size=64;add 0 net_null1;");
}

static void bad_rows_harm_no_others(void **state)
{
	struct bed *bed = *state;

	take(bed, true,
		INTERFACES(ROW("u1", "eth1", MARK) "," ROW(
			"b1", "eth2", MARK ",['virtio_forwarder_id','64']") "," ROW("b2", "eth3",
			MARK ",['virtio_forwarder_id','-1']") "," ROW("b3", "b3",
			MARK ",['virtio_forwarder_id','3x']") "," ROW("b4", "b4",
			MARK ",['virtio_forwarder_id','3'],['virtio_forwarder_device','rm "
			     "-rf']") "," ROW("b5", "b5",
			MARK ",['virtio_forwarder_device','net_null0']") "," ROW("b6", "b6",
			MARK ",['virtio_forwarder_device','05:00.0']") "," ROW("b7", "p0",
			MARK) "," ROW("b8", "../../etc", MARK)));
	follow(bed, false);
	assert_string_equal(bed->log, "add 1 0000:05:08.1;");
	expect_problem(bed, "eth1", "", false);
	assert_string_equal(row_of(bed, "eth1")->problem.text, "");
	expect_problem(bed, "eth2", "\"64\"", false);
	expect_problem(bed, "eth3", "\"-1\"", false);
	expect_problem(bed, "b3", "there is no interface b3", true);
	expect_problem(bed, "b4", "virtio_forwarder_device", false);
	expect_problem(bed, "b5", "virtio_forwarder_id", false);
	expect_problem(bed, "b6", "0000:05:00.0 is no VF", false);
	expect_problem(bed, "p0", "neither", false);
	expect_problem(bed, "../../etc", "no interface's name", false);
}

static void numbers_of_vfs_end_where_relays_do(void **state)
{
	struct bed *bed = *state;

	fake_sysfs_pci(&bed->fs, "0000:05:10.0", "vfio-pci", 63);
	fake_sysfs_vf(&bed->fs, "0000:05:00.0", "0000:05:10.0", RELAYS_MAX - 1);
	fake_sysfs_pci(&bed->fs, "0000:05:10.1", "vfio-pci", 64);
	fake_sysfs_vf(&bed->fs, "0000:05:00.0", "0000:05:10.1", RELAYS_MAX);
	take(bed, true,
		INTERFACES(ROW("u1", "l1", MARK ",['virtio_forwarder_device','05:10.0']") "," ROW(
			"u2", "l2", MARK ",['virtio_forwarder_device','05:10.1']")));
	follow(bed, false);
	assert_string_equal(bed->log, "add 63 0000:05:10.0;");
	expect_problem(bed, "l2", "it is VF 64, and relays end at 63", false);
}

static void who_has_a_relay_keeps_it(void **state)
{
	struct bed *bed = *state;

	/* at first by name, in whatever order they come */
	take(bed, true,
		INTERFACES(ROW("u2", "eth2", MARK ",['virtio_forwarder_id','1']") "," ROW(
			"u1", "eth1", MARK)));
	follow(bed, false);
	assert_string_equal(bed->log, "add 1 0000:05:08.1;");
	expect_problem(bed, "eth2", "relay 1 is claimed by interface eth1", false);
	/* eth0 would come first by name */
	take(bed, false, INTERFACES(ROW("u0", "eth0", MARK ",['virtio_forwarder_id','1']")));
	follow(bed, false);
	assert_string_equal(bed->log, "");
	expect_problem(bed, "eth0", "relay 1 is claimed by interface eth1", false);
	/* a device can be in one relay only */
	take(bed, false,
		INTERFACES(ROW("u3", "a",
			MARK
			",['virtio_forwarder_id','9'],['virtio_forwarder_device','05:08.1']")));
	follow(bed, false);
	assert_string_equal(bed->log, "");
	expect_problem(bed, "a", "device 0000:05:08.1 is claimed by interface eth1", false);
	/* its owner gives it up: the next by name gets it */
	take(bed, false, INTERFACES("'u1':{'old':{}},'u3':{'old':{}}"));
	follow(bed, false);
	assert_string_equal(bed->log, "remove 1 0000:05:08.1;add 1 0000:05:08.0;");
	expect_problem(bed, "eth2", "eth0", false);
}

/* A row that has a relay and asks for what another row has does not get it, whatever its name. */
static void who_has_a_relay_takes_no_other(void **state)
{
	struct bed *bed = *state;

	take(bed, true, INTERFACES(ROW("u0", "eth0", MARK) "," ROW("u1", "eth1", MARK)));
	follow(bed, false);
	take(bed, false, INTERFACES(ROW("u0", "eth0", MARK ",['virtio_forwarder_id','1']")));
	follow(bed, false);
	assert_string_equal(bed->log, "remove 0 0000:05:08.0;");
	expect_problem(bed, "eth0", "relay 1 is claimed by interface eth1", false);
	take(bed, false, INTERFACES(ROW("u0", "eth0", MARK)));
	follow(bed, false);
	assert_string_equal(bed->log, "add 0 0000:05:08.0;");

	take(bed, false,
		INTERFACES(ROW("u0", "eth0", MARK ",['virtio_forwarder_device','05:08.1']")));
	follow(bed, false);
	assert_string_equal(bed->log, "remove 0 0000:05:08.0;");
	expect_problem(bed, "eth0", "relay 1 is claimed by interface eth1", false);
	take(bed, false, INTERFACES(ROW("u0", "eth0", MARK)));
	follow(bed, false);

	/* the other row may move meanwhile, and keeps its device or its relay */
	take(bed, false,
		INTERFACES(ROW("u0", "eth0",
			MARK ",['virtio_forwarder_id','9'],['virtio_forwarder_device','05:08.1'"
			     "]") "," ROW("u1", "eth1", MARK ",['virtio_forwarder_id','7']")));
	follow(bed, false);
	assert_string_equal(
		bed->log, "remove 0 0000:05:08.0;remove 1 0000:05:08.1;add 7 0000:05:08.1;");
	expect_problem(bed, "eth0", "device 0000:05:08.1 is claimed by interface eth1", false);
}

static void a_row_waits_for_its_vf_and_keeps_it(void **state)
{
	struct bed *bed = *state;

	take(bed, true, INTERFACES(ROW("u9", "eth9", MARK)));
	follow(bed, false);
	assert_string_equal(bed->log, "");
	expect_problem(bed, "eth9", "no interface eth9", true);
	fake_sysfs_netdev(&bed->fs, "eth9", NULL, "aa", "pf0vf9");
	follow(bed, true);
	expect_problem(bed, "eth9", "no VF 9", true);
	fake_sysfs_pci(&bed->fs, "0000:05:09.1", "", 9);
	fake_sysfs_vf(&bed->fs, "0000:05:00.0", "0000:05:09.1", 9);
	follow(bed, false);
	assert_string_equal(bed->log, "add 9 0000:05:09.1;");

	/* a VF's own interface disappears when another driver takes the VF; its relay must not */
	fake_sysfs_remove(&bed->fs, "class/net/eth9");
	follow(bed, true);
	assert_string_equal(bed->log, "");
	assert_string_equal(row_of(bed, "eth9")->problem.text, "");
	take(bed, true, INTERFACES(ROW("v9", "eth9", MARK)));
	follow(bed, true);
	assert_string_equal(bed->log, "");
	/* del-port and add-port in one transaction, reported in either order */
	take(bed, false, INTERFACES("'v9':{'old':{}}," ROW("w9", "eth9", MARK)));
	follow(bed, true);
	assert_string_equal(bed->log, "");
	take(bed, false, INTERFACES(ROW("v9", "eth9", MARK) ",'w9':{'old':{}}"));
	follow(bed, true);
	assert_string_equal(bed->log, "");
	/* it comes back as the interface of another VF */
	fake_sysfs_netdev(&bed->fs, "x", NULL, "aa", "pf0vf0");
	fake_sysfs_link(&bed->fs, "class/net/eth9", "devices/virtual/net/x");
	follow(bed, false);
	assert_string_equal(bed->log, "");
	follow(bed, true);
	assert_string_equal(bed->log, "remove 9 0000:05:09.1;add 0 0000:05:08.0;");
}

/* Binding has freed the name of the row's VF, and the kernel has given it to another. */
static void a_bound_vf_stays_its_rows(void **state)
{
	struct bed *bed = *state;
	struct pci_addr addr;

	fake_sysfs_pci(&bed->fs, "0000:05:09.1", "igbvf", 9);
	fake_sysfs_vf(&bed->fs, "0000:05:00.0", "0000:05:09.1", 9);
	fake_sysfs_netdev(&bed->fs, "eth9", "0000:05:09.1", NULL, NULL);
	take(bed, true, INTERFACES(ROW("u9", "eth9", MARK)));
	follow(bed, false);
	assert_string_equal(bed->log, "add 9 0000:05:09.1;");
	assert_int_equal(pci_addr_parse("0000:05:09.1", &addr), 0);
	assert_int_equal(host_former_name_remember(bed->fs.root, &addr, NULL), 0);
	fake_sysfs_remove(&bed->fs, "class/net/eth9");
	fake_sysfs_remove(&bed->fs, "devices/pci0000:00/0000:05:09.1/driver");
	fake_sysfs_link(
		&bed->fs, "devices/pci0000:00/0000:05:09.1/driver", "bus/pci/drivers/vfio-pci");

	fake_sysfs_netdev(&bed->fs, "x", NULL, "aa", "pf0vf0");
	fake_sysfs_link(&bed->fs, "class/net/eth9", "devices/virtual/net/x");
	follow(bed, true);
	assert_string_equal(bed->log, "");
}

static void a_name_of_two_vfs(void **state)
{
	struct bed *bed = *state;
	struct pci_addr addr;

	fake_sysfs_pci(&bed->fs, "0000:05:09.1", "vfio-pci", 9);
	fake_sysfs_vf(&bed->fs, "0000:05:00.0", "0000:05:09.1", 9);
	fake_sysfs_netdev(&bed->fs, "eth9", "0000:05:09.1", NULL, NULL);
	assert_int_equal(pci_addr_parse("0000:05:09.1", &addr), 0);
	assert_int_equal(host_former_name_remember(bed->fs.root, &addr, NULL), 0);
	fake_sysfs_remove(&bed->fs, "class/net/eth9");
	fake_sysfs_pci(&bed->fs, "0000:05:09.2", "igbvf", 10);
	fake_sysfs_vf(&bed->fs, "0000:05:00.0", "0000:05:09.2", 10);
	fake_sysfs_netdev(&bed->fs, "eth9", "0000:05:09.2", NULL, NULL);
	take(bed, true, INTERFACES(ROW("u9", "eth9", MARK)));
	follow(bed, false);
	assert_string_equal(bed->log, "");
	expect_problem(bed, "eth9", "VF 0000:05:09.1, which is bound, was eth9 before", false);

	fake_sysfs_remove(&bed->fs, "devices/pci0000:00/0000:05:09.1/driver");
	follow(bed, false);
	assert_string_equal(bed->log, "add 10 0000:05:09.2;");
}

/* A row that names its VF by address, and no relay: the relay is the VF's number. */
static void a_vf_that_is_away_keeps_its_relay(void **state)
{
	struct bed *bed = *state;

	take(bed, true,
		INTERFACES(ROW("u1", "tap7", MARK ",['virtio_forwarder_device','05:08.2']")));
	follow(bed, false);
	assert_string_equal(bed->log, "add 2 0000:05:08.2;");
	fake_sysfs_remove(&bed->fs, "bus/pci/devices/0000:05:08.2");
	fake_sysfs_remove(&bed->fs, "devices/pci0000:00/0000:05:08.2");
	fake_sysfs_remove(&bed->fs, "devices/pci0000:00/0000:05:00.0/virtfn2");
	follow(bed, true);
	assert_string_equal(bed->log, "");
	expect_problem(bed, "tap7", "", false);
	assert_string_equal(row_of(bed, "tap7")->problem.text, "");
	/* a port of another name takes its place; others that name VFs that are away get nothing */
	take(bed, false,
		INTERFACES("'u1':{'old':{}}," ROW(
			"u2", "tap8", MARK ",['virtio_forwarder_device','05:08.2']") "," ROW("u3",
			"tap9", MARK ",['virtio_forwarder_device','05:08.7']")));
	follow(bed, true);
	assert_string_equal(bed->log, "");
	expect_problem(bed, "tap9", "there is no PCI device 0000:05:08.7", true);
	/* it comes back with another number, and at first without the links to and from its PF */
	fake_sysfs_pci(&bed->fs, "0000:05:08.2", "vfio-pci", 4);
	follow(bed, true);
	assert_string_equal(bed->log, "");
	fake_sysfs_vf(&bed->fs, "0000:05:00.0", "0000:05:08.2", 6);
	follow(bed, true);
	assert_string_equal(bed->log, "remove 2 0000:05:08.2;add 6 0000:05:08.2;");
}

#define LONG_UUID                                                   \
	"{'Interface':{'much longer than any identifier of a row':" \
	"{'new':{'name':'x','external_ids':['map',[]]}}}}"

static void malformed_updates_are_refused(void **state)
{
	struct bed *bed = *state;
	const char *const bad[] = {
		"[]",
		"{'Interface':[]}",
		"{'Interface':{'u':[]}}",
		"{'Interface':{'u':{'new':{}}}}",
		"{'Interface':{'u':{'new':{'name':'x'}}}}",
		"{'Interface':{'u':{'new':{'name':1,'external_ids':['map',[]]}}}}",
		"{'Interface':{'u':{'new':{'name':'x','external_ids':['set',[]]}}}}",
		LONG_UUID,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		json_t *update = parse(bad[i]);
		struct err err = {""};

		assert_int_equal(rows_take(&bed->rows, update, i % 2, &err), -EPROTO);
		assert_string_not_equal(err.text, "");
		json_decref(update);
	}
	assert_int_equal(rows_take(&bed->rows, NULL, true, NULL), -EPROTO);
}

static void a_long_ident_is_cut_between_characters(void **state)
{
	struct bed *bed = *state;
	char ident[IDENT_SIZE], expected[160], update[300];

	memset(ident, 'x', sizeof(ident));
	ident[IDENT_SIZE - 2] = '\0';
	snprintf(update, sizeof(update),
		INTERFACES(ROW("u1", "eth1", MARK ",['iface-id','%s\xc3\xa9']")), ident);
	take(bed, true, update);
	follow(bed, false);
	snprintf(expected, sizeof(expected), "add 1 0000:05:08.1 %s;", ident);
	assert_string_equal(bed->log, expected);
}

#define IN_BED(test) cmocka_unit_test_setup_teardown(test, make_bed, remove_bed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_BED(rows_come_change_and_go),
		IN_BED(a_new_initial_state_is_compared),
		IN_BED(ids_and_devices_may_be_named),
		IN_BED(bad_rows_harm_no_others),
		IN_BED(numbers_of_vfs_end_where_relays_do),
		IN_BED(who_has_a_relay_keeps_it),
		IN_BED(who_has_a_relay_takes_no_other),
		IN_BED(a_row_waits_for_its_vf_and_keeps_it),
		IN_BED(a_long_ident_is_cut_between_characters),
		IN_BED(a_bound_vf_stays_its_rows),
		IN_BED(a_name_of_two_vfs),
		IN_BED(a_vf_that_is_away_keeps_its_relay),
		IN_BED(malformed_updates_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
