/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/forwarder.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/forwarder_internal.h"
#include "control/placement.h"
#include "control/socket_dir.h"
#include "control/turn.h"
#include "core/dpdk/hugepages.h"
#include "core/dpdk/pool.h"
#include "core/gate/bus_error.h"
#include "core/gate/gatekeeper.h"
#include "core/vf/vf.h"
#include "core/vf/vf_counters.h"
#include "core/vf/vfio_devices.h"

#define DISCARD_PACKETS 4096 /* a burst for each of the most workers; they are freed at once */
#define DISCARD_BYTES 2048

/*
 * For so long static devices are attached at start, and then again for so long those that were
 * added in an earlier run; the unit waits for 180 s. Others are attached once the daemon is ready.
 */
#define ATTACH_NS 60000000000

/* Guests can cause as many events as they like. So they are followed at most once in so long. */
#define FOLLOW_US 10000

/*
 * Wakes the control thread, to follow the guests. Any thread. EAGAIN means that the eventfd's
 * count is full, which wakes it as well.
 */
static void wake_control(void *userdata)
{
	struct forwarder *forwarder = userdata;
	uint64_t one = 1;

	if (write(forwarder->guest_event_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_error("eventfd: %s", strerror(errno));
}

/* Deals with what has changed about the guests, for one turn. True if nothing is left. */
static bool follow_guests(struct forwarder *forwarder)
{
	const uint64_t began_ns = clock_monotonic_ns();

	for (unsigned i = 0; i < RELAYS_MAX; i++) {
		relay_recall(&forwarder->relays[i]);
		if (turn_is_over(began_ns))
			return false;
	}
	for (unsigned n = 0; n < RELAYS_MAX; n++) {
		forwarder->followed_last = (forwarder->followed_last + 1) % RELAYS_MAX;
		relay_follow_guest(&forwarder->relays[forwarder->followed_last]);
		if (turn_is_over(began_ns))
			return false; /* the remaining relays have the next turn */
	}
	return true;
}

static int on_guest_event(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct forwarder *forwarder = userdata;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return -errno;
	if (!follow_guests(forwarder))
		wake_control(forwarder);
	return sd_event_source_set_enabled(forwarder->env.mapping, SD_EVENT_ON);
}

/*
 * Maps a part of the memory of one VM per call, each VM in turn, so that other event sources get
 * their turn.
 */
static int on_mapping(sd_event_source *source, void *userdata)
{
	struct forwarder *forwarder = userdata;

	for (unsigned i = 0; i < RELAYS_MAX; i++) {
		forwarder->mapped_last = (forwarder->mapped_last + 1) % RELAYS_MAX;
		if (relay_map_memory(&forwarder->relays[forwarder->mapped_last]))
			return 0;
	}
	return sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

/* Fails if the daemon is told to stop: the event loop, which would hear it, does not run yet. */
static int check_stop(struct err *err)
{
	sigset_t pending;

	if (sigpending(&pending) == 0 &&
		(sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT)))
		return err_set(err, ECANCELED, "told to stop before it was ready");
	return 0;
}

/* Opens the socket that a relay has from the configuration, if relays have such sockets. */
static int open_static_socket(struct forwarder *forwarder, unsigned relay_id, struct err *err)
{
	char path[SOCKET_PATH_SIZE];

	if (forwarder->config->dynamic_sockets)
		return 0;
	config_socket_path(forwarder->config, relay_id, path);
	return relay_open_socket(&forwarder->relays[relay_id], path, SOCKET_MODE_DEFAULT, err);
}

static bool has_static_device(const struct config *config, unsigned relay_id)
{
	for (unsigned i = 0; i < config->n_vfs; i++)
		if (config->vfs[i].relay_id == relay_id)
			return true;
	return false;
}

/* The sockets of relays that need not wait for a device of their own. */
static int open_other_sockets(struct forwarder *forwarder, struct err *err)
{
	int r = 0;

	for (unsigned i = 0; i < RELAYS_MAX && r == 0; i++)
		if (!has_static_device(forwarder->config, i))
			r = open_static_socket(forwarder, i, err);
	return r;
}

struct attempt {
	int r; /* a negative errno: failed; 1: not made yet */
	struct err err;
};

static struct device_spec static_device(const struct config_vf *vf)
{
	return (struct device_spec){.n_members = 1, .members = {vf->device}};
}

/*
 * Tries to attach the static devices, and opens the socket of each relay that has got its own.
 * Before that the VM would take its link for up, and what it sends would be dropped. VMs that have
 * connected are followed meanwhile: the event loop, which would do it, does not run yet.
 */
static int try_static_devices(struct forwarder *forwarder,
	struct attempt ret_attempts[static RELAYS_MAX], unsigned *ret_n_failed, struct err *err)
{
	const uint64_t began_ns = clock_monotonic_ns();
	unsigned n_failed = 0;
	int r = 0;

	for (unsigned i = 0; i < forwarder->config->n_vfs && r == 0; i++) {
		const struct config_vf *vf = &forwarder->config->vfs[i];
		const struct device_spec device = static_device(vf);
		struct attempt *attempt = &ret_attempts[i];
		*attempt = (struct attempt){.r = 1};
		follow_guests(forwarder);
		if (clock_monotonic_ns() - began_ns < ATTACH_NS)
			attempt->r = relay_attach(
				&forwarder->relays[vf->relay_id], &device, &attempt->err);
		r = check_stop(err);
		if (r == 0 && attempt->r == 0)
			r = open_static_socket(forwarder, vf->relay_id, err);
		if (attempt->r < 0)
			n_failed++;
	}
	*ret_n_failed = n_failed;
	return r;
}

/*
 * The relays are not kept from their devices by one that cannot be opened: that is waited for, like
 * one that is lost later. But if all of them fail, something is wrong with the host or its
 * configuration.
 */
static int attach_static_devices(struct forwarder *forwarder, struct err *err)
{
	const struct config *config = forwarder->config;
	struct attempt attempts[RELAYS_MAX];
	unsigned n_failed;

	int r = try_static_devices(forwarder, attempts, &n_failed, err);
	if (r == 0 && n_failed > 0 && n_failed == config->n_vfs) {
		*err = attempts[0].err;
		return attempts[0].r;
	}
	for (unsigned i = 0; i < config->n_vfs && r == 0; i++) {
		const struct device_spec device = static_device(&config->vfs[i]);
		const unsigned relay_id = config->vfs[i].relay_id;
		if (attempts[i].r == 0)
			continue;
		relay_await(&forwarder->relays[relay_id], &device, &attempts[i].err);
		device_watch_ask(forwarder->env.watch);
		r = open_static_socket(forwarder, relay_id, err);
	}
	return r;
}

static int open_guest_event(struct forwarder *forwarder, sd_event *event, struct err *err)
{
	forwarder->guest_event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (forwarder->guest_event_fd < 0)
		return err_set(err, errno, "eventfd: %s", strerror(errno));
	int r = sd_event_add_io(event, &forwarder->guest_event, forwarder->guest_event_fd, EPOLLIN,
		on_guest_event, forwarder);
	if (r >= 0)
		r = sd_event_source_set_ratelimit(forwarder->guest_event, FOLLOW_US, 1);
	if (r >= 0)
		r = sd_event_add_defer(event, &forwarder->env.mapping, on_mapping, forwarder);
	if (r < 0)
		return err_set(err, -r, "event loop: %s", strerror(-r));
	return 0;
}

uint64_t forwarder_memory_bytes(const struct config *config)
{
	return pool_bytes(DISCARD_PACKETS, DISCARD_BYTES) + config->n_vfs * vf_memory_bytes();
}

/* Starts the parts of the packet path that all relays share. */
static int start_core(struct forwarder *forwarder, struct err *err)
{
	int r = pool_create(&forwarder->env.discard_pool, "discard", DISCARD_PACKETS, DISCARD_BYTES,
		0, -1, err);
	if (r == -ENOMEM) /* the devices would be next */
		r = hugepages_missing(
			forwarder_memory_bytes(forwarder->config), hugepages_node(-1), err);
	if (r == 0)
		r = bus_error_open(err);
	if (r == 0)
		r = gatekeeper_start(&forwarder->env.keeper, err);
	if (r == 0)
		r = workers_start(&forwarder->env.workers, forwarder->config->idle_latency_us, err);
	if (r == 0)
		placement_init(&forwarder->placement, forwarder->env.workers);
	return r;
}

static int open_relays(struct forwarder *forwarder, sd_event *event, struct err *err)
{
	for (unsigned i = 0; i < RELAYS_MAX; i++)
		relay_init(&forwarder->relays[i], i, &forwarder->env);
	int r = check_stop(err);
	if (r < 0)
		return r;
	r = socket_dir_make(forwarder->config, err);
	if (forwarder->config->dynamic_sockets) {
		if (r < 0) /* the sockets may be elsewhere */
			log_warning("%s", err->text);
		r = 0;
	} else if (r == 0) {
		r = open_other_sockets(forwarder, err);
	}
	if (r == 0)
		r = device_watch_new(
			&forwarder->env.watch, forwarder->relays, forwarder->config, event, err);
	if (r == 0)
		r = attach_static_devices(forwarder, err);
	return r;
}

static int start(struct forwarder *forwarder, sd_event *event, struct err *err)
{
	int r = open_guest_event(forwarder, event, err);
	if (r == 0)
		r = start_core(forwarder, err);
	if (r == 0)
		r = upkeep_start(forwarder, event, err);
	if (r == 0)
		r = open_relays(forwarder, event, err);
	return r;
}

int forwarder_new(struct forwarder **ret_forwarder, const struct config *config, sd_event *event,
	struct err *err)
{
	struct forwarder *forwarder = calloc(1, sizeof(*forwarder));

	if (forwarder == NULL)
		return err_set(err, ENOMEM, "out of memory");
	forwarder->guest_event_fd = -1;
	forwarder->config = config;
	forwarder->env = (struct relay_env){
		.config = config,
		.placement = &forwarder->placement,
		.wake_control = wake_control,
		.userdata = forwarder,
	};
	int r = start(forwarder, event, err);
	if (r < 0) {
		forwarder_free(forwarder);
		return r;
	}
	*ret_forwarder = forwarder;
	return 0;
}

/* False if it has failed, which is logged. */
static bool restore_one(struct forwarder *forwarder, const struct op *op)
{
	const struct log_event about = {.relay = op->relay_id,
		.device = device_spec_name(&op->device),
		.socket = op->vhost_path};
	struct op_result result = {0};

	forwarder_apply(forwarder, op, &result);
	if (result.code == 0)
		return true;
	log_event_at(LOG_ERR, &about, "relay %d with device %s%s%s is not restored: %s",
		op->relay_id, about.device, op->vhost_path[0] != '\0' ? " and socket " : "",
		op->vhost_path, result.err.text);
	return false;
}

int forwarder_restore(
	struct forwarder *forwarder, const struct op *ops, unsigned n, struct err *err)
{
	const uint64_t began_ns = clock_monotonic_ns();
	int n_failed = 0;

	for (unsigned i = 0; i < n; i++) {
		struct op op = ops[i];
		follow_guests(forwarder);
		int r = check_stop(err);
		if (r < 0)
			return r;
		op.opening = clock_monotonic_ns() - began_ns < ATTACH_NS ? OPENING_WAITING
		                                                         : OPENING_LATER;
		if (!restore_one(forwarder, &op))
			n_failed++;
	}
	return n_failed;
}

struct forwarder *forwarder_free(struct forwarder *forwarder)
{
	if (forwarder == NULL)
		return NULL;
	struct vfio_devices *devices = vfio_devices_hold();
	for (unsigned i = 0; forwarder->env.workers != NULL && i < RELAYS_MAX; i++)
		relay_fini(&forwarder->relays[i]);
	vfio_devices_release(devices);
	device_watch_free(forwarder->env.watch);
	workers_stop(forwarder->env.workers);
	pool_destroy(forwarder->env.discard_pool);
	gatekeeper_stop(forwarder->env.keeper);
	bus_error_close();
	sd_event_source_disable_unref(forwarder->guest_event);
	sd_event_source_disable_unref(forwarder->env.mapping);
	sd_event_source_disable_unref(forwarder->upkeep_timer);
	if (forwarder->guest_event_fd >= 0)
		close(forwarder->guest_event_fd);
	free(forwarder);
	return NULL;
}

void forwarder_snapshot(struct forwarder *forwarder, struct stats_view *ret_view)
{
	const struct workers *workers = forwarder->env.workers;

	ret_view->n_relays = RELAYS_MAX;
	for (unsigned i = 0; i < RELAYS_MAX; i++)
		relay_read_stats(&forwarder->relays[i], &ret_view->relays[i]);
	ret_view->n_workers = MIN(workers_count(workers), WORKERS_MAX);
	for (unsigned i = 0; i < ret_view->n_workers; i++) {
		struct worker_times times = workers_times(workers, i);
		struct worker_stats *worker = &ret_view->workers[i];
		*worker = (struct worker_stats){
			.cpu = workers_cpu(workers, i),
			.numa_node = workers_numa_node(workers, i),
			.busy_ns = times.busy_ns,
			.sleep_ns = times.sleep_ns,
		};
		worker->has_waiting = workers_waited_ns(workers, i, &worker->waiting_ns);
	}
}

void forwarder_read_devices(
	struct forwarder *forwarder, struct device_counters ret_counters[static RELAYS_MAX])
{
	const uint64_t began_ns = clock_monotonic_ns();

	for (unsigned n = 0; n < RELAYS_MAX && !turn_is_over(began_ns); n++) {
		forwarder->read_last = (forwarder->read_last + 1) % RELAYS_MAX;
		if (forwarder->relays[forwarder->read_last].vf != NULL)
			vf_read_counters(forwarder->relays[forwarder->read_last].vf);
	}
	for (unsigned i = 0; i < RELAYS_MAX; i++) {
		const struct vf *vf = forwarder->relays[i].vf;
		ret_counters[i] = vf != NULL ? vf->counters : (struct device_counters){0};
	}
}

static void move_direction(struct forwarder *forwarder, struct relay *relay,
	enum direction direction, unsigned cpu, const struct slice_cpus *slices)
{
	for (unsigned i = 0; i < relay->n_slices; i++) {
		int worker = placement_worker_on(
			forwarder->env.workers, i < slices->n ? slices->cpus[i] : cpu);
		if (worker >= 0)
			relay_move(relay, direction, i, worker);
	}
}

void forwarder_move(struct forwarder *forwarder, const struct core_move *move)
{
	struct relay *relay = &forwarder->relays[move->relay_id];

	move_direction(forwarder, relay, VF_TO_VM, move->vf_to_vm_cpu, &move->vf_to_vm_slices);
	move_direction(forwarder, relay, VM_TO_VF, move->vm_to_vf_cpu, &move->vm_to_vf_slices);
}

void forwarder_tap(
	struct forwarder *forwarder, unsigned relay_id, enum direction direction, struct tap *taps)
{
	relay_tap(&forwarder->relays[relay_id], direction, taps);
}

void forwarder_worker_cpus(struct forwarder *forwarder, struct cpu_set *ret_cpus)
{
	*ret_cpus = (struct cpu_set){0};
	for (unsigned i = 0; i < workers_count(forwarder->env.workers); i++)
		cpu_set_add(ret_cpus, workers_cpu(forwarder->env.workers, i));
}
