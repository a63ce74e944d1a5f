/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include <cmocka.h>
#include <linux/virtio_config.h>

#include "core/gate/gate_rules.h"

#define GPA 0x100000000ULL
#define UVA 0x700000000000ULL
#define MEMORY_BYTES (1ULL << 20)
#define PACKED (1ULL << 34)
#define LOG_ALL (1ULL << 26)
#define VERSION_1 (1ULL << 32)

struct bed {
	struct gate_rules rules;
	struct err err;
	int memory_fd, event_fd;
};

static int set_up(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	bed->memory_fd = memfd_create("test", MFD_CLOEXEC);
	bed->event_fd = eventfd(0, EFD_CLOEXEC);
	*state = bed;
	return ftruncate(bed->memory_fd, MEMORY_BYTES);
}

static int tear_down(void **state)
{
	struct bed *bed = *state;

	close(bed->memory_fd);
	close(bed->event_fd);
	free(bed);
	return 0;
}

static int say(struct bed *bed, uint32_t request, const void *payload, size_t bytes, const int *fds,
	unsigned n_fds)
{
	struct vhost_user_message message = {
		.header = {request, VHOST_USER_VERSION | VHOST_USER_NEED_REPLY, bytes}};

	if (bytes > 0)
		memcpy(&message.payload, payload, bytes);
	bed->err.text[0] = '\0';
	int r = gate_rules_check(&bed->rules, &message, fds, n_fds, &bed->err);
	assert_true((r < 0) == (bed->err.text[0] != '\0'));
	return r;
}

static int say_number(struct bed *bed, uint32_t request, uint64_t number)
{
	return say(bed, request, &number, sizeof(number), NULL, 0);
}

static int say_ring(struct bed *bed, uint32_t request, uint32_t index, uint32_t number)
{
	struct vhost_user_ring_state ring = {index, number};

	return say(bed, request, &ring, sizeof(ring), NULL, 0);
}

static int say_fd(struct bed *bed, uint32_t request, uint64_t number, int fd)
{
	return say(bed, request, &number, sizeof(number), &fd, fd < 0 ? 0 : 1);
}

static struct vhost_user_region region(void)
{
	return (struct vhost_user_region){GPA, MEMORY_BYTES, UVA, 0};
}

static int say_memory(
	struct bed *bed, const struct vhost_user_region *regions, unsigned n, const int *fds)
{
	struct vhost_user_memory memory = {.n_regions = n};

	memcpy(memory.regions, regions, n * sizeof(regions[0]));
	return say(bed, VHOST_USER_SET_MEM_TABLE, &memory,
		offsetof(struct vhost_user_memory, regions) + n * sizeof(regions[0]), fds, n);
}

static int say_region(struct bed *bed, struct vhost_user_region wanted)
{
	return say_memory(bed, &wanted, 1, &bed->memory_fd);
}

static struct vhost_user_ring_addr addr(uint32_t index)
{
	uint64_t at = UVA + 0x10000 * index;

	return (struct vhost_user_ring_addr){
		.index = index, .desc = at, .avail = at + 0x4000, .used = at + 0x8000};
}

static int say_addr(struct bed *bed, struct vhost_user_ring_addr wanted)
{
	return say(bed, VHOST_USER_SET_VRING_ADDR, &wanted, sizeof(wanted), NULL, 0);
}

static void negotiate(struct bed *bed, uint64_t features)
{
	assert_int_equal(say(bed, VHOST_USER_GET_FEATURES, NULL, 0, NULL, 0), 0);
	assert_int_equal(say(bed, VHOST_USER_SET_OWNER, NULL, 0, NULL, 0), 0);
	assert_int_equal(
		say_number(bed, VHOST_USER_SET_PROTOCOL_FEATURES, gate_rules_protocol_features), 0);
	assert_int_equal(say_number(bed, VHOST_USER_SET_FEATURES, features), 0);
	assert_int_equal(say_region(bed, region()), 0);
}

