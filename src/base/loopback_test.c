/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>

#include "base/loopback.h"

static void takes_loopback_addresses(void **state)
{
	struct sockaddr_storage addr;
	const struct sockaddr_in *in = (const struct sockaddr_in *)&addr;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&addr;
	socklen_t length;

	assert_int_equal(loopback_parse("http://127.0.0.1:29177", &addr, &length, NULL), 0);
	assert_int_equal(length, sizeof(*in));
	assert_int_equal(in->sin_family, AF_INET);
	assert_int_equal(ntohs(in->sin_port), 29177);
	assert_int_equal(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);
	assert_int_equal(loopback_parse("http://127.9.8.7:65535", &addr, &length, NULL), 0);
	assert_int_equal(loopback_parse("http://[::1]:1", &addr, &length, NULL), 0);
	assert_int_equal(length, sizeof(*in6));
	assert_int_equal(in6->sin6_family, AF_INET6);
	assert_true(IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr));
}

static void refuses_everything_else(void **state)
{
	static const char *const texts[] = {"", "http://", "http://127.0.0.1",
		"http://127.0.0.1:", "http://127.0.0.1:0", "http://127.0.0.1:65536",
		"http://127.0.0.1:80/metrics", "http://:29177", "127.0.0.1:29177",
		"tcp://127.0.0.1:29177", "http://0.0.0.0:29177", "http://10.0.0.1:29177",
		"http://126.0.0.1:29177", "http://[::]:29177", "http://[::ffff:10.0.0.1]:29177",
		"http://localhost:29177", "http://127.1:29177", "https://127.0.0.1:29177"};
	struct sockaddr_storage addr = {.ss_family = AF_UNIX};
	socklen_t length = 1;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct err err = {0};

		assert_int_equal(loopback_parse(texts[i], &addr, &length, &err), -EINVAL);
		assert_string_not_equal(err.text, "");
		assert_int_equal(addr.ss_family, AF_UNIX);
		assert_int_equal(length, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_loopback_addresses),
		cmocka_unit_test(refuses_everything_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
