/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ovsdb/tls.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/epoll.h>

struct tls {
	SSL_CTX *context;
	SSL *ssl;
	uint32_t events;
	bool encrypted; /* a file that was read */
};

/* The library's reason for the last failure; clears its error queue. */
static const char *reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return text ? text : "unknown error";
}

/* Is asked for a file's pass phrase, which the library would ask a terminal for, and wait. */
static int refuse_pass_phrase(char *text, int size, int writes, void *userdata)
{
	struct tls *tls = userdata;

	tls->encrypted = true;
	return -1;
}

static int load_credentials(
	struct tls *tls, const struct stream_credentials *files, struct err *err)
{
	assert(files->ca_cert && !files->private_key == !files->certificate); /* check_ovsdb() */
	SSL_CTX_set_default_passwd_cb(tls->context, refuse_pass_phrase);
	SSL_CTX_set_default_passwd_cb_userdata(tls->context, tls);
	if (SSL_CTX_load_verify_locations(tls->context, files->ca_cert, NULL) != 1)
		return err_set(err, EINVAL, "%s: cannot be used as CA certificate: %s",
			files->ca_cert, reason());
	if (!files->certificate)
		return 0;
	if (SSL_CTX_use_certificate_chain_file(tls->context, files->certificate) != 1)
		return err_set(err, EINVAL, "%s: cannot be used as certificate: %s",
			files->certificate, reason());
	if (SSL_CTX_use_PrivateKey_file(tls->context, files->private_key, SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_check_private_key(tls->context) != 1) {
		const char *why = reason();

		return err_set(err, EINVAL, "%s: cannot be used as private key: %s",
			files->private_key,
			tls->encrypted ? "it is encrypted; remove its pass phrase (openssl pkey)"
				       : why);
	}
	return 0;
}

int tls_new(
	struct tls **ret_tls, int fd, const struct stream_credentials *credentials, struct err *err)
{
	struct tls *tls = calloc(1, sizeof(*tls));
	int r;

	if (!tls)
		return err_set(err, ENOMEM, "out of memory");
	ERR_clear_error();
	tls->events = EPOLLOUT;
	tls->context = SSL_CTX_new(TLS_client_method());
	r = tls->context ? load_credentials(tls, credentials, err)
	                 : err_set(err, ENOMEM, "TLS: %s", reason());
	if (r >= 0) {
		SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
		SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
		/* our output buffer may have moved when a write is repeated */
		SSL_CTX_set_mode(tls->context,
			SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
		tls->ssl = SSL_new(tls->context);
		if (!tls->ssl || SSL_set_fd(tls->ssl, fd) != 1)
			r = err_set(err, ENOMEM, "TLS: %s", reason());
	}
	if (r < 0) {
		tls_free(tls);
		return r;
	}
	*ret_tls = tls;
	return 0;
}

struct tls *tls_free(struct tls *tls)
{
	if (!tls)
		return NULL;
	SSL_free(tls->ssl);
	SSL_CTX_free(tls->context);
	free(tls);
	return NULL;
}

uint32_t tls_events(const struct tls *tls)
{
	return tls->events;
}

/*
 * Translates the result of a call that did not succeed: 0 (end of stream), -EAGAIN or another
 * negative errno.
 */
static int outcome(struct tls *tls, int result, struct err *err)
{
	int saved = errno;
	long verified;

	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		tls->events = EPOLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		tls->events = EPOLLOUT;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return err_set(err, saved ? saved : ECONNRESET, "TLS: %s",
			strerror(saved ? saved : ECONNRESET));
	default:
		verified = SSL_get_verify_result(tls->ssl);
		return err_set(err, EPROTO, "TLS: %s%s%s", reason(),
			verified == X509_V_OK ? "" : ": ",
			verified == X509_V_OK ? "" : X509_verify_cert_error_string(verified));
	}
}

int tls_handshake(struct tls *tls, struct err *err)
{
	int r;

	ERR_clear_error();
	r = SSL_connect(tls->ssl);
	if (r != 1) {
		r = outcome(tls, r, err);
		return r ? r : err_set(err, ECONNRESET, "TLS: the server closed the connection");
	}
	tls->events = EPOLLIN;
	return 0;
}

ssize_t tls_read(struct tls *tls, void *ret_data, size_t size, struct err *err)
{
	int n;

	ERR_clear_error();
	tls->events = EPOLLIN;
	n = SSL_read(tls->ssl, ret_data, (int)MIN(size, (size_t)INT_MAX));
	return n > 0 ? n : outcome(tls, n, err);
}

ssize_t tls_write(struct tls *tls, const void *data, size_t size, struct err *err)
{
	int n, r;

	ERR_clear_error();
	n = SSL_write(tls->ssl, data, (int)MIN(size, (size_t)INT_MAX));
	if (n > 0)
		return n;
	r = outcome(tls, n, err);
	return r ? r : err_set(err, ECONNRESET, "TLS: the server closed the connection");
}
