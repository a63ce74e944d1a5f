/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* As much of HTTP/1.1 (RFC 9112) as it takes to serve one document. Pure; any thread. */

#include <stdbool.h>
#include <stddef.h>

#define HTTP_REQUEST_MAX 8192 /* bytes */

enum http_status {
	HTTP_OK = 200,
	HTTP_BAD_REQUEST = 400,
	HTTP_NOT_FOUND = 404,
	HTTP_METHOD_NOT_ALLOWED = 405,
	HTTP_TOO_LARGE = 431,
};

/*
 * Judges the bytes received so far. Returns 0 if the request is not complete yet, otherwise its
 * HTTP status. With HTTP_OK, *ret_openmetrics says whether the client accepts OpenMetrics.
 */
int http_request_judge(const char *data, size_t length, bool *ret_openmetrics);

struct http_answer {
	enum http_status status;
	bool openmetrics; /* format of the body; false: Prometheus' text format */
	const char *body; /* for HTTP_OK; with any other status the body is the reason */
	size_t length;
};

/* Writes header and body. The caller frees *ret_data. Returns 0 or -ENOMEM. */
int http_answer_write(const struct http_answer *answer, char **ret_data, size_t *ret_length);
