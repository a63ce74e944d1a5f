/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/guest/guest_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <rte_branch_prediction.h>
#include <rte_vhost.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "core/dpdk/dpdk_log.h"
#include "core/gate/gate.h"
#include "core/gate/gate_rules.h"
#include "core/guest/guest_calls.h"
#include "core/guest/guest_dma.h"
#include "core/guest/vhost_nudge.h"
#include "core/ring/ring_loans.h"

/* GSO is a legacy driver's name for all that it leaves to its device to segment. */
#define TSO_FEATURES                                                              \
	(1ULL << VIRTIO_NET_F_GUEST_TSO4 | 1ULL << VIRTIO_NET_F_GUEST_TSO6 |      \
		1ULL << VIRTIO_NET_F_HOST_TSO4 | 1ULL << VIRTIO_NET_F_HOST_TSO6 | \
		1ULL << VIRTIO_NET_F_GSO)

/*
 * Permissions to send what we never send. A driver that sees one and does not merge buffers makes
 * its buffers as large as for TSO.
 */
#define UNUSED_FEATURES (1ULL << VIRTIO_NET_F_GUEST_ECN | 1ULL << VIRTIO_NET_F_GUEST_UFO)

/*
 * The same for every device and after every start; otherwise a running guest could not reconnect.
 * As many as the options allow, used or not, HOST_ECN and HOST_UFO always: a guest that comes from
 * another backend, here or by migration, has negotiated what that one offers, and needs all of it.
 * So HOST_ECN is offered without TSO, too, as other backends do, although virtio 1.2, 5.1.3.1, has
 * it depend on that.
 */
static int set_features(const char *path, const struct guest_options *options)
{
	uint64_t off = 0;

	if (!options->mergeable)
		off |= 1ULL << VIRTIO_NET_F_MRG_RXBUF;
	if (!options->tso)
		off |= TSO_FEATURES;
	if (!options->mergeable && !options->tso)
		off |= UNUSED_FEATURES;
	return rte_vhost_driver_disable_features(path, off);
}

/* What to do if a guest wants more than that. */
static const char *features_remedy(const struct guest_options *options)
{
	if (!options->mergeable && !options->tso)
		return "set VIRTIOFWD_MRGBUF and VIRTIOFWD_TSO, or shut the VM down and start it "
		       "again";
	if (!options->mergeable)
		return "set VIRTIOFWD_MRGBUF, or shut the VM down and start it again";
	if (!options->tso)
		return "set VIRTIOFWD_TSO, or shut the VM down and start it again";
	return "shut the VM down and start it again";
}

/* A newer library may offer more than the gate lets through. */
static int set_protocol_features(const char *path)
{
	uint64_t features;

	if (rte_vhost_driver_get_protocol_features(path, &features) != 0)
		return -1;
	return rte_vhost_driver_set_protocol_features(
		path, features & gate_rules_protocol_features);
}

static int register_socket(const struct guest *guest, struct err *err)
{
	const char *path = guest->library_path;

	if (rte_vhost_driver_register(path, 0) != 0)
		return err_set(err, EIO, "vhost-user socket %s cannot be registered", guest->path);
	if (set_features(path, &guest->options) == 0 && set_protocol_features(path) == 0 &&
		rte_vhost_driver_callback_register(path, &guest_callbacks) == 0)
		return 0;
	return err_set(err, EIO, "vhost-user socket %s cannot be set up", guest->path);
}

/* Makes the library listen. */
static int start(const struct guest *guest, struct err *err)
{
	int r = register_socket(guest, err);

	if (r < 0)
		return r;
	dpdk_log_capture_start();
	r = rte_vhost_driver_start(guest->library_path);
	const char *said = dpdk_log_capture_end();
	if (r < 0)
		return err_set(err, EIO, "vhost-user socket %s cannot be opened%s%s", guest->path,
			said[0] ? ": " : "", said);
	return 0;
}

/*
 * Makes the library listen on a socket that nobody else can find: its file is made in a directory
 * of our own and is gone when this returns. Returns an O_PATH descriptor of the socket.
 */
static int start_unseen(struct guest *guest, struct err *err)
{
	char dir[] = DPDK_LOG_VHOST_DIR;

	if (mkdtemp(dir) == NULL)
		return err_set(err, errno, "vhost-user socket %s needs a directory in /tmp: %s",
			guest->path, strerror(errno));
	snprintf(guest->library_path, sizeof(guest->library_path), "%s/%u", dir,
		guest->options.relay_id);
	guest_table_set(guest->options.relay_id, guest);
	int r = start(guest, err);
	if (r == 0) {
		r = open(guest->library_path, O_PATH | O_CLOEXEC);
		if (r < 0)
			r = err_set(err, errno, "%s: %s", guest->library_path, strerror(errno));
	}
	unlink(guest->library_path);
	vhost_nudge(dir);
	rmdir(dir);
	return r;
}

static int open_gate(struct guest *guest, struct err *err)
{
	struct gate_options options = {
		.relay_id = guest->options.relay_id,
		.path = guest->path,
		.client = guest->options.client,
		.uid = guest->options.uid,
		.gid = guest->options.gid,
		.features_remedy = features_remedy(&guest->options),
		.relieve = guest_calls_relieve,
		.userdata = guest,
	};

	options.library_socket = start_unseen(guest, err);
	if (options.library_socket < 0)
		return options.library_socket;
	int r = gate_open(&guest->gate, guest->options.keeper, &options, err);
	if (r < 0)
		close(options.library_socket);
	return r;
}

