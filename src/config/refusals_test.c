/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/config_fixture.h"

struct refusal {
	const char *file, *line, *begin, *reason;
};

static void expect_refusals(const struct refusal *cases, size_t n, bool invalid)
{
	for (size_t i = 0; i < n; i++) {
		struct config *config = NULL;
		struct err err = {};
		const char *text = err.text;
		int r = fixture_load(cases[i].file, cases[i].line, &config, &err);

		assert_true(r < 0);
		assert_true((r == -EINVAL) == invalid);
		assert_null(config);
		if (strncmp(text, fixture_path, strlen(fixture_path)) == 0)
			text += strlen(fixture_path);
		if (strncmp(text, cases[i].begin, strlen(cases[i].begin)) != 0 ||
			!strstr(text, cases[i].reason))
			fail_msg("'%s': expected '%s...%s'", err.text, cases[i].begin,
				cases[i].reason);
	}
}

static void refuses(void **state)
{
	static const struct refusal cases[] = {
		{"VIRTIOFWD_CPU_MASK=a\n", "", ":1: VIRTIOFWD_CPU_MASK: ", "CPU number"},
		{"", "-C 9", "--cpus: ", "no CPU 9; CPUs 0-8,100-299 are there"},
		{"", "-C 100-228", "--cpus: ", "129 CPUs"},
		{"", "-C 0,1", "--cpus: ", "CPU 0 is that of the control thread"},
		{"", "-M 1", "--cpus (default 1,2): ", "CPU 1 is that of the control thread"},
		{"", "-M 9", "--master-lcore: ", "no CPU 9"},
		{"", "-M x", "--master-lcore: ", "'x' is no CPU"},
		{"", "-l 8", "--loglevel: ", "no log level"},
		{"", "-l -1", "--loglevel: ", "no log level"},
		{"", "-nx", "--nodaemon: ", "log_syslog"},
		{"\nVIRTIOFWD_JUMBO=maybe\n", "", ":2: VIRTIOFWD_JUMBO: ", "use true or false"},
		{"", "-p tmp", "--pid-path: ", "absolute"},
		{"", "-p /etc/passwd", "--pid-path: ", "no directory"},
		{"", "-S x", "--vhost-socket: ", "exactly one %u"},
		{"", "-S x%u%u", "--vhost-socket: ", "exactly one %u"},
		{"", "-S x%d", "--vhost-socket: ", "exactly one %u"},
		{"", "-S %u%%", "--vhost-socket: ", "exactly one %u"},
		{"", "-S a/%u", "--vhost-socket: ", "holds a '/'"},
		{"", "-V /caf\xe9", "--vhost-path: ", "not UTF-8"},
		{"", "-V " LONG_DIR, "--vhost-path: ", "path may have 107"},
		{"", "-c 1", "--virtio-cpu: ", "no pin"},
		{"", "-c 64:1", "--virtio-cpu: ", "'64' is no relay"},
		{"", "-c 1:x", "--virtio-cpu: ", "names no CPUs"},
		{"", "-c 1:1,2,1", "--virtio-cpu: ", "names no CPUs"},
		{"", "-c 1:1 -c 1:2", "--virtio-cpu: ", "relay 1 is pinned twice"},
		{"", "-c 1:1,3", "--virtio-cpu: ", "CPU 3 is no worker CPU; those are 1-2"},
		{"", "-P net_null0", "--add-pci-vf: ", "names no relay"},
		{"", "-P net_null0=64", "--add-pci-vf: ", "'64' is no relay"},
		{"", "-P net_null0=", "--add-pci-vf: ", "'' is no relay"},
		{"", "-P eno1=1", "--add-pci-vf: ", "neither a PCI address"},
		{"", "-P net_bonding0=1", "--add-pci-vf: ", "kept for bonds"},
		{"VIRTIOFWD_STATIC_VFS=(net_null0=1\nnet_null1=1)\n", "",
			":2: VIRTIOFWD_STATIC_VFS: ", "relay 1 already has device net_null0"},
		{"", "-P 05:08.1=1 -P 0000:05:08.1=2", "--add-pci-vf: ", "already on relay 1"},
		{"", "-t 1234", "--vfio-vf-token: ", "no UUID"},
		{"", "-t 14d63f20-8445-11ea-8900-1f9ce7d5650g", "--vfio-vf-token: ", "no UUID"},
		{"", "-zfoo", "--zmq-stats-ep: ", "neither an endpoint"},
		{"", "-ztcp://*:5555", "--zmq-stats-ep: ", "without a password"},
		{"", "--allow-tcp-endpoints -ztcp://[::1]:65536", "--zmq-stats-ep: ", "65535"},
		{"", "--allow-tcp-endpoints -zudp://[::1]:5555", "--zmq-stats-ep: ", "tcp://ADD"},
		{"", "-zipc://@x", "--zmq-stats-ep: ", "absolute path"},
		{"", "-zipc:///x -Zipc:///x",
			"--zmq-stats-ep: ", "endpoint of VIRTIOFWD_ZMQ_PORT_CONTROL_EP"},
		{"\nVIRTIOFWD_OVSDB_SOCK_PATH=db.sock\n", "",
			":2: VIRTIOFWD_OVSDB_SOCK_PATH: ", "must be absolute"},
		{"", "-O tcp:localhost:6640", "--ovsdb-sock: ", "not a name"},
		{"", "-O ssl:192.0.2.1", "--ovsdb-sock: ", "--ovsdb-ca-cert"},
		{"VIRTIOFWD_OVSDB_CA_CERT=/ca.pem\n",
			"-O ssl:192.0.2.1 --ovsdb-private-key=/key.pem",
			"--ovsdb-sock: ", "--ovsdb-certificate"},
		{"VIRTIOFWD_BIND_VFIO_PCI=ens3,ens4:x\n", "",
			":1: VIRTIOFWD_BIND_VFIO_PCI: ", "\"ens4:x\" is neither a PCI address"},
		{"FOO=1\n", "", ":1: ", "unknown variable 'FOO'"},
	};

	expect_refusals(cases, ARRAY_SIZE(cases), true);
}

/* No fault of the configuration: the service may be started again. */
static void misses(void **state)
{
	static const struct refusal cases[] = {
		{"", "-C 8", "--cpus: ", "CPU 8 is not online; CPUs 0-7,100-299 are"},
		{"", "-C 6", "--cpus: ", "cpuset"},
		{"", "-M 8", "--master-lcore: ", "CPU 8 is not online"},
		{"", "-p /nosuch", "--pid-path: ", "No such file"},
		{"", "-u nosuchuser", "--vhost-username: ", "no user 'nosuchuser'"},
		{"", "-u 4294967295", "--vhost-username: ", "no user '4294967295'"},
		{"", "-g nosuchgroup", "--vhost-groupname: ", "no group 'nosuchgroup'"},
		{"", "--config=/nosuch", "--config: /nosuch: ", "No such file"},
		{"", "--config=/", "--config: /: ", "directory"},
	};

	expect_refusals(cases, ARRAY_SIZE(cases), false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses),
		cmocka_unit_test(misses),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
