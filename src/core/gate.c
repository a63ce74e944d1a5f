/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/gate.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/unix_socket.h"
#include "core/call_watch.h"
#include "core/fault.h"
#include "core/gate_connection.h"

#define CONNECTIONS_MAX 4 /* at a time through one gate */
#define BACKLOG 128
#define WATCH_MS 20    /* between looks at the call eventfds while they are in use */
#define BLOCKED_MS 1   /* while somebody waits for one */
#define REST_MS 1000   /* while they are not; at most a worker's wait for one in any case */
#define RETRY_MS 50    /* between attempts to connect, in client mode */
#define BANISH_MS 1000 /* until a guest may come back that did harm */
#define LOG_BURST 20

struct gate {
	struct gatekeeper *keeper;
	struct gate_options options;
	char path[SOCKET_PATH_SIZE];
	int listen_fd;                                        /* -1 in client mode */
	struct gate_connection *connections[CONNECTIONS_MAX]; /* the oldest first, then NULL */
	uint64_t closed_until_ms;
	bool closed;           /* by gate_hang_up() */
	enum gate_calls calls; /* at the last look */
	bool rejected;         /* the last attempt to connect was, which has been said */
};

struct gatekeeper {
	pthread_t thread;
	pthread_mutex_t mutex; /* of all that follows, and of every gate */
	struct gate *gates[RELAYS_MAX];
	unsigned generation; /* changes whenever a descriptor may have gone that is being polled */
	bool stop;
	int wake_fd;   /* eventfd: something has changed */
	bool watching; /* call eventfds are in use: */
	int pause_ms;  /* between looks at them */
	uint64_t next_look_ms;
	struct log_limit log_limit;
};

static uint64_t now_ms(void)
{
	return clock_monotonic_ns() / 1000000;
}

static unsigned count_connections(const struct gate *gate)
{
	unsigned n = 0;

	while (n < CONNECTIONS_MAX && gate->connections[n] != NULL)
		n++;
	return n;
}

static void end_connection(struct gate *gate, unsigned index)
{
	unsigned n = count_connections(gate);

	gate_connection_free(gate->connections[index]);
	memmove(&gate->connections[index], &gate->connections[index + 1],
		(n - index - 1) * sizeof(gate->connections[0]));
	gate->connections[n - 1] = NULL;
	gate->keeper->generation++;
}

static void end_all(struct gate *gate)
{
	while (gate->connections[0] != NULL)
		end_connection(gate, 0);
}

/* Whose connections have ended for the harm that he did does not come back at once. */
static void shut_out(struct gate *gate, const char *why)
{
	log_warning("vhost-user socket %s: the VM is disconnected: %s", gate->path, why);
	gate->closed_until_ms = now_ms() + BANISH_MS;
}

static int open_socket(struct err *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd >= 0 ? fd : err_set(err, errno, "socket(): %s", strerror(errno));
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = open_socket(NULL);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int connect_to_library(const struct gate *gate)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", gate->options.library_socket);
	return connect_to(path);
}

/* The connection that is to go where there is one too many: the oldest one that does nothing. */
static unsigned least_wanted(const struct gate *gate)
{
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		if (!gate_rules_running(&gate->connections[i]->rules))
			return i;
	return 0;
}

/* Lets a frontend in; takes its descriptor over. */
static void admit(struct gate *gate, int frontend_fd)
{
	if (now_ms() < gate->closed_until_ms) {
		close(frontend_fd);
		return;
	}
	if (count_connections(gate) == CONNECTIONS_MAX)
		end_connection(gate, least_wanted(gate));
	int library_fd = connect_to_library(gate);
	if (library_fd < 0) {
		close(frontend_fd);
		return;
	}
	gate->connections[count_connections(gate)] = gate_connection_new(frontend_fd, library_fd);
	gate->keeper->generation++;
}

