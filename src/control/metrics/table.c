/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/metrics/table.h"

#include "base/device_counters.h"
#include "control/stats.h"

#define DIRECTION "relay, direction"
#define SLICE DIRECTION ", slice"
#define QUEUE DIRECTION ", queue"

#define IN_DIRECTION(member)                           \
	.labels = DIRECTION, .source = FROM_DIRECTION, \
	.offset = offsetof(struct direction_stats, member)
#define IN_DROPS(member)                                      \
	.labels = DIRECTION ", reason", .source = FROM_DROPS, \
	.offset = offsetof(struct packet_count, member)
#define IN_VM(member) \
	.labels = "relay", .source = FROM_VM, .offset = offsetof(struct vm_stats, member)
#define IN_DEVICE(member) \
	.labels = "relay", .source = FROM_DEVICE, .offset = offsetof(struct device_counters, member)
#define IN_POOL(member) \
	.labels = "relay", .source = FROM_POOL, .offset = offsetof(struct device_counters, member)
#define IN_QUEUES(member)                                \
	.labels = "relay, queue", .source = FROM_QUEUES, \
	.offset = offsetof(struct device_counters, member)

const struct metric_type_names metric_types[] = {
	[METRIC_COUNTER] = {"counter", "counter", "_total"},
	[METRIC_GAUGE] = {"gauge", "gauge", ""},
	[METRIC_HISTOGRAM] = {"histogram", "histogram", ""},
	[METRIC_INFO] = {"info", "gauge", "_info"},
};