static void size_ring(struct bed *bed, unsigned index, unsigned size)
{
	assert_int_equal(say_ring(bed, VHOST_USER_SET_VRING_NUM, index, size), 0);
	assert_int_equal(say_ring(bed, VHOST_USER_SET_VRING_BASE, index, 0), 0);
}

static void start_ring(struct bed *bed, unsigned index, unsigned size)
{
	size_ring(bed, index, size);
	assert_int_equal(say_addr(bed, addr(index)), 0);
	assert_int_equal(say_fd(bed, VHOST_USER_SET_VRING_KICK, index, bed->event_fd), 0);
	assert_int_equal(say_fd(bed, VHOST_USER_SET_VRING_CALL, index, bed->event_fd), 0);
	assert_int_equal(say_ring(bed, VHOST_USER_SET_VRING_ENABLE, index, 1), 0);
}

static void start(struct bed *bed, uint64_t features)
{
	negotiate(bed, features);
	start_ring(bed, 0, 256);
	start_ring(bed, 1, 256);
	assert_true(gate_rules_running(&bed->rules));
}

static void honest_life(void **state)
{
	struct bed *bed = *state;
	struct vhost_user_log log = {4096, 0};

	start(bed, VERSION_1);
	/* A migration begins: the same rings, now logged. */
	assert_int_equal(
		say(bed, VHOST_USER_SET_LOG_BASE, &log, sizeof(log), &bed->memory_fd, 1), 0);
	assert_int_equal(say_number(bed, VHOST_USER_SET_FEATURES, VERSION_1 | LOG_ALL), 0);
	struct vhost_user_ring_addr logged = addr(0);
	logged.flags = 1;
	logged.log = GPA;
	assert_int_equal(say_addr(bed, logged), 0);
	assert_int_equal(say_number(bed, VHOST_USER_SET_FEATURES, VERSION_1), 0);
	/* Memory is hot-plugged; the rings stay where they are. */
	assert_int_equal(say_region(bed, region()), 0);
	/* The guest stops, is reset by its owner, and starts anew with other rings. */
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(say_ring(bed, VHOST_USER_SET_VRING_ENABLE, i, 0), 0);
		assert_int_equal(say_ring(bed, VHOST_USER_GET_VRING_BASE, i, 0), 0);
	}
	assert_false(gate_rules_running(&bed->rules));
	assert_int_equal(say(bed, VHOST_USER_RESET_OWNER, NULL, 0, NULL, 0), 0);
	negotiate(bed, VERSION_1 | PACKED);
	start_ring(bed, 0, 100);
}

static void form_is_checked(void **state)
{
	struct bed *bed = *state;
	struct vhost_user_message message = {.header = {VHOST_USER_SET_OWNER, 0, 0}};
	const int fds[2] = {bed->event_fd, bed->event_fd};

	for (uint32_t version = 0; version < 4; version++) {
		message.header.flags = version;
		assert_true((gate_rules_check(&bed->rules, &message, NULL, 0, NULL) == 0) ==
			    (version == 1));
	}
	message.header.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	assert_true(gate_rules_check(&bed->rules, &message, NULL, 0, NULL) < 0);
	assert_true(say(bed, 0, NULL, 0, NULL, 0) < 0);
	assert_true(say(bed, 23, NULL, 0, NULL, 0) < 0);
	assert_true(say(bed, VHOST_USER_REQUESTS, NULL, 0, NULL, 0) < 0);
	assert_true(say(bed, VHOST_USER_SET_OWNER, fds, 8, NULL, 0) < 0);
	assert_true(say(bed, VHOST_USER_SET_FEATURES, fds, 4, NULL, 0) < 0);
	assert_true(say(bed, VHOST_USER_SET_OWNER, NULL, 0, fds, 1) < 0);
	assert_true(say(bed, VHOST_USER_SET_VRING_CALL, &(uint64_t){0}, 8, fds, 2) < 0);
	assert_true(say_fd(bed, VHOST_USER_SET_VRING_CALL, VHOST_USER_NO_FD, bed->event_fd) < 0);
	assert_true(say_fd(bed, VHOST_USER_SET_VRING_CALL, 0, -1) < 0);
	assert_int_equal(say_fd(bed, VHOST_USER_SET_VRING_CALL, VHOST_USER_NO_FD, -1), 0);
}

