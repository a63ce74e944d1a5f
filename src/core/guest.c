/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/guest.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <pthread.h>
#include <rte_ether.h>
#include <rte_vhost.h>
#include <string.h>
#include <sys/stat.h>

#include "base/unix_socket.h"
#include "core/dpdk_log.h"
#include "core/epoch.h"

/*
 * What the library would offer and we do not, because neither a device nor software of ours would
 * finish it. GSO is the legacy driver's name for all of them together, so a legacy guest would take
 * it as leave to send what nobody here segments.
 */
#define NEVER_OFFERED                                                            \
	(1ULL << VIRTIO_NET_F_GSO | 1ULL << VIRTIO_NET_F_GUEST_ECN |             \
		1ULL << VIRTIO_NET_F_GUEST_UFO | 1ULL << VIRTIO_NET_F_HOST_ECN | \
		1ULL << VIRTIO_NET_F_HOST_UFO)

#define TSO_FEATURES                                                         \
	(1ULL << VIRTIO_NET_F_GUEST_TSO4 | 1ULL << VIRTIO_NET_F_GUEST_TSO6 | \
		1ULL << VIRTIO_NET_F_HOST_TSO4 | 1ULL << VIRTIO_NET_F_HOST_TSO6)

/*
 * The library's callbacks bring a device number, and the path by it; this table leads from the path
 * to the guest. The library's interface leaves no other way.
 */
static struct {
	pthread_mutex_t mutex; /* held for a look-up only, never while waiting */
	struct guest *guests[RELAYS_MAX];
} table = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static int table_insert(struct guest *guest)
{
	int r = -ENOSPC;

	pthread_mutex_lock(&table.mutex);
	for (unsigned i = 0; i < RELAYS_MAX && r < 0; i++) {
		if (table.guests[i] == NULL) {
			table.guests[i] = guest;
			guest->slot = i;
			r = 0;
		}
	}
	pthread_mutex_unlock(&table.mutex);
	return r;
}

static void table_remove(struct guest *guest)
{
	pthread_mutex_lock(&table.mutex);
	table.guests[guest->slot] = NULL;
	pthread_mutex_unlock(&table.mutex);
}

/* The guest stays open as long as a callback of its socket runs, so the pointer is good. */
static struct guest *table_find(int vid)
{
	char path[SOCKET_PATH_SIZE];
	struct guest *found = NULL;

	if (rte_vhost_get_ifname(vid, path, sizeof(path)) != 0)
		return NULL;
	pthread_mutex_lock(&table.mutex);
	for (unsigned i = 0; i < RELAYS_MAX && found == NULL; i++)
		if (table.guests[i] != NULL && strcmp(table.guests[i]->path, path) == 0)
			found = table.guests[i];
	pthread_mutex_unlock(&table.mutex);
	return found;
}

static void changed(struct guest *guest)
{
	guest->options.changed(guest->options.userdata);
}

static struct guest_session *find_connection(struct guest *guest, int vid)
{
	for (unsigned i = 0; i < GUEST_CONNECTIONS_MAX; i++)
		if (guest->connections[i].connected && guest->connections[i].vid == vid)
			return &guest->connections[i];
	return NULL;
}

/* vhost thread: a frontend has connected. */
static int on_new_connection(int vid)
{
	struct guest *guest = table_find(vid);

	for (unsigned i = 0; guest != NULL && i < GUEST_CONNECTIONS_MAX; i++) {
		struct guest_session *connection = &guest->connections[i];
		if (connection->connected)
			continue;
		*connection = (struct guest_session){.connected = true, .vid = vid};
		return 0;
	}
	return -1;
}

/* vhost thread: the frontend is gone; its session has been taken back before. */
static void on_destroy_connection(int vid)
{
	struct guest *guest = table_find(vid);
	struct guest_session *connection = guest != NULL ? find_connection(guest, vid) : NULL;

	if (connection != NULL)
		connection->connected = false;
}

/* The longest frame that the guest's driver has buffers for. */
static unsigned max_frame_bytes(int vid, uint64_t features)
{
	uint16_t mtu = RTE_ETHER_MTU;

	if (features & 1ULL << VIRTIO_NET_F_MRG_RXBUF)
		return UINT16_MAX; /* it chains as many as it takes */
	if (!(features & 1ULL << VIRTIO_NET_F_MTU) || rte_vhost_get_mtu(vid, &mtu) != 0)
		mtu = RTE_ETHER_MTU;
	return mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN;
}

/* vhost thread: the guest's driver is ready. */
static int on_new_device(int vid)
{
	struct guest *guest = table_find(vid);
	struct guest_session *session = guest != NULL ? find_connection(guest, vid) : NULL;

	if (session == NULL || rte_vhost_get_negotiated_features(vid, &session->features) != 0)
		return -1;
	session->max_frame_bytes = max_frame_bytes(vid, session->features);
	session->numa_node = rte_vhost_get_numa_node(vid);
	/* Workers poll: the guest need not kick. */
	for (uint16_t ring = 0; ring < rte_vhost_get_vring_num(vid); ring++)
		rte_vhost_enable_guest_notification(vid, ring, 0);

	if (atomic_exchange(&guest->session, session) != NULL)
		epoch_synchronize(guest->options.epoch, "replace a VM");
	atomic_fetch_add(&guest->n_sessions, 1);
	changed(guest);
	return 0;
}

