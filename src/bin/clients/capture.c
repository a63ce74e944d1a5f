/* SPDX-License-Identifier: BSD-3-Clause */

/* Writes the packets of a relay to a pcapng file. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/clock.h"
#include "base/endpoints.h"
#include "base/limits.h"
#include "bin/clients/capture_source.h"
#include "bin/clients/clients.h"
#include "bin/clients/pcapng.h"

#define POLL_MS 2          /* interval at which the rings are polled */
#define PACKETS_A_LOOK 256 /* between two checks of the clock and for signals */
#define DURATION_MAX_S 86400

static const char *const directions[DIRECTIONS_N] = {"vf-to-vm", "vm-to-vf"};

enum {
	KEY_ENDPOINT = 256,
	KEY_DIRECTION,
	KEY_DURATION,
};

static const struct argp_option options[] = {
	{"write", 'w', "FILE", 0, "where the packets go (default: -, standard output)", 0},
	{"direction", KEY_DIRECTION, "vf-to-vm|vm-to-vf|both", 0, "which packets (default: both)",
		0},
	{"snaplen", 's', "BYTES", 0, "bytes of each packet (default: all of it)", 0},
	{"count", 'c', "N", 0, "end after N packets", 0},
	{"duration", KEY_DURATION, "SECONDS", 0, "end after so long", 0},
	{"capture-ep", KEY_ENDPOINT, "ENDPOINT", 0,
		"the daemon's capture endpoint (default: " CAPTURE_ENDPOINT ")", 0},
	{},
};

struct arguments {
	struct client_options options;
	const char *endpoint;
	const char *file;
	bool has_relay;
	struct capture_request request;
	unsigned count;      /* 0: no end */
	unsigned duration_s; /* 0: no end */
	char filter[4096];   /* "": everything */
};

/* A running capture. */
struct capture {
	const struct arguments *arguments;
	struct capture_source *source;
	struct bpf_program filter; /* no instruction: everything */
	FILE *out;
	uint32_t interfaces[DIRECTIONS_N]; /* interface numbers in the file */
	uint64_t seen[DIRECTIONS_N];
	uint64_t written;
};

static void set_directions(struct arguments *arguments, const char *text, struct argp_state *state)
{
	arguments->request.directions = 0;
	for (unsigned d = 0; d < DIRECTIONS_N; d++)
		if (strcmp(text, directions[d]) == 0 || strcmp(text, "both") == 0)
			arguments->request.directions |= 1u << d;
	if (arguments->request.directions == 0)
		argp_error(state, "--direction: '%s' is none of vf-to-vm, vm-to-vf, both", text);
}

/* The first argument is the relay, the others are the words of the filter. */
static void add_word(struct arguments *arguments, const char *text, struct argp_state *state)
{
	size_t length = strlen(arguments->filter);

	if (!arguments->has_relay) {
		arguments->request.relay = client_number("relay", text, 0, RELAYS_MAX - 1, state);
		arguments->has_relay = true;
		return;
	}
	if (length + strlen(text) + 2 > sizeof(arguments->filter))
		argp_error(state, "the filter is longer than %zu characters",
			sizeof(arguments->filter) - 1);
	snprintf(arguments->filter + length, sizeof(arguments->filter) - length, "%s%s",
		length > 0 ? " " : "", text);
}

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case KEY_ENDPOINT:
		arguments->endpoint = value;
		return 0;
	case KEY_DIRECTION:
		set_directions(arguments, value, state);
		return 0;
	case KEY_DURATION:
		arguments->duration_s =
			client_number("--duration", value, 1, DURATION_MAX_S, state);
		return 0;
	case 'w':
		arguments->file = value;
		return 0;
	case 's':
		arguments->request.snaplen =
			client_number("--snaplen", value, 1, CAPTURE_SNAPLEN_MAX, state);
		return 0;
	case 'c':
		arguments->count = client_number("--count", value, 1, UINT32_MAX, state);
		return 0;
	case ARGP_KEY_ARG:
		add_word(arguments, value, state);
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
	.args_doc = "RELAY [FILTER...]",
	.doc = "Captures the packets of a relay of a running virtio-forwarder into a pcapng file, "
	       "until it is interrupted.\v"
	       "FILTER is what tcpdump takes (pcap-filter(7)). The relay never waits: packets that "
	       "cannot be written fast enough are missing in the file, not in the VM, and counted. "
	       "To look at them at once: vio4wd capture 0 | tcpdump -nr -\n"
	       "Exit code: 0 done, 1 refused, no answer, or the daemon has ended, 2 bad usage.",
};