static void table_must_have_the_size_it_says(void **state)
{
	struct bed *bed = *state;
	struct vhost_user_memory memory = {.n_regions = 2, .regions = {region(), region()}};
	const int fds[2] = {bed->memory_fd, bed->memory_fd};

	assert_true(say(bed, VHOST_USER_SET_MEM_TABLE, &memory, 8 + 32, fds, 2) < 0);
	memory.n_regions = 0x08000001;
	assert_true(say(bed, VHOST_USER_SET_MEM_TABLE, &memory, 8 + 32, fds, 1) < 0);
	memory.n_regions = 0;
	assert_true(say(bed, VHOST_USER_SET_MEM_TABLE, &memory, 8, NULL, 0) < 0);
}

static void regions_are_checked(void **state)
{
	struct bed *bed = *state;
	struct vhost_user_region two[2] = {region(), region()};
	const int fds[2] = {bed->memory_fd, bed->memory_fd};
	const struct vhost_user_region bad[] = {
		{GPA, 0, UVA, 0},
		{GPA, MEMORY_BYTES + 1, UVA, 0},
		{GPA, MEMORY_BYTES, UVA, 1},
		{GPA, 4096, UVA, UINT64_MAX - 4095},
		{GPA, UINT64_MAX, UVA, 0},
		{UINT64_MAX - 4094, 4096, UVA, 0},
		{GPA, 4096, UINT64_MAX - 4094, 0},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(say_region(bed, bad[i]) < 0);
	assert_true(say_memory(bed, two, 2, fds) < 0);
	two[1].gpa += MEMORY_BYTES - 1;
	two[1].uva += MEMORY_BYTES;
	assert_true(say_memory(bed, two, 2, fds) < 0);
	two[1].gpa++;
	assert_int_equal(say_memory(bed, two, 2, fds), 0);
}

static void memory_must_be_a_writable_file(void **state)
{
	struct bed *bed = *state;
	struct vhost_user_region wanted = region();
	const char *paths[] = {"/dev/null", "/dev/zero"};
	int pair[2];

	for (unsigned i = 0; i < ARRAY_SIZE(paths); i++) {
		int fd = open(paths[i], O_RDWR | O_CLOEXEC);
		assert_true(say_memory(bed, &wanted, 1, &fd) < 0);
		assert_non_null(strstr(bed->err.text, "a device, or a file"));
		close(fd);
	}
	int directory = open("/tmp", O_RDONLY | O_CLOEXEC);
	assert_true(say_memory(bed, &wanted, 1, &directory) < 0);
	close(directory);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_true(say_memory(bed, &wanted, 1, &pair[0]) < 0);
	close(pair[0]);
	close(pair[1]);
	int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, MEMORY_BYTES), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_true(say_memory(bed, &wanted, 1, &fd) < 0);
	close(fd);
}

static void files_are_remembered(void **state)
{
	struct bed *bed = *state;
	struct stat st;

	assert_int_equal(fstat(bed->memory_fd, &st), 0);
	struct file_id file = file_id_of(&st);
	assert_false(gate_rules_shares(&bed->rules, file));
	start(bed, VERSION_1);
	assert_true(gate_rules_shares(&bed->rules, file));
	file.inode++;
	assert_false(gate_rules_shares(&bed->rules, file));
}

