/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/ovsdb_endpoint.h"

static void paths(void **state)
{
	struct ovsdb_endpoint e;

	assert_int_equal(ovsdb_endpoint_parse("/run/openvswitch/db.sock", &e, NULL), 0);
	assert_string_equal(ovsdb_endpoint_path(&e), "/run/openvswitch/db.sock");
	assert_string_equal(e.text, "unix:/run/openvswitch/db.sock");
	assert_false(e.tls);
	assert_int_equal(ovsdb_endpoint_parse("unix:/db.sock", &e, NULL), 0);
	assert_string_equal(ovsdb_endpoint_path(&e), "/db.sock");
}

static void addresses(void **state)
{
	struct ovsdb_endpoint e;

	assert_int_equal(ovsdb_endpoint_parse("tcp:192.0.2.1:6641", &e, NULL), 0);
	assert_int_equal(e.addr.v4.sin_family, AF_INET);
	assert_int_equal(ntohs(e.addr.v4.sin_port), 6641);
	assert_int_equal(ntohl(e.addr.v4.sin_addr.s_addr), 0xc0000201);
	assert_null(ovsdb_endpoint_path(&e));
	assert_false(e.tls);
	assert_int_equal(ovsdb_endpoint_parse("tcp:[::1]:6642", &e, NULL), 0);
	assert_int_equal(e.addr.v6.sin6_family, AF_INET6);
	assert_int_equal(ntohs(e.addr.v6.sin6_port), 6642);
	assert_int_equal(
		ovsdb_endpoint_parse("ssl:[2001:db8:1111:2222:3333:4444:5555:6666]", &e, NULL), 0);
	assert_int_equal(ntohs(e.addr.v6.sin6_port), OVSDB_PORT_DEFAULT);
	assert_true(e.tls);
}

static void garbage_is_named(void **state)
{
	const char *const bad[] = {"", "unix:", "db.sock", "unix:db.sock",
		"tcp:", "tcp:localhost:6640", "tcp:1.2.3.4:0", "tcp:1.2.3.4:65536",
		"tcp:1.2.3.4:", "tcp:1.2.3.4:66x", "tcp:::1:6640", "tcp:[::1]6640", "tcp:[::1",
		"ssl:1.2.3", "udp:1.2.3.4:1",
		"tcp:[2001:db8:1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb]:6640"};
	char long_path[200];
	struct err err;
	struct ovsdb_endpoint e = {.text = "untouched"};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		err.text[0] = '\0';
		assert_true(ovsdb_endpoint_parse(bad[i], &e, &err) < 0);
		assert_non_null(strstr(err.text, "OVSDB"));
	}
	memset(long_path, '/', sizeof(long_path));
	long_path[sizeof(e.addr.local.sun_path)] = '\0';
	assert_int_equal(ovsdb_endpoint_parse(long_path, &e, NULL), -ENAMETOOLONG);
	assert_string_equal(e.text, "untouched");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(addresses),
		cmocka_unit_test(garbage_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