static void accept_frontend(struct gate *gate)
{
	int fd = accept4(gate->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		admit(gate, fd);
}

/* Client mode. That nobody listens is nothing new: the VM is not there yet. */
static void try_to_connect(struct gate *gate)
{
	if (gate->connections[0] != NULL || now_ms() < gate->closed_until_ms)
		return;
	int fd = connect_to(gate->path);
	if (fd >= 0)
		admit(gate, fd);
	else if (fd != -ENOENT && fd != -ECONNREFUSED && fd != -EAGAIN && !gate->rejected)
		log_warning("vhost-user socket %s: cannot connect: %s", gate->path, strerror(-fd));
	gate->rejected = fd < 0;
}

/* What poll() is asked, and where the answers belong. */
struct poll_set {
	unsigned n;
	int timeout_ms;
	struct pollfd fds[2 + RELAYS_MAX * (1 + 2 * CONNECTIONS_MAX)];
	unsigned gates_at[RELAYS_MAX]; /* index of each gate's first descriptor */
};

static void add(struct poll_set *set, int fd, short events)
{
	set->fds[set->n++] = (struct pollfd){.fd = fd, .events = events};
}

static void wait_at_most(struct poll_set *set, int ms)
{
	if (set->timeout_ms < 0 || set->timeout_ms > ms)
		set->timeout_ms = ms;
}

static void add_gate(struct poll_set *set, const struct gate *gate)
{
	add(set, gate->listen_fd, POLLIN);
	for (unsigned i = 0; i < CONNECTIONS_MAX && gate->connections[i] != NULL; i++) {
		const struct gate_connection *connection = gate->connections[i];
		add(set, connection->frontend_fd, gate_connection_frontend_events(connection));
		add(set, connection->library_fd, gate_connection_library_events(connection));
	}
	if (gate->connections[0] != NULL || gate->calls != GATE_NO_CALLS)
		wait_at_most(set, REST_MS);
	if (gate->connections[0] == NULL && gate->options.client && !gate->closed)
		wait_at_most(set, RETRY_MS);
}

static void fill(struct poll_set *set, const struct gatekeeper *keeper)
{
	set->n = 0;
	set->timeout_ms = -1;
	add(set, keeper->wake_fd, POLLIN);
	add(set, fault_fd(), POLLIN);
	for (unsigned i = 0; i < RELAYS_MAX; i++) {
		set->gates_at[i] = set->n;
		if (keeper->gates[i] != NULL)
			add_gate(set, keeper->gates[i]);
	}
	if (keeper->watching)
		wait_at_most(set, keeper->pause_ms);
}

/* A side that hangs up while the other one has its turn ends the connection. */
static bool is_over(const struct pollfd *side)
{
	return !(side->events & POLLIN) && side->revents & (POLLHUP | POLLERR | POLLNVAL);
}

static void serve_connection(struct gate *gate, unsigned index, const struct pollfd sides[2])
{
	struct err err = {0};

	if (sides[0].revents == 0 && sides[1].revents == 0)
		return;
	int r = is_over(&sides[0]) || is_over(&sides[1])
	                ? -ECONNRESET
	                : gate_connection_proceed(gate->connections[index], &err);
	if (r == 0)
		return;
	if (err.text[0] != '\0' && log_limit_pass(&gate->keeper->log_limit))
		log_warning("vhost-user socket %s: the VM is disconnected, its message breaks the "
			    "protocol: %s",
			gate->path, err.text);
	end_connection(gate, index);
}

static void serve_gate(struct gate *gate, const struct pollfd *fds)
{
	if (gate->closed)
		return;
	for (unsigned i = count_connections(gate); i-- > 0;)
		serve_connection(gate, i, &fds[1 + 2 * i]);
	if (gate->options.client)
		try_to_connect(gate);
	else if (fds[0].revents & POLLIN)
		accept_frontend(gate);
}

/* True where connections of this gate have shared the file; they end. */
static bool end_sharers(struct gate *gate, const struct gate_file *file)
{
	bool found = false;

	for (unsigned i = count_connections(gate); i-- > 0;)
		if (gate_rules_shares(&gate->connections[i]->rules, file)) {
			end_connection(gate, i);
			found = true;
		}
	return found;
}

static void banish_sharers(struct gatekeeper *keeper, const struct fault *fault)
{
	struct gate_file file = {fault->device, fault->inode};
	bool found = false;

	for (unsigned i = 0; i < RELAYS_MAX; i++)
		if (keeper->gates[i] != NULL && end_sharers(keeper->gates[i], &file)) {
			shut_out(keeper->gates[i], "its memory has vanished");
			found = true;
		}
	if (!found)
		log_notice("memory of a VM that has left has vanished");
}

static void serve_all(struct gatekeeper *keeper, const struct poll_set *set)
{
	eventfd_t count;
	struct fault fault;

	if (set->fds[0].revents != 0)
		eventfd_read(keeper->wake_fd, &count);
	for (unsigned i = 0; i < RELAYS_MAX; i++)
		if (keeper->gates[i] != NULL)
			serve_gate(keeper->gates[i], &set->fds[set->gates_at[i]]);
	while (fault_take(&fault))
		banish_sharers(keeper, &fault);
}

/* True where somebody was waiting, and may be again: the guest may have been quicker than he. */
static bool relieve(struct gate *gate)
{
	gate->calls = gate->options.relieve(gate->options.userdata);
	if (gate->calls != GATE_CALL_BLOCKED)
		return false;
	if (gate->connections[0] != NULL) {
		end_all(gate);
		shut_out(gate, "a worker had to wait for its call eventfd");
	}
	return true;
}

/* Not more often than calls are given time to be made after they were announced. */
static void look_for_calls(struct gatekeeper *keeper)
{
	uint64_t now = now_ms();
	bool blocked = false;

	if (now < keeper->next_look_ms)
		return;
	keeper->watching = call_watch_look();
	for (unsigned i = 0; i < RELAYS_MAX; i++)
		if (keeper->gates[i] != NULL)
			blocked |= relieve(keeper->gates[i]);
	if (blocked)
		call_watch_note();
	keeper->watching |= blocked;
	keeper->pause_ms = blocked ? BLOCKED_MS : WATCH_MS;
	keeper->next_look_ms = now + keeper->pause_ms;
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
		look_for_calls(keeper);
		if (r >= 0 && generation == keeper->generation)
			serve_all(keeper, &set);
	}
	pthread_mutex_unlock(&keeper->mutex);
	return NULL;
}

