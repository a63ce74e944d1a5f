/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A vhost-user socket and the VM behind it.
 *
 * Theory. DPDK's vhost library speaks the protocol in a thread of its own. It calls us back when a
 * frontend connects, when the guest's driver is ready, and before the guest's memory goes away. A
 * connection whose driver is ready is the guest's *session*. The callback publishes the session;
 * lanes load it once per burst. To take it back, the callback exchanges it for NULL, waits for a
 * grace period of the workers (epoch.h), and only then returns. So the library never unmaps memory
 * that a worker still reads. The callbacks never wait for the control thread, which may itself be
 * waiting for them inside rte_vhost_driver_unregister().
 *
 * The library handles the protocol only. Packets go through rings of our own (ring.h), which lanes
 * and the library use in turn (guest_rings.h).
 *
 * Frontends do not speak to the library directly; see gate.h.
 *
 * If packets are sent without a copy, the guest's memory is mapped for DMA by the device
 * (guest_dma.h), and its transmit rings have loans (ring_loans.h). Loans end before the library
 * changes anything; the DMA mapping follows the memory.
 *
 * If two frontends are on one socket, the one whose driver became ready last has it: a VM that was
 * killed and started again may connect before the library sees the old connection end.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/limits.h"
#include "core/ring/ring.h"

struct epoch;
struct gate;
struct gatekeeper;

struct guest_options {
	unsigned relay_id;
	bool client;    /* true: QEMU listens and we connect, again and again; false: we listen */
	bool mergeable; /* offer mergeable receive buffers */
	bool tso;       /* offer TCP segmentation, in both directions */
	bool zero_copy; /* lend its packets to the device if possible */
	uid_t uid;      /* owner of the socket in server mode, (uid_t)-1 to leave it */
	gid_t gid;
	struct epoch *epoch; /* of the workers */
	struct gatekeeper *keeper;
	/*
	 * Called when something below has changed. The vhost thread, a worker, or the control
	 * thread while it closes the guest; must not wait.
	 */
	void (*changed)(void *userdata);
	void *userdata;
};

/*
 * The vhost library's ring numbers of queue pair q. Receive and transmit are meant from the guest's
 * view (virtio 5.1.2).
 */
#define GUEST_RECEIVE_RING(q) (2 * (q))
#define GUEST_TRANSMIT_RING(q) (2 * (q) + 1)

/*
 * A connection of a frontend, of which `session` of struct guest points to at most one. Belongs to
 * the vhost thread; what lanes read is marked below.
 */
struct guest_session {
	_Atomic bool connected;
	int vid; /* the vhost library's number for the device */

	/* The vhost thread's own. Masks are of rings, by the library's numbers. */
	unsigned ready_number; /* its number among the guest's sessions, from 1; 0: not ready */
	uint64_t started;
	uint64_t enabled;
	uint64_t usable;   /* started, and the library knows all of their addresses */
	uint64_t fresh;    /* started since they were last loaded */
	uint64_t uncalled; /* got another eventfd to call by since they were last loaded */

	/*
	 * Written by the vhost thread, read by workers. A worker that retires a ring clears its
	 * bit.
	 */
	_Atomic bool paused;               /* lanes leave the rings alone and keep what they hold */
	_Atomic uint32_t vf_to_vm_enabled; /* bit q: the guest receives on queue pair q */
	_Atomic uint32_t vm_to_vf_enabled; /* bit q: the guest sends on queue pair q */
	/*
	 * Bit q: transmit ring q is started but disabled: packets left on it are consumed and
	 * dropped.
	 */
	_Atomic uint32_t vm_to_vf_disabled;
	_Atomic unsigned n_retired; /* rings that are started and retired; control reads it, too */
	/*
	 * The MAC address for which an announcement (RARP) is to be sent, encoded as in SEND_RARP;
	 * 0: none. Set by the vhost thread and the control thread, taken by a worker.
	 */
	_Atomic uint64_t announcement;
	/*
	 * The MAC address that the guest has last been seen to send from, encoded likewise; 0: none
	 * yet. Only kept for devices that need it (vf->announces). Written by workers, read by
	 * the control thread.
	 */
	_Atomic uint64_t source;

	/*
	 * The device may read the guest's memory. Written under the guest's dma_mutex, read by
	 * workers.
	 */
	_Atomic bool dma_mapped;
	/* All under dma_mutex. */
	bool dma_tried;                 /* all of it is mapped, or mapping failed */
	uint64_t dma_bytes;             /* bytes mapped so far */
	struct guest_memory dma_memory; /* the memory that may be mapped */
	bool dma_allowed;               /* dma_memory will not change while this is true */

	/* Mask of the rings whose call eventfd may be written to. Under the guest's calls_mutex. */
	uint64_t watched_calls;

	/* Constant while the session is published and not paused, except as ring.h says. */
	uint64_t features;        /* as negotiated: bits VIRTIO_NET_F_... */
	unsigned max_frame_bytes; /* longest frame that its receive buffers hold, without FCS */
	struct guest_memory memory;
	struct ring rings[RINGS_MAX]; /* by the library's numbers */
};

#define GUEST_CONNECTIONS_MAX 16 /* at a time, ending ones included; one is the session */

struct guest {
	/*
	 * Written by the vhost thread (by the control thread while it closes the guest), read by
	 * workers.
	 */
	_Atomic(struct guest_session *) session;

