/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A new socket is served at once. The vhost library of DPDK 22.11 looks for new sockets when its
 * poll() ends, at the latest after a second. Here its poll() never ends by itself, so a socket that
 * the library is not told of is never served.
 */

#include "core/guest/guest.h"

#include <linux/virtio_net.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/util.h"
#include "core/gate/bus_error.h"
#include "core/gate/gate_rules.h"
#include "core/gate/gatekeeper.h"
#include "core/gate/vhost_user.h"
#include "core/gate/vhost_user_fixture.h"
#include "core/packet/packet_fixture.h"

#define LIBRARY_POLL_MS 1000
#define SOCKETS 8
#define TICK_US 1000

/* Not from <poll.h>, which may define poll functions itself. */
struct pollfd;
int poll(struct pollfd *fds, unsigned long n, int timeout_ms);
int __poll_chk(struct pollfd *fds, unsigned long n, int timeout_ms, size_t bytes);

static _Atomic bool library_waits; /* in poll(), which takes no context */

int poll(struct pollfd *fds, unsigned long n, int timeout_ms)
{
	bool library = timeout_ms == LIBRARY_POLL_MS;
	struct timespec limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};

	if (library)
		library_waits = true;
	/* arm64 has no poll(). */
	int r = syscall(SYS_ppoll, fds, n, library || timeout_ms < 0 ? NULL : &limit, NULL, 0);
	if (library)
		library_waits = false;
	return r;
}

int __poll_chk(struct pollfd *fds, unsigned long n, int timeout_ms, size_t bytes)
{
	return poll(fds, n, timeout_ms);
}

/* If it has such a poll() at all: newer libraries use epoll. */
static void let_library_wait(void)
{
	for (unsigned i = 0; !library_waits && i < 100; i++)
		usleep(TICK_US);
}

static void changed(void *userdata)
{
}

static uint64_t ask(int fd, uint32_t request)
{
	struct {
		struct vhost_user_header header;
		uint64_t number;
	} __attribute__((packed)) answer;

	vhost_user_send(fd, request, 0, NULL, 0, -1);
	assert_int_equal(recv(fd, &answer, sizeof(answer), MSG_WAITALL), sizeof(answer));
	assert_int_equal(answer.header.request, request);
	return answer.number;
}

/* What the gate refuses is not offered (the library itself would offer CRYPTO_SESSION). */
static void assert_served(const char *path)
{
	int fd = vhost_user_connect(path);

	ask(fd, VHOST_USER_GET_FEATURES);
	assert_int_equal(ask(fd, VHOST_USER_GET_PROTOCOL_FEATURES), gate_rules_protocol_features);
	close(fd);
}

static void new_sockets_are_served_at_once(void **state)
{
	struct guest_options options = {.uid = -1, .gid = -1, .changed = changed};
	struct guest *guests[SOCKETS];
	char dir[] = "/tmp/guest-test.XXXXXX", path[64];

	assert_non_null(mkdtemp(dir));
	assert_int_equal(bus_error_open(NULL), 0);
	assert_int_equal(gatekeeper_start(&options.keeper, NULL), 0);
	for (options.relay_id = 0; options.relay_id < SOCKETS; options.relay_id++) {
		struct guest **guest = &guests[options.relay_id];
		let_library_wait();
		snprintf(path, sizeof(path), "%s/%u", dir, options.relay_id);
		assert_int_equal(guest_open(guest, path, &options, NULL), 0);
		assert_served(path);
	}
	for (unsigned i = 0; i < SOCKETS; i++)
		guest_close(guests[i]);
	gatekeeper_stop(options.keeper);
	bus_error_close();
	signal(SIGBUS, SIG_DFL);
	assert_int_equal(rmdir(dir), 0); /* no file is left in it */
}

#define BIT(name) (1ull << VIRTIO_NET_F_##name)

/* What another backend may have offered to a guest that comes from there. */
static void features_of_other_backends(void **state)
{
	static const uint64_t always = BIT(CSUM) | BIT(GUEST_CSUM) | BIT(HOST_ECN) | BIT(HOST_UFO);
	static const uint64_t unused = BIT(GUEST_ECN) | BIT(GUEST_UFO);
	static const uint64_t tso =
		BIT(HOST_TSO4) | BIT(HOST_TSO6) | BIT(GUEST_TSO4) | BIT(GUEST_TSO6) | BIT(GSO);
	static const uint64_t all = always | unused | tso | BIT(MRG_RXBUF);
	static const struct {
		bool mergeable, tso;
		uint64_t offered;
	} cases[] = {
		{false, false, always},
		{true, false, always | unused | BIT(MRG_RXBUF)},
		{false, true, always | unused | tso},
		{true, true, all},
	};
	struct guest_options options = {.uid = -1, .gid = -1, .changed = changed};
	char dir[] = "/tmp/guest-test.XXXXXX", path[64];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/0", dir);
	assert_int_equal(bus_error_open(NULL), 0);
	assert_int_equal(gatekeeper_start(&options.keeper, NULL), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct guest *guest;
		options.mergeable = cases[i].mergeable;
		options.tso = cases[i].tso;
		assert_int_equal(guest_open(&guest, path, &options, NULL), 0);
		int fd = vhost_user_connect(path);
		assert_int_equal(ask(fd, VHOST_USER_GET_FEATURES) & all, cases[i].offered);
		close(fd);
		guest_close(guest);
	}
	gatekeeper_stop(options.keeper);
	bus_error_close();
	signal(SIGBUS, SIG_DFL);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(features_of_other_backends),
		cmocka_unit_test(new_sockets_are_served_at_once),
	};

	log_open("test", LOG_EMERG);
	return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
