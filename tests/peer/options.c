/* SPDX-License-Identifier: BSD-3-Clause */

#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

#define EXIT_USAGE 2
#define IMIX_MAX 1514

static const char usage[] =
	"Usage: packet-peer [--vm SOCKET [VM options]] [--net SOCKET [--net-server]] [options]\n"
	"Plays the far ends of a relay: sends numbered packets, checks what arrives, and prints "
	"one\n"
	"line of JSON. Exits 0 where nothing was lost, reordered, duplicated or altered, 1 where\n"
	"something was, 2 where it could not run.\n"
	"\n"
	"  --vm SOCKET         the VM's side: virtio on this vhost-user socket\n"
	"  --server            it listens (the relay is the client)\n"
	"  --packed            packed rings\n"
	"  --no-mrg            no mergeable receive buffers\n"
	"  --no-in-order       no in-order rings\n"
	"  --queue-size N      descriptors in a ring (256)\n"
	"  --net SOCKET        the network's side: memif on this abstract socket\n"
	"  --net-server        it listens\n"
	"  --net-device DEVICE the network's side: another DPDK device, "
	"net_af_packet0,iface=veth1\n"
	"  --direction WHICH   vm-to-vf, vf-to-vm or both (both)\n"
	"  --reflect           send from the network's side and check what the VM sends back\n"
	"  --count N           packets per direction; 0: until stopped (100000)\n"
	"  --flows N           (4)\n"
	"  --queues N          queue pairs on both sides (1)\n"
	"  --sizes WHICH       BYTES, imix, random or random:MAX; without FCS (imix)\n"
	"  --rate PPS          packets a second per direction; 0: as fast as it goes (0)\n"
	"  --latency           measure how long packets are under way; with a rate and both ends "
	"here\n"
	"  --pause-vm AT,MS    the VM stops reading for MS once it has read AT packets\n"
	"  --drain-ms MS       silence after which what is missing is lost (3000)\n"
	"  --cpu N             CPU to run on (0)\n"
	"  --nap US            sleep so long where nothing has moved, for many peers at once (0: "
	"only yield)\n"
	"  --control           obey stdin: start, stop; end of file: leave. Without it, start at "
	"once\n"
	"                      and leave when done\n"
	"SIGTERM and SIGINT stop the senders; what is under way is still awaited.\n";

static int parse_number(uint64_t *ret, const char *text, uint64_t max)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || value > max)
		return -EINVAL;
	*ret = value;
	return 0;
}

static int parse_unsigned(unsigned *ret, const char *text, unsigned min, unsigned max)
{
	uint64_t value;

	if (parse_number(&value, text, max) || value < min)
		return -EINVAL;
	*ret = (unsigned)value;
	return 0;
}

static int parse_size(uint16_t *ret, const char *text)
{
	unsigned value;

	if (parse_unsigned(&value, text, FRAME_MIN_LEN, FRAME_MAX_LEN))
		return -EINVAL;
	*ret = (uint16_t)value;
	return 0;
}

static int parse_sizes(struct options *o, const char *text)
{
	o->size_bytes = IMIX_MAX;
	if (strcmp(text, "imix") == 0) {
		o->sizes = SIZES_IMIX;
		return 0;
	}
	if (strncmp(text, "random", 6) == 0) {
		o->sizes = SIZES_RANDOM;
		if (text[6] == '\0')
			return 0;
		return text[6] == ':' ? parse_size(&o->size_bytes, text + 7) : -EINVAL;
	}
	o->sizes = SIZES_FIXED;
	return parse_size(&o->size_bytes, text);
}

static int parse_direction(struct options *o, const char *text)
{
	bool both = strcmp(text, "both") == 0;

	o->vm_to_vf = both || strcmp(text, "vm-to-vf") == 0;
	o->vf_to_vm = both || strcmp(text, "vf-to-vm") == 0;
	return o->vm_to_vf || o->vf_to_vm ? 0 : -EINVAL;
}

static int parse_pause(struct options *o, const char *text)
{
	int used = 0;

	if (sscanf(text, "%lu,%u%n", &o->pause_at, &o->pause_ms, &used) != 2 || text[used] ||
		o->pause_at == 0)
		return -EINVAL;
	return 0;
}

enum option_id {
	OPT_VM = 256,
	OPT_SERVER,
	OPT_PACKED,
	OPT_NO_MRG,
	OPT_NO_IN_ORDER,
	OPT_QUEUE_SIZE,
	OPT_NET,
	OPT_NET_SERVER,
	OPT_NET_DEVICE,
	OPT_DIRECTION,
	OPT_REFLECT,
	OPT_COUNT,
	OPT_FLOWS,
	OPT_QUEUES,
	OPT_SIZES,
	OPT_RATE,
	OPT_LATENCY,
	OPT_PAUSE_VM,
	OPT_DRAIN_MS,
	OPT_CPU,
	OPT_NAP,
	OPT_CONTROL,
	OPT_HELP,
};

