/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/capture_service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/capture.h"
#include "base/endpoints.h"
#include "base/log.h"
#include "control/ipc_listener.h"
#include "control/local_server.h"

#define CAPTURES_MAX 4
#define CAPTURES_LOGGED 10 /* in one go; see log_limit_pass() */

struct capture {
	struct local_client *client; /* NULL: the entry is free */
	bool logged;                 /* its begin, so its end will be, too */
	unsigned relay_id;
	uint32_t directions;
	struct capture_rings *rings[DIRECTIONS_N]; /* NULL: not asked for */
	struct tap taps[DIRECTIONS_N][SLICES_MAX];
};

struct capture_service {
	struct ipc_listener *listener;
	struct local_server *server;
	capture_tap *tap;
	void *userdata;
	struct capture captures[CAPTURES_MAX];
	struct log_limit log_limit;
};

static bool wants(uint32_t directions, unsigned direction)
{
	return directions & 1u << direction;
}

static void unmap(struct capture *capture)
{
	for (unsigned d = 0; d < DIRECTIONS_N; d++)
		if (capture->rings[d] != NULL)
			munmap(capture->rings[d], sizeof(*capture->rings[d]));
	*capture = (struct capture){0};
}

static void put_taps(struct capture_service *service, struct capture *capture, uint32_t snaplen)
{
	for (unsigned d = 0; d < DIRECTIONS_N; d++) {
		if (!wants(capture->directions, d))
			continue;
		for (unsigned s = 0; s < SLICES_MAX; s++)
			capture->taps[d][s] = (struct tap){
				.ring = &capture->rings[d]->slices[s], .snaplen = snaplen};
		service->tap(service->userdata, capture->relay_id, d, capture->taps[d]);
	}
}

static void take_taps(struct capture_service *service, const struct capture *capture)
{
	for (unsigned d = 0; d < DIRECTIONS_N; d++)
		if (wants(capture->directions, d))
			service->tap(service->userdata, capture->relay_id, d, NULL);
}

static void on_gone(void *userdata, struct local_client *client)
{
	struct capture_service *service = userdata;

	for (unsigned i = 0; i < CAPTURES_MAX; i++) {
		struct capture *capture = &service->captures[i];

		if (capture->client != client)
			continue;
		take_taps(service, capture);
		if (capture->logged)
			log_event_at(LOG_INFO, &(struct log_event){.relay = (int)capture->relay_id},
				"relay %u: capture ended", capture->relay_id);
		unmap(capture);
	}
}

static int check(const struct capture_request *request, struct err *err)
{
	if (request->version != CAPTURE_VERSION)
		return err_set(err, EPROTO,
			"the client speaks version %u of the capture protocol, the daemon %d; "
			"install the same release of both",
			request->version, CAPTURE_VERSION);
	if (request->relay >= RELAYS_MAX)
		return err_set(err, EINVAL, "there is no relay %u, only 0 to %d", request->relay,
			RELAYS_MAX - 1);
	if (request->directions == 0 || request->directions >= 1u << DIRECTIONS_N)
		return err_set(err, EINVAL, "no direction is asked for");
	if (request->snaplen == 0 || request->snaplen > CAPTURE_SNAPLEN_MAX)
		return err_set(err, EINVAL, "%u bytes of a packet: 1 to %d can be captured",
			request->snaplen, CAPTURE_SNAPLEN_MAX);
	return 0;
}

/* Finds a free entry, unless what the request asks for is being captured already. */
static int find_place(struct capture_service *service, const struct capture_request *request,
	struct capture **ret_capture, struct err *err)
{
	struct capture *place = NULL;

	for (unsigned i = 0; i < CAPTURES_MAX; i++) {
		struct capture *capture = &service->captures[i];

		if (capture->client == NULL)
			place = capture;
		else if (capture->relay_id == request->relay &&
			 capture->directions & request->directions)
			return err_set(err, EBUSY, "relay %u is being captured by another client",
				request->relay);
	}
	if (place == NULL)
		return err_set(err, EBUSY,
			"%d captures are running already, and more are not allowed; end one",
			CAPTURES_MAX);
	*ret_capture = place;
	return 0;
}

/*
 * Allocates memory that cannot vanish or run short under a worker, whatever the client does: it is
 * backed in full and sealed.
 */
