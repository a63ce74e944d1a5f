/* SPDX-License-Identifier: BSD-3-Clause */

/* Prints what a VM needs to be connected to a relay: a libvirt domain, or options for QEMU. */

#include <errno.h>
#include <stdio.h>

#include "bin/clients/clients.h"
#include "wire/client.h"

#define MTU_MIN 68
#define MTU_MAX 9000
#define MEMORY_MAX_MIB (1 << 24)

/* The VM is of the host's kind. On arm64, ACPI needs UEFI. */
#ifdef __aarch64__
#	define FIRMWARE " firmware='efi'"
#	define MACHINE "arch='aarch64' machine='virt'"
#else
#	define FIRMWARE ""
#	define MACHINE "arch='x86_64'"
#endif

enum {
	KEY_LIBVIRT = 256,
	KEY_QEMU,
	KEY_QUEUES,
	KEY_MEMORY,
	KEY_HUGEPAGES,
	KEY_MTU,
};

static const struct argp_option options[] = {
	{"libvirt", KEY_LIBVIRT, NULL, 0, "a libvirt domain (default)", 0},
	{"qemu", KEY_QEMU, NULL, 0, "options for QEMU's command line", 0},
	{"queues", KEY_QUEUES, "N", 0, "queue pairs of the VM, 1 to 32 (default: 1)", 0},
	{"memory", KEY_MEMORY, "MIB", 0, "memory of the VM (default: 1024)", 0},
	{"hugepages", KEY_HUGEPAGES, NULL, 0, "the VM's memory in hugepages", 0},
	{"mtu", KEY_MTU, "BYTES", 0, "MTU that the VM is told (default: none, so 1500)", 0},
	{},
};

struct arguments {
	struct client_options options;
	bool qemu;
	bool has_relay;
	unsigned relay_id;
	unsigned queues;
	unsigned memory_mib;
	bool hugepages;
	unsigned mtu; /* 0: not told */
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case KEY_LIBVIRT:
		arguments->qemu = false;
		return 0;
	case KEY_QEMU:
		arguments->qemu = true;
		return 0;
	case KEY_QUEUES:
		arguments->queues = client_number("--queues", value, 1, QUEUE_PAIRS_MAX, state);
		return 0;
	case KEY_MEMORY:
		arguments->memory_mib = client_number("--memory", value, 1, MEMORY_MAX_MIB, state);
		return 0;
	case KEY_HUGEPAGES:
		arguments->hugepages = true;
		return 0;
	case KEY_MTU:
		arguments->mtu = client_number("--mtu", value, MTU_MIN, MTU_MAX, state);
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->has_relay)
			return ARGP_ERR_UNKNOWN;
		arguments->relay_id = client_number("relay", value, 0, RELAYS_MAX - 1, state);
		arguments->has_relay = true;
		return 0;
	case ARGP_KEY_END:
		if (!arguments->has_relay)
			argp_error(state, "which relay?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "RELAY",
	.doc = "Prints what a VM needs to sit behind a relay of a running virtio-forwarder: the "
	       "relay's socket in the right mode, and memory that the daemon can share.\v"
	       "Exit code: 0 done, 1 the relay has no socket or the daemon does not answer, 2 bad "
	       "usage.",
};

/* Prints an attribute value of XML; a path may contain anything. */
static void print_attribute(const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", stdout);
			break;
		case '<':
			fputs("&lt;", stdout);
			break;
		case '\'':
			fputs("&apos;", stdout);
			break;
		default:
			putchar(*text);
		}
	}
}

static void print_interface(const struct arguments *arguments, const struct relay_stats *relay)
{
	printf("    <interface type='vhostuser'>\n      <source type='unix' path='");
	print_attribute(relay->vhost_path);
	/* The mode is that of QEMU. */
	if (relay->vm.listens)
		printf("' mode='server'/>\n");
	else
		printf("' mode='client'>\n        <reconnect enabled='yes' timeout='1'/>\n"
		       "      </source>\n");
	if (arguments->mtu)
		printf("      <mtu size='%u'/>\n", arguments->mtu);
	printf("      <model type='virtio'/>\n"
	       "      <driver name='vhost' queues='%u' rx_queue_size='1024' "
	       "tx_queue_size='1024'/>\n"
	       "    </interface>\n",
		arguments->queues);
}

