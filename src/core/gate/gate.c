/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/gate/gate_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd_link.h"
#include "base/unix_socket.h"
#include "core/gate/gate_memory.h"

#define BACKLOG 128
#define LOOK_MS_MAX 1000 /* until the call eventfds are looked at in any case */
#define RETRY_MS 50      /* between attempts to connect, in client mode */
#define REFUSE_MS 1000   /* a frontend that refuses the features takes no longer */
#define SLOW_MS 1000     /* a closing that takes longer is told of */
#define BANISH_MS 1000   /* until a guest that did harm may come back, or is looked for again */
/*
 * BANISH_MS for a guest that blocked its callers: twice as long each time, up to BLOCKER_MS_MAX, as
 * long as less than REPENT_MS pass in between.
 */
#define BLOCKER_MS_MAX 8000
#define REPENT_MS 60000

/* All connections with all that they have, and the one that made room for the last. */
static_assert((GATE_CONNECTIONS_MAX + 1) * (1 + 2 * GATE_FDS_MAX) <= GATE_CLOSER_MAX, "room");

struct gate {
	struct gatekeeper *keeper;
	struct gate_options options;
	int listen_fd;       /* -1 in client mode */
	struct file_id file; /* of the socket, in server mode */
	struct gate_connection *connections[GATE_CONNECTIONS_MAX]; /* oldest first, then NULL */
	struct gate_closer *closer; /* while it is busy, nobody is let in */
	uint64_t busy_since_ms;     /* 0: it was not at the last look */
	bool told_busy;             /* the log says so */
	uint64_t closed_until_ms;
	uint64_t next_try_ms;      /* client mode: when it connects, at the earliest */
	uint64_t blocker_ms;       /* how long it was closed last for blocked callers; 0: never */
	uint64_t blocker_until_ms; /* the end of that */
	bool closed;               /* by gate_hang_up() */
	enum gate_calls calls;     /* at the last look */
	bool rejected;             /* warned that it cannot connect to this socket */
	bool refused; /* warned that the features are, and none have been accepted since */
	struct log_limit log_limit;
	_Atomic unsigned n_refusals; /* read by any thread */
};

