/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/gate/gatekeeper.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/thread.h"
#include "core/gate/bus_error.h"
#include "core/gate/gate_internal.h"
#include "core/ring/call_watch.h"

#define WATCH_MS 20  /* between two looks at the call eventfds while they are in use */
#define BLOCKED_MS 1 /* the same while somebody waits for one */

/* What poll() is asked, and which gate the answers belong to. */
struct poll_set {
	unsigned n;
	int timeout_ms;
	struct pollfd fds[2 + RELAYS_MAX * GATE_POLL_MAX];
	unsigned gates_at[RELAYS_MAX]; /* index of each gate's first descriptor */
};

static int ms_to_next_look(const struct gatekeeper *keeper)
{
	const uint64_t now_ms = gate_now_ms();

	return keeper->next_look_ms > now_ms ? (int)(keeper->next_look_ms - now_ms) : 0;
}

static void fill(struct poll_set *set, const struct gatekeeper *keeper)
{
	set->fds[0] = (struct pollfd){.fd = keeper->wake_fd, .events = POLLIN};
	set->fds[1] = (struct pollfd){.fd = bus_error_fd(), .events = POLLIN};
	set->n = 2;
	set->timeout_ms = keeper->watching ? ms_to_next_look(keeper) : -1;
	for (unsigned i = 0; i < RELAYS_MAX; i++) {
		set->gates_at[i] = set->n;
		if (keeper->gates[i] != NULL)
			set->n += gate_poll(keeper->gates[i], &set->fds[set->n], &set->timeout_ms);
	}
}

static void banish_sharers(struct gatekeeper *keeper, struct file_id file)
{
	bool found = false;

	for (unsigned i = 0; i < RELAYS_MAX; i++)
		if (keeper->gates[i] != NULL)
			found |= gate_banish_sharers(keeper->gates[i], file);
	if (!found && log_limit_pass(&keeper->log_limit, LOG_NOTICE))
		log_notice("memory of a VM that has left has vanished");
}

static void serve_all(struct gatekeeper *keeper, const struct poll_set *set)
{
	eventfd_t count;
	struct file_id vanished;

	if (set->fds[0].revents != 0) {
		eventfd_read(keeper->wake_fd, &count);
		keeper->watching = true; /* a call may be why, and it is too early for a look */
	}
	for (unsigned i = 0; i < RELAYS_MAX; i++)
		if (keeper->gates[i] != NULL)
			gate_serve(keeper->gates[i], &set->fds[set->gates_at[i]]);
	while (bus_error_take(&vanished))
		banish_sharers(keeper, vanished);
}

/* Looks at the call eventfds, but leaves callers time between announcing a call and making it. */
static void look_for_calls(struct gatekeeper *keeper)
{
	uint64_t now = gate_now_ms();
	bool blocked = false;

	if (now < keeper->next_look_ms)
		return;
	keeper->watching = call_watch_look();
	for (unsigned i = 0; i < RELAYS_MAX; i++)
		if (keeper->gates[i] != NULL)
			blocked |= gate_relieve(keeper->gates[i]);
	if (blocked)
		call_watch_note();
	keeper->watching |= blocked;
	keeper->next_look_ms = now + (blocked ? BLOCKED_MS : WATCH_MS);
}

static void *keeper_main(void *argument)
{
	struct gatekeeper *keeper = argument;
	struct poll_set set;

	pthread_mutex_lock(&keeper->mutex);
	while (!keeper->stop) {
		unsigned generation = keeper->generation;

		fill(&set, keeper);
		pthread_mutex_unlock(&keeper->mutex);
		int r = poll(set.fds, set.n, set.timeout_ms);
		pthread_mutex_lock(&keeper->mutex);
		keeper->turn++;
		pthread_cond_broadcast(&keeper->turned);
		look_for_calls(keeper);
		if (r >= 0 && generation == keeper->generation)
			serve_all(keeper, &set);
	}
	pthread_mutex_unlock(&keeper->mutex);
	return NULL;
}

static struct gatekeeper *keeper_free(struct gatekeeper *keeper)
{
	call_watch_open(-1);
	close(keeper->wake_fd);
	pthread_cond_destroy(&keeper->turned);
	pthread_mutex_destroy(&keeper->mutex);
	free(keeper);
	return NULL;
}

int gatekeeper_start(struct gatekeeper **ret_keeper, struct err *err)
{
	struct gatekeeper *keeper = calloc(1, sizeof(*keeper));

	if (keeper == NULL)
		return err_set(err, ENOMEM, "out of memory");
	keeper->log_limit = (struct log_limit)LOG_LIMIT(GATE_LOG_BURST);
	pthread_mutex_init(&keeper->mutex, NULL);
	pthread_cond_init(&keeper->turned, NULL);
	keeper->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	call_watch_open(keeper->wake_fd);
	keeper->watching = true; /* until it is known that nobody calls */
	int r = keeper->wake_fd < 0 ? -errno
	                            : thread_start(&keeper->thread, false, keeper_main, keeper);
	if (r < 0) {
		keeper_free(keeper);
		return err_set(err, -r, "the thread of the vhost-user sockets: %s", strerror(-r));
	}
	*ret_keeper = keeper;
	return 0;
}

void gatekeeper_changed(struct gatekeeper *keeper)
{
	unsigned turn = keeper->turn;

	keeper->generation++;
	eventfd_write(keeper->wake_fd, 1);
	while (turn == keeper->turn)
		pthread_cond_wait(&keeper->turned, &keeper->mutex);
}

struct gatekeeper *gatekeeper_stop(struct gatekeeper *keeper)
{
	if (keeper == NULL)
		return NULL;
	pthread_mutex_lock(&keeper->mutex);
	keeper->stop = true;
	eventfd_write(keeper->wake_fd, 1);
	pthread_mutex_unlock(&keeper->mutex);
	pthread_join(keeper->thread, NULL);
	return keeper_free(keeper);
}

void gatekeeper_set(struct gatekeeper *keeper, unsigned relay, struct gate *gate)
{
	pthread_mutex_lock(&keeper->mutex);
	assert(relay < RELAYS_MAX && (gate == NULL || keeper->gates[relay] == NULL));
	keeper->gates[relay] = gate;
	gatekeeper_changed(keeper);
	pthread_mutex_unlock(&keeper->mutex);
}
