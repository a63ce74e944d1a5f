/* SPDX-License-Identifier: BSD-3-Clause */
/* A fake server does here what a real one does not; the rest is in tests/black/test_ovsdb.py. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"
#include "control/loop_fixture.h"
#include "control/ovsdb/jsonrpc.h"
#include "control/ovsdb/ovsdb_monitor.h"
#include "control/turn.h"
#include "host/former_names.h"
#include "host/sysfs_fixture.h"

#define PROBE_MS 100
#define MARKED_ROW(name, id)                                                       \
	"\"" name "\":{\"new\":{\"name\":\"" name "\",\"external_ids\":[\"map\",[" \
	"[\"virtio_forwarder\",\"1\"],[\"virtio_forwarder_id\",\"" id "\"],"       \
	"[\"virtio_forwarder_device\",\"net_null" id "\"]]]}}"
#define ROW_OF_RELAY_5 "{\"Interface\":{" MARKED_ROW("u5", "5") "}}"
#define UNMARKED_ROW \
	"{\"Interface\":{\"u9\":{\"new\":{\"name\":\"z\",\"external_ids\":[\"map\",[]]}}}}"
#define BAD_ROW "{\"id\":1,\"result\":{\"Interface\":{\"u\":{\"new\":{\"name\":1}}}}}"
#define NO_ROW "{\"Interface\":{\"u5\":{\"old\":{}}}}"

struct bed {
	struct fake_sysfs fs;
	char directory[64];
	struct sockaddr_un addr;
	sd_event *event;
	struct ovsdb_monitor *monitor;
	int listener;
	int client;     /* the accepted connection, or -1 */
	char log[1024]; /* the operations, as text */
	int code;       /* what additions return */
	int removal_code;
	bool slow; /* an operation takes more than a turn */
};

static void apply(void *userdata, const struct op *op, struct op_result *ret_result)
{
	const struct timespec turn = {.tv_nsec = TURN_NS};
	struct bed *bed = userdata;
	size_t length = strlen(bed->log);

	if (bed->slow)
		nanosleep(&turn, NULL);
	snprintf(bed->log + length, sizeof(bed->log) - length, "%s %d;",
		op->kind == OP_ADD ? "add" : "remove", op->relay_id);
	ret_result->code = op->kind == OP_ADD ? bed->code : bed->removal_code;
}

static void listen_again(struct bed *bed)
{
	unlink(bed->addr.sun_path);
	bed->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(bed->listener, (struct sockaddr *)&bed->addr, sizeof(bed->addr)), 0);
	assert_int_equal(listen(bed->listener, 8), 0);
}

static int make_bed_with(void **state, unsigned probe_ms)
{
	struct bed *bed = calloc(1, sizeof(*bed));
	struct ovsdb_monitor_options options = {.sysfs = bed->fs.root, .probe_ms = probe_ms};
	struct err err = {""};

	fake_sysfs_init(&bed->fs);
	strcpy(bed->directory, "/tmp/ovsdb-monitor-XXXXXX");
	assert_non_null(mkdtemp(bed->directory));
	bed->addr.sun_family = AF_UNIX;
	snprintf(bed->addr.sun_path, sizeof(bed->addr.sun_path), "%s/db.sock", bed->directory);
	bed->client = -1;
	listen_again(bed);
	assert_true(sd_event_new(&bed->event) >= 0);
	options.endpoint = bed->addr.sun_path;
	if (ovsdb_monitor_new(&bed->monitor, bed->event, &options, apply, bed, &err) < 0)
		fail_msg("%s", err.text);
	*state = bed;
	return 0;
}

static int make_bed(void **state)
{
	return make_bed_with(state, 0);
}

/* A client with short timeouts. */
static int make_hasty_bed(void **state)
{
	return make_bed_with(state, PROBE_MS);
}

static int remove_bed(void **state)
{
	struct bed *bed = *state;

	ovsdb_monitor_free(bed->monitor);
	sd_event_unref(bed->event);
	if (bed->client >= 0)
		close(bed->client);
	if (bed->listener >= 0)
		close(bed->listener);
	unlink(bed->addr.sun_path);
	assert_int_equal(rmdir(bed->directory), 0);
	fake_sysfs_fini(&bed->fs);
	free(bed);
	return 0;
}

