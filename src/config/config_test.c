/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pwd.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/config_fixture.h"

static int lookup_error = -1; /* errno of all account lookups; -1: they are real */

struct passwd *__real_getpwnam(const char *name);
struct passwd *__wrap_getpwnam(const char *name);

struct passwd *__wrap_getpwnam(const char *name)
{
	if (lookup_error < 0)
		return __real_getpwnam(name);
	errno = lookup_error;
	return NULL;
}

static void defaults(void **state)
{
	struct config *config = fixture_good("", "");
	char workers[32];

	cpu_set_format(&config->worker_cpus, workers, sizeof(workers));
	assert_string_equal(workers, "1-2");
	assert_int_equal(config->master_cpu, 0);
	assert_int_equal(config->log_level, 6);
	assert_string_equal(config->pid_dir, "/var/run");
	assert_string_equal(config->huge_dir, "/mnt/huge");
	assert_string_equal(config->socket_dir, "/tmp");
	assert_string_equal(config->socket_pattern, "virtio-forwarder%u.sock");
	assert_string_equal(config->ovsdb_sock, "/usr/local/var/run/openvswitch/db.sock");
	assert_null(config->zmq_config_ep);
	assert_null(config->zmq_port_control_ep);
	assert_null(config->zmq_stats_ep);
	assert_null(config->zmq_core_sched_ep);
	assert_null(config->vfio_vf_token);
	assert_null(config->bind_vfio_pci);
	assert_int_equal(config->n_vfs, 0);
	assert_false(config->foreground || config->log_syslog || config->no_huge ||
		     config->same_numa || config->ipc_port_control || config->jumbo ||
		     config->mrgbuf || config->tso || config->vhost_client || config->zero_copy ||
		     config->dynamic_sockets || config->allow_tcp_endpoints);
	/* The last of the three ways of port control. */
	assert_true(config->ovsdb);
	config_free(config);
}

static void blank_values_are_defaults(void **state)
{
	struct config *config = fixture_good("VIRTIOFWD_CPU_MASK=\nVIRTIOFWD_JUMBO=\n"
					     "VIRTIOFWD_ZMQ_STATS_EP=\nVIRTIOFWD_LOG_LEVEL=''\n",
		"--loglevel= --vhost-path=");

	assert_int_equal(cpu_set_count(&config->worker_cpus), 2);
	assert_false(config->jumbo);
	assert_null(config->zmq_stats_ep);
	assert_int_equal(config->log_level, 6);
	assert_string_equal(config->socket_dir, "/tmp");
	config_free(config);
}

static void file_values(void **state)
{
	struct config *config = fixture_good("VIRTIOFWD_CPU_MASK=0x18\n"
					     "VIRTIOFWD_MASTER_LCORE=1\n"
					     "VIRTIOFWD_LOG_LEVEL=7\n"
					     "VIRTIOFWD_PID_DIR=/\n"
					     "VIRTIOFWD_SOCKET_DIR=/tmp/virtio-forwarder//\n"
					     "VIRTIOFWD_SOCKET_OWNER=root\n"
					     "VIRTIOFWD_SOCKET_GROUP=root\n"
					     "VIRTIOFWD_JUMBO=Yes\n"
					     "VIRTIOFWD_MRGBUF=oN\n"
					     "VIRTIOFWD_VHOST_CLIENT=1\n"
					     "VIRTIOFWD_TSO=n\n"
					     "VIRTIOFWD_VFIO_VF_TOKEN=0\n"
					     "VIRTIOFWD_ZMQ_PORT_CONTROL_EP=true\n"
					     "VIRTIOFWD_ZMQ_STATS_EP=ipc:///run/stats\n"
					     "VIRTIOFWD_ZMQ_CONFIG_EP=false\n"
					     "VIRTIOFWD_BINARY=/opt/vf\n"
					     "VIO4WD_CORE_SCHED_SENSITIVITY=0.3\n",
		"");

	assert_true(cpu_set_has(&config->worker_cpus, 3) && cpu_set_has(&config->worker_cpus, 4));
	assert_int_equal(config->master_cpu, 1);
	assert_int_equal(config->log_level, 7);
	assert_string_equal(config->binary, "/opt/vf");
	assert_string_equal(config->pid_dir, "/");
	assert_string_equal(config->socket_dir, "/tmp/virtio-forwarder");
	assert_string_equal(config->socket_owner, "root");
	assert_string_equal(config->socket_group, "root");
	assert_int_equal(config->socket_uid, 0);
	assert_int_equal(config->socket_gid, 0);
	assert_true(config->jumbo && config->mrgbuf && config->vhost_client);
	assert_string_equal(config->vfio_vf_token, "14d63f20-8445-11ea-8900-1f9ce7d5650d");
	assert_string_equal(
		config->zmq_port_control_ep, "ipc:///var/run/virtio-forwarder/port_control");
	assert_string_equal(config->zmq_stats_ep, "ipc:///run/stats");
	assert_null(config->zmq_config_ep);
	assert_int_equal(config->n_notices, 0);
	config_free(config);
}

