/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A vhost-user socket and the VM behind it.
 *
 * Theory. The protocol is spoken by DPDK's vhost library in a thread of its own, which calls back
 * when a frontend connects, when the guest's driver is ready, and before the guest's memory goes
 * away. A connection whose driver is ready is the guest's *session*: the callback publishes it,
 * lanes load it once a burst. To take it back the callback exchanges it for NULL, waits for a grace
 * period of the workers (epoch.h), and only then returns, so the library never unmaps memory that a
 * worker still reads. The callbacks never wait for the control thread, which may itself be waiting
 * for them inside rte_vhost_driver_unregister().
 *
 * The library keeps the protocol and no more: packets go through rings of our own (ring.h), which
 * lanes and the library use in turn (guest_rings.h).
 *
 * Frontends do not speak to the library themselves, see gate.h.
 *
 * Where its packets are sent without a copy, the guest's memory is mapped for DMA by the device
 * (guest_dma.h), and rings have loans (ring_loans.h). Loans end before the library changes
 * anything; what is mapped follows the memory.
 *
 * Two frontends on one socket: the latest whose driver is ready has it, because a VM that was
 * killed and started again may connect before the library sees the old connection end.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/limits.h"
#include "core/ring.h"

struct epoch;
struct gate;
struct gatekeeper;

struct guest_options {
	unsigned relay_id;
	bool client;    /* true: QEMU listens and we connect, again and again; false: we listen */
	bool mergeable; /* offer mergeable receive buffers, */
	bool tso;       /* and TCP segmentation, each way */
	bool zero_copy; /* lend its packets to the device where that can be */
	uid_t uid;      /* owner of the socket in server mode, (uid_t)-1 to leave it */
	gid_t gid;
	struct epoch *epoch; /* of the workers */
	struct gatekeeper *keeper;
	/* By the vhost thread or a worker, when something below has changed; must not wait. */
	void (*changed)(void *userdata);
	void *userdata;
};

/* The vhost library's numbers of the rings of queue pair q, named as the guest sees them
 * (virtio 5.1.2). */
#define GUEST_RECEIVE_RING(q) (2 * (q))
#define GUEST_TRANSMIT_RING(q) (2 * (q) + 1)

/* A frontend that is connected. Belongs to the vhost thread; what lanes read of it is said below.
 */
struct guest_session {
	_Atomic bool connected;
	int vid; /* the vhost library's number for the device */

	/* The vhost thread's own. Masks of rings by the library's numbers. */
	unsigned running; /* the driver is ready: as the how-manieth of the guest; 0 */
	uint64_t started;
	uint64_t enabled;
	uint64_t usable; /* started, and the library has all of them */
	uint64_t fresh;  /* started since they were loaded last */

	/* Written by the vhost thread, read by workers. */
	_Atomic bool paused;               /* leave the rings alone, and keep what you hold */
	_Atomic uint32_t vf_to_vm_enabled; /* bit q: the guest receives on queue pair q */
	_Atomic uint32_t vm_to_vf_enabled; /* bit q: the guest sends on queue pair q, */
	/* or must not be left with packets on it though it has disabled it. */
	_Atomic uint32_t vm_to_vf_disabled;
	/* The MAC address for which an announcement (RARP) is to be sent, as in SEND_RARP; 0: none.
	 * A worker takes it. */
	_Atomic uint64_t announcement;

	/* The device may read the guest's memory. Written under the guest's dma_mutex, read by
	 * workers. */
	_Atomic bool dma_mapped;
	/* All under dma_mutex. */
	bool dma_tried;                 /* all of it is mapped, or cannot be */
	uint64_t dma_bytes;             /* mapped so far */
	struct guest_memory dma_memory; /* what may be mapped, */
	bool dma_allowed;               /* and stays as it is until this is false */

	/* Rings whose call eventfd may be written to; under the guest's calls_mutex. */
	uint64_t called;

	/* Constant while the session is published and not paused, but for what ring.h says. */
	uint64_t features;        /* as negotiated, bits VIRTIO_NET_F_... */
	unsigned max_frame_bytes; /* the longest frame that its receive buffers hold, without FCS */
	struct guest_memory memory;
	struct ring rings[2 * QUEUE_PAIRS_MAX]; /* by the library's numbers */
};