int guest_open(struct guest **ret_guest, const char *path, const struct guest_options *options,
	struct err *err)
{
	if (strlen(path) >= SOCKET_PATH_SIZE)
		return err_set(err, ENAMETOOLONG,
			"vhost-user socket path %s is longer than %d bytes", path,
			SOCKET_PATH_SIZE - 1);

	struct guest *guest = calloc_aligned(alignof(struct guest), sizeof(*guest));
	if (guest == NULL)
		return err_set(err, ENOMEM, "vhost-user socket %s: out of memory", path);
	pthread_mutex_init(&guest->sessions_mutex, NULL);
	pthread_mutex_init(&guest->dma_mutex, NULL);
	pthread_mutex_init(&guest->calls_mutex, NULL);
	guest->options = *options;
	strcpy(guest->path, path);
	int r = open_gate(guest, err);
	if (r < 0) {
		guest_close(guest);
		return r;
	}
	*ret_guest = guest;
	return 0;
}

bool guest_has_lost_socket(const struct guest *guest)
{
	return gate_has_lost_socket(guest->gate);
}

int guest_renew_socket(struct guest *guest, struct err *err)
{
	return gate_renew(guest->gate, err);
}

/* If a device still has a part of a ring's loans, they are left to it for ever. */
static void free_loans(struct guest *guest)
{
	bool all = true;

	for (unsigned i = 0; i < GUEST_CONNECTIONS_MAX; i++)
		for (unsigned ring = 0; ring < RINGS_MAX; ring++)
			all &= ring_loans_free(guest->connections[i].rings[ring].loans);
	if (!all)
		log_event_at(LOG_ERR,
			&(struct log_event){
				.relay = (int)guest->options.relay_id, .socket = guest->path},
			"relay %u: its device has not sent packets of the VM that was on %s; "
			"some memory is kept",
			guest->options.relay_id, guest->path);
}

struct guest *guest_close(struct guest *guest)
{
	if (guest == NULL)
		return NULL;
	pthread_mutex_lock(&guest->sessions_mutex);
	guest->closing = true;
	pthread_mutex_unlock(&guest->sessions_mutex);
	gate_hang_up(guest->gate);
	rte_vhost_driver_unregister(guest->library_path); /* ends the session if there is one */
	gate_close(guest->gate);
	guest_table_set(guest->options.relay_id, NULL);
	guest_dma_unmap(guest);
	free_loans(guest);
	pthread_mutex_destroy(&guest->calls_mutex);
	pthread_mutex_destroy(&guest->dma_mutex);
	pthread_mutex_destroy(&guest->sessions_mutex);
	free(guest);
	return NULL;
}

bool guest_migrates(const struct guest *guest)
{
	return (atomic_load(&guest->features) & 1ULL << VHOST_F_LOG_ALL) != 0;
}

void guest_check_ring(struct guest *guest, struct guest_session *session, unsigned ring)
{
	enum ring_fault fault = ring_fault(&session->rings[ring]);
	uint32_t bit = 1u << ring / 2, had;

	if (likely(fault == RING_SOUND))
		return;
	if (ring == GUEST_RECEIVE_RING(ring / 2))
		had = atomic_fetch_and(&session->vf_to_vm_enabled, ~bit);
	else
		had = atomic_fetch_and(&session->vm_to_vf_enabled, ~bit) |
		      atomic_fetch_and(&session->vm_to_vf_disabled, ~bit);
	if (!(had & bit))
		return; /* known already */
	atomic_fetch_add(&session->n_retired, 1);
	atomic_store(&guest->last_fault, fault);
	atomic_fetch_add(&guest->n_faults, 1);
	guest_changed(guest);
}

/* For these, the session is part of the guest: it may have ended, but it is there. */

void guest_announce(struct guest *guest)
{
	struct guest_session *session = guest_session(guest);
	const uint64_t source = session != NULL ? atomic_load(&session->source) : 0;
	uint64_t none = 0;

	if (source != 0 && atomic_compare_exchange_strong(&session->announcement, &none, source))
		guest_changed(guest);
}

unsigned guest_receive_queues(struct guest *guest)
{
	struct guest_session *session = guest_session(guest);

	return session != NULL ? __builtin_popcount(atomic_load(&session->vf_to_vm_enabled)) : 0;
}

unsigned guest_retired_rings(struct guest *guest)
{
	struct guest_session *session = guest_session(guest);

	return session != NULL ? atomic_load(&session->n_retired) : 0;
}

static bool uses_ring(struct guest *guest, unsigned ring)
{
	struct guest_session *session = guest_session(guest);

	if (session == NULL)
		return false;
	const uint32_t enabled = ring == GUEST_RECEIVE_RING(ring / 2)
	                                 ? atomic_load(&session->vf_to_vm_enabled)
	                                 : atomic_load(&session->vm_to_vf_enabled);
	return enabled >> ring / 2 & 1;
}

struct guest_ring_stats guest_ring_stats(struct guest *guest, unsigned ring)
{
	struct guest_ring_stats stats = {0};

	if (uses_ring(guest, ring))
		stats.size = atomic_load(&guest->ring_sizes[ring]);
	for (unsigned i = 0; i < atomic_load(&guest->n_connections); i++) {
		const struct ring *of_connection = &guest->connections[i].rings[ring];
		stats.n_packets += atomic_load(&of_connection->n_packets);
		stats.n_calls += atomic_load(&of_connection->n_calls);
	}
	stats.n_dropped = atomic_load(&guest->n_dropped[ring]);
	return stats;
}

int guest_numa_node(struct guest *guest)
{
	return guest_session(guest) != NULL ? atomic_load(&guest->numa_node) : -1;
}