static void options_override_the_file(void **state)
{
	struct config *config = fixture_good("VIRTIOFWD_CPU_MASK=3,4\nVIRTIOFWD_JUMBO=1\n"
					     "VIRTIOFWD_ZMQ_STATS_EP=ipc:///run/stats\n"
					     "VIRTIOFWD_STATIC_VFS=(net_null0=1 net_null1=2)\n",
		"-C 5 --enable-jumbo=no -z -P net_null2=3 -n --no-huge");

	assert_int_equal(cpu_set_count(&config->worker_cpus), 1);
	assert_true(cpu_set_has(&config->worker_cpus, 5));
	assert_false(config->jumbo);
	assert_string_equal(config->zmq_stats_ep, "ipc:///var/run/virtio-forwarder/stats");
	assert_int_equal(config->n_vfs, 1);
	assert_string_equal(config->vfs[0].device.text, "net_null2");
	assert_int_equal(config->vfs[0].relay_id, 3);
	assert_true(config->foreground && !config->log_syslog && config->no_huge);
	config_free(config);
}

static void pins(void **state)
{
	static const char *const forms[] = {"VIRTIOFWD_CPU_PINS=(0:1,2 63:2)\n",
		"VIRTIOFWD_CPU_PINS='0:1,2;63:2'\n", "VIRTIOFWD_CPU_PINS=0:1,2;63:2\n",
		"VIRTIOFWD_CPU_PINS=(\n0:1,2\n63:2\n)\n"};

	for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
		struct config *config = fixture_good(forms[i], "");

		assert_true(config->pins[0].set && config->pins[63].set && !config->pins[1].set);
		assert_int_equal(config->pins[0].vf_to_vm_cpu, 1);
		assert_int_equal(config->pins[0].vm_to_vf_cpu, 2);
		assert_int_equal(config->pins[63].vf_to_vm_cpu, 2);
		assert_int_equal(config->pins[63].vm_to_vf_cpu, 2);
		config_free(config);
	}
}

static void static_vfs(void **state)
{
	struct config *config = fixture_good("VIRTIOFWD_STATIC_VFS=(\n0000:05:08.1=1 # first\n"
					     "net_af_packet0,iface=veth0,qpairs=2=63)\n",
		"");

	assert_int_equal(config->n_vfs, 2);
	assert_true(config->vfs[0].device.is_pci);
	assert_int_equal(config->vfs[0].relay_id, 1);
	assert_string_equal(config->vfs[1].device.text, "net_af_packet0,iface=veth0,qpairs=2");
	assert_int_equal(config->vfs[1].relay_id, 63);
	config_free(config);
}

