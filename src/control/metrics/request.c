/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/metrics/request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

#define PATH "/metrics"

static const struct {
	enum http_status status;
	const char *reason;
} reasons[] = {
	{HTTP_OK, "OK"},
	{HTTP_BAD_REQUEST, "Bad Request"},
	{HTTP_NOT_FOUND, "Not Found"},
	{HTTP_METHOD_NOT_ALLOWED, "Method Not Allowed"},
	{HTTP_TOO_LARGE, "Request Header Fields Too Large"},
};

/* "GET /metrics HTTP/1.1", a query allowed. */
static enum http_status judge_line(const char *line)
{
	char method[16], target[256];
	int minor;

	if (sscanf(line, "%15s %255s HTTP/1.%1d", method, target, &minor) != 3)
		return HTTP_BAD_REQUEST;
	target[strcspn(target, "?")] = '\0';
	if (strcmp(target, PATH) != 0)
		return HTTP_NOT_FOUND;
	return strcmp(method, "GET") == 0 ? HTTP_OK : HTTP_METHOD_NOT_ALLOWED;
}

static bool accepts_openmetrics(const char *fields)
{
	const char *accept = strcasestr(fields, "\naccept:");

	if (accept == NULL)
		return false;
	const char *found = strcasestr(accept, "application/openmetrics-text");
	return found != NULL && found < accept + 1 + strcspn(accept + 1, "\n");
}

int http_request_judge(const char *data, size_t length, bool *ret_openmetrics)
{
	_cleanup_free_ char *text = NULL;

	if (memmem(data, length, "\r\n\r\n", 4) == NULL && memmem(data, length, "\n\n", 2) == NULL)
		return length < HTTP_REQUEST_MAX ? 0 : HTTP_TOO_LARGE;
	if (memchr(data, '\0', length) != NULL)
		return HTTP_BAD_REQUEST;
	text = strndup(data, length);
	if (text == NULL)
		return HTTP_TOO_LARGE;
	*ret_openmetrics = accepts_openmetrics(text);
	return judge_line(text);
}

static const char *reason_of(enum http_status status)
{
	for (unsigned i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}

static const char *type_of(const struct http_answer *answer)
{
	if (answer->status != HTTP_OK)
		return "text/plain; charset=utf-8";
	return answer->openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
	                           : "text/plain; version=0.0.4; charset=utf-8";
}

int http_answer_write(const struct http_answer *answer, char **ret_data, size_t *ret_length)
{
	const char *reason = reason_of(answer->status);
	bool ok = answer->status == HTTP_OK;
	char *data = NULL;
	size_t length;
	FILE *out = open_memstream(&data, &length);

	if (out == NULL)
		return -ENOMEM;
	fprintf(out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n",
		answer->status, reason, type_of(answer), ok ? answer->length : strlen(reason) + 1);
	if (answer->status == HTTP_METHOD_NOT_ALLOWED)
		fprintf(out, "Allow: GET\r\n");
	fprintf(out, "Connection: close\r\n\r\n");
	if (ok)
		fwrite(answer->body, 1, answer->length, out);
	else
		fprintf(out, "%s\n", reason);
	if (fclose(out) != 0) {
		free(data);
		return -ENOMEM;
	}
	*ret_data = data;
	*ret_length = length;
	return 0;
}