#define GUEST_CONNECTIONS_MAX 16 /* at a time, those that end included; one is the session */

struct guest {
	/* Written by the vhost thread, read by workers. */
	_Atomic(struct guest_session *) session;

	/* Written by the vhost thread, read by the control thread. */
	_Atomic bool ready;          /* there is a session, or its rings are not let go of yet */
	_Atomic unsigned n_sessions; /* begun so far */
	_Atomic unsigned n_faults;   /* rings retired so far; written by workers as well */
	_Atomic unsigned last_fault; /* enum ring_fault */
	/* A device has not sent what was lent, though the rings were taken away; cleared by the
	 * control thread. */
	_Atomic bool unsent;
	_Atomic unsigned n_announcements; /* of the VM's new place, asked for by a frontend */
	/* Of the session, or the last one. */
	_Atomic uint64_t features; /* as negotiated; VHOST_F_LOG_ALL while it migrates */
	_Atomic int numa_node;     /* of the guest's memory, -1 where it is not known */

	/* The vhost thread's own, and the control thread's once the socket is closed. */
	struct guest_session connections[GUEST_CONNECTIONS_MAX];

	/*
	 * Sessions begin and end under it: in the vhost thread, and in the control thread while
	 * that closes the socket, connection by connection. Held while workers are waited for.
	 */
	pthread_mutex_t sessions_mutex;
	bool closing; /* no session begins any more */

	/* Between the vhost thread, which changes memory, and the control thread, which has
	 * devices. Held while memory is mapped, never while waiting for the other. */
	pthread_mutex_t dma_mutex;
	struct guest_memory dma_left; /* mapped, of a session that has ended; under the mutex */

	/* Between the vhost thread and the gatekeeper's (guest_calls.h). Never held while waiting.
	 */
	pthread_mutex_t calls_mutex;

	/* Constant while the guest is open. */
	struct guest_options options;
	char path[SOCKET_PATH_SIZE];
	char library_path[SOCKET_PATH_SIZE]; /* the library's name of it: of a file that is gone */
	struct gate *gate;                   /* between the two */
	unsigned slot; /* in the table that leads from the library's callbacks to us */
};

/*
 * Opens the socket: in server mode a file that a dead daemon left is replaced and a live one
 * refused, and the new one gets owner, group and mode 0660. Control thread.
 */
int guest_open(struct guest **ret_guest, const char *path, const struct guest_options *options,
	struct err *err);

/*
 * Ends the session if there is one (destroying it waits for a grace period), closes the socket and
 * removes its file in server mode. No lane may use the guest any more. Control thread. Returns
 * NULL.
 */
struct guest *guest_close(struct guest *guest);

/*
 * The session that a lane may use until its next quiescent state, or NULL. guest: NULL where there
 * is no socket. Workers.
 */
static inline struct guest_session *guest_session(struct guest *guest)
{
	return guest != NULL ? atomic_load_explicit(&guest->session, memory_order_acquire) : NULL;
}

/* True while the vhost thread has the session's rings. Workers, once a burst. */
static inline bool guest_session_paused(const struct guest_session *session)
{
	return atomic_load_explicit(&session->paused, memory_order_acquire);
}

/*
 * After a ring has given or taken less than it was asked for: where that retired it, it is used no
 * more and the control thread hears of it. Workers.
 */
void guest_check_ring(struct guest *guest, struct guest_session *session, unsigned ring);

/* True while a guest driver is ready, and until no lane is at its rings any more. Any thread. */
static inline bool guest_ready(struct guest *guest)
{
	return guest != NULL && atomic_load(&guest->ready);
}

/* True while the VM is being migrated away. Any thread: a moment's view. */
bool guest_migrates(const struct guest *guest);

/* How many receive queues the guest has enabled, 0 without a session. Control thread: a moment's
 * view. */
unsigned guest_receive_queues(struct guest *guest);

/* NUMA node of the guest's memory, -1 without a session or where it is not known. Control thread.
 */
int guest_numa_node(struct guest *guest);