/* vhost thread: the guest's memory is about to go away. */
static void on_destroy_device(int vid)
{
	struct guest *guest = table_find(vid);

	if (guest == NULL)
		return;
	struct guest_session *session = atomic_load(&guest->session);
	if (session == NULL || session->vid != vid)
		return; /* another connection has taken over */
	atomic_store(&guest->session, NULL);
	epoch_synchronize(guest->options.epoch, "detach a VM");
	changed(guest);
}

/* vhost thread, possibly with every ring lock of the device held: nothing here may wait. */
static int on_vring_state_changed(int vid, uint16_t ring, int enabled)
{
	struct guest *guest = table_find(vid);
	struct guest_session *connection = guest != NULL ? find_connection(guest, vid) : NULL;
	unsigned queue_pair = ring / 2;

	if (connection == NULL || queue_pair >= QUEUE_PAIRS_MAX)
		return 0;

	_Atomic uint32_t *mask = ring == GUEST_RECEIVE_RING(queue_pair)
	                                 ? &connection->vf_to_vm_enabled
	                                 : &connection->vm_to_vf_enabled;
	if (enabled)
		atomic_fetch_or(mask, 1u << queue_pair);
	else
		atomic_fetch_and(mask, ~(1u << queue_pair));
	changed(guest);
	return 0;
}

static const struct rte_vhost_device_ops callbacks = {
	.new_connection = on_new_connection,
	.destroy_connection = on_destroy_connection,
	.new_device = on_new_device,
	.destroy_device = on_destroy_device,
	.vring_state_changed = on_vring_state_changed,
};

/* The same for every device and after every start, or a running guest could not come back. */
static int set_features(const char *path, const struct guest_options *options)
{
	uint64_t off = NEVER_OFFERED;

	if (!options->mergeable)
		off |= 1ULL << VIRTIO_NET_F_MRG_RXBUF;
	if (!options->tso)
		off |= TSO_FEATURES;
	return rte_vhost_driver_disable_features(path, off);
}

static int give_to_owner(const struct guest *guest, struct err *err)
{
	if (chown(guest->path, guest->options.uid, guest->options.gid) < 0 ||
		chmod(guest->path, 0660) < 0)
		return err_set(err, errno, "vhost-user socket %s: cannot be given to its owner: %s",
			guest->path, strerror(errno));
	return 0;
}

static int start(struct guest *guest, struct err *err)
{
	dpdk_log_capture_start();
	int r = rte_vhost_driver_start(guest->path);
	const char *said = dpdk_log_capture_end();

	if (r < 0)
		return err_set(err, EIO, "vhost-user socket %s cannot be opened%s%s", guest->path,
			said[0] ? ": " : "", said);
	return guest->options.client ? 0 : give_to_owner(guest, err);
}

int guest_open(struct guest **ret_guest, const char *path, const struct guest_options *options,
	struct err *err)
{
	uint64_t flags = RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS |
	                 (options->client ? RTE_VHOST_USER_CLIENT : 0);

	if (strlen(path) >= SOCKET_PATH_SIZE)
		return err_set(err, ENAMETOOLONG,
			"vhost-user socket path %s is longer than %d bytes", path,
			SOCKET_PATH_SIZE - 1);
	int r = options->client ? 0 : unix_socket_claim(path, err);
	if (r < 0)
		return err_prefix(err, r, "vhost-user socket");

	struct guest *guest = calloc(1, sizeof(*guest));
	if (guest == NULL)
		return err_set(err, ENOMEM, "vhost-user socket %s: out of memory", path);
	guest->options = *options;
	strcpy(guest->path, path);
	r = table_insert(guest);
	if (r < 0) {
		free(guest);
		return err_set(
			err, -r, "vhost-user socket %s: all %d are in use", path, RELAYS_MAX);
	}

	if (rte_vhost_driver_register(path, flags) != 0) {
		table_remove(guest);
		free(guest);
		return err_set(err, EIO, "vhost-user socket %s cannot be registered", path);
	}
	if (set_features(path, options) != 0 ||
		rte_vhost_driver_callback_register(path, &callbacks) != 0)
		r = err_set(err, EIO, "vhost-user socket %s cannot be set up", path);
	else
		r = start(guest, err);
	if (r < 0) {
		guest_close(guest);
		return r;
	}
	*ret_guest = guest;
	return 0;
}

struct guest *guest_close(struct guest *guest)
{
	if (guest == NULL)
		return NULL;
	rte_vhost_driver_unregister(
		guest->path); /* ends the session; removes the file of a server */
	table_remove(guest);
	free(guest);
	return NULL;
}

unsigned guest_receive_queues(struct guest *guest)
{
	struct guest_session *session = guest_session(guest);

	/* The memory is the guest's own, so what is read may be out of date but is there. */
	return session != NULL ? __builtin_popcount(atomic_load(&session->vf_to_vm_enabled)) : 0;
}