	/* Written by the vhost thread, read by the control thread, except as noted. */
	_Atomic bool ready;          /* there is a session, or lanes may still use its rings */
	_Atomic unsigned n_sessions; /* begun so far; read by workers as well */
	_Atomic unsigned n_faults;   /* rings retired so far; written by workers */
	_Atomic unsigned last_fault; /* enum ring_fault; written by workers */
	/*
	 * The device has not sent everything that was lent, though the rings were taken away. Set
	 * by the vhost thread, cleared by the control thread.
	 */
	_Atomic bool unsent;
	_Atomic unsigned n_announcements; /* of the VM's new place, asked for by frontends */
	_Atomic unsigned n_connections; /* which have been used so far: the first of these below */
	/* Of the current session, or of the last one. */
	_Atomic uint64_t features; /* as negotiated; VHOST_F_LOG_ALL is set while it migrates */
	_Atomic int numa_node;     /* of the guest's memory; -1: unknown */
	_Atomic unsigned n_queues; /* queue pairs of the device that the frontend has set up */
	_Atomic uint16_t ring_sizes[RINGS_MAX]; /* descriptors; by the library's numbers */
	/* Packets for a ring that were dropped because it stayed full. Workers add to it. */
	_Atomic uint64_t n_dropped[RINGS_MAX];

	/* The vhost thread's own; the control thread's once the socket is closed. */
	struct guest_session connections[GUEST_CONNECTIONS_MAX];

	/*
	 * Sessions begin and end with this mutex held: in the vhost thread, and in the control
	 * thread while it closes the socket, connection by connection. It is held during grace
	 * periods of the workers.
	 */
	pthread_mutex_t sessions_mutex;
	bool closing; /* no session begins any more */

	/*
	 * Between the vhost thread, which changes memory, and the control thread, which has the
	 * devices. Held while memory is mapped, never while one waits for the other.
	 */
	pthread_mutex_t dma_mutex;
	struct guest_memory dma_left; /* of an ended session, still mapped; under the mutex */

	/*
	 * Between the vhost thread and the gatekeeper's thread (guest_calls.h). Never held while
	 * waiting.
	 */
	pthread_mutex_t calls_mutex;

	/* Constant while the guest is open. */
	struct guest_options options;
	char path[SOCKET_PATH_SIZE];
	char library_path[SOCKET_PATH_SIZE]; /* the library's socket, whose file is gone */
	struct gate *gate;                   /* between the two sockets */
};

/*
 * Opens the socket. In server mode, a socket file that a dead daemon left is replaced, and one that
 * is in use is refused; the new one gets its owner, its group and mode 0660. Control thread.
 */
int guest_open(struct guest **ret_guest, const char *path, const struct guest_options *options,
	struct err *err);

/* True in server mode if the socket's file has been removed. Any thread. */
bool guest_has_lost_socket(const struct guest *guest);

/*
 * Makes a socket's file anew that has been removed; the session stays. On failure nothing has
 * changed. Control thread; does not block.
 */
int guest_renew_socket(struct guest *guest, struct err *err);

/*
 * Ends the session if there is one, which waits for a grace period; closes the socket, and in
 * server mode removes its file. No lane may use the guest any more. Control thread. Returns NULL.
 */
struct guest *guest_close(struct guest *guest);

/*
 * The session that a lane may use until its next quiescent state, or NULL. `guest` may be NULL: no
 * socket. Workers.
 */
static inline struct guest_session *guest_session(struct guest *guest)
{
	return guest != NULL ? atomic_load_explicit(&guest->session, memory_order_acquire) : NULL;
}

/* True while the vhost thread has the session's rings. Workers, once per burst. */
static inline bool guest_session_paused(const struct guest_session *session)
{
	return atomic_load_explicit(&session->paused, memory_order_acquire);
}

/*
 * To be called after a ring has given or taken less than it was asked for: if it has been retired,
 * lanes stop using it, and the control thread is told. Workers.
 */
void guest_check_ring(struct guest *guest, struct guest_session *session, unsigned ring);

/* Packets for a ring were dropped because it stayed full. Workers. */
static inline void guest_count_dropped(struct guest *guest, unsigned ring, uint64_t n)
{
	atomic_fetch_add_explicit(&guest->n_dropped[ring], n, memory_order_relaxed);
}

/*
 * True from when a guest driver is ready until no lane can be using its rings any more. Any thread.
 */
static inline bool guest_ready(struct guest *guest)
{
	return guest != NULL && atomic_load(&guest->ready);
}

/* True while the VM is being migrated away. Any thread; a snapshot. */
bool guest_migrates(const struct guest *guest);

/*
 * Has a lane announce the guest (RARP), by the address that it has last been seen to send from.
 * Nothing happens without a session, or if no address is known. `guest` may be NULL. Control
 * thread; does not wait.
 */
void guest_announce(struct guest *guest);

/*
 * The number of receive queues that the guest has enabled; 0 without a session. `guest` may be
 * NULL. Control thread; a snapshot.
 */
unsigned guest_receive_queues(struct guest *guest);

/*
 * The number of rings that the guest has started and that are not used any more, because the guest
 * broke the rules; 0 without a session. Control thread; a snapshot.
 */
unsigned guest_retired_rings(struct guest *guest);

/* A ring of the guest; packets and calls since the socket was opened, with all its sessions. */
struct guest_ring_stats {
	unsigned size; /* descriptors; 0: the present guest does not use the ring, or broke it */
	uint64_t n_packets; /* taken from it, or given to the guest */
	uint64_t n_dropped; /* packets for the guest that it had no room for */
	uint64_t n_calls;   /* of the guest: interrupts, unless its driver polls */
};

/* Control thread; a snapshot. */
struct guest_ring_stats guest_ring_stats(struct guest *guest, unsigned ring);

/*
 * NUMA node of the guest's memory; -1 without a session or if it is unknown. `guest` may be NULL.
 * Control thread.
 */
int guest_numa_node(struct guest *guest);