static void running_rings_stay_in_memory(void **state)
{
	struct bed *bed = *state;
	struct vhost_user_region moved = region();

	start(bed, VERSION_1);
	moved.uva += 4096;
	assert_true(say_region(bed, moved) < 0);
	moved = region();
	moved.bytes = 0x10000; /* the second ring is behind its end */
	assert_true(say_region(bed, moved) < 0);
	assert_int_equal(say_ring(bed, VHOST_USER_GET_VRING_BASE, 1, 0), 0);
	assert_int_equal(say_region(bed, moved), 0);
}

static void running_rings_do_not_change(void **state)
{
	struct bed *bed = *state;
	struct vhost_user_ring_addr moved = addr(0);

	start(bed, VERSION_1);
	assert_true(say_ring(bed, VHOST_USER_SET_VRING_NUM, 0, 256) < 0);
	assert_true(say_ring(bed, VHOST_USER_SET_VRING_BASE, 0, 0) < 0);
	assert_true(say_number(bed, VHOST_USER_SET_FEATURES, VERSION_1 | PACKED) < 0);
	assert_true(say_number(bed, VHOST_USER_SET_FEATURES, 0) < 0);
	assert_true(say(bed, VHOST_USER_RESET_OWNER, NULL, 0, NULL, 0) < 0);
	assert_int_equal(say_addr(bed, moved), 0);
	moved.desc += 16;
	assert_true(say_addr(bed, moved) < 0);
	moved = addr(0);
	moved.used += 16;
	assert_true(say_addr(bed, moved) < 0);
}

static void sizes_are_checked(void **state)
{
	struct bed *bed = *state;
	const uint32_t never[] = {0, 1, GATE_RING_SIZE_MAX + 1, 32768, 65536, UINT32_MAX};

	negotiate(bed, VERSION_1);
	for (unsigned i = 0; i < ARRAY_SIZE(never); i++)
		assert_true(say_ring(bed, VHOST_USER_SET_VRING_NUM, 0, never[i]) < 0);
	assert_true(say_ring(bed, VHOST_USER_SET_VRING_NUM, 0, 100) < 0);
	assert_true(say_ring(bed, VHOST_USER_SET_VRING_NUM, RINGS_MAX, 256) < 0);
	assert_int_equal(say_ring(bed, VHOST_USER_SET_VRING_NUM, 0, 2), 0);
	assert_int_equal(say_ring(bed, VHOST_USER_SET_VRING_NUM, 0, 16), 0);
	assert_int_equal(say_ring(bed, VHOST_USER_SET_VRING_NUM, 0, GATE_RING_SIZE_MAX), 0);
}

/* What was sound when it was said must still be sound when the ring starts. */
static void start_judges_all_of_it(void **state)
{
	struct bed *bed = *state;

	/* Sized as a packed ring, started as a split one. */
	negotiate(bed, VERSION_1 | PACKED);
	size_ring(bed, 0, 100);
	assert_int_equal(say_addr(bed, addr(0)), 0);
	assert_int_equal(say_number(bed, VHOST_USER_SET_FEATURES, VERSION_1), 0);
	assert_true(say_fd(bed, VHOST_USER_SET_VRING_KICK, 0, bed->event_fd) < 0);
	/* A packed ring that begins behind its end. */
	assert_int_equal(say_number(bed, VHOST_USER_SET_FEATURES, VERSION_1 | PACKED), 0);
	assert_int_equal(say_ring(bed, VHOST_USER_SET_VRING_BASE, 0, 0x8000 | 100), 0);
	assert_true(say_fd(bed, VHOST_USER_SET_VRING_KICK, 0, bed->event_fd) < 0);
	/*
	 * A packed ring that begins inside, with the used index in the upper half as QEMU sends it.
	 */
	assert_int_equal(say_ring(bed, VHOST_USER_SET_VRING_BASE, 0, 0x80058000 | 99), 0);
	assert_int_equal(say_fd(bed, VHOST_USER_SET_VRING_KICK, 0, bed->event_fd), 0);
	/* Once stopped, everything has to be said anew. */
	assert_int_equal(say_ring(bed, VHOST_USER_GET_VRING_BASE, 0, 0), 0);
	assert_true(say_fd(bed, VHOST_USER_SET_VRING_KICK, 0, bed->event_fd) < 0);
}

