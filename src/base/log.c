/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <time.h>

#include "base/text.h"

#define LINE_SIZE 2048
#define FIELD_SIZE (LINE_SIZE + 16) /* with its name */
#define FIELDS_MAX 8
#define READER_MS 500

static const char *const severity_names[] = {
	"emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"};

/*
 * Global, because every module logs, and so do callbacks of libraries that carry no context.
 * Written by log_open() only, before there are other threads; except the atomic ones.
 */
static struct {
	bool journal; /* stderr is connected to the journal */
	const char *name;
	atomic_int max_severity;
	atomic_bool syslog;
	atomic_bool left_stderr; /* for syslog */
	atomic_uint n_unread;    /* lines that were lost because nobody reads stderr */
} sink = {.max_severity = LOG_INFO, .name = "?"};

/* True if systemd has connected stderr to its journal (systemd.exec(5), $JOURNAL_STREAM). */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat st;

	return stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_open(const char *name, int max_severity)
{
	sink.journal = stderr_is_journal();
	sink.name = name;
	log_set_level(max_severity);
}

void log_set_level(int max_severity)
{
	atomic_store(&sink.max_severity, max_severity);
}

void log_to_syslog(void)
{
	openlog(sink.name, LOG_PID, LOG_DAEMON);
	atomic_store(&sink.syslog, true);
}

void log_leave_stderr(void)
{
	atomic_store(&sink.left_stderr, atomic_load(&sink.syslog));
}

static bool is_wanted(int severity)
{
	return severity <= atomic_load(&sink.max_severity);
}

/* A line as it is on stderr. Returns its length. */
static size_t format_line(char *ret_line, size_t size, int severity, const char *text)
{
	char when[32];
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	int length = snprintf(ret_line, size, "%s.%03ld %s %s\n", when, now.tv_nsec / 1000000,
		severity_names[severity & 7], text);
	return MIN((size_t)length, size - 1);
}

/*
 * Who reads the pipe may be away for hours, and no thread must wait for that. Only the first line
 * that finds no room waits a little. A terminal may have room for less than a line, and writing
 * waits then: the shell shares its file description, which must not be made O_NONBLOCK.
 */
static bool has_room(void)
{
	struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (poll(&fd, 1, atomic_load(&sink.n_unread) == 0 ? READER_MS : 0) != 0)
		return true;
	atomic_fetch_add(&sink.n_unread, 1);
	return false;
}

/*
 * One write() per line, so that lines of several threads do not mix; it is shorter than PIPE_BUF,
 * so that it does not wait for a pipe that has room.
 */
static void write_stderr(int severity, const char *text)
{
	char line[LINE_SIZE + 256], loss[64];
	size_t length = 0;

	if (!has_room())
		return;
	unsigned n_unread = atomic_exchange(&sink.n_unread, 0);
	if (n_unread > 0) {
		snprintf(loss, sizeof(loss), "%u lines were lost: nobody read stderr", n_unread);
		length = format_line(line, sizeof(line), LOG_WARNING, loss);
	}
	length += format_line(line + length, sizeof(line) - length, severity, text);
	/* If stderr is gone, there is nobody left to tell. */
	if (write(STDERR_FILENO, line, length) < 0)
		return;
}

/*
 * Texts that come from guests and clients must not forge lines, and journalctl shows nothing of an
 * entry that is not UTF-8. Arguments as of vsnprintf().
 */
_printf_(3, 0) static void format_text(char *ret_text, size_t size, const char *fmt, va_list args)
{
	char raw[FIELD_SIZE];

	vsnprintf(raw, sizeof(raw), fmt, args);
	text_copy(ret_text, size, raw);
}

/* The fields of a journal entry. */
struct fields {
	char texts[FIELDS_MAX][FIELD_SIZE];
	struct iovec list[FIELDS_MAX];
	int n;
};

_printf_(2, 3) static void add_field(struct fields *fields, const char *fmt, ...)
{
	char *text = fields->texts[fields->n];
	va_list args;

	va_start(args, fmt);
	format_text(text, sizeof(fields->texts[0]), fmt, args);
	va_end(args);
	fields->list[fields->n++] = (struct iovec){.iov_base = text, .iov_len = strlen(text)};
}

static int send_to_journal(int severity, const struct log_event *event, const char *text)
{
	struct fields fields;

	fields.n = 0;
	add_field(&fields, "MESSAGE=%s", text);
	add_field(&fields, "PRIORITY=%d", severity);
	add_field(&fields, "SYSLOG_FACILITY=%d", LOG_FAC(LOG_DAEMON));
	add_field(&fields, "SYSLOG_IDENTIFIER=%s", sink.name);
	if (event && event->name)
		add_field(&fields, "EVENT=%s", event->name);
	if (event && event->relay >= 0)
		add_field(&fields, "RELAY=%d", event->relay);
	if (event && event->device && event->device[0])
		add_field(&fields, "DEVICE=%s", event->device);
	if (event && event->socket && event->socket[0])
		add_field(&fields, "SOCKET=%s", event->socket);
	return sd_journal_sendv(fields.list, fields.n);
}

_printf_(3, 0) static void write_line(
	int severity, const struct log_event *event, const char *fmt, va_list args)
{
	char text[LINE_SIZE];

	if (!is_wanted(severity))
		return;
	format_text(text, sizeof(text), fmt, args);
	if (sink.journal && send_to_journal(severity, event, text) >= 0)
		return;
	if (atomic_load(&sink.syslog))
		syslog(severity, "%s", text);
	if (!atomic_load(&sink.left_stderr))
		write_stderr(severity, text);
}

void log_at(int severity, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	write_line(severity, NULL, fmt, args);
	va_end(args);
}

void log_event_at(int severity, const struct log_event *event, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	write_line(severity, event, fmt, args);
	va_end(args);
}

static void log_suppressed(const struct log_limit *limit, int severity)
{
	char about[32] = "";

	if (limit->relay >= 0)
		snprintf(about, sizeof(about), "relay %d: ", limit->relay);
	log_event_at(severity, &(struct log_event){.relay = limit->relay},
		"%s%u messages like the next one were held back", about, limit->suppressed);
}

bool log_limit_try(struct log_limit *limit, int severity)
{
	struct timespec now;

	if (!is_wanted(severity))
		return true;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec > limit->last_s) {
		long refilled = limit->tokens + (now.tv_sec - limit->last_s);

		limit->tokens = (unsigned)MIN(refilled, (long)limit->burst);
		limit->last_s = now.tv_sec;
	}
	if (limit->tokens == 0)
		return false;
	limit->tokens--;
	if (limit->suppressed > 0) {
		log_suppressed(limit, severity);
		limit->suppressed = 0;
	}
	return true;
}

bool log_limit_pass(struct log_limit *limit, int severity)
{
	if (log_limit_try(limit, severity))
		return true;
	limit->suppressed++;
	return false;
}