static int compile_filter(struct capture *capture, struct err *err)
{
	pcap_t *pcap;
	int r = 0;

	if (capture->arguments->filter[0] == '\0')
		return 0;
	pcap = pcap_open_dead(DLT_EN10MB, CAPTURE_SNAPLEN_MAX);
	if (pcap == NULL)
		return err_set(err, ENOMEM, "out of memory");
	if (pcap_compile(pcap, &capture->filter, capture->arguments->filter, 1,
		    PCAP_NETMASK_UNKNOWN) != 0)
		r = err_set(err, EINVAL, "filter '%s': %s", capture->arguments->filter,
			pcap_geterr(pcap));
	pcap_close(pcap);
	return r;
}

/* New files are readable by their owner only, since they hold the traffic of VMs. */
static int open_file(struct capture *capture, struct err *err)
{
	const char *file = capture->arguments->file;
	_cleanup_close_ int fd = -1;

	if (strcmp(file, "-") == 0) {
		capture->out = stdout;
		if (isatty(STDOUT_FILENO))
			return err_set(err, EINVAL,
				"packets do not go to a terminal; name a file (--write), or | "
				"tcpdump -r -");
		return 0;
	}
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0)
		capture->out = fdopen(fd, "w");
	if (capture->out == NULL)
		return err_set(err, errno, "%s: %s", file, strerror(errno));
	fd = -1;
	return 0;
}

static void begin_file(struct capture *capture)
{
	const struct capture_request *request = &capture->arguments->request;
	uint32_t n = 0;

	pcapng_begin(capture->out, "vio4wd capture");
	for (unsigned d = 0; d < DIRECTIONS_N; d++) {
		char name[32], description[64];

		if (!(request->directions & 1u << d))
			continue;
		snprintf(name, sizeof(name), "relay%u-%s", request->relay, directions[d]);
		snprintf(description, sizeof(description), "virtio-forwarder relay %u, %s",
			request->relay, directions[d]);
		pcapng_interface(capture->out, name, description, request->snaplen);
		capture->interfaces[d] = n++;
	}
}

static bool wanted(const struct capture *capture, const struct captured *packet)
{
	struct pcap_pkthdr header = {
		.caplen = packet->record.kept,
		.len = packet->record.length,
	};

	return capture->filter.bf_insns == NULL ||
	       pcap_offline_filter(&capture->filter, &header, packet->data) != 0;
}

/* True if no more packets are wanted. */
static bool is_complete(const struct capture *capture)
{
	return ferror(capture->out) ||
	       (capture->arguments->count > 0 && capture->written >= capture->arguments->count);
}

/* Writes up to `n` of the packets that are there; returns how many there were. */
static unsigned write_packets(struct capture *capture, unsigned n)
{
	struct captured packet;
	unsigned i;

	for (i = 0; i < n && !is_complete(capture); i++) {
		if (!capture_source_next(capture->source, &packet))
			break;
		capture->seen[packet.direction]++;
		if (!wanted(capture, &packet))
			continue;
		pcapng_packet(
			capture->out, &(struct pcapng_packet){
					      .interface = capture->interfaces[packet.direction],
					      .time_ns = packet.record.time_ns,
					      .length = packet.record.length,
					      .kept = packet.record.kept,
					      .data = packet.data,
				      });
		capture->written++;
	}
	return i;
}