static bool accepted(struct bed *bed)
{
	int fd = accept4(bed->listener, NULL, NULL, SOCK_NONBLOCK);

	if (fd < 0)
		return false;
	if (bed->client >= 0)
		close(bed->client);
	bed->client = fd;
	return true;
}

/* True once the client has closed the connection; discards what it sent. */
static bool closed(struct bed *bed)
{
	char data[4096];
	ssize_t n;

	while ((n = recv(bed->client, data, sizeof(data), 0)) > 0)
		;
	return n == 0 || errno == ECONNRESET;
}

/* The next message of the client, or NULL; the caller owns the reference. */
static json_t *received(struct bed *bed)
{
	char data[4096];
	json_error_t error;
	ssize_t n = recv(bed->client, data, sizeof(data), MSG_PEEK);
	json_t *message =
		n > 0 ? json_loadb(data, (size_t)n, JSON_DISABLE_EOF_CHECK, &error) : NULL;

	if (message)
		assert_int_equal(
			recv(bed->client, data, (size_t)error.position, 0), error.position);
	return message;
}

/* Waits for a message of the method, or for a reply if it is NULL. */
static json_t *await(struct bed *bed, const char *method)
{
	json_t *message = NULL;
	const char *got;

	for (;;) {
		run_until(bed->event, (message = received(bed)));
		got = json_string_value(json_object_get(message, "method"));
		if (method && got ? !strcmp(got, method) : method == got)
			return message;
		json_decref(message);
	}
}

static void say(struct bed *bed, const char *text)
{
	assert_int_equal(send(bed->client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Accepts the client and answers its request with these rows. */
static void sync_with(struct bed *bed, const char *rows)
{
	char text[1024];
	json_t *request;

	run_until(bed->event, accepted(bed));
	request = await(bed, "monitor");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(request, "params"), 0)),
		"Open_vSwitch");
	snprintf(text, sizeof(text), "{\"id\":%lld,\"result\":%s,\"error\":null}",
		(long long)json_integer_value(json_object_get(request, "id")), rows);
	json_decref(request);
	say(bed, text);
}

static void update(struct bed *bed, const char *rows)
{
	char text[1024];

	snprintf(text, sizeof(text),
		"{\"id\":null,\"method\":\"update\",\"params\":[\"virtio-forwarder\",%s]}", rows);
	say(bed, text);
}

/* Waits until the client has read everything sent so far. */
static void wait_heard(struct bed *bed)
{
	say(bed, "{\"id\":\"e\",\"method\":\"echo\",\"params\":[]}");
	json_decref(await(bed, NULL));
}

static void follows_what_it_is_told(void **state)
{
	struct bed *bed = *state;

	sync_with(bed, ROW_OF_RELAY_5);
	run_until(bed->event, !strcmp(bed->log, "add 5;"));
	update(bed, NO_ROW);
	run_until(bed->event, !strcmp(bed->log, "add 5;remove 5;"));
	update(bed, ROW_OF_RELAY_5);
	run_until(bed->event, !strcmp(bed->log, "add 5;remove 5;add 5;"));
}

static void answers_echo_and_sends_its_own(void **state)
{
	struct bed *bed = *state;
	json_t *message;

	sync_with(bed, "{}");
	say(bed, "{\"id\":\"e\",\"method\":\"echo\",\"params\":[\"x\",{}]}{\"id\":7,\"method\":"
		 "\"echo\"}");
	message = await(bed, NULL);
	assert_string_equal(json_string_value(json_object_get(message, "id")), "e");
	assert_int_equal(json_array_size(json_object_get(message, "result")), 2);
	assert_true(json_is_null(json_object_get(message, "error")));
	json_decref(message);
	json_decref(await(bed, NULL));
	/* silence makes it probe; an answer keeps the connection */
	for (int i = 0; i < 3; i++) {
		json_decref(await(bed, "echo"));
		say(bed, "{\"id\":\"probe\",\"result\":[],\"error\":null}");
	}
	assert_false(accepted(bed));
}

static void a_dead_server_is_given_up_and_the_relay_stays(void **state)
{
	struct bed *bed = *state;

	sync_with(bed, ROW_OF_RELAY_5);
	run_until(bed->event, !strcmp(bed->log, "add 5;"));
	run_until(bed->event, closed(bed)); /* no echo was answered */
	sync_with(bed, ROW_OF_RELAY_5);
	json_decref(await(bed, "echo"));
	assert_string_equal(bed->log, "add 5;");
	close(bed->client);
	sync_with(bed, "{}");
	run_until(bed->event, !strcmp(bed->log, "add 5;remove 5;"));
}