static void memory_that_shrinks_before_the_start_is_seen(void **state)
{
	struct bed *bed = *state;
	struct vhost_user_region small = region();

	negotiate(bed, VERSION_1);
	size_ring(bed, 1, 256);
	assert_int_equal(say_addr(bed, addr(1)), 0);
	small.bytes = 0x10000;
	assert_int_equal(say_region(bed, small), 0);
	assert_true(say_fd(bed, VHOST_USER_SET_VRING_KICK, 1, bed->event_fd) < 0);
}

#define END (UVA + MEMORY_BYTES)

static void expect_bad_addrs(struct bed *bed, const struct vhost_user_ring_addr *bad, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_true(say_addr(bed, bad[i]) < 0);
}

/* Bad addresses for rings of both kinds. */
static void expect_bad_anywhere(struct bed *bed)
{
	const struct vhost_user_ring_addr bad[] = {
		{.desc = 0, .avail = 0, .used = 0},
		{.desc = GPA, .avail = GPA, .used = GPA},
		{.desc = UVA + 8, .avail = UVA, .used = UVA},
		{.desc = UVA, .avail = UVA, .used = UVA + 2},
		{.desc = UINT64_MAX - 15, .avail = UVA, .used = UVA},
		{.flags = 2, .desc = UVA, .avail = UVA, .used = UVA},
		{.index = RINGS_MAX, .desc = UVA, .avail = UVA, .used = UVA},
	};

	expect_bad_addrs(bed, bad, ARRAY_SIZE(bad));
}

static void addresses_are_checked(void **state)
{
	struct bed *bed = *state;
	const struct vhost_user_ring_addr bad[] = {
		{.desc = UVA, .avail = UVA + 1, .used = UVA},
		{.desc = END - 16 * 256 + 16, .avail = UVA, .used = UVA},
		/* no room for the event index */
		{.desc = UVA, .avail = UVA, .used = END - 4 - 8 * 256},
		{.desc = UVA, .avail = END - 4 - 2 * 256, .used = UVA},
	};

	assert_true(say_addr(bed, addr(0)) < 0); /* before the memory table */
	negotiate(bed, VERSION_1);
	/* Before the ring's size they do not count. */
	assert_int_equal(say_addr(bed, addr(0)), 0);
	assert_int_equal(say_addr(bed, (struct vhost_user_ring_addr){.flags = 1}), 0);
	assert_true(say_fd(bed, VHOST_USER_SET_VRING_KICK, 0, bed->event_fd) < 0);
	size_ring(bed, 0, 256);
	assert_true(say_fd(bed, VHOST_USER_SET_VRING_KICK, 0, bed->event_fd) < 0);
	expect_bad_anywhere(bed);
	expect_bad_addrs(bed, bad, ARRAY_SIZE(bad));
	assert_int_equal(say_addr(bed, addr(0)), 0);
}

static void packed_addresses_are_checked(void **state)
{
	struct bed *bed = *state;
	const struct vhost_user_ring_addr bad[] = {
		{.desc = UVA, .avail = UVA + 2, .used = UVA},
		{.desc = END - 16 * 100 + 16, .avail = UVA, .used = UVA},
		{.desc = UVA, .avail = UVA, .used = END},
		{.desc = UVA, .avail = END, .used = UVA},
	};
	const struct vhost_user_ring_addr last = {
		.desc = END - 16 * 100, .avail = END - 4, .used = END - 4};

	negotiate(bed, VERSION_1 | PACKED);
	size_ring(bed, 0, 100);
	expect_bad_anywhere(bed);
	expect_bad_addrs(bed, bad, ARRAY_SIZE(bad));
	assert_int_equal(say_addr(bed, last), 0);
}