/* The thread takes no signals but the one that it causes itself: see fault.h. */
static int start_thread(struct gatekeeper *keeper)
{
	sigset_t all, before;

	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&keeper->thread, NULL, keeper_main, keeper);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

static struct gatekeeper *keeper_free(struct gatekeeper *keeper)
{
	call_watch_open(-1);
	close(keeper->wake_fd);
	pthread_mutex_destroy(&keeper->mutex);
	free(keeper);
	return NULL;
}

int gatekeeper_start(struct gatekeeper **ret_keeper, struct err *err)
{
	struct gatekeeper *keeper = calloc(1, sizeof(*keeper));

	if (keeper == NULL)
		return err_set(err, ENOMEM, "out of memory");
	keeper->log_limit = (struct log_limit)LOG_LIMIT(LOG_BURST);
	pthread_mutex_init(&keeper->mutex, NULL);
	keeper->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	call_watch_open(keeper->wake_fd);
	keeper->watching = true; /* until nobody calls */
	keeper->pause_ms = WATCH_MS;
	int r = keeper->wake_fd < 0 ? -errno : start_thread(keeper);
	if (r < 0) {
		keeper_free(keeper);
		return err_set(err, -r, "the thread of the vhost-user sockets: %s", strerror(-r));
	}
	*ret_keeper = keeper;
	return 0;
}

/* Wakes the thread up, because what it polls has changed. With the mutex. */
static void changed(struct gatekeeper *keeper)
{
	keeper->generation++;
	eventfd_write(keeper->wake_fd, 1);
}