static void port_control_precedence(void **state)
{
	struct config *config = fixture_good("VIRTIOFWD_ZMQ_PORT_CONTROL_EP=true\n"
					     "VIRTIOFWD_IPC_PORT_CONTROL=true\n"
					     "VIRTIOFWD_OVSDB_SOCK_PATH=/run/db.sock\n",
		"-u root -g root");

	assert_non_null(config->zmq_port_control_ep);
	assert_false(config->ipc_port_control || config->ovsdb);
	assert_int_equal(config->n_notices, 2);
	assert_non_null(strstr(config->notices[0], "VIRTIOFWD_IPC_PORT_CONTROL"));
	assert_non_null(strstr(config->notices[0], "takes precedence"));
	assert_non_null(strstr(config->notices[1], "VIRTIOFWD_OVSDB_SOCK_PATH"));
	config_free(config);
}

static void what_dynamic_sockets_rule_out_is_noticed(void **state)
{
	struct config *config = fixture_good("VIRTIOFWD_DYNAMIC_SOCKETS=true\n"
					     "VIRTIOFWD_STATIC_VFS=(net_null0=1)\n",
		"-u root -g root -Z");

	assert_true(config->dynamic_sockets);
	assert_int_equal(config->n_vfs, 0);
	assert_int_equal(config->n_notices, 1);
	assert_non_null(
		strstr(config->notices[0], ":2: VIRTIOFWD_STATIC_VFS: nothing is attached"));
	config_free(config);

	config = fixture_good("VIRTIOFWD_DYNAMIC_SOCKETS=true\nVIRTIOFWD_IPC_PORT_CONTROL=true\n",
		"-u root -g root");
	assert_true(config->dynamic_sockets && config->ipc_port_control);
	assert_int_equal(config->n_notices, 1);
	assert_non_null(strstr(config->notices[0], ":1: VIRTIOFWD_DYNAMIC_SOCKETS: no VM will"));
	config_free(config);

	config = fixture_good("", "-u root -g root -d -P net_null0=1");
	assert_true(config->ovsdb);
	assert_int_equal(config->n_notices, 2);
	assert_non_null(strstr(config->notices[0], "--add-pci-vf: "));
	assert_non_null(strstr(config->notices[1], "--dynamic-sockets: "));
	config_free(config);
}

static void a_database_is_checked_where_it_is_used(void **state)
{
	struct config *config =
		fixture_good("VIRTIOFWD_OVSDB_SOCK_PATH=ssl:localhost\n", "-Z --keep-ports");

	assert_true(config->keep_ports && !config->ovsdb);
	config_free(config);

	config = fixture_good("VIRTIOFWD_OVSDB_SOCK_PATH=ssl:192.0.2.1\n"
			      "VIRTIOFWD_OVSDB_CA_CERT=/ca.pem\n",
		"--keep-ports");
	assert_true(config->ovsdb);
	assert_false(config->keep_ports); /* its rows come back without */
	config_free(config);
}

static void core_sched_needs_its_switch(void **state)
{
	struct config *config =
		fixture_good("VIRTIOFWD_ZMQ_CORE_SCHED_EP=true\n", "-u root -g root");

	assert_null(config->zmq_core_sched_ep);
	assert_int_equal(config->n_notices, 0);
	config_free(config);

	config = fixture_good("", "-u root -g root --zmq-core-sched-ep");
	assert_null(config->zmq_core_sched_ep);
	assert_int_equal(config->n_notices, 1);
	assert_non_null(strstr(config->notices[0], "VIO4WD_CORE_SCHED_ENABLE"));
	config_free(config);
}

static void shipped_values_run(void **state)
{
	struct config *config = fixture_good("VIRTIOFWD_ZMQ_CORE_SCHED_EP=true\n"
					     "VIO4WD_CORE_SCHED_ENABLE=true\n",
		"-u root -g root");

	assert_non_null(config->zmq_core_sched_ep);
	config_free(config);
}

