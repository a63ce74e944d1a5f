/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "control/metrics/request.h"

static int judge(const char *text, bool *ret_openmetrics)
{
	return http_request_judge(text, strlen(text), ret_openmetrics);
}

static void takes_what_scrapers_send(void **state)
{
	bool openmetrics;

	assert_int_equal(judge("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", &openmetrics), HTTP_OK);
	assert_false(openmetrics);
	assert_int_equal(judge("GET /metrics?x=y HTTP/1.0\n\n", &openmetrics), HTTP_OK);
	assert_false(openmetrics);
	assert_int_equal(judge("GET /metrics HTTP/1.1\r\nHost: x\r\naccept: text/plain,"
			       "application/openmetrics-text;version=1.0.0\r\n\r\n",
				 &openmetrics),
		HTTP_OK);
	assert_true(openmetrics);
	assert_int_equal(judge("GET /metrics HTTP/1.1\r\nAccept: text/plain\r\n"
			       "X: application/openmetrics-text\r\n\r\n",
				 &openmetrics),
		HTTP_OK);
	assert_false(openmetrics);
}

static void waits_for_the_end(void **state)
{
	static const char whole[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
	bool openmetrics;

	for (size_t n = 0; n < strlen(whole); n++)
		assert_int_equal(http_request_judge(whole, n, &openmetrics), 0);
}

static void refuses_the_rest(void **state)
{
	static const struct {
		const char *text;
		int status;
	} cases[] = {
		{"GET / HTTP/1.1\r\n\r\n", HTTP_NOT_FOUND},
		{"GET /metricsx HTTP/1.1\r\n\r\n", HTTP_NOT_FOUND},
		{"POST /metrics HTTP/1.1\r\n\r\n", HTTP_METHOD_NOT_ALLOWED},
		{"GETGETGETGETGETGET /metrics HTTP/1.1\r\n\r\n", HTTP_BAD_REQUEST},
		{"GET /metrics\r\n\r\n", HTTP_BAD_REQUEST},
		{"GET /metrics HTTP/2.0\r\n\r\n", HTTP_BAD_REQUEST},
		{"\r\n\r\n", HTTP_BAD_REQUEST},
		{"%s%n%n HTTP\n\n", HTTP_BAD_REQUEST},
	};
	static char large[HTTP_REQUEST_MAX];
	bool openmetrics;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(judge(cases[i].text, &openmetrics), cases[i].status);
	assert_int_equal(http_request_judge("GET\0 /metrics HTTP/1.1\n\n", 24, &openmetrics),
		HTTP_BAD_REQUEST);
	memset(large, 'x', sizeof(large));
	assert_int_equal(http_request_judge(large, sizeof(large), &openmetrics), HTTP_TOO_LARGE);
}

static void answers_are_of_the_length_they_say(void **state)
{
	const struct http_answer answers[] = {
		{.status = HTTP_OK, .openmetrics = true, .body = "# EOF\n", .length = 6},
		{.status = HTTP_METHOD_NOT_ALLOWED},
	};

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		char *data;
		size_t length;

		assert_int_equal(http_answer_write(&answers[i], &data, &length), 0);
		size_t said = strtoul(strstr(data, "Content-Length: ") + 16, NULL, 10);
		const char *body = strstr(data, "\r\n\r\n") + 4;
		assert_int_equal(said, length - (size_t)(body - data));
		free(data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_scrapers_send),
		cmocka_unit_test(waits_for_the_end),
		cmocka_unit_test(refuses_the_rest),
		cmocka_unit_test(answers_are_of_the_length_they_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