struct gatekeeper *gatekeeper_stop(struct gatekeeper *keeper)
{
	if (keeper == NULL)
		return NULL;
	pthread_mutex_lock(&keeper->mutex);
	keeper->stop = true;
	changed(keeper);
	pthread_mutex_unlock(&keeper->mutex);
	pthread_join(keeper->thread, NULL);
	return keeper_free(keeper);
}

/* Its owner is given before it listens, so that nobody else can be first. */
static int listen_on(struct gate *gate, struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	int r = unix_socket_claim(gate->path, err);
	if (r < 0)
		return err_prefix(err, r, "vhost-user socket");
	gate->listen_fd = open_socket(err);
	if (gate->listen_fd < 0)
		return gate->listen_fd;
	strcpy(addr.sun_path, gate->path);
	if (bind(gate->listen_fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_set(err, errno, "vhost-user socket %s cannot be opened: %s", gate->path,
			strerror(errno));
	if (chown(gate->path, gate->options.uid, gate->options.gid) < 0 ||
		chmod(gate->path, 0660) < 0)
		r = err_set(err, errno, "vhost-user socket %s: cannot be given to its owner: %s",
			gate->path, strerror(errno));
	else if (listen(gate->listen_fd, BACKLOG) < 0)
		r = err_set(err, errno, "vhost-user socket %s: %s", gate->path, strerror(errno));
	if (r < 0)
		unlink(gate->path);
	return r;
}

static int insert(struct gate *gate, struct err *err)
{
	struct gatekeeper *keeper = gate->keeper;
	int r = -ENOSPC;

	pthread_mutex_lock(&keeper->mutex);
	for (unsigned i = 0; i < RELAYS_MAX && r < 0; i++) {
		if (keeper->gates[i] == NULL) {
			keeper->gates[i] = gate;
			changed(keeper);
			r = 0;
		}
	}
	pthread_mutex_unlock(&keeper->mutex);
	return r == 0 ? 0
	              : err_set(err, -r, "vhost-user socket %s: all %d are in use", gate->path,
				RELAYS_MAX);
}

int gate_open(struct gate **ret_gate, struct gatekeeper *keeper, const struct gate_options *options,
	struct err *err)
{
	if (strlen(options->path) >= SOCKET_PATH_SIZE)
		return err_set(err, ENAMETOOLONG,
			"vhost-user socket path %s is longer than %d bytes", options->path,
			SOCKET_PATH_SIZE - 1);

	struct gate *gate = calloc(1, sizeof(*gate));
	if (gate == NULL)
		return err_set(err, ENOMEM, "vhost-user socket %s: out of memory", options->path);
	gate->keeper = keeper;
	gate->options = *options;
	strcpy(gate->path, options->path);
	gate->listen_fd = -1;

	int r = options->client ? 0 : listen_on(gate, err);
	if (r == 0) {
		r = insert(gate, err);
		if (r < 0 && !options->client)
			unlink(gate->path);
	}
	if (r < 0) {
		cleanup_closep(&gate->listen_fd);
		free(gate);
		return r;
	}
	*ret_gate = gate;
	return 0;
}

void gate_hang_up(struct gate *gate)
{
	if (gate == NULL)
		return;
	pthread_mutex_lock(&gate->keeper->mutex);
	gate->closed = true;
	end_all(gate);
	cleanup_closep(&gate->listen_fd);
	gate->listen_fd = -1;
	changed(gate->keeper);
	pthread_mutex_unlock(&gate->keeper->mutex);
	if (!gate->options.client)
		unlink(gate->path);
}

struct gate *gate_close(struct gate *gate)
{
	if (gate == NULL)
		return NULL;

	struct gatekeeper *keeper = gate->keeper;
	if (!gate->closed)
		gate_hang_up(gate);
	pthread_mutex_lock(&keeper->mutex);
	for (unsigned i = 0; i < RELAYS_MAX; i++)
		if (keeper->gates[i] == gate)
			keeper->gates[i] = NULL;
	changed(keeper);
	pthread_mutex_unlock(&keeper->mutex);
	close(gate->options.library_socket);
	free(gate);
	return NULL;
}