static void variables_set_twice_are_noticed(void **state)
{
	static const char file[] = "VIRTIOFWD_JUMBO=1\nVIRTIOFWD_TSO=1\n\nVIRTIOFWD_JUMBO=no\n";
	struct config *config = fixture_good(file, "-u root -g root");

	assert_false(config->jumbo);
	assert_true(config->tso);
	assert_int_equal(config->n_notices, 1);
	assert_string_equal(config->notices[0],
		"VIRTIOFWD_JUMBO is set in line 1 and again in line 4 of the configuration file; "
		"the latter is in force");
	config_free(config);

	config = fixture_good(file, "-u root -g root --enable-jumbo");
	assert_true(config->jumbo);
	assert_int_equal(config->n_notices, 0);
	config_free(config);
}

static void blank_unknown_variables_are_noticed(void **state)
{
	struct config *config = fixture_good("VIRTIOFWD_FOO=\nVIRTIOFWD_BAR=\n", "-u root -g root");

	assert_int_equal(config->n_notices, 1);
	assert_string_equal(config->notices[0],
		"unknown variables of the configuration file, which change nothing as they are "
		"blank: VIRTIOFWD_FOO, VIRTIOFWD_BAR");
	config_free(config);
}

static void missing_default_accounts_are_noticed(void **state)
{
	struct config *config = fixture_good("", "");
	unsigned missing = (config->socket_uid == (uid_t)-1) + (config->socket_gid == (gid_t)-1);

	assert_int_equal(config->n_notices, missing);
	for (unsigned i = 0; i < missing; i++)
		assert_non_null(strstr(config->notices[i], "is left alone"));
	config_free(config);
}

/* The account of a pod exists in its container only. */
static void accounts_by_number(void **state)
{
	struct config *config = fixture_good("VIRTIOFWD_SOCKET_OWNER=10700107\n", "-g 4294967294");

	assert_int_equal(config->socket_uid, 10700107);
	assert_int_equal(config->socket_gid, 4294967294);
	assert_int_equal(config->n_notices, 0);
	config_free(config);
}

/*
 * A failed lookup must not pass for a missing account: the daemon would start, with sockets that
 * VMs cannot open.
 */
static void accounts_that_cannot_be_looked_up(void **state)
{
	static const int reasons[] = {EIO, EMFILE, ETIMEDOUT};
	struct config *config = NULL;

	for (unsigned i = 0; i < ARRAY_SIZE(reasons); i++) {
		struct err err = {""};

		lookup_error = reasons[i];
		assert_int_equal(fixture_load("", "-g root", &config, &err), -ENODEV);
		assert_non_null(strstr(err.text, "'libvirt-qemu' cannot be looked up: "));
		assert_non_null(strstr(err.text, strerror(reasons[i])));
	}
	lookup_error = ESRCH;
	config = fixture_good("", "-g root");
	assert_int_equal(config->socket_uid, (uid_t)-1);
	assert_int_equal(config->n_notices, 1);
	config_free(config);
	lookup_error = -1;
}

static void tcp_where_it_is_allowed(void **state)
{
	struct config *config = fixture_good(
		"VIRTIOFWD_ZMQ_STATS_EP=tcp://127.0.0.1:5555\n", "--allow-tcp-endpoints");

	assert_string_equal(config->zmq_stats_ep, "tcp://127.0.0.1:5555");
	config_free(config);
}

static void master_may_be_a_worker_where_allowed(void **state)
{
	struct config *config = fixture_good("VIRTIOFWD_SHARE_MASTER_CPU=true\n", "-C 0,1");

	assert_true(cpu_set_has(&config->worker_cpus, config->master_cpu));
	config_free(config);
}

static void socket_paths(void **state)
{
	struct config *config = fixture_good("VIRTIOFWD_SOCKET_FNAME_PATTERN=v%u.sock\n", "");
	char path[SOCKET_PATH_SIZE], directory[SOCKET_PATH_SIZE] = "-V " LONG_DIR;

	config_socket_path(config, 7, path);
	assert_string_equal(path, "/tmp/v7.sock");
	config_free(config);

	directory[strlen(directory) - 6] = '\0'; /* as long as allowed */
	config = fixture_good("", directory);
	config_socket_path(config, RELAYS_MAX - 1, path);
	assert_int_equal(strlen(path), SOCKET_PATH_SIZE - 1);
	assert_non_null(strstr(path, "/i2/virtio-forwarder63.sock"));
	config_free(config);
}

