/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * packet-peer: one or both far ends of a relay, in a single polling thread.
 *
 * Prints lines of JSON: {"event": "open"} when the sockets are open, "ready" once the links are up,
 * "first" at the first packet of each sender, "link" when a link changes, "pause" when the VM stops
 * reading and when it continues, and at the end one line with "ok" and the results.
 */

#include <errno.h>
#include <poll.h>
#include <rte_cycles.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frame.h"
#include "options.h"
#include "port.h"
#include "stream.h"

#define EXIT_FAULT 1
#define EXIT_CANNOT_RUN 2
#define LINK_WAIT_S 30
#define HOUSEKEEPING_HZ 1000 /* how often stdin and the links are checked */

/* Global, since a signal handler has no argument through which to reach anything. */
static volatile sig_atomic_t stop_signalled;

static void on_stop(int signal)
{
	stop_signalled = 1;
}

struct peer {
	struct options options;
	struct ports ports;
	struct stream *streams[2];
	unsigned stream_count;
	struct stream *into_vm; /* the stream that ends at the VM, or NULL */
	bool vm_up;
	bool net_up;
	bool stopped;
	bool leave; /* stdin has ended: the caller needs nothing more */
	bool paused;
	bool pause_over;
	uint64_t resume_tsc;
};

static void say(const char *event, const char *key, const char *value)
{
	printf("{\"event\": \"%s\", \"%s\": \"%s\"}\n", event, key, value);
	fflush(stdout);
}

static int add_stream(
	struct peer *peer, const char *name, enum frame_origin origin, int from, int to)
{
	struct stream *stream = stream_new(name, origin, &peer->options, peer->ports.tx_pool);

	if (!stream)
		return -ENOMEM;
	stream->from = from;
	stream->to = to;
	peer->streams[peer->stream_count++] = stream;
	return 0;
}

static int add_streams(struct peer *peer)
{
	const struct options *o = &peer->options;
	int vm = peer->ports.vm, net = peer->ports.net;
	int ret = 0;

	if (o->reflect)
		return add_stream(peer, "round_trip", FRAME_FROM_NET, net, net);
	if (o->vm_to_vf)
		ret = add_stream(peer, "vm_to_vf", FRAME_FROM_VM, vm, net);
	if (ret == 0 && o->vf_to_vm) {
		ret = add_stream(peer, "vf_to_vm", FRAME_FROM_NET, net, vm);
		if (vm >= 0)
			peer->into_vm = peer->streams[peer->stream_count - 1];
	}
	return ret;
}

static bool end_is_up(const struct peer *peer, int port)
{
	return port >= 0 && (port == peer->ports.vm ? peer->vm_up : peer->net_up);
}

static void look_at_links(struct peer *peer, bool report)
{
	bool vm_up = peer->ports.vm >= 0 && port_is_up(peer->ports.vm);
	bool net_up = peer->ports.net >= 0 && port_is_up(peer->ports.net);

	if (report && vm_up != peer->vm_up)
		say("link", "vm", vm_up ? "up" : "down");
	if (report && net_up != peer->net_up)
		say("link", "net", net_up ? "up" : "down");
	peer->vm_up = vm_up;
	peer->net_up = net_up;
}

static bool links_complete(const struct peer *peer)
{
	return (peer->ports.vm < 0 || peer->vm_up) && (peer->ports.net < 0 || peer->net_up);
}

static int wait_for_links(struct peer *peer)
{
	uint64_t deadline = rte_get_tsc_cycles() + LINK_WAIT_S * rte_get_tsc_hz();

	for (;;) {
		look_at_links(peer, false);
		if (links_complete(peer))
			return 0;
		if (stop_signalled)
			return -EINTR;
		if (rte_get_tsc_cycles() > deadline)
			return -ETIMEDOUT;
		rte_delay_us_sleep(1000);
	}
}

static void start_senders(struct peer *peer)
{
	for (unsigned i = 0; i < peer->stream_count; i++)
		peer->streams[i]->sending = peer->streams[i]->from >= 0;
}

static void stop_senders(struct peer *peer)
{
	peer->stopped = true;
	for (unsigned i = 0; i < peer->stream_count; i++)
		stream_stop(peer->streams[i], rte_get_tsc_cycles());
}

static void obey(struct peer *peer, const char *line)
{
	if (strcmp(line, "start\n") == 0)
		start_senders(peer);
	else if (strcmp(line, "stop\n") == 0)
		stop_senders(peer);
	else
		fprintf(stderr, "packet-peer: unknown command: %s", line);
}

static void look_at_stdin(struct peer *peer, int timeout_ms)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char line[16];

	if (!peer->options.control || peer->leave || poll(&in, 1, timeout_ms) <= 0)
		return;
	if (fgets(line, sizeof(line), stdin)) {
		obey(peer, line);
	} else {
		peer->leave = true;
		stop_senders(peer);
	}
}