static int make_memory(struct capture *capture, int fd, struct err *err)
{
	const off_t size = sizeof(struct capture_rings);

	if (ftruncate(fd, sizeof(struct capture_memory)) < 0)
		return err_set(err, errno, "memory for packets: %s", strerror(errno));
	for (unsigned d = 0; d < DIRECTIONS_N; d++) {
		if (!wants(capture->directions, d))
			continue;
		if (fallocate(fd, 0, d * size, size) < 0)
			return err_set(err, errno, "%lld MiB of memory for packets: %s",
				(long long)size >> 20, strerror(errno));
		void *rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			fd, d * size);
		if (rings == MAP_FAILED)
			return err_set(err, errno, "memory for packets: %s", strerror(errno));
		capture->rings[d] = rings;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_set(err, errno, "memory for packets: %s", strerror(errno));
	return 0;
}

/* Sends the descriptor along with the answer. The socket is new, so its buffer has room. */
static int send_memory(const struct local_client *client, int fd, struct err *err)
{
	const struct capture_answer answer = {0};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(fd))];
	} control = {0};
	struct iovec data = {.iov_base = (void *)&answer, .iov_len = sizeof(answer)};
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(sizeof(fd))};
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (sendmsg(local_client_fd(client), &message, MSG_NOSIGNAL) != sizeof(answer))
		return err_set(err, EPIPE, "the client has gone");
	return 0;
}

static int begin(struct capture_service *service, struct local_client *client,
	const struct capture_request *request, struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct capture *capture = NULL;

	int r = check(request, err);
	if (r == 0)
		r = find_place(service, request, &capture, err);
	if (r < 0)
		return r;
	fd = memfd_create("capture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_set(err, errno, "memory for packets: %s", strerror(errno));
	capture->relay_id = request->relay;
	capture->directions = request->directions;
	r = make_memory(capture, fd, err);
	if (r == 0) {
		/*
		 * Before the answer, since from then on the client counts on getting every packet.
		 */
		put_taps(service, capture, request->snaplen);
		r = send_memory(client, fd, err);
		if (r < 0)
			take_taps(service, capture);
	}
	if (r < 0) {
		unmap(capture);
		return r;
	}
	capture->client = client;
	local_client_keep(client);
	capture->logged = log_limit_pass(&service->log_limit, LOG_INFO);
	if (capture->logged)
		log_event_at(LOG_INFO, &(struct log_event){.relay = (int)capture->relay_id},
			"relay %u: capture started", capture->relay_id);
	return 0;
}

static enum local_verdict on_request(
	void *userdata, struct local_client *client, const char *data, size_t length)
{
	struct capture_request request;
	struct capture_answer answer = {0};
	struct err err = {""};

	if (length < sizeof(request))
		return LOCAL_MORE;
	memcpy(&request, data, sizeof(request));
	int r = begin(userdata, client, &request, &err);
	if (r == 0)
		return LOCAL_TAKEN;
	answer.code = -r;
	snprintf(answer.text, sizeof(answer.text), "%s", err.text);
	return local_client_answer(client, &answer, sizeof(answer)) < 0 ? LOCAL_REFUSE
	                                                                : LOCAL_TAKEN;
}

int capture_service_new(struct capture_service **ret_service, sd_event *event, const char *endpoint,
	capture_tap *tap, void *userdata, struct err *err)
{
	struct capture_service *service = calloc(1, sizeof(*service));

	if (service == NULL)
		return err_set(err, ENOMEM, "out of memory");
	service->tap = tap;
	service->userdata = userdata;
	service->log_limit = (struct log_limit)LOG_LIMIT(CAPTURES_LOGGED);
	int r = ipc_listener_new(&service->listener, endpoint_ipc_path(endpoint), err);
	if (r == 0)
		r = local_server_new(&service->server, event,
			&(struct local_server_options){
				.fd = ipc_listener_fd(service->listener),
				.request_max = sizeof(struct capture_request),
				.on_request = on_request,
				.on_gone = on_gone,
				.userdata = service,
			},
			err);
	if (r < 0) {
		capture_service_free(service);
		return err_prefix(err, r, "capture endpoint");
	}
	*ret_service = service;
	return 0;
}

struct capture_service *capture_service_free(struct capture_service *service)
{
	if (service == NULL)
		return NULL;
	local_server_free(service->server);
	ipc_listener_free(service->listener);
	free(service);
	return NULL;
}