static void only_eventfds_call(void **state)
{
	struct bed *bed = *state;
	int pipes[2];
	const int others[] = {timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC),
		open("/dev/null", O_RDWR | O_CLOEXEC), open("/", O_PATH | O_CLOEXEC),
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};

	assert_int_equal(say_fd(bed, VHOST_USER_SET_VRING_CALL, 0, bed->event_fd), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		assert_true(others[i] >= 0);
		assert_true(say_fd(bed, VHOST_USER_SET_VRING_CALL, 0, others[i]) < 0);
		close(others[i]);
	}
	assert_int_equal(pipe(pipes), 0);
	assert_true(say_fd(bed, VHOST_USER_SET_VRING_CALL, 0, pipes[0]) < 0);
	assert_true(say_fd(bed, VHOST_USER_SET_VRING_CALL, 0, pipes[1]) < 0);
	assert_true(say_fd(bed, VHOST_USER_SET_VRING_CALL, 0, bed->memory_fd) < 0);
	assert_true(say_fd(bed, VHOST_USER_SET_VRING_CALL, RINGS_MAX, bed->event_fd) < 0);
	assert_true(say_fd(bed, VHOST_USER_SET_VRING_CALL, 1ULL << 32, bed->event_fd) < 0);
	assert_int_equal(say(bed, VHOST_USER_SET_LOG_FD, NULL, 0, &bed->event_fd, 1), 0);
	assert_true(say(bed, VHOST_USER_SET_LOG_FD, NULL, 0, &bed->memory_fd, 1) < 0);
	close(pipes[0]);
	close(pipes[1]);
}

/* It could be a socket whose messages have any descriptors, and the library closes it. */
static void there_is_no_backend_channel(void **state)
{
	struct bed *bed = *state;
	const uint32_t set_backend_req_fd = 21;
	const uint64_t backend_req = 1ULL << 5;

	assert_int_equal(say(bed, set_backend_req_fd, NULL, 0, &bed->event_fd, 1), -EPROTO);
	assert_string_equal(bed->err.text, "unknown request 21");
	assert_false(gate_rules_protocol_features & backend_req);
}

static void logs_are_checked(void **state)
{
	struct bed *bed = *state;
	const struct vhost_user_log bad[] = {
		{0, 0}, {MEMORY_BYTES + 1, 0}, {4096, 4096}, {UINT64_MAX, 0}, {4096, UINT64_MAX}};
	struct vhost_user_log good = {MEMORY_BYTES, 0};

	assert_true(say(bed, VHOST_USER_SET_LOG_BASE, &good, sizeof(good), &bed->memory_fd, 1) < 0);
	negotiate(bed, VERSION_1);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(say(bed, VHOST_USER_SET_LOG_BASE, &bad[i], sizeof(bad[i]),
				    &bed->memory_fd, 1) < 0);
	assert_int_equal(
		say(bed, VHOST_USER_SET_LOG_BASE, &good, sizeof(good), &bed->memory_fd, 1), 0);
}

static void only_what_was_negotiated(void **state)
{
	struct bed *bed = *state;

	assert_true(say_number(bed, VHOST_USER_SEND_RARP, 0) < 0);
	assert_true(say_number(bed, VHOST_USER_NET_SET_MTU, 1500) < 0);
	assert_true(say_number(bed, VHOST_USER_SET_STATUS, 15) < 0);
	negotiate(bed, VERSION_1);
	assert_int_equal(say_number(bed, VHOST_USER_SEND_RARP, 0), 0);
	assert_int_equal(say_number(bed, VHOST_USER_NET_SET_MTU, 1500), 0);
	assert_int_equal(say_number(bed, VHOST_USER_SET_STATUS, 15), 0);
	assert_true(say_number(bed, VHOST_USER_SET_STATUS, 256) < 0);
}

static void answers_are_known(void **state)
{
	assert_false(gate_rules_answered(VHOST_USER_SET_OWNER));
	assert_true(gate_rules_answered(VHOST_USER_SET_LOG_BASE));
	assert_true(gate_rules_answered(VHOST_USER_GET_VRING_BASE));
}

