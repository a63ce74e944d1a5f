/* SPDX-License-Identifier: BSD-3-Clause */

/* What the vhost library calls: the life of connections and sessions. The theory is in guest.h. */

#include "core/guest/guest_internal.h"

#include <assert.h>
#include <linux/virtio_net.h>
#include <pthread.h>
#include <rte_ether.h>
#include <rte_vhost.h>
#include <string.h>

#include "core/gate/vhost_user.h"
#include "core/guest/guest_rings.h"

/*
 * The library's callbacks pass a device number, from which the library tells the socket's path.
 * This table maps the path to the guest; the library's interface leaves no other way.
 */
static struct {
	pthread_mutex_t mutex; /* held only for a look-up, never while waiting */
	struct guest *guests[RELAYS_MAX];
} table = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void guest_table_set(unsigned relay, struct guest *guest)
{
	pthread_mutex_lock(&table.mutex);
	assert(relay < RELAYS_MAX && (guest == NULL || table.guests[relay] == NULL));
	table.guests[relay] = guest;
	pthread_mutex_unlock(&table.mutex);
}

/* A guest stays open while a callback of its socket runs, so the pointer remains valid. */
static struct guest *table_find(int vid)
{
	char path[SOCKET_PATH_SIZE];
	struct guest *found = NULL;

	if (rte_vhost_get_ifname(vid, path, sizeof(path)) != 0)
		return NULL;
	pthread_mutex_lock(&table.mutex);
	for (unsigned i = 0; i < RELAYS_MAX && found == NULL; i++)
		if (table.guests[i] != NULL && strcmp(table.guests[i]->library_path, path) == 0)
			found = table.guests[i];
	pthread_mutex_unlock(&table.mutex);
	return found;
}

static struct guest_session *find_connection(int vid, struct guest **ret_guest)
{
	struct guest *guest = table_find(vid);

	*ret_guest = guest;
	for (unsigned i = 0; guest != NULL && i < GUEST_CONNECTIONS_MAX; i++)
		if (atomic_load(&guest->connections[i].connected) &&
			guest->connections[i].vid == vid)
			return &guest->connections[i];
	return NULL;
}

static enum rte_vhost_msg_result before_message(int vid, void *context)
{
	struct guest_message *message = context;
	struct guest *guest;
	struct guest_session *session = find_connection(vid, &guest);