static void a_server_that_comes_back_is_found_at_once(void **state)
{
	struct bed *bed = *state;
	uint64_t start_ns;

	/* long enough without a server for the back-off to reach seconds */
	run_until(bed->event, accepted(bed));
	close(bed->listener);
	unlink(bed->addr.sun_path);
	close(bed->client);
	bed->client = -1;
	for (start_ns = clock_monotonic_ns(); clock_monotonic_ns() < start_ns + 1600000000;)
		sd_event_run(bed->event, 10000);
	start_ns = clock_monotonic_ns();
	listen_again(bed);
	run_until(bed->event, accepted(bed));
	assert_in_range(clock_monotonic_ns() - start_ns, 0, 1000000000);
}

static void breaches_end_the_connection_only(void **state)
{
	struct bed *bed = *state;
	const char *const breaches[] = {
		"HTTP/1.1 400 Bad Request\r\n\r\n",
		"{\"a\":}",
		"{\"id\":1,\"result\":null,\"error\":\"unknown database\"}",
		"{\"id\":1,\"result\":{\"Interface\":[]},\"error\":null}",
		BAD_ROW,
	};
	const char *const harmless[] = {
		"{}",
		"{\"id\":99,\"result\":{}}",
		"{\"method\":1}",
		"{\"id\":null,\"method\":\"update\"}",
		"{\"id\":null,\"method\":\"update\",\"params\":[\"virtio-forwarder\"]}",
		"{\"id\":null,\"method\":\"stolen\",\"params\":[\"x\"]}",
		" \n ",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(breaches); i++) {
		run_until(bed->event, accepted(bed));
		json_decref(await(bed, "monitor"));
		say(bed, breaches[i]);
		run_until(bed->event, closed(bed));
	}
	run_until(bed->event, accepted(bed));
	json_decref(await(bed, "monitor"));
	for (unsigned i = 0; i < ARRAY_SIZE(harmless); i++)
		say(bed, harmless[i]);
	say(bed, "{\"id\":1,\"result\":" ROW_OF_RELAY_5 ",\"error\":null}");
	run_until(bed->event, !strcmp(bed->log, "add 5;"));
}

/* An endless message, then echo requests whose answers are never read. */
static void a_flood_is_bounded(void **state)
{
	static const char echo[] =
		"{\"id\":0,\"method\":\"echo\",\"params\":[\"0123456789abcdef\"]}";
	struct bed *bed = *state;
	char text[65536];
	size_t sent = 0;
	ssize_t n;

	run_until(bed->event, accepted(bed));
	memset(text, 'x', sizeof(text));
	say(bed, "{\"");
	while ((n = send(bed->client, text, sizeof(text), MSG_NOSIGNAL)) > 0 || errno == EAGAIN) {
		sent += n > 0 ? (size_t)n : 0;
		assert_in_range(sent, 0, 2 * JSONRPC_MESSAGE_MAX);
		sd_event_run(bed->event, 1000);
	}
	run_until(bed->event, accepted(bed));
	sent = 0;
	while ((n = send(bed->client, echo, strlen(echo), MSG_NOSIGNAL)) > 0 || errno == EAGAIN) {
		if (n > 0 && (size_t)n < strlen(echo))
			break;
		sent += n > 0 ? (size_t)n : 0;
		assert_in_range(sent, 0, 16 * JSONRPC_OUTPUT_MAX);
		sd_event_run(bed->event, n > 0 ? 0 : 1000);
	}
	run_until(bed->event, accepted(bed));
}

static void a_failed_addition_is_tried_again(void **state)
{
	struct bed *bed = *state;

	bed->code = ENODEV;
	sync_with(bed, ROW_OF_RELAY_5);
	run_until(bed->event, !strcmp(bed->log, "add 5;add 5;"));
	bed->code = 0;
	run_until(bed->event, !strcmp(bed->log, "add 5;add 5;add 5;"));
	bed->log[0] = '\0';
	bed->removal_code = EBUSY;
	update(bed, NO_ROW);
	run_until(bed->event, !strcmp(bed->log, "remove 5;remove 5;"));
	/* the row comes back before the removal has succeeded: nothing is left to do */
	update(bed, ROW_OF_RELAY_5);
	wait_heard(bed);
	assert_string_equal(bed->log, "remove 5;remove 5;");
}