/*
 * Runs until a signal, the count, the time or the daemon's end. Returns 0, or -ECONNRESET for the
 * last. During a pause it flushes what has been captured.
 */
static int run(struct capture *capture, int signals, struct err *err)
{
	struct pollfd fds[] = {{.fd = signals, .events = POLLIN},
		{.fd = capture_source_fd(capture->source), .events = POLLIN}};
	const uint64_t end_ns =
		clock_monotonic_ns() + capture->arguments->duration_s * UINT64_C(1000000000);

	for (;;) {
		unsigned n = write_packets(capture, PACKETS_A_LOOK);

		if (n == 0)
			fflush(capture->out);
		if (is_complete(capture) || poll(fds, 2, n > 0 ? 0 : POLL_MS) < 0 || fds[0].revents)
			return 0;
		if (fds[1].revents)
			return err_set(err, ECONNRESET, "the daemon has ended");
		if (capture->arguments->duration_s > 0 && clock_monotonic_ns() >= end_ns)
			return 0;
	}
}

/* Writes what is still in the rings, and reports what was lost. */
static void finish(struct capture *capture, const char *program)
{
	uint64_t lost = 0;

	capture_source_end(capture->source); /* a busy relay refills the rings meanwhile */
	write_packets(capture, UINT_MAX);
	for (unsigned d = 0; d < DIRECTIONS_N; d++) {
		if (!(capture->arguments->request.directions & 1u << d))
			continue;
		uint64_t lost_here = capture_source_lost(capture->source, d);
		lost += lost_here;
		pcapng_statistics(capture->out, capture->interfaces[d], clock_realtime_ns(),
			capture->seen[d] + lost_here, lost_here);
	}
	fprintf(stderr, "%s: %" PRIu64 " packets captured, %" PRIu64 " lost\n", program,
		capture->written, lost);
}

static bool is_ignored(int number)
{
	struct sigaction action;

	return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* SIGHUP: the terminal has gone. Not with nohup: what is ignored would still be read. */
static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (!is_ignored(SIGHUP))
		sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN); /* a reader that has seen enough causes a failed write */
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int capture_all(struct capture *capture, const char *program, struct err *err)
{
	_cleanup_close_ int signals = block_signals();
	bool to_stdout = strcmp(capture->arguments->file, "-") == 0;

	int r = capture_source_open(
		&capture->source, capture->arguments->endpoint, &capture->arguments->request, err);
	if (r == 0)
		r = open_file(capture, err);
	if (r < 0)
		return r;
	begin_file(capture);
	fflush(capture->out);
	fprintf(stderr, "%s: capturing relay %u\n", program, capture->arguments->request.relay);
	r = run(capture, signals, err);
	finish(capture, program);
	bool failed = ferror(capture->out) != 0;
	if (!to_stdout && (fclose(capture->out) != 0 || failed))
		r = err_set(err, EIO, "%s cannot be written: %s", capture->arguments->file,
			strerror(errno));
	return r;
}

int capture_main(int argc, char **argv, bool compatible)
{
	struct arguments arguments = {
		.endpoint = CAPTURE_ENDPOINT,
		.file = "-",
		.request = {.version = CAPTURE_VERSION,
			.directions = (1u << DIRECTIONS_N) - 1,
			.snaplen = CAPTURE_SNAPLEN_MAX},
	};
	struct capture capture = {.arguments = &arguments};
	struct err err = {""};

	client_parse(&argp, 0, argc, argv, &arguments.options, &arguments);
	if (compile_filter(&capture, &err) < 0) {
		client_fail(argv[0], &err);
		return EXIT_USAGE;
	}
	int r = capture_all(&capture, argv[0], &err);
	capture_source_free(capture.source);
	pcap_freecode(&capture.filter);
	return r < 0 ? client_fail(argv[0], &err) : 0;
}
