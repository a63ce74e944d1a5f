/* SPDX-License-Identifier: BSD-3-Clause */
#include "config/option.h"

#include <string.h>

#include "base/endpoints.h"
#include "config/config.h"
#include "config/value.h"

#define AT(member) .offset = offsetof(struct config, member)
#define SCHED_AT(member) .offset = offsetof(struct config_sched, member)

/* Begins each entry of the daemon's options. */
#define DAEMON .programs = PROGRAM_DAEMON
#define SCHED .programs = PROGRAM_SCHED
#define FLAG .arg = ARG_FLAG, .metavar = "BOOL", .parse = value_bool, .default_text = "false"
#define ENDPOINT .arg = ARG_OPTIONAL, .metavar = "ENDPOINT", .parse = value_endpoint

/* clang-format off */
const struct config_option config_options[OPT_N] = {
	[OPT_CPUS] = {
		DAEMON, .section = "CPUs",
		.variable = "VIRTIOFWD_CPU_MASK", .long_name = "cpus", .short_name = 'C',
		.arg = ARG_REQUIRED, .metavar = "CPUS",
		.parse = value_cpu_set, AT(worker_cpus), .default_text = "1,2", .shipped = "1,2",
		.help = "worker CPUs, as a list (1,2 or 4-7) or a mask (0x6), 127 at most",
		.detail = "The workers poll: give them CPUs that nothing else uses, on the NUMA "
			"node of the devices.",
	},
	[OPT_MASTER_LCORE] = {
		DAEMON,
		.variable = "VIRTIOFWD_MASTER_LCORE", .long_name = "master-lcore", .short_name = 'M',
		.arg = ARG_REQUIRED, .metavar = "CPU",
		.parse = value_cpu, AT(master_cpu), .default_text = "0",
		.help = "CPU of the control thread, not one of the worker CPUs",
	},
	[OPT_SHARE_MASTER] = {
		DAEMON,
		.variable = "VIRTIOFWD_SHARE_MASTER_CPU", .long_name = "share-master-cpu",
		FLAG, AT(share_master_cpu),
		.help = "let the control thread share a worker's CPU, for small hosts",
		.detail = "The control thread sleeps most of the time. While it works (devices and VMs "
			"come and go, statistics are read), that worker and its packets wait for some "
			"milliseconds. With --idle-latency=0 the control thread is slow, too.",
	},
	[OPT_IDLE_LATENCY] = {
		DAEMON,
		.variable = "VIRTIOFWD_IDLE_LATENCY", .long_name = "idle-latency",
		.arg = ARG_REQUIRED, .metavar = "MICROSECONDS",
		.parse = value_idle_latency, AT(idle_latency_us), .default_text = "1000",
		.help = "how late an idle worker may notice a packet, 0 to 10000 us; 0: it never sleeps",
		.detail = "A worker with nothing to do sleeps. VMs and devices with interrupts wake "
			"it at once. From other devices the first packet after a silence may wait "
			"this long, or an eighth of the silence if that is less.",
	},
	[OPT_CPU_PINS] = {
		DAEMON,
		.variable = "VIRTIOFWD_CPU_PINS", .long_name = "virtio-cpu", .short_name = 'c',
		.arg = ARG_REQUIRED, .metavar = "RELAY:CPU[,CPU]", .list = true,
		.parse = value_pin,
		.help = "worker CPUs of a relay: the first for VF to VM, the second for VM to VF",
		.detail = "A single CPU does both. Give several pins as an array (0:1,2 1:2), "
			"separated by ';' or in repeated options. The daemon places relays without a pin.",
	},
	[OPT_STATIC_VFS] = {
		DAEMON, .section = "Devices",
		.variable = "VIRTIOFWD_STATIC_VFS", .long_name = "add-pci-vf", .short_name = 'P',
		.arg = ARG_REQUIRED, .metavar = "DEVICE=RELAY", .list = true,
		.parse = value_static_vf,
		.help = "attach a device to a relay (0 to 63) at start",
		.detail = "The device is a PCI address (0000:05:08.1) or a DPDK device "
			"(net_af_packet0,iface=eth1); the relay follows the last '='. "
			"Give several as an array (0000:05:08.1=1 0000:05:08.2=2) or in repeated "
			"options. Devices that cannot be opened at start, or not within a minute, are "
			"waited for, unless all of them fail. With dynamic sockets they are "
			"not attached.",
	},
	[OPT_BIND_VFIO_PCI] = {
		DAEMON,
		.variable = "VIRTIOFWD_BIND_VFIO_PCI",
		.parse = value_bind_list, AT(bind_vfio_pci),
		.help = "devices to bind to vfio-pci: ens3,0000:01:02.3,01:02.4,ens4:16",
		.detail = "A PF's network interface stands for all its VFs, with :n for the first n; a "
			"VF's interface or representor stands for that VF. They are bound at start, and "
			"those that appear later when a relay gets them.",
	},
	[OPT_VFIO_VF_TOKEN] = {
		DAEMON,
		.variable = "VIRTIOFWD_VFIO_VF_TOKEN", .long_name = "vfio-vf-token", .short_name = 't',
		.arg = ARG_REQUIRED, .metavar = "UUID",
		.parse = value_vf_token, AT(vfio_vf_token),
		.help = "VF token that a PF bound to vfio-pci asks for; 0 means " VALUE_DEFAULT_VF_TOKEN,
	},
	[OPT_SOCKET_DIR] = {
		DAEMON, .section = "Sockets of the VMs",
		.variable = "VIRTIOFWD_SOCKET_DIR", .long_name = "vhost-path", .short_name = 'V',
		.arg = ARG_REQUIRED, .metavar = "DIR",
		.parse = value_path, AT(socket_dir), .default_text = "/tmp",
		.shipped = "/tmp/virtio-forwarder",
		.help = "directory of the vhost-user sockets",
	},
	[OPT_SOCKET_PATTERN] = {
		DAEMON,
		.variable = "VIRTIOFWD_SOCKET_FNAME_PATTERN", .long_name = "vhost-socket",
		.short_name = 'S', .arg = ARG_REQUIRED, .metavar = "PATTERN",
		.parse = value_socket_pattern, AT(socket_pattern),
		.default_text = "virtio-forwarder%u.sock",
		.help = "names of the vhost-user sockets; %u stands for the relay's number",
	},
	[OPT_SOCKET_OWNER] = {
		DAEMON,
		.variable = "VIRTIOFWD_SOCKET_OWNER", .long_name = "vhost-username", .short_name = 'u',
		.arg = ARG_REQUIRED, .metavar = "USER",
		.parse = value_text, AT(socket_owner), .default_text = "libvirt-qemu",
		.help = "owner of the vhost-user sockets",
		.detail = "A name or a number. If the default account does not exist, the owner is "
			"not changed.",
	},
	[OPT_SOCKET_GROUP] = {
		DAEMON,
		.variable = "VIRTIOFWD_SOCKET_GROUP", .long_name = "vhost-groupname", .short_name = 'g',
		.arg = ARG_REQUIRED, .metavar = "GROUP",
		.parse = value_text, AT(socket_group), .default_text = "kvm",
		.help = "group of the vhost-user sockets",
		.detail = "A name or a number. If the default group does not exist, the group is not "
			"changed.",
	},
	[OPT_VHOST_CLIENT] = {
		DAEMON,
		.variable = "VIRTIOFWD_VHOST_CLIENT", .long_name = "vhostuser-client", .short_name = 'i',
		FLAG, AT(vhost_client), .shipped = "true",
		.help = "connect to sockets that QEMU listens on, instead of listening",
		.detail = "In this mode a running VM is connected again at once after a restart of "
			"the daemon.",
	},
	[OPT_DYNAMIC_SOCKETS] = {
		DAEMON,
		.variable = "VIRTIOFWD_DYNAMIC_SOCKETS", .long_name = "dynamic-sockets",
		.short_name = 'd', FLAG, AT(dynamic_sockets),
		.help = "open no sockets at start, only when port control over ZeroMQ asks for one",
	},
	[OPT_JUMBO] = {
		DAEMON, .section = "Packets",
		.variable = "VIRTIOFWD_JUMBO", .long_name = "enable-jumbo", .short_name = 'J',
		FLAG, AT(jumbo), .shipped = "true",
		.help = "support jumbo frames, with an MTU of 9000",
	},
	[OPT_MRGBUF] = {
		DAEMON,
		.variable = "VIRTIOFWD_MRGBUF", .long_name = "enable-mrgbuf", .short_name = 'R',
		FLAG, AT(mrgbuf), .shipped = "true",
		.help = "offer mergeable receive buffers to VMs",
	},
	[OPT_TSO] = {
		DAEMON,
		.variable = "VIRTIOFWD_TSO", .long_name = "enable-tso", .short_name = 'T',
		FLAG, AT(tso),
		.help = "offer TCP segmentation offload to VMs",
	},
	[OPT_ZERO_COPY] = {
		DAEMON,
		.variable = "VIRTIOFWD_ZERO_COPY", .long_name = "zero-copy", .short_name = '0',
		FLAG, AT(zero_copy),
		.help = "send long packets of VMs without copying them",
		.detail = "For VFs bound to vfio-pci whose driver reports each packet that it has sent "
			"(igb, ENA), and for net_af_packet and net_tap. For other devices packets are "
			"copied, and the log says why. All memory of such a VM is pinned, and the VM "
			"must not give any back to the host (balloon, free page reporting, "
			"virtio-mem).",
	},
	[OPT_HUGE_DIR] = {
		DAEMON, .section = "Memory",
		.variable = "VIRTIOFWD_HUGETLBFS_MOUNT_POINT", .long_name = "huge-dir",
		.short_name = 'H', .arg = ARG_REQUIRED, .metavar = "DIR",
		.parse = value_path, AT(huge_dir), .default_text = "/mnt/huge",
		.shipped = "/dev/hugepages",
		.help = "mount point of hugetlbfs",
		.detail = "systemd mounts one at /dev/hugepages.",
	},
	[OPT_NO_HUGE] = {
		DAEMON,
		.long_name = "no-huge", FLAG, AT(no_huge),
		.help = "use no hugepages, for trials; there are 2 GiB then",
		.detail = "Slower, and devices that need DMA do not work.",
	},
	[OPT_SAME_NUMA] = {
		DAEMON,
		.variable = "VIRTIOFWD_CPU_NIC_SAME_NUMA", .long_name = "same-numa", .short_name = 'a',
		FLAG, AT(same_numa),
		.help = "reserve memory only on the NUMA nodes of the worker CPUs",
		.detail = "Hugepages for the devices of VIRTIOFWD_STATIC_VFS are taken there at start, "
			"for other devices when they are attached. Packets of a device or VM on "
			"another node are kept there, too.",
	},
	[OPT_ZMQ_PORT_CONTROL] = {
		DAEMON, .section = "Endpoints and port control",
		.variable = "VIRTIOFWD_ZMQ_PORT_CONTROL_EP", .long_name = "zmq-port-control-ep",
		.short_name = 'Z', ENDPOINT, AT(zmq_port_control_ep),
		.when_true = PORT_CONTROL_ENDPOINT, .shipped = "true",
		.help = "port control over ZeroMQ",
		.detail = "Takes precedence over the command file and OVSDB.",
	},
	[OPT_ZMQ_STATS] = {
		DAEMON,
		.variable = "VIRTIOFWD_ZMQ_STATS_EP", .long_name = "zmq-stats-ep", .short_name = 'z',
		ENDPOINT, AT(zmq_stats_ep), .when_true = STATS_ENDPOINT, .shipped = "true",
		.help = "statistics over ZeroMQ",
	},
	[OPT_ZMQ_CONFIG] = {
		DAEMON,
		.variable = "VIRTIOFWD_ZMQ_CONFIG_EP", .long_name = "zmq-config-ep", .short_name = 'Y',
		ENDPOINT, AT(zmq_config_ep), .when_true = CONFIG_ENDPOINT,
		.help = "queries of the configuration over ZeroMQ",
	},
	[OPT_ZMQ_CORE_SCHED] = {
		DAEMON,
		.variable = "VIRTIOFWD_ZMQ_CORE_SCHED_EP", .long_name = "zmq-core-sched-ep",
		.short_name = 's', ENDPOINT, AT(zmq_core_sched_ep),
		.when_true = CORE_SCHED_ENDPOINT, .shipped = "true",
		.help = "moves of relays between worker CPUs over ZeroMQ, if VIO4WD_CORE_SCHED_ENABLE "
			"is true",
	},
	[OPT_CORE_SCHED_ENABLE] = {
		DAEMON,
		.variable = "VIO4WD_CORE_SCHED_ENABLE",
		.parse = value_bool, AT(core_sched_enable), .default_text = "false",
		.shipped = "true",
		.help = "open the endpoint of the core scheduler",
	},
	[OPT_METRICS] = {
		DAEMON,
		.variable = "VIRTIOFWD_METRICS_EP", .long_name = "metrics-ep",
		ENDPOINT, AT(metrics_ep), .when_true = METRICS_ENDPOINT, .shipped = "true",
		.help = "metrics for Prometheus: a UNIX socket, or http://127.0.0.1:29177",
		.detail = "They are served over HTTP at /metrics: on the socket to root, on the loopback "
			"interface to every user of this machine.",
	},
	[OPT_CAPTURE] = {
		DAEMON,
		.variable = "VIRTIOFWD_CAPTURE_EP", .long_name = "capture-ep",
		ENDPOINT, AT(capture_ep), .when_true = CAPTURE_ENDPOINT, .shipped = "true",
		.help = "packet capture by vio4wd capture: a UNIX socket",
		.detail = "Whoever can open the socket (root) can read the packets of every VM.",
	},
	[OPT_ALLOW_TCP] = {
		DAEMON,
		.long_name = "allow-tcp-endpoints", FLAG, AT(allow_tcp_endpoints),
		.help = "allow endpoints that are not local (ipc://)",
		.detail = "Such an endpoint asks for no password: whoever reaches it over the "
			"network controls the daemon. Even an endpoint for statistics lets them "
			"use up the daemon's memory, which ends it.",
	},
	[OPT_IPC] = {
		DAEMON,
		.variable = "VIRTIOFWD_IPC_PORT_CONTROL", .long_name = "ipc", .short_name = 'I',
		FLAG, AT(ipc_port_control),
		.help = "port control by command file",
		.detail = "Takes precedence over OVSDB.",
	},
	[OPT_IPC_PATH] = {
		DAEMON,
		.variable = "VIRTIOFWD_IPC_PATH", .long_name = "ipc-path",
		.arg = ARG_REQUIRED, .metavar = "FILE",
		.parse = value_path, AT(ipc_path), .default_text = "/tmp/vio_cmd",
		.help = "the command file: add_port NETDEV or del_port NETDEV, one command per line",
		.detail = "NETDEV names a VF, whose number is the relay. The file is read once and "
			"removed. It must belong to root or to the daemon's own user, and nobody "
			"else may be able to write to it. Only the log says what could not be done.",
	},
	[OPT_KEEP_PORTS] = {
		DAEMON,
		.variable = "VIRTIOFWD_KEEP_PORTS", .long_name = "keep-ports",
		FLAG, AT(keep_ports),
		.help = "after a restart or crash, restore what ZeroMQ or the command file has added",
		.detail = "The relays are listed in virtio-forwarder.ports beside the pid file. If that "
			"directory is in /run, they do not come back after a reboot. Rows of OVSDB come "
			"back without it.",
	},
	[OPT_OVSDB_SOCK] = {
		DAEMON,
		.variable = "VIRTIOFWD_OVSDB_SOCK_PATH", .long_name = "ovsdb-sock", .short_name = 'O',
		.arg = ARG_REQUIRED, .metavar = "DATABASE",
		.parse = value_text, AT(ovsdb_sock),
		.default_text = "/usr/local/var/run/openvswitch/db.sock",
		.help = "the Open vSwitch database: a socket's path, tcp:IP:PORT or ssl:IP:PORT",
		.detail = "Port control by the database is active if ZeroMQ port control and the command "
			"file are both off.",
	},
	[OPT_OVSDB_PRIVATE_KEY] = {
		DAEMON,
		.variable = "VIRTIOFWD_OVSDB_PRIVATE_KEY", .long_name = "ovsdb-private-key",
		.arg = ARG_REQUIRED, .metavar = "FILE",
		.parse = value_path, AT(ovsdb_private_key),
		.help = "the daemon's private key (PEM, not encrypted) for a database reached over "
			"ssl",
	},
	[OPT_OVSDB_CERTIFICATE] = {
		DAEMON,
		.variable = "VIRTIOFWD_OVSDB_CERTIFICATE", .long_name = "ovsdb-certificate",
		.arg = ARG_REQUIRED, .metavar = "FILE",
		.parse = value_path, AT(ovsdb_certificate),
		.help = "the daemon's certificate (PEM) for a database reached over ssl",
	},
	[OPT_OVSDB_CA_CERT] = {
		DAEMON,
		.variable = "VIRTIOFWD_OVSDB_CA_CERT", .long_name = "ovsdb-ca-cert",
		.arg = ARG_REQUIRED, .metavar = "FILE",
		.parse = value_path, AT(ovsdb_ca_cert),
		.help = "the CA certificate (PEM) of a database reached over ssl",
	},
	[OPT_LOG_LEVEL] = {
		DAEMON, .section = "Process",
		.variable = "VIRTIOFWD_LOG_LEVEL", .long_name = "loglevel", .short_name = 'l',
		.arg = ARG_REQUIRED, .metavar = "LEVEL",
		.parse = value_log_level, AT(log_level), .default_text = "6",
		.help = "least severe messages to log, 0 (emergency) to 7 (debug)",
		.detail = "SIGUSR1 sets it to 7 in a daemon that runs, SIGUSR2 sets it back.",
	},
	[OPT_NODAEMON] = {
		DAEMON,
		.long_name = "nodaemon", .short_name = 'n',
		.arg = ARG_OPTIONAL, .metavar = "log_syslog", .parse = value_nodaemon,
		.help = "stay in the foreground and log to stderr, or with log_syslog to syslog",
	},
	[OPT_PID_DIR] = {
		DAEMON,
		.variable = "VIRTIOFWD_PID_DIR", .long_name = "pid-path", .short_name = 'p',
		.arg = ARG_REQUIRED, .metavar = "DIR",
		.parse = value_path, AT(pid_dir), .default_text = "/var/run",
		.help = "directory of virtio-forwarder.pid",
	},
	[OPT_BINARY] = {
		DAEMON,
		.variable = "VIRTIOFWD_BINARY",
		.parse = value_text, AT(binary),
		.help = "another program that the service runs instead of the daemon",
		.detail = "It takes the daemon's place in the service, with the same options and all "
			"restrictions of the unit. If it cannot be started, the log says so and the "
			"daemon itself runs. It has no effect on a daemon that is started by hand.",
	},
	[OPT_SCHED_STATS_EP] = {
		SCHED, .section = "Core scheduler",
		.variable = "VIRTIOFWD_ZMQ_STATS_EP", .long_name = "stats-ep",
		.arg = ARG_REQUIRED, .metavar = "ENDPOINT", .parse = value_endpoint,
		SCHED_AT(stats_ep), .default_text = STATS_ENDPOINT, .when_true = STATS_ENDPOINT,
		.help = "the daemon's statistics endpoint",
	},
	[OPT_SCHED_SCHED_EP] = {
		SCHED,
		.variable = "VIRTIOFWD_ZMQ_CORE_SCHED_EP", .long_name = "sched-ep",
		.arg = ARG_REQUIRED, .metavar = "ENDPOINT", .parse = value_endpoint,
		SCHED_AT(sched_ep), .default_text = CORE_SCHED_ENDPOINT, .when_true = CORE_SCHED_ENDPOINT,
		.help = "the daemon's core scheduler endpoint",
	},
	[OPT_SCHED_POLL_INTERVAL] = {
		SCHED,
		.variable = "VIO4WD_CORE_SCHED_POLL_INTERVAL", .long_name = "poll-interval",
		.arg = ARG_REQUIRED, .metavar = "SECONDS",
		.parse = value_interval, SCHED_AT(poll_interval_s), .default_text = "5",
		.help = "seconds between two measurements of the load, 0.1 to 86400",
	},
	[OPT_SCHED_SENSITIVITY] = {
		SCHED,
		.variable = "VIO4WD_CORE_SCHED_SENSITIVITY", .long_name = "sensitivity",
		.arg = ARG_REQUIRED, .metavar = "FRACTION",
		.parse = value_fraction, SCHED_AT(sensitivity), .default_text = "0.25",
		.help = "smallest improvement that is worth a move, 0 to 1",
	},
	[OPT_SCHED_GLOBAL_NUMA] = {
		SCHED,
		.variable = "VIO4WD_CORE_SCHED_GLOBAL_NUMA_OPT", .long_name = "global-numa-opt",
		FLAG, SCHED_AT(global_numa_opt),
		.help = "balance across NUMA nodes",
	},
	[OPT_SCHED_LOG_LEVEL] = {
		SCHED,
		.variable = "VIO4WD_CORE_SCHED_LOG_LEVEL", .long_name = "loglevel",
		.arg = ARG_REQUIRED, .metavar = "LEVEL",
		.parse = value_log_level, SCHED_AT(log_level), .default_text = "7",
		.help = "least severe messages to log, 0 (emergency) to 7 (debug)",
	},
	[OPT_SCHED_DRY_RUN] = {
		SCHED,
		.long_name = "dry-run", .arg = ARG_OPTIONAL, .metavar = "watch",
		.parse = value_dry_run,
		.help = "print what would be done and why, once or (watch) at every poll, and move "
			"nothing",
	},
	[OPT_CONFIG] = {
		.programs = PROGRAM_DAEMON | PROGRAM_SCHED, .section = "General",
		.long_name = "config", .arg = ARG_REQUIRED, .metavar = "FILE",
		.default_text = CONFIG_FILE_DEFAULT,
		.help = "read this file, which must exist, instead of the default one",
	},
	[OPT_CHECK_CONFIG] = {
		.programs = PROGRAM_DAEMON | PROGRAM_SCHED,
		.long_name = "check-config", .arg = ARG_NONE,
		.help = "check the file and the options, say what is wrong, and start nothing",
		.detail = "Devices and sockets are not checked.",
	},
	[OPT_HELP] = {
		.programs = PROGRAM_DAEMON | PROGRAM_SCHED,
		.long_name = "help", .short_name = 'h', .arg = ARG_NONE,
		.help = "print this list",
	},
	[OPT_VERSION] = {
		.programs = PROGRAM_DAEMON | PROGRAM_SCHED,
		.long_name = "version", .short_name = 'v', .arg = ARG_NONE,
		.help = "print the version",
	},
};
/* clang-format on */

enum option_id option_by_variable(enum program program, const char *variable)
{
	enum option_id other = OPT_N;

	for (enum option_id id = 0; id < OPT_N; id++) {
		const struct config_option *option = &config_options[id];

		if (!option->variable || strcmp(option->variable, variable) != 0)
			continue;
		if (option->programs & program)
			return id;
		other = id;
	}
	return other;
}

const char *option_default_name(const struct config_option *option)
{
	if (option->default_text)
		return option->parse == value_bool ? "off" : option->default_text;
	return option->arg == ARG_OPTIONAL ? "off" : "none";
}
