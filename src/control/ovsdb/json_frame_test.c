/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "control/ovsdb/json_frame.h"

static const char stream[] = " {\"a\":\"}\\\"]{\"}\n{}{\"b\":[{\"c\":[1,2]},\"\\\\\"]}  ";
static const size_t ends[] = {14, 17, 41};

/* Pieces of every size give the same ends. */
static void ends_do_not_depend_on_the_cuts(void **state)
{
	for (size_t piece = 1; piece <= sizeof(stream); piece++) {
		struct json_frame frame = {0};
		size_t at = 0, n_ends = 0, used;

		while (at < strlen(stream)) {
			size_t length = MIN(piece, strlen(stream) - at);
			int r = json_frame_scan(&frame, stream + at, length, &used);

			assert_true(r >= 0);
			at += used;
			if (r > 0) {
				assert_true(n_ends < ARRAY_SIZE(ends));
				assert_int_equal(at, ends[n_ends++]);
			}
		}
		assert_int_equal(n_ends, ARRAY_SIZE(ends));
		assert_int_equal(frame.depth, 0);
	}
}

static void only_objects_may_begin(void **state)
{
	const char *const bad[] = {"[", "\"", "x", "}", "]", "1", "\1", "HTTP/1.1 200 OK"};
	size_t used;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct json_frame frame = {0};

		assert_int_equal(json_frame_scan(&frame, bad[i], strlen(bad[i]), &used), -EPROTO);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_do_not_depend_on_the_cuts),
		cmocka_unit_test(only_objects_may_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
