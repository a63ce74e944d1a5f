/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ovsdb/stream.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "control/ovsdb/tls.h"

struct stream {
	int fd;
	bool connected;  /* the socket is connected; the TLS handshake follows */
	struct tls *tls; /* NULL for a plain stream */
};

int stream_open(struct stream **ret_stream, const struct ovsdb_endpoint *endpoint,
	const struct stream_credentials *credentials, struct err *err)
{
	struct stream *stream = calloc(1, sizeof(*stream));
	int r;

	if (!stream)
		return err_set(err, ENOMEM, "out of memory");
	stream->fd = ovsdb_endpoint_connect(endpoint);
	if (stream->fd < 0)
		r = err_set(err, -stream->fd, "cannot connect: %s", strerror(-stream->fd));
	else
		r = endpoint->tls ? tls_new(&stream->tls, stream->fd, credentials, err) : 0;
	if (r < 0) {
		stream_free(stream);
		return r;
	}
	*ret_stream = stream;
	return 0;
}

struct stream *stream_free(struct stream *stream)
{
	if (!stream)
		return NULL;
	tls_free(stream->tls);
	if (stream->fd >= 0)
		close(stream->fd);
	free(stream);
	return NULL;
}

int stream_fd(const struct stream *stream)
{
	return stream->fd;
}

uint32_t stream_events(const struct stream *stream)
{
	if (!stream->connected)
		return EPOLLOUT;
	return stream->tls ? tls_events(stream->tls) : EPOLLIN;
}

int stream_establish(struct stream *stream, struct err *err)
{
	socklen_t size = sizeof(int);
	int error = 0;

	if (!stream->connected) {
		if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
			error = errno;
		if (error)
			return err_set(err, error, "cannot connect: %s", strerror(error));
		stream->connected = true;
	}
	return stream->tls ? tls_handshake(stream->tls, err) : 0;
}

ssize_t stream_read(struct stream *stream, void *ret_data, size_t size, struct err *err)
{
	ssize_t n;

	if (stream->tls)
		return tls_read(stream->tls, ret_data, size, err);
	n = recv(stream->fd, ret_data, size, 0);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR
	               ? -EAGAIN
	               : err_set(err, errno, "broken: %s", strerror(errno));
}

ssize_t stream_write(struct stream *stream, const void *data, size_t size, struct err *err)
{
	ssize_t n;

	if (stream->tls)
		return tls_write(stream->tls, data, size, err);
	n = send(stream->fd, data, size, MSG_NOSIGNAL);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR
	               ? -EAGAIN
	               : err_set(err, errno, "broken: %s", strerror(errno));
}