/* clang-format off */
const struct metric metrics[METRIC_N] = {
	[METRIC_BUILD] = {
		"build", METRIC_INFO, NULL, "version, dpdk",
		"The daemon's version and that of DPDK.",
	},
	[METRIC_START_TIME] = {
		"start_time_seconds", METRIC_GAUGE, "seconds", "",
		"When the daemon became ready, in seconds since 1970.",
	},
	[METRIC_OVSDB_CONNECTED] = {
		"ovsdb_connected", METRIC_GAUGE, NULL, "",
		"1 while the daemon is connected to Open vSwitch's database; absent if it follows "
		"none.",
	},
	[METRIC_WORKER_SECONDS] = {
		"worker_seconds", METRIC_COUNTER, "seconds", "cpu, state",
		"How a worker spent its time: busy with packets, idle (it polled in vain), or "
		"asleep.",
	},
	[METRIC_WORKER_WAITING] = {
		"worker_waiting_seconds", METRIC_COUNTER, "seconds", "cpu",
		"Time in which a worker could have run while its CPU ran something else; it is part "
		"of worker_seconds_total. Absent if the kernel does not tell.",
	},
	[METRIC_RELAY] = {
		"relay", METRIC_INFO, NULL, "relay, device, socket, ident",
		"The parts of a relay. A relay is left out if it has no device, has neither had nor "
		"refused a VM on its socket, and has carried nothing.",
	},
	[METRIC_DEVICE_ATTACHED] = {
		"relay_device_attached", METRIC_GAUGE, NULL, "relay",
		"1 while the relay has a device.",
	},
	[METRIC_VM_ATTACHED] = {
		"relay_vm_attached", METRIC_GAUGE, NULL, "relay",
		"1 while a guest's driver is ready on the relay's socket.",
	},
	[METRIC_VM_SESSIONS] = {
		"relay_vm_sessions", METRIC_COUNTER, NULL,
		.help = "How often a guest's driver became ready: starts, reconnections, reloads.",
		IN_VM(sessions),
	},
	[METRIC_VM_ANNOUNCEMENTS] = {
		"relay_vm_announcements", METRIC_COUNTER, NULL,
		.help = "How often QEMU had the daemon announce a VM that had migrated here (RARP).",
		IN_VM(announcements),
	},
	[METRIC_VM_REFUSALS] = {
		"relay_vm_refusals", METRIC_COUNTER, NULL,
		.help = "How often the daemon hung up on the VM for what it did, or the VM's QEMU hung "
			"up on seeing the features offered; the log says why.",
		IN_VM(refusals),
	},
	[METRIC_VM_BROKEN_RINGS] = {
		"relay_vm_broken_rings", METRIC_GAUGE, NULL,
		.help = "Rings of the VM that its driver filled against the rules: they are given up "
			"until the driver sets them up anew.",
		IN_VM(broken_rings),
	},
	[METRIC_VM_MIGRATES] = {
		"relay_vm_migrating", METRIC_GAUGE, NULL, "relay",
		"1 while the VM is being migrated away: writes to its memory are logged.",
	},
	[METRIC_VM_FEATURE] = {
		"relay_vm_feature", METRIC_GAUGE, NULL, "relay, feature",
		"1 for each virtio feature that was negotiated with the present VM.",
	},
	[METRIC_VM_QUEUES] = {
		"relay_vm_queues", METRIC_GAUGE, NULL, "relay, state",
		"Queues of the present VM, in pairs: how many its device has (offered), and on how "
		"many of them its driver receives (enabled).",
	},
	[METRIC_VM_RING_SIZE] = {
		"relay_vm_ring_size", METRIC_GAUGE, NULL, QUEUE,
		"Descriptors of the ring of each queue of the VM that is in use: not of one that its "
		"driver has not enabled, or whose ring is given up.",
	},
	[METRIC_VM_QUEUE_PACKETS] = {
		"relay_vm_queue_packets", METRIC_COUNTER, "packets", QUEUE,
		"Packets given to the VM on the queue (vf_to_vm), or taken from it (vm_to_vf).",
	},
	[METRIC_VM_QUEUE_DROPPED] = {
		"relay_vm_queue_dropped_packets", METRIC_COUNTER, "packets", "relay, queue",
		"Packets for the VM that were dropped (queue_full) because it left this queue full.",
	},
	[METRIC_VM_INTERRUPTS] = {
		"relay_vm_interrupts", METRIC_COUNTER, NULL,
		.help = "How often the VM was interrupted, mostly because packets had come for it "
			"(vf_to_vm), or because its own had been taken (vm_to_vf).",
		IN_DIRECTION(interrupts),
	},
	[METRIC_RECEIVED_PACKETS] = {
		"relay_received_packets", METRIC_COUNTER, "packets",
		.help = "Packets taken from the direction's source; each was sent, was dropped or is "
			"in the backlog.",
		IN_DIRECTION(received.packets),
	},
	[METRIC_RECEIVED_BYTES] = {
		"relay_received_bytes", METRIC_COUNTER, "bytes",
		.help = "Bytes of the received frames, without FCS.",
		IN_DIRECTION(received.bytes),
	},
	[METRIC_SENT_PACKETS] = {
		"relay_sent_packets", METRIC_COUNTER, "packets",
		.help = "Packets given to the direction's destination.",
		IN_DIRECTION(sent.packets),
	},
	[METRIC_SENT_BYTES] = {
		"relay_sent_bytes", METRIC_COUNTER, "bytes",
		.help = "Bytes of the sent frames, without FCS.",
		IN_DIRECTION(sent.bytes),
	},
	[METRIC_DROPPED_PACKETS] = {
		"relay_dropped_packets", METRIC_COUNTER, "packets",
		.help = "Packets dropped.",
		IN_DROPS(packets),
	},
	[METRIC_DROPPED_BYTES] = {
		"relay_dropped_bytes", METRIC_COUNTER, "bytes",
		.help = "Bytes of the dropped frames, without FCS.",
		IN_DROPS(bytes),
	},
	[METRIC_BACKLOG_PACKETS] = {
		"relay_backlog_packets", METRIC_GAUGE, "packets",
		.help = "Packets taken that the destination has no room for yet; meanwhile the "
			"source is held back.",
		IN_DIRECTION(backlog.packets),
	},
	[METRIC_BACKLOG_BYTES] = {
		"relay_backlog_bytes", METRIC_GAUGE, "bytes",
		.help = "Bytes of the frames in the backlog, without FCS.",
		IN_DIRECTION(backlog.bytes),
	},
	[METRIC_BURST] = {
		"relay_burst_packets", METRIC_HISTOGRAM, "packets", DIRECTION,
		"Packets taken from the source at a time. Large bursts mean that the worker is the "
		"bottleneck.",
	},
	[METRIC_BUSY] = {
		"relay_busy_seconds", METRIC_COUNTER, "seconds", DIRECTION,
		"Time that workers have spent on packets of the direction.",
		FROM_DIRECTION_NS, offsetof(struct direction_stats, busy_ns),
	},
	[METRIC_CPU] = {
		"relay_worker_cpu", METRIC_GAUGE, NULL, DIRECTION,
		"The CPU whose worker runs the direction, or its first slice if it is split; absent "
		"if none does.",
	},
	[METRIC_SLICE_CPU] = {
		"relay_slice_cpu", METRIC_GAUGE, NULL, SLICE,
		"The CPU whose worker runs the slice; absent if none does. A direction that is not "
		"split is one slice.",
	},
	[METRIC_SLICE_BUSY] = {
		"relay_slice_busy_seconds", METRIC_COUNTER, "seconds", SLICE,
		"Time that workers have spent on packets of the slice.",
	},
	[METRIC_NUMA_MISMATCH] = {
		"relay_numa_mismatch", METRIC_GAUGE, NULL, DIRECTION,
		"1 if device, VM and workers of the direction are known to be on different NUMA "
		"nodes.",
	},
	[METRIC_DEVICE_MEMBERS] = {
		"device_members", METRIC_GAUGE, NULL, "relay, state",
		"Members of the relay's bond, or 1 for a single device, by state: the link is up or "
		"down, or the member went away by itself and is awaited. With LACP, up means that the "
		"partner has agreed, too. There is none while the whole device is away.",
	},
	[METRIC_DEVICE_MISSED] = {
		"device_missed_packets", METRIC_COUNTER, "packets",
		.help = "Packets that the device lost because its receive ring was full, if its "
			"driver counts them: the VM or the worker was too slow.",
		IN_DEVICE(missed),
	},
	[METRIC_DEVICE_NO_BUFFER] = {
		"device_no_buffer_packets", METRIC_COUNTER, "packets",
		.help = "Packets that the device lost for want of a buffer from the pool.",
		IN_DEVICE(no_buffer),
	},
	[METRIC_DEVICE_RECEIVE_ERRORS] = {
		"device_receive_errors", METRIC_COUNTER, NULL,
		.help = "Broken packets that the device received, if its driver counts them.",
		IN_DEVICE(receive_errors),
	},
	[METRIC_DEVICE_TRANSMIT_ERRORS] = {
		"device_transmit_errors", METRIC_COUNTER, NULL,
		.help = "Packets that the device failed to send.",
		IN_DEVICE(transmit_errors),
	},
	[METRIC_QUEUE_RECEIVED] = {
		"device_queue_received_packets", METRIC_COUNTER, "packets",
		.help = "Packets received on a queue of the device, if its driver counts them.",
		IN_QUEUES(queue_received),
	},
	[METRIC_QUEUE_SENT] = {
		"device_queue_sent_packets", METRIC_COUNTER, "packets",
		.help = "Packets sent on a queue of the device, if its driver counts them.",
		IN_QUEUES(queue_sent),
	},
	[METRIC_POOL_PACKETS] = {
		"pool_packets", METRIC_GAUGE, "packets",
		.help = "Buffers in the relay's packet pool.",
		IN_POOL(pool_packets),
	},
	[METRIC_POOL_FREE] = {
		"pool_free_packets", METRIC_GAUGE, "packets",
		.help = "Buffers of the relay's packet pool that are not in use.",
		IN_POOL(pool_free),
	},
};
/* clang-format on */