static const struct option table[] = {
	{"vm", required_argument, NULL, OPT_VM},
	{"server", no_argument, NULL, OPT_SERVER},
	{"packed", no_argument, NULL, OPT_PACKED},
	{"no-mrg", no_argument, NULL, OPT_NO_MRG},
	{"no-in-order", no_argument, NULL, OPT_NO_IN_ORDER},
	{"queue-size", required_argument, NULL, OPT_QUEUE_SIZE},
	{"net", required_argument, NULL, OPT_NET},
	{"net-server", no_argument, NULL, OPT_NET_SERVER},
	{"net-device", required_argument, NULL, OPT_NET_DEVICE},
	{"direction", required_argument, NULL, OPT_DIRECTION},
	{"reflect", no_argument, NULL, OPT_REFLECT},
	{"count", required_argument, NULL, OPT_COUNT},
	{"flows", required_argument, NULL, OPT_FLOWS},
	{"queues", required_argument, NULL, OPT_QUEUES},
	{"sizes", required_argument, NULL, OPT_SIZES},
	{"rate", required_argument, NULL, OPT_RATE},
	{"latency", no_argument, NULL, OPT_LATENCY},
	{"pause-vm", required_argument, NULL, OPT_PAUSE_VM},
	{"drain-ms", required_argument, NULL, OPT_DRAIN_MS},
	{"cpu", required_argument, NULL, OPT_CPU},
	{"nap", required_argument, NULL, OPT_NAP},
	{"control", no_argument, NULL, OPT_CONTROL},
	{"help", no_argument, NULL, OPT_HELP},
	{0},
};

/* Takes one option; a negative errno if its value is wrong. */
static int take(struct options *o, enum option_id id, const char *value)
{
	switch (id) {
	case OPT_VM:
		o->vm_socket = value;
		return 0;
	case OPT_SERVER:
		o->vm_server = true;
		return 0;
	case OPT_PACKED:
		o->vm_packed = true;
		return 0;
	case OPT_NO_MRG:
		o->vm_mergeable = false;
		return 0;
	case OPT_NO_IN_ORDER:
		o->vm_in_order = false;
		return 0;
	case OPT_QUEUE_SIZE:
		return parse_unsigned(&o->vm_queue_size, value, 64, 32768);
	case OPT_NET:
		o->net_socket = value;
		return 0;
	case OPT_NET_SERVER:
		o->net_server = true;
		return 0;
	case OPT_NET_DEVICE:
		o->net_device = value;
		return strchr(value, ',') ? 0 : -EINVAL;
	case OPT_DIRECTION:
		return parse_direction(o, value);
	case OPT_REFLECT:
		o->reflect = true;
		return 0;
	case OPT_COUNT:
		return parse_number(&o->count, value, UINT64_MAX);
	case OPT_FLOWS:
		return parse_unsigned(&o->flows, value, 1, MAX_FLOWS);
	case OPT_QUEUES:
		return parse_unsigned(&o->queues, value, 1, MAX_QUEUES);
	case OPT_SIZES:
		return parse_sizes(o, value);
	case OPT_RATE:
		return parse_number(&o->rate_pps, value, UINT32_MAX);
	case OPT_LATENCY:
		o->latency = true;
		return 0;
	case OPT_PAUSE_VM:
		return parse_pause(o, value);
	case OPT_DRAIN_MS:
		return parse_unsigned(&o->drain_ms, value, 1, 600000);
	case OPT_CPU:
		return parse_unsigned(&o->cpu, value, 0, 1023);
	case OPT_NAP:
		return parse_unsigned(&o->nap_us, value, 0, 1000000);
	case OPT_CONTROL:
		o->control = true;
		return 0;
	case OPT_HELP:
		break;
	}
	return -EINVAL;
}

/* What is wrong with the options as a whole, or NULL. */
static const char *contradiction(const struct options *o)
{
	bool net = o->net_socket || o->net_device;

	if (!o->vm_socket && !net)
		return "neither --vm nor --net given";
	if (o->net_socket && o->net_device)
		return "--net and --net-device are two networks";
	if (o->reflect && (o->vm_socket || !net))
		return "--reflect needs --net and no --vm";
	if (o->latency && (o->rate_pps == 0 || !net || !(o->vm_socket || o->reflect)))
		return "--latency needs --rate and both ends";
	if (o->flows < o->queues)
		return "fewer flows than queues";
	return NULL;
}

int options_parse(struct options *ret_options, int argc, char **argv)
{
	struct options o = {
		.vm_mergeable = true,
		.vm_in_order = true,
		.vm_queue_size = 256,
		.vm_to_vf = true,
		.vf_to_vm = true,
		.count = 100000,
		.flows = 4,
		.queues = 1,
		.sizes = SIZES_IMIX,
		.size_bytes = IMIX_MAX,
		.drain_ms = 3000,
	};
	const char *wrong;
	int id, index;

	while ((id = getopt_long(argc, argv, "", table, &index)) != -1) {
		if (id == OPT_HELP) {
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		}
		if (id == '?')
			return EXIT_USAGE;
		if (take(&o, (enum option_id)id, optarg)) {
			fprintf(stderr, "packet-peer: bad value for --%s: %s\n", table[index].name,
				optarg);
			return EXIT_USAGE;
		}
	}
	wrong = optind < argc ? "an argument that is no option" : contradiction(&o);
	if (wrong) {
		fprintf(stderr, "packet-peer: %s\n", wrong);
		return EXIT_USAGE;
	}
	*ret_options = o;
	return 0;
}

uint16_t options_max_frame(const struct options *options)
{
	return options->size_bytes;
}
