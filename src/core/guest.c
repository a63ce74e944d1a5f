/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/guest_internal.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <rte_vhost.h>
#include <string.h>
#include <sys/stat.h>

#include "base/unix_socket.h"
#include "core/dpdk_log.h"

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

/*
 * Tells the library of the socket. Its own reconnecting tries once a second; ours is guest_retry().
 */
static int register_socket(const struct guest *guest, struct err *err)
{
	uint64_t flags = RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS;

	if (guest->options.client)
		flags |= RTE_VHOST_USER_CLIENT | RTE_VHOST_USER_NO_RECONNECT;
	if (rte_vhost_driver_register(guest->path, flags) != 0)
		return err_set(err, EIO, "vhost-user socket %s cannot be registered", guest->path);
	if (set_features(guest->path, &guest->options) == 0 &&
		rte_vhost_driver_callback_register(guest->path, &guest_callbacks) == 0)
		return 0;
	rte_vhost_driver_unregister(guest->path);
	return err_set(err, EIO, "vhost-user socket %s cannot be set up", guest->path);
}

static int listen_on(const struct guest *guest, struct err *err)
{
	dpdk_log_capture_start();
	int r = rte_vhost_driver_start(guest->path);
	const char *said = dpdk_log_capture_end();

	if (r < 0)
		return err_set(err, EIO, "vhost-user socket %s cannot be opened%s%s", guest->path,
			said[0] ? ": " : "", said);
	return give_to_owner(guest, err);
}

static bool is_connected(const struct guest *guest)
{
	for (unsigned i = 0; i < GUEST_CONNECTIONS_MAX; i++)
		if (atomic_load(&guest->connections[i].connected))
			return true;
	return false;
}

void guest_retry(struct guest *guest)
{
	if (!guest->options.client || is_connected(guest) || access(guest->path, F_OK) != 0)
		return;
	/* The library has spent the socket on its last attempt, so each one begins anew. */
	rte_vhost_driver_unregister(guest->path);
	if (register_socket(guest, NULL) < 0)
		return;
	dpdk_log_capture_start(); /* a refusal is no news: QEMU is not back yet */
	rte_vhost_driver_start(guest->path);
	dpdk_log_capture_end();
}

int guest_open(struct guest **ret_guest, const char *path, const struct guest_options *options,
	struct err *err)
{
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
	r = guest_table_insert(guest);
	if (r < 0) {
		free(guest);
		return err_set(
			err, -r, "vhost-user socket %s: all %d are in use", path, RELAYS_MAX);
	}
	r = register_socket(guest, err);
	if (r == 0 && !options->client)
		r = listen_on(guest, err);
	if (r < 0) {
		guest_close(guest);
		return r;
	}
	guest_retry(guest);
	*ret_guest = guest;
	return 0;
}

struct guest *guest_close(struct guest *guest)
{
	if (guest == NULL)
		return NULL;
	/* Ends the session, and removes the file of a server. */
	rte_vhost_driver_unregister(guest->path);
	guest_table_remove(guest);
	free(guest);
	return NULL;
}

unsigned guest_receive_queues(struct guest *guest)
{
	struct guest_session *session = guest_session(guest);

	/* The memory is the guest's own, so what is read may be out of date but is there. */
	return session != NULL ? __builtin_popcount(atomic_load(&session->vf_to_vm_enabled)) : 0;
}