	/* The library itself would promise more queue pairs than a relay has. */
	if (message->header.request == VHOST_USER_GET_QUEUE_NUM) {
		message->number = QUEUE_PAIRS_MAX;
		message->header.payload_bytes = sizeof(message->number);
		return RTE_VHOST_MSG_RESULT_REPLY;
	}
	if (session != NULL)
		guest_rings_before(guest, session, message);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static enum rte_vhost_msg_result after_message(int vid, void *context)
{
	const struct guest_message *message = context;
	struct guest *guest;
	struct guest_session *session = find_connection(vid, &guest);

	if (session == NULL)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	if (message->header.request == VHOST_USER_SEND_RARP) {
		/*
		 * A lane makes the announcement, as the library itself would, and not before the
		 * library has handled the message.
		 */
		atomic_store(&session->announcement, message->number);
		atomic_fetch_add(&guest->n_announcements, 1);
		guest_changed(guest);
	}
	guest_rings_after(guest, session, message);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static const struct rte_vhost_user_extern_ops message_handlers = {
	.pre_msg_handle = before_message,
	.post_msg_handle = after_message,
};

/* vhost thread: a frontend has connected through the gate. */
static int on_new_connection(int vid)
{
	struct guest *guest = table_find(vid);

	for (unsigned i = 0; guest != NULL && i < GUEST_CONNECTIONS_MAX; i++) {
		struct guest_session *connection = &guest->connections[i];
		if (atomic_load(&connection->connected))
			continue;
		connection->vid = vid;
		guest_rings_reset(connection);
		atomic_store(&connection->connected, true);
		atomic_store(&guest->n_connections, RTE_MAX(guest->n_connections, i + 1));
		return rte_vhost_extern_callback_register(vid, &message_handlers, NULL);
	}
	return -1;
}

/* vhost thread: the frontend is gone. Its session has been taken back before. */
static void on_destroy_connection(int vid)
{
	struct guest *guest;
	struct guest_session *connection = find_connection(vid, &guest);

	if (connection == NULL)
		return;
	guest_rings_forget_memory(guest, connection);
	atomic_store(&connection->connected, false);
	guest_changed(guest);
}

/*
 * The longest frame that the guest's driver has buffers for. If it merges buffers, or has buffers
 * for packets that were segmented (virtio 1.2, 5.1.6.3.1), or if its frontend has told the MTU to
 * it but not to us (NET_SET_MTU is optional), only the buffers can tell.
 */
static unsigned max_frame_bytes(int vid, uint64_t features)
{
	const uint64_t any = 1ULL << VIRTIO_NET_F_MRG_RXBUF | 1ULL << VIRTIO_NET_F_GUEST_TSO4 |
	                     1ULL << VIRTIO_NET_F_GUEST_TSO6 | 1ULL << VIRTIO_NET_F_GUEST_UFO;
	uint16_t mtu = RTE_ETHER_MTU;

	if (features & any)
		return UINT16_MAX;
	if (features & 1ULL << VIRTIO_NET_F_MTU && rte_vhost_get_mtu(vid, &mtu) == 0 && mtu == 0)
		return UINT16_MAX;
	return mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN;
}

/* Makes this the guest's session, in place of the one before, if any. Under sessions_mutex. */
static void serve(struct guest *guest, struct guest_session *session)
{
	guest_rings_load(guest, session);
	atomic_store(&guest->features, session->features);
	atomic_store(&guest->numa_node, rte_vhost_get_numa_node(session->vid));
	struct guest_session *before = atomic_exchange(&guest->session, session);
	if (before != NULL)
		guest_rings_end(guest, before, "replace a VM");
	atomic_fetch_add(&guest->n_sessions, 1);
	atomic_store(&guest->ready, true); /* last: who sees it sees a new number, too */
}

/* Of the connections whose driver is ready, the one that became ready last; or NULL. */
static struct guest_session *latest_running(struct guest *guest)
{
	struct guest_session *latest = NULL;

	for (unsigned i = 0; i < GUEST_CONNECTIONS_MAX; i++) {
		struct guest_session *connection = &guest->connections[i];
		if (connection->ready_number > (latest != NULL ? latest->ready_number : 0))
			latest = connection;
	}
	return latest;
}

/* vhost thread: the guest's driver is ready. */
static int on_new_device(int vid)
{
	struct guest *guest;
	struct guest_session *session = find_connection(vid, &guest);

	if (session == NULL || rte_vhost_get_negotiated_features(vid, &session->features) != 0)
		return -1;
	session->max_frame_bytes = max_frame_bytes(vid, session->features);
	pthread_mutex_lock(&guest->sessions_mutex);
	if (!guest->closing) {
		serve(guest, session);
		session->ready_number = atomic_load(&guest->n_sessions);
	}
	pthread_mutex_unlock(&guest->sessions_mutex);
	guest_changed(guest);
	return 0;
}

/* vhost thread: a migration begins or ends. */
static int on_features_changed(int vid, uint64_t features)
{
	struct guest *guest = table_find(vid);
	struct guest_session *session = guest != NULL ? atomic_load(&guest->session) : NULL;

	if (session == NULL || session->vid != vid)
		return 0;
	atomic_store(&guest->features, features);
	guest_changed(guest);
	return 0;
}

/*
 * Ends the guest's session. If a connection that it had replaced still runs, that gets the relay
 * back: the library would not report again that its driver is ready. Under sessions_mutex.
 */
static void end_session(struct guest *guest, struct guest_session *session)
{
	atomic_store(&guest->session, NULL);
	guest_rings_end(guest, session, "detach a VM");
	struct guest_session *other = guest->closing ? NULL : latest_running(guest);
	if (other != NULL)
		serve(guest, other);
	else
		atomic_store(&guest->ready, false);
	guest_changed(guest);
}

/* vhost thread, or control thread, closing: the guest's memory is about to go away. */
static void on_destroy_device(int vid)
{
	struct guest *guest;
	struct guest_session *session = find_connection(vid, &guest);

	if (session == NULL)
		return;
	pthread_mutex_lock(&guest->sessions_mutex);
	session->ready_number = 0;
	if (atomic_load(&guest->session) == session) /* no other has taken over */
		end_session(guest, session);
	pthread_mutex_unlock(&guest->sessions_mutex);
}

const struct rte_vhost_device_ops guest_callbacks = {
	.new_connection = on_new_connection,
	.destroy_connection = on_destroy_connection,
	.new_device = on_new_device,
	.destroy_device = on_destroy_device,
	.features_changed = on_features_changed,
};