/* The library refuses what the rules have already taken into account. */
static void refusals_end_connections(void **state)
{
	struct vhost_user_message answer = {
		.header = {VHOST_USER_SET_FEATURES, VHOST_USER_VERSION | VHOST_USER_REPLY, 8}};
	struct err err = {0};

	assert_int_equal(gate_rules_check_answer(&answer, &err), 0);
	answer.payload.number = 1;
	assert_int_equal(gate_rules_check_answer(&answer, &err), -EPROTO);
	assert_string_equal(err.text, "SET_FEATURES: the vhost library refuses it");
	answer.header.request = VHOST_USER_GET_FEATURES; /* here it is no refusal */
	assert_int_equal(gate_rules_check_answer(&answer, &err), 0);
	answer.header.request = VHOST_USER_NET_SET_MTU; /* here it does no harm */
	assert_int_equal(gate_rules_check_answer(&answer, &err), 0);
	answer = (struct vhost_user_message){.header = {VHOST_USER_SET_OWNER, 0, 0}};
	assert_int_equal(gate_rules_check_answer(&answer, &err), -EPROTO);
	answer.header.request = VHOST_USER_REQUESTS;
	assert_int_equal(gate_rules_check_answer(&answer, &err), -EPROTO);
}

/* The library tells half of a packed ring's position. */
static void position_is_told_in_full(void **state)
{
	struct gate_rules rules = {.features_set = true};
	struct vhost_user_message answer = {
		.header = {VHOST_USER_GET_VRING_BASE, VHOST_USER_VERSION | VHOST_USER_REPLY, 8},
		.payload.ring = {.index = 1, .number = 0x8012}};

	gate_rules_complete_answer(&rules, &answer);
	assert_int_equal(answer.payload.ring.number, 0x8012);
	rules.features = 1ULL << VIRTIO_F_RING_PACKED;
	gate_rules_complete_answer(&rules, &answer);
	assert_int_equal(answer.payload.ring.number, 0x80128012);
	assert_int_equal(answer.payload.ring.index, 1);
	answer.header.request = VHOST_USER_GET_FEATURES;
	answer.payload.number = 0x8012;
	gate_rules_complete_answer(&rules, &answer);
	assert_int_equal(answer.payload.number, 0x8012);
}

/* The library answers without a payload, for which some frontends wait. */
static void log_is_acknowledged_by_a_number(void **state)
{
	struct gate_rules rules = {.features_set = true};
	struct vhost_user_message answer = {
		.header = {VHOST_USER_SET_LOG_BASE, VHOST_USER_VERSION | VHOST_USER_REPLY, 0},
		.payload.log = {MEMORY_BYTES, 0}};

	gate_rules_complete_answer(&rules, &answer);
	assert_int_equal(answer.header.payload_bytes, sizeof(answer.payload.number));
	assert_int_equal(answer.payload.number, 0);
}

#define BED_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(honest_life),
		BED_TEST(form_is_checked),
		BED_TEST(table_must_have_the_size_it_says),
		BED_TEST(regions_are_checked),
		BED_TEST(memory_must_be_a_writable_file),
		BED_TEST(files_are_remembered),
		BED_TEST(running_rings_stay_in_memory),
		BED_TEST(running_rings_do_not_change),
		BED_TEST(sizes_are_checked),
		BED_TEST(start_judges_all_of_it),
		BED_TEST(memory_that_shrinks_before_the_start_is_seen),
		BED_TEST(addresses_are_checked),
		BED_TEST(packed_addresses_are_checked),
		BED_TEST(only_eventfds_call),
		BED_TEST(there_is_no_backend_channel),
		BED_TEST(logs_are_checked),
		BED_TEST(only_what_was_negotiated),
		cmocka_unit_test(answers_are_known),
		cmocka_unit_test(position_is_told_in_full),
		cmocka_unit_test(log_is_acknowledged_by_a_number),
		cmocka_unit_test(refusals_end_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