static void scheduler(void **state)
{
	char copy[512], *argv[ARGS_MAX + 2] = {};
	int argc = fixture_split("--poll-interval=0.5 --global-numa-opt", copy, argv);
	struct config_sched *config;
	struct err err = {};

	fixture_write("VIRTIOFWD_ZMQ_STATS_EP=ipc:///run/stats\nVIRTIOFWD_ZMQ_CORE_SCHED_EP=true\n"
		      "VIO4WD_CORE_SCHED_SENSITIVITY=0.5\nVIRTIOFWD_CPU_MASK=99\n");
	if (config_load_sched(argc, argv, &config, &err) != CONFIG_RUN)
		fail_msg("%s", err.text);
	assert_string_equal(config->stats_ep, "ipc:///run/stats");
	assert_string_equal(config->sched_ep, "ipc:///var/run/virtio-forwarder/core_sched");
	assert_true(config->poll_interval_s == 0.5 && config->sensitivity == 0.5);
	assert_int_equal(config->log_level, 7);
	assert_true(config->global_numa_opt);
	assert_false(config->dry_run || config->watch);
	config_sched_free(config);

	argc = fixture_split("--dry-run=watch", copy, argv);
	if (config_load_sched(argc, argv, &config, &err) != CONFIG_RUN)
		fail_msg("%s", err.text);
	assert_true(config->dry_run && config->watch);
	config_sched_free(config);

	argc = fixture_split("--dry-run=twice", copy, argv);
	assert_int_equal(config_load_sched(argc, argv, &config, &err), -EINVAL);
	assert_string_equal(err.text, "--dry-run: 'twice' is unknown; use watch, true or false");

	argc = fixture_split("--sensitivity=1.5", copy, argv);
	assert_int_equal(config_load_sched(argc, argv, &config, &err), -EINVAL);
	assert_string_equal(err.text, "--sensitivity: '1.5' is no fraction; 0 to 1");
}

/* With isolcpus or CPUAffinity= we start outside the workers' CPUs. */
static void affinity_does_not_limit_the_workers(void **state)
{
	struct machine wide, narrow;
	cpu_set_t before, one, after;

	assert_int_equal(machine_probe(&wide, NULL), 0);
	assert_true(cpu_set_count(&wide.usable) >= 1);
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	CPU_ZERO(&one);
	CPU_SET((unsigned)cpu_set_next(&wide.usable, 0), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(machine_probe(&narrow, NULL), 0);
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	assert_memory_equal(&narrow, &wide, sizeof(wide));
	assert_true(CPU_EQUAL(&after, &one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(blank_values_are_defaults),
		cmocka_unit_test(file_values),
		cmocka_unit_test(options_override_the_file),
		cmocka_unit_test(pins),
		cmocka_unit_test(static_vfs),
		cmocka_unit_test(port_control_precedence),
		cmocka_unit_test(what_dynamic_sockets_rule_out_is_noticed),
		cmocka_unit_test(a_database_is_checked_where_it_is_used),
		cmocka_unit_test(core_sched_needs_its_switch),
		cmocka_unit_test(shipped_values_run),
		cmocka_unit_test(variables_set_twice_are_noticed),
		cmocka_unit_test(blank_unknown_variables_are_noticed),
		cmocka_unit_test(missing_default_accounts_are_noticed),
		cmocka_unit_test(accounts_by_number),
		cmocka_unit_test(accounts_that_cannot_be_looked_up),
		cmocka_unit_test(tcp_where_it_is_allowed),
		cmocka_unit_test(socket_paths),
		cmocka_unit_test(master_may_be_a_worker_where_allowed),
		cmocka_unit_test(scheduler),
		cmocka_unit_test(affinity_does_not_limit_the_workers),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