/* Whether the VM is reading now. */
static bool vm_reads(struct peer *peer, uint64_t now_tsc)
{
	const struct options *o = &peer->options;

	if (!o->pause_at || peer->pause_over)
		return true;
	if (!peer->paused && peer->into_vm->received >= o->pause_at) {
		peer->paused = true;
		peer->resume_tsc = now_tsc + o->pause_ms * (rte_get_tsc_hz() / 1000);
		say("pause", "vm", "begin");
	}
	if (peer->paused && now_tsc > peer->resume_tsc) {
		peer->paused = false;
		peer->pause_over = true;
		peer->into_vm->wait_tsc = now_tsc;
		say("pause", "vm", "end");
	}
	return !peer->paused;
}

static unsigned poll_stream(struct peer *peer, struct stream *stream, uint64_t now_tsc)
{
	unsigned moved = 0;

	if (end_is_up(peer, stream->from))
		moved += stream_send(stream, now_tsc);
	if (end_is_up(peer, stream->to) && (stream != peer->into_vm || vm_reads(peer, now_tsc))) {
		unsigned senders = stream->senders;

		moved += stream_receive(stream, now_tsc);
		if (stream->senders != senders)
			say("first", "stream", stream->name);
	}
	return moved;
}

static bool is_done(const struct peer *peer, uint64_t now_tsc)
{
	if (peer->paused || (peer->options.count == 0 && !peer->stopped))
		return false;
	for (unsigned i = 0; i < peer->stream_count; i++) {
		const struct stream *stream = peer->streams[i];

		if (!stream->begin_tsc && !peer->stopped)
			return false;
		if (!stream_is_done(stream, now_tsc))
			return false;
	}
	return true;
}

static void rest(const struct peer *peer)
{
	if (peer->options.nap_us > 0)
		rte_delay_us_sleep(peer->options.nap_us);
	else
		sched_yield();
}

static void run(struct peer *peer)
{
	uint64_t period = rte_get_tsc_hz() / HOUSEKEEPING_HZ;
	uint64_t next_look = 0;

	for (;;) {
		uint64_t now = rte_get_tsc_cycles();
		unsigned moved = 0;

		for (unsigned i = 0; i < peer->stream_count; i++)
			moved += poll_stream(peer, peer->streams[i], now);
		if (now > next_look) {
			next_look = now + period;
			look_at_links(peer, true);
			look_at_stdin(peer, 0);
			if (stop_signalled && !peer->stopped)
				stop_senders(peer);
			if (is_done(peer, now))
				return;
		}
		if (!moved)
			rest(peer);
	}
}

static bool report(const struct peer *peer)
{
	bool ok = true;

	for (unsigned i = 0; i < peer->stream_count; i++)
		ok &= !stream_has_fault(peer->streams[i]);
	printf("{\"ok\": %s", ok ? "true" : "false");
	for (unsigned i = 0; i < peer->stream_count; i++) {
		printf(", ");
		stream_print(peer->streams[i]);
	}
	printf("}\n");
	fflush(stdout);
	return ok;
}

/* With --control the ports stay open until the caller has looked at the relay and closes stdin. */
static void linger(struct peer *peer)
{
	while (peer->options.control && !peer->leave && !stop_signalled)
		look_at_stdin(peer, 100);
}

static int play(struct peer *peer)
{
	int ret;

	ret = add_streams(peer);
	say("open", "name", "packet-peer");
	if (ret == 0)
		ret = wait_for_links(peer);
	if (ret < 0) {
		fprintf(stderr, "packet-peer: no link: %s\n", strerror(-ret));
		return EXIT_CANNOT_RUN;
	}
	say("ready", "name", "packet-peer");
	if (!peer->options.control)
		start_senders(peer);
	run(peer);
	ret = report(peer) ? EXIT_SUCCESS : EXIT_FAULT;
	linger(peer);
	return ret;
}

int main(int argc, char **argv)
{
	struct sigaction stop = {.sa_handler = on_stop};
	struct peer peer = {0};
	int ret;

	ret = options_parse(&peer.options, argc, argv);
	if (ret)
		return ret;
	frame_init();
	if (ports_open(&peer.ports, &peer.options) < 0)
		return EXIT_CANNOT_RUN;
	signal(SIGPIPE, SIG_IGN);        /* the relay may leave first */
	setvbuf(stdin, NULL, _IONBF, 0); /* so that poll() sees everything not read yet */
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	ret = play(&peer);
	for (unsigned i = 0; i < peer.stream_count; i++)
		stream_free(peer.streams[i]);
	ports_close(&peer.ports);
	return ret;
}
