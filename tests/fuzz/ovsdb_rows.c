/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the database's updates to operations. Each line is a <table-updates>, the first one the
 * initial state. After each, all that is wanted is taken as applied.
 */
#include "control/ovsdb/ports.h"
#include "fuzz.h"
#include "host/sysfs_fixture.h"

static struct fake_sysfs sysfs;

static void remove_sysfs(void)
{
	fake_sysfs_fini(&sysfs);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	fake_sysfs_init(&sysfs);
	atexit(remove_sysfs);
	fake_sysfs_pci(&sysfs, "0000:05:00.0", "nfp", 1);
	fake_sysfs_netdev(&sysfs, "p0", "0000:05:00.0", "aa", "p0");
	for (int i = 0; i < 3; i++) {
		char addr[32], name[16], port[16];

		snprintf(addr, sizeof(addr), "0000:05:08.%d", i);
		snprintf(name, sizeof(name), "eth%d", i);
		snprintf(port, sizeof(port), "pf0vf%d", i);
		fake_sysfs_pci(&sysfs, addr, "vfio-pci", 2 + i);
		fake_sysfs_vf(&sysfs, "0000:05:00.0", addr, i);
		fake_sysfs_netdev(&sysfs, name, NULL, "aa", port);
	}
	return 0;
}

/* No two relays may have the same device. */
static void check_ports(const struct port ports[RELAYS_MAX])
{
	for (unsigned i = 0; i < RELAYS_MAX; i++)
		for (unsigned k = 0; ports[i].set && k < i; k++)
			require(!ports[k].set ||
				!device_id_equal(&ports[i].device, &ports[k].device));
}

static void follow(struct port have[RELAYS_MAX], const struct port want[RELAYS_MAX])
{
	struct port_step steps[PORT_STEPS_MAX];
	unsigned n = ports_diff(have, want, 0, steps);

	for (unsigned i = 0; i < n; i++) {
		unsigned relay = steps[i].relay_id;
		struct op op;

		require(relay < RELAYS_MAX && n <= PORT_STEPS_MAX);
		port_step_op(&steps[i], steps[i].add ? &want[relay] : &have[relay], &op);
		require(op.relay_id == (int)relay && op.device.n_members == 1);
		have[relay] = steps[i].add ? want[relay] : (struct port){0};
		check_ports(have);
	}
	require(ports_diff(have, want, 0, steps) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct port have[RELAYS_MAX], want[RELAYS_MAX];
	struct input input = {data, size};
	struct rows rows = {0};
	bool initial = true;

	memset(have, 0, sizeof(have));
	while (input.left > 0) {
		_cleanup_free_ char *line = input_line(&input);
		json_t *update = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL);
		struct err err = {""};
		int r = update ? rows_take(&rows, update, initial, &err) : -1;

		json_decref(update);
		require(!update || (r < 0) == (err.text[0] != '\0'));
		if (r < 0) {
			initial = true; /* as when the monitor asks for everything again */
			continue;
		}
		initial = false;
		ports_from_rows(&rows, have, sysfs.root, false, want);
		check_ports(want);
		follow(have, want);
	}
	rows_fini(&rows);
	return 0;
}