static unsigned count(const char *text, const char *part)
{
	unsigned n = 0;

	while ((text = strstr(text, part))) {
		n++;
		text += strlen(part);
	}
	return n;
}

/* Other event sources wait for one slow operation at most. */
static void slow_operations_take_turns(void **state)
{
	struct bed *bed = *state;
	unsigned n = 0, before;

	bed->slow = true;
	bed->code = EIO;
	sync_with(bed, "{\"Interface\":{" MARKED_ROW("a", "1") "," MARKED_ROW(
			       "b", "2") "," MARKED_ROW("c", "3") "}}");
	while (n < 3) {
		before = n;
		sd_event_run(bed->event, 1000000);
		n = count(bed->log, ";");
		assert_in_range(n, before, before + 1);
	}
	assert_string_equal(bed->log, "add 1;add 2;add 3;"); /* the failed ones wait */
	bed->code = 0;
	run_until(bed->event, !strcmp(bed->log, "add 1;add 2;add 3;add 1;add 2;add 3;"));
}

/* Otherwise a relay that is slow to fail would be tried again and again, and the others never. */
static void new_rows_do_not_bring_back_what_was_just_tried(void **state)
{
	struct bed *bed = *state;

	bed->slow = true;
	bed->code = EIO;
	sync_with(bed, "{\"Interface\":{" MARKED_ROW("a", "1") "," MARKED_ROW(
			       "b", "2") "," MARKED_ROW("c", "3") "}}");
	run_until(bed->event, count(bed->log, ";") == 1);
	update(bed, ROW_OF_RELAY_5);
	run_until(bed->event, count(bed->log, ";") == 5);
	assert_string_equal(bed->log, "add 1;add 2;add 3;add 5;add 1;");
}

/* Several updates at once take no more than a turn either. */
static void updates_take_turns(void **state)
{
	static const char *const rows[] = {
		"{\"Interface\":{" MARKED_ROW("a", "1") "}}",
		"{\"Interface\":{" MARKED_ROW("b", "2") "}}",
		"{\"Interface\":{" MARKED_ROW("c", "3") "}}",
	};
	struct bed *bed = *state;
	unsigned n = 0, before;

	sync_with(bed, ROW_OF_RELAY_5);
	run_until(bed->event, !strcmp(bed->log, "add 5;"));
	bed->log[0] = '\0';
	bed->slow = true;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		update(bed, rows[i]);
	while (n < ARRAY_SIZE(rows)) {
		before = n;
		sd_event_run(bed->event, 1000000);
		n = count(bed->log, ";");
		assert_in_range(n, before, before + 1);
	}
}

/* Opens the file by which root has the kernel announce something; skips the test otherwise. */
static int open_announcer(void)
{
	int fd = open("/sys/class/net/lo/uevent", O_WRONLY | O_CLOEXEC);

	if (fd < 0) {
		print_message("only root can cause an event\n");
		skip();
	}
	return fd;
}

/* A bound VF keeps its name, which another interface has for a while. */
static void what_was_in_the_way_has_left(void **state)
{
	const struct pci_addr addr = {0, 5, 9, 1};
	struct bed *bed = *state;
	int fd = open_announcer();

	fake_sysfs_pci(&bed->fs, "0000:05:00.0", "nfp", 1);
	fake_sysfs_pci(&bed->fs, "0000:05:09.1", "vfio-pci", 9);
	fake_sysfs_vf(&bed->fs, "0000:05:00.0", "0000:05:09.1", 9);
	fake_sysfs_netdev(&bed->fs, "eth9", "0000:05:09.1", NULL, NULL);
	assert_int_equal(host_former_name_remember(bed->fs.root, &addr, NULL), 0);
	fake_sysfs_remove(&bed->fs, "class/net/eth9");
	fake_sysfs_netdev(&bed->fs, "eth9", NULL, NULL, NULL);
	sync_with(bed, "{\"Interface\":{\"u\":{\"new\":{\"name\":\"eth9\",\"external_ids\":"
		       "[\"map\",[[\"virtio_forwarder\",\"1\"]]]}}}}");
	wait_heard(bed);
	fake_sysfs_remove(&bed->fs, "class/net/eth9");
	assert_int_equal(write(fd, "unbind", 6), 6);
	close(fd);
	run_until(bed->event, !strcmp(bed->log, "add 9;"));
}