static void print_libvirt(const struct arguments *arguments, const struct relay_stats *relay)
{
	printf("<domain type='kvm'>\n"
	       "  <name>relay%u</name>\n"
	       "  <memory unit='MiB'>%u</memory>\n"
	       "  <vcpu>%u</vcpu>\n"
	       "  <os" FIRMWARE ">\n    <type " MACHINE ">hvm</type>\n  </os>\n"
	       "  <features>\n    <acpi/>\n  </features>\n"
	       "  <memoryBacking>\n    %s\n    <access mode='shared'/>\n  </memoryBacking>\n"
	       "  <devices>\n    <!-- disks, consoles, ... -->\n",
		relay->id, arguments->memory_mib, arguments->queues,
		arguments->hugepages ? "<hugepages/>" : "<source type='memfd'/>");
	print_interface(arguments, relay);
	/* Zero copy and a balloon do not go together, and libvirt adds one if not told otherwise.
	 */
	printf("    <memballoon model='none'/>\n  </devices>\n</domain>\n");
}

/* Prints a path for use within single quotes of a shell; commas are doubled for QEMU. */
static void print_quoted_path(const char *path)
{
	for (; *path; path++) {
		if (*path == '\'')
			fputs("'\\''", stdout);
		else if (*path == ',')
			fputs(",,", stdout);
		else
			putchar(*path);
	}
}

static void print_qemu(const struct arguments *arguments, const struct relay_stats *relay)
{
	unsigned id = relay->id;

	printf("-m %uM -object memory-backend-memfd,id=mem,size=%uM,share=on%s "
	       "-numa node,memdev=mem \\\n",
		arguments->memory_mib, arguments->memory_mib,
		arguments->hugepages ? ",hugetlb=on,prealloc=on" : "");
	printf("-chardev 'socket,id=relay%u,path=", id);
	print_quoted_path(relay->vhost_path);
	printf("%s' \\\n", relay->vm.listens ? ",server=on,wait=off" : ",reconnect=1");
	printf("-netdev vhost-user,id=net%u,chardev=relay%u,queues=%u \\\n", id, id,
		arguments->queues);
	printf("-device virtio-net-pci,netdev=net%u,rx_queue_size=1024,tx_queue_size=1024", id);
	/* One vector for each ring, one for the control queue and one for configuration changes. */
	if (arguments->queues > 1)
		printf(",mq=on,vectors=%u", 2 * arguments->queues + 2);
	if (arguments->mtu)
		printf(",host_mtu=%u", arguments->mtu);
	putchar('\n');
	/* At the end, since a remark would end the command. */
	if (!relay->vm.listens)
		printf("# QEMU 10.2 and later: reconnect-ms=1000 instead of reconnect=1\n");
}

int guest_config_main(int argc, char **argv, bool compatible)
{
	struct arguments arguments = {.queues = 1, .memory_mib = 1024};
	struct stats_request request = {.include_inactive = true};
	struct stats_reply *reply;
	struct err err = {};
	int code = 0;

	client_parse(&argp, CLIENT_STATS_EP, argc, argv, &arguments.options, &arguments);
	request.relays = UINT64_C(1) << arguments.relay_id;
	if (client_stats(arguments.options.stats_endpoint, &request, &reply, &err) < 0)
		return client_fail(argv[0], &err);
	if (reply->n == 0 || !reply->relays[0].vhost_path[0]) {
		err_set(&err, ENOENT,
			"relay %u has no socket (yet); where the daemon runs with dynamic sockets, "
			"make it with vio4wd port add-sock",
			arguments.relay_id);
		code = client_fail(argv[0], &err);
	} else if (arguments.qemu) {
		print_qemu(&arguments, &reply->relays[0]);
	} else {
		print_libvirt(&arguments, &reply->relays[0]);
	}
	stats_reply_free(reply);
	return code;
}
