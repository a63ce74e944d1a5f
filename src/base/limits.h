/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Sizes that are fixed by the compatibility contract or by the system. */

#define RELAYS_MAX 64                               /* relay ids 0..63 */
#define BOND_MEMBERS_MAX 8                          /* devices in a bond */
#define MEMBERS_MAX (RELAYS_MAX * BOND_MEMBERS_MAX) /* devices of all relays */
#define SLICES_MAX 8       /* of one direction of a relay, one per device queue */
#define WORKERS_MAX 127    /* worker CPUs: DPDK has 128 threads, one is the control thread */
#define QUEUE_PAIRS_MAX 32 /* virtio queue pairs of a VM */
#define RINGS_MAX (2 * QUEUE_PAIRS_MAX) /* rings of a VM */
#define MEMORY_REGIONS_MAX 8            /* of a VM: the vhost library's limit */
#define SOCKET_PATH_SIZE 108            /* sun_path, with its NUL */
#define IDENT_SIZE 128                  /* an orchestrator's port id, with its NUL */

/* An estimate: hugepages that an attached device needs. */
#define DEVICE_MEMORY_BYTES (12 << 20)