/* Constant kernel events, as on a host where containers come and go, do not hold up a plan. */
static void announcements_let_a_plan_go_through(void **state)
{
	struct bed *bed = *state;
	int fd = open_announcer();
	unsigned n;

	bed->slow = true;
	bed->code = EIO;
	sync_with(bed, "{\"Interface\":{" MARKED_ROW("a", "1") "," MARKED_ROW(
			       "b", "2") "," MARKED_ROW("c", "3") "}}");
	while ((n = count(bed->log, ";")) < 3) {
		assert_int_equal(write(fd, "change", 6), 6);
		run_until(bed->event, count(bed->log, ";") > n);
	}
	close(fd);
	assert_string_equal(bed->log, "add 1;add 2;add 3;");
}

/* What has come is left alone until the host has been quiet for a second. */
static void announcements_put_off_the_next_plan(void **state)
{
	const uint64_t settle_ns = 1000000000, apart_ns = 600000000;
	struct bed *bed = *state;
	int fd = open_announcer();

	bed->code = ENODEV;
	sync_with(bed, ROW_OF_RELAY_5);
	run_until(bed->event, count(bed->log, ";") == 3); /* the next attempt is a second away */
	wait_heard(bed);
	const uint64_t first_ns = clock_monotonic_ns();
	assert_int_equal(write(fd, "change", 6), 6);
	while (clock_monotonic_ns() - first_ns < apart_ns)
		sd_event_run(bed->event, 10000);
	assert_int_equal(write(fd, "change", 6), 6);
	close(fd);
	sd_event_run(bed->event, 0);
	const bool in_time = clock_monotonic_ns() - first_ns < settle_ns; /* on a busy machine */
	run_until(bed->event, count(bed->log, ";") == 4);
	if (in_time)
		assert_true(clock_monotonic_ns() - first_ns >= apart_ns + settle_ns);
}

/* An update that changes nothing does not cause an early retry. */
static void updates_of_others_do_not_hasten(void **state)
{
	struct bed *bed = *state;

	bed->code = ENODEV;
	sync_with(bed, ROW_OF_RELAY_5);
	run_until(bed->event, count(bed->log, ";") == 3); /* the next attempt is a second away */
	for (unsigned i = 0; i < 4; i++) {
		update(bed, i % 2 ? UNMARKED_ROW : ROW_OF_RELAY_5);
		wait_heard(bed);
	}
	assert_string_equal(bed->log, "add 5;add 5;add 5;");
}

static void bad_endpoints_are_refused(void **state)
{
	const struct ovsdb_monitor_options options = {.endpoint = "tcp:localhost:6640"};
	struct bed *bed = *state;
	struct ovsdb_monitor *monitor = NULL;
	struct err err = {""};

	assert_int_equal(
		ovsdb_monitor_new(&monitor, bed->event, &options, apply, bed, &err), -EINVAL);
	assert_non_null(strstr(err.text, "tcp:localhost:6640"));
	assert_null(monitor);
}

#define IN_HASTY_BED(test) cmocka_unit_test_setup_teardown(test, make_hasty_bed, remove_bed)
#define IN_BED(test) cmocka_unit_test_setup_teardown(test, make_bed, remove_bed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_BED(follows_what_it_is_told),
		IN_HASTY_BED(answers_echo_and_sends_its_own),
		IN_HASTY_BED(a_dead_server_is_given_up_and_the_relay_stays),
		IN_BED(a_server_that_comes_back_is_found_at_once),
		IN_BED(breaches_end_the_connection_only),
		IN_BED(a_flood_is_bounded),
		IN_BED(a_failed_addition_is_tried_again),
		IN_BED(slow_operations_take_turns),
		IN_BED(new_rows_do_not_bring_back_what_was_just_tried),
		IN_BED(updates_take_turns),
		IN_BED(what_was_in_the_way_has_left),
		IN_BED(announcements_let_a_plan_go_through),
		IN_BED(announcements_put_off_the_next_plan),
		IN_BED(updates_of_others_do_not_hasten),
		IN_BED(bad_endpoints_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