#define log_gate(severity, gate, fmt, ...)                                                       \
	log_event_at((severity),                                                                 \
		&(struct log_event){                                                             \
			.relay = (int)(gate)->options.relay_id, .socket = (gate)->options.path}, \
		"relay %u: vhost-user socket %s: " fmt, (gate)->options.relay_id,                \
		(gate)->options.path, ##__VA_ARGS__)
#define log_gate_warning(gate, ...) log_gate(LOG_WARNING, gate, __VA_ARGS__)

static unsigned count_connections(const struct gate *gate)
{
	unsigned n = 0;

	while (n < GATE_CONNECTIONS_MAX && gate->connections[n] != NULL)
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

/* A guest whose connections have been ended for harm that it did may not come back at once. */
static void shut_out(struct gate *gate, uint64_t ms, const char *why)
{
	log_gate_warning(gate, "the VM is disconnected: %s", why);
	atomic_fetch_add(&gate->n_refusals, 1);
	gate->closed_until_ms = gate_now_ms() + ms;
}

static void shut_out_blocker(struct gate *gate)
{
	bool again = gate->blocker_ms > 0 && gate_now_ms() < gate->blocker_until_ms + REPENT_MS;

	gate->blocker_ms = again ? MIN(2 * gate->blocker_ms, BLOCKER_MS_MAX) : BANISH_MS;
	shut_out(gate, gate->blocker_ms, "its call eventfd was full");
	gate->blocker_until_ms = gate->closed_until_ms;
}

static int connect_to_library(const struct gate *gate)
{
	char path[FD_LINK_SIZE];

	fd_link(gate->options.library_socket, path);
	return unix_socket_connect(path);
}

/*
 * The connection to end when there is one too many: the oldest one without a running ring, else the
 * oldest.
 */
static unsigned least_wanted(const struct gate *gate)
{
	for (unsigned i = 0; i < GATE_CONNECTIONS_MAX; i++)
		if (!gate_rules_running(&gate->connections[i]->rules))
			return i;
	return 0;
}

/* Lets a frontend in; takes ownership of its descriptor. */
static void admit(struct gate *gate, int frontend_fd)
{
	struct gate_connection *connection = NULL;
	int library_fd = -1;

	if (gate_now_ms() >= gate->closed_until_ms) {
		if (count_connections(gate) == GATE_CONNECTIONS_MAX)
			end_connection(gate, least_wanted(gate));
		library_fd = connect_to_library(gate);
	}
	if (library_fd >= 0)
		connection = gate_connection_new(frontend_fd, library_fd, gate->closer);
	if (connection == NULL) {
		gate_closer_hang_up(gate->closer, frontend_fd);
		cleanup_closep(&library_fd);
		return;
	}
	connection->began_ms = gate_now_ms();
	gate->connections[count_connections(gate)] = connection;
	gate->keeper->generation++;
}

static void accept_frontend(struct gate *gate)
{
	int fd = accept4(gate->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		admit(gate, fd);
}

static int ms_to_next_try(const struct gate *gate)
{
	const uint64_t at_ms = MAX(gate->next_try_ms, gate->closed_until_ms);
	const uint64_t now_ms = gate_now_ms();

	return at_ms > now_ms ? (int)(at_ms - now_ms) : 0;
}

/* Client mode. If nobody listens, that is not news: the VM is not there yet. */
static void try_to_connect(struct gate *gate)
{
	if (gate->connections[0] != NULL || ms_to_next_try(gate) > 0)
		return;
	/* All gates try at the same times, so that their thread sleeps in between. */
	gate->next_try_ms = (gate_now_ms() / RETRY_MS + 1) * RETRY_MS;
	int fd = unix_socket_connect(gate->options.path);
	if (fd >= 0) {
		admit(gate, fd);
		gate->rejected = false;
	} else if (fd == -ENOENT) {
		gate->rejected = false; /* the next one's socket is another */
	} else if (fd != -ECONNREFUSED && fd != -EAGAIN && !gate->rejected &&
		   log_limit_try(&gate->log_limit, LOG_WARNING)) {
		log_gate_warning(gate, "cannot connect: %s%s", strerror(-fd),
			fd == -EACCES ? "; look at owner, group and mode of the socket and of the "
					"directories above it, at AppArmor and SELinux"
				      : "");
		gate->rejected = true;
	}
}

static struct pollfd *add(struct pollfd *next, int fd, short events)
{
	*next = (struct pollfd){.fd = fd, .events = events};
	return next + 1;
}

static void wait_at_most(int *timeout_ms, int ms)
{
	if (*timeout_ms < 0 || *timeout_ms > ms)
		*timeout_ms = ms;
}

unsigned gate_poll(const struct gate *gate, struct pollfd *ret_fds, int *timeout_ms)
{
	bool busy = gate_closer_is_busy(gate->closer);
	struct pollfd *next = add(ret_fds, busy ? -1 : gate->listen_fd, POLLIN);

	for (unsigned i = 0; !gate->closed && i < count_connections(gate); i++) {
		const struct gate_connection *connection = gate->connections[i];
		next = add(
			next, connection->frontend_fd, gate_connection_frontend_events(connection));
		next = add(
			next, connection->library_fd, gate_connection_library_events(connection));
	}
	if (gate->connections[0] != NULL || gate->calls != GATE_NO_CALLS)
		wait_at_most(timeout_ms, LOOK_MS_MAX);
	if (busy)
		wait_at_most(timeout_ms, RETRY_MS);
	else if (gate->connections[0] == NULL && gate->options.client && !gate->closed)
		wait_at_most(timeout_ms, ms_to_next_try(gate));
	return next - ret_fds;
}

/* Whatever a frontend has sent, only its own relay waits until it is closed. */
static void tell_of_closing(struct gate *gate)
{
	if (!gate_closer_is_busy(gate->closer)) {
		if (gate->told_busy)
			log_gate(LOG_NOTICE, gate, "VMs are let in again");
		gate->busy_since_ms = 0;
		gate->told_busy = false;
	} else if (gate->busy_since_ms == 0) {
		gate->busy_since_ms = gate_now_ms();
	} else if (!gate->told_busy && gate_now_ms() - gate->busy_since_ms >= SLOW_MS &&
		   log_limit_try(&gate->log_limit, LOG_WARNING)) {
		log_gate_warning(gate,
			"no VM is let in, because a file that the last one has sent cannot be "
			"closed until its file server (FUSE, NFS) answers; end that VM and the "
			"server, or abort the connection in /sys/fs/fuse/connections");
		gate->told_busy = true;
	}
}

/* True if a side has hung up while the other side has its turn: that ends the connection. */
static bool is_over(const struct pollfd *side)
{
	return !(side->events & POLLIN) && side->revents & (POLLHUP | POLLERR | POLLNVAL);
}

/* It is let in all the same: others are hardly harmed. */
static void tell_of_memory(struct gate *gate, struct gate_rules *rules)
{
	if (rules->unshared && log_limit_pass(&gate->log_limit, LOG_WARNING))
		log_gate_warning(gate,
			"the VM's hugepages do not seem to be shared, so that no packet passes "
			"(%s)",
			GATE_MEMORY_REMEDY);
	if (rules->on_disk && log_limit_pass(&gate->log_limit, LOG_WARNING))
		log_gate_warning(gate,
			"the VM's memory is in a file on a disk, for which it and others on its "
			"workers have to wait now and then; %s",
			GATE_MEMORY_ADVICE);
	rules->unshared = rules->on_disk = false;
}

/* True for QEMU if its guest uses features that it is not offered. It tries again and again. */
static bool refuses_features(const struct gate_connection *connection)
{
	return connection->rules.features_asked && !connection->rules.features_set &&
	       gate_now_ms() - connection->began_ms < REFUSE_MS;
}

/* `err`: the frontend's fault; "" if it has just hung up. */
static void tell_of_end(
	struct gate *gate, const struct gate_connection *connection, const struct err *err)
{
	const bool breach = err->text[0] != '\0';
	const bool refusal = !breach && refuses_features(connection);

	if (breach && log_limit_pass(&gate->log_limit, LOG_WARNING))
		log_gate_warning(gate,
			"the VM is disconnected, its message breaks the protocol: %s", err->text);
	if (refusal && !gate->refused && log_limit_try(&gate->log_limit, LOG_WARNING)) {
		log_gate_warning(gate,
			"the VM has hung up on seeing the features offered; if its QEMU says "
			"\"vhost lacks feature mask\", they are fewer than when it started: %s",
			gate->options.features_remedy);
		gate->refused = true;
	}
	if (connection->rules.features_set)
		gate->refused = false;
	if (breach || refusal) {
		atomic_fetch_add(&gate->n_refusals, 1);
		gate->next_try_ms = gate_now_ms() + BANISH_MS;
	}
}

static void serve_connection(struct gate *gate, unsigned index, const struct pollfd sides[2])
{
	struct err err = {0};

	if (sides[0].revents == 0 && sides[1].revents == 0)
		return;
	int r = is_over(&sides[0]) || is_over(&sides[1])
	                ? -ECONNRESET
	                : gate_connection_proceed(gate->connections[index], &err);
	if (r == 0) {
		tell_of_memory(gate, &gate->connections[index]->rules);
		return;
	}
	tell_of_end(gate, gate->connections[index], &err);
	end_connection(gate, index);
}

void gate_serve(struct gate *gate, const struct pollfd *fds)
{
	if (gate->closed)
		return;
	tell_of_closing(gate);
	for (unsigned i = count_connections(gate); i-- > 0;)
		serve_connection(gate, i, &fds[1 + 2 * i]);
	if (gate_closer_is_busy(gate->closer))
		return;
	if (gate->options.client)
		try_to_connect(gate);
	else if (fds[0].revents & POLLIN)
		accept_frontend(gate);
}

bool gate_banish_sharers(struct gate *gate, struct file_id file)
{
	bool found = false;

	for (unsigned i = count_connections(gate); i-- > 0;)
		if (gate_rules_shares(&gate->connections[i]->rules, file)) {
			end_connection(gate, i);
			found = true;
		}
	if (found)
		shut_out(gate, BANISH_MS,
			"its memory has vanished (the VM has cut its file, the host's memory has "
			"failed: see the kernel's log, or a control group allows no more huge "
			"pages: hugetlb.*.max)");
	return found;
}

bool gate_relieve(struct gate *gate)
{
	gate->calls = gate->options.relieve(gate->options.userdata);
	if (gate->calls != GATE_CALL_BLOCKED)
		return false;
	/*
	 * A guest that has hung up meanwhile is shut out as well, or it would come back at once.
	 * But its eventfds are watched until its session has ended, which must not shut it out
	 * again.
	 */
	if (gate->connections[0] != NULL || gate_now_ms() >= gate->blocker_until_ms) {
		end_all(gate);
		shut_out_blocker(gate);
	}
	return true;
}

/* The socket has its owner before it listens, so that nobody else can be the first to connect. */
static int open_listener(const struct gate *gate, struct file_id *ret_file, struct err *err)
{
	int fd = unix_socket_bind(
		gate->options.path, gate->options.uid, gate->options.gid, ret_file, err);

	if (fd < 0)
		return err_prefix(err, fd, "vhost-user socket");
	if (listen(fd, BACKLOG) == 0)
		return fd;
	int r = err_set(
		err, errno, "vhost-user socket %s: %s", gate->options.path, strerror(errno));
	unix_socket_remove(gate->options.path, ret_file);
	close(fd);
	return r;
}

/*
 * VMs in the queue wait until the socket is closed. So it has a closer of its own, which nothing
 * else keeps busy.
 */
static void close_listener(int fd)
{
	struct gate_closer *closer = gate_closer_new();

	if (closer != NULL)
		gate_closer_close(closer, fd);
	else
		close(fd);
	gate_closer_free(closer);
}

int gate_open(struct gate **ret_gate, struct gatekeeper *keeper, const struct gate_options *options,
	struct err *err)
{
	struct gate *gate = calloc(1, sizeof(*gate));
	struct gate_closer *closer = gate_closer_new();
	if (gate == NULL || closer == NULL) {
		gate_closer_free(closer);
		free(gate);
		return err_set(err, ENOMEM, "vhost-user socket %s: out of memory", options->path);
	}
	gate->keeper = keeper;
	gate->closer = closer;
	gate->options = *options;
	gate->log_limit = (struct log_limit)LOG_LIMIT_OF_RELAY(GATE_LOG_BURST, options->relay_id);
	gate->listen_fd = options->client ? -1 : open_listener(gate, &gate->file, err);
	if (!options->client && gate->listen_fd < 0) {
		int r = gate->listen_fd;
		gate_closer_free(closer);
		free(gate);
		return r;
	}
	gatekeeper_set(keeper, options->relay_id, gate);
	*ret_gate = gate;
	return 0;
}

unsigned gate_refusals(const struct gate *gate)
{
	return atomic_load(&gate->n_refusals);
}

bool gate_has_lost_socket(const struct gate *gate)
{
	struct stat st;

	return !gate->options.client && lstat(gate->options.path, &st) < 0 &&
	       (errno == ENOENT || errno == ENOTDIR);
}

int gate_renew(struct gate *gate, struct err *err)
{
	struct file_id file;
	int fd = open_listener(gate, &file, err);

	if (fd < 0)
		return fd;
	pthread_mutex_lock(&gate->keeper->mutex);
	int old = gate->listen_fd;
	gate->listen_fd = fd;
	gate->file = file;
	gatekeeper_changed(gate->keeper);
	close_listener(old);
	pthread_mutex_unlock(&gate->keeper->mutex);
	return 0;
}

void gate_hang_up(struct gate *gate)
{
	if (gate == NULL)
		return;
	pthread_mutex_lock(&gate->keeper->mutex);
	int listen_fd = gate->listen_fd;
	gate->listen_fd = -1;
	gate->closed = true;
	/* First: whoever is hung up on may connect again at once, and must be refused. */
	if (listen_fd >= 0)
		shutdown(listen_fd, SHUT_RDWR);
	gatekeeper_changed(gate->keeper);
	end_all(gate);
	if (listen_fd >= 0)
		close_listener(listen_fd);
	pthread_mutex_unlock(&gate->keeper->mutex);
	if (!gate->options.client)
		unix_socket_remove(gate->options.path, &gate->file);
}

struct gate *gate_close(struct gate *gate)
{
	if (gate == NULL)
		return NULL;

	struct gatekeeper *keeper = gate->keeper;
	if (!gate->closed)
		gate_hang_up(gate);
	gatekeeper_set(keeper, gate->options.relay_id, NULL);
	close(gate->options.library_socket);
	gate_closer_free(gate->closer);
	free(gate);
	return NULL;
}
