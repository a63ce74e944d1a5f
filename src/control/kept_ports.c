/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/kept_ports.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/owned_file.h"
#include "wire/kept_ports_codec.h"

#define LIST_NAME "virtio-forwarder.ports"

struct paths {
	char list[PATH_MAX];
	char new[PATH_MAX]; /* the list while it is being written */
	char old[PATH_MAX]; /* a list that was put aside */
};

struct kept_ports {
	struct forwarder *forwarder;
	struct paths paths;
	struct op ops[RELAYS_MAX]; /* scratch */
	struct log_limit limit;
};

/* A directory whose name is too long has no pid file either. */
static void name_files(struct paths *paths, const char *dir)
{
	snprintf(paths->list, PATH_MAX, "%s/" LIST_NAME, dir);
	snprintf(paths->new, PATH_MAX, "%s/" LIST_NAME ".new", dir);
	snprintf(paths->old, PATH_MAX, "%s/" LIST_NAME ".old", dir);
}

static int write_new(const char *path, const struct wire_message *list)
{
	unlink(path); /* left by a run that ended in the middle */
	_cleanup_close_ int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, list->data, list->length);
	return n < 0 ? -errno : (size_t)n < list->length ? -ENOSPC : 0;
}

static int replace_list(const struct paths *paths, const struct op *ops, unsigned n)
{
	struct wire_message list;

	int r = kept_ports_encode(ops, n, &list);
	if (r < 0)
		return r;
	r = write_new(paths->new, &list);
	free(list.data);
	if (r == 0 && rename(paths->new, paths->list) < 0)
		r = -errno;
	if (r < 0)
		unlink(paths->new);
	return r;
}

/* Without relays there is no list. */
static void save(struct kept_ports *kept)
{
	const char *list = kept->paths.list;
	const unsigned n = forwarder_additions(kept->forwarder, kept->ops);

	int r = n > 0 ? replace_list(&kept->paths, kept->ops, n) : 0;
	if (n > 0 && r == 0)
		return;
	const bool is_stale = unlink(list) < 0 && errno != ENOENT;
	if (is_stale && log_limit_pass(&kept->limit, LOG_ERR))
		log_error("%s can neither be written nor removed: %s; it is out of date: remove it "
			  "before a restart",
			list, strerror(errno));
	else if (!is_stale && r < 0 && log_limit_pass(&kept->limit, LOG_ERR))
		log_error("%s cannot be written: %s; until it can be, at the next request, no "
			  "relay that was added at run time comes back after a restart",
			list, strerror(-r));
}

/*
 * Returns the number of ops in the list; 0 without one, or one that must not be used.
 * *ret_n_refused more are not as a client may ask.
 */
static unsigned read_list(struct kept_ports *kept, unsigned *ret_n_refused)
{
	_cleanup_free_ char *data = malloc(KEPT_PORTS_BYTES_MAX + 1);
	struct err err = {"out of memory"};
	struct stat status;
	int r = -ENOMEM;

	*ret_n_refused = 0;
	if (data != NULL)
		r = (int)owned_file_read(
			AT_FDCWD, kept->paths.list, data, KEPT_PORTS_BYTES_MAX, &status, &err);
	if (r >= 0)
		r = kept_ports_decode(data, (size_t)r, kept->ops, ret_n_refused, &err);
	if (r >= 0 && *ret_n_refused > 0)
		log_error("%u relays of %s are refused, the last because %s", *ret_n_refused,
			kept->paths.list, err.text);
	if (r >= 0)
		return (unsigned)r;
	if (r != -ENOENT)
		log_error("%s is refused: %s; no relay is restored from it", kept->paths.list,
			err.text);
	return 0;
}

/* Returns whether the list is no longer there. */
static bool set_aside(const struct paths *paths)
{
	if (rename(paths->list, paths->old) == 0) {
		log_notice("%s is kept as %s", paths->list, paths->old);
		return true;
	}
	if (errno == ENOENT)
		return true;
	log_error("%s, which is out of date, cannot be renamed to %s: %s; remove it before a "
		  "restart",
		paths->list, paths->old, strerror(errno));
	return false;
}

static int restore(struct kept_ports *kept, struct err *err)
{
	unsigned n_refused;
	const unsigned n = read_list(kept, &n_refused);
	const int n_failed = forwarder_restore(kept->forwarder, kept->ops, n, err);

	if (n_failed < 0)
		return n_failed;
	if (n + n_refused > 0)
		log_notice("%u of %u relays that were added at run time are restored from %s",
			n - (unsigned)n_failed, n + n_refused, kept->paths.list);
	const bool is_whole = n > 0 && n_failed == 0 && n_refused == 0;
	if (is_whole || set_aside(&kept->paths))
		save(kept);
	return 0;
}

int kept_ports_new(struct kept_ports **ret_kept, const struct config *config,
	struct forwarder *forwarder, struct err *err)
{
	struct kept_ports *kept = calloc(1, sizeof(*kept));

	if (kept == NULL)
		return err_set(err, ENOMEM, "out of memory");
	kept->forwarder = forwarder;
	kept->limit = (struct log_limit)LOG_LIMIT(5);
	name_files(&kept->paths, config->pid_dir);
	int r = restore(kept, err);
	if (r < 0) {
		free(kept);
		return r;
	}
	*ret_kept = kept;
	return 0;
}

struct kept_ports *kept_ports_free(struct kept_ports *kept)
{
	free(kept);
	return NULL;
}

void kept_ports_apply(void *userdata, const struct op *op, struct op_result *ret_result)
{
	struct kept_ports *kept = userdata;

	forwarder_apply(kept->forwarder, op, ret_result);
	if (ret_result->code == 0 && op->kind != OP_QUERY_PCI)
		save(kept);
}

void kept_ports_set_aside(const struct config *config)
{
	struct paths paths;

	name_files(&paths, config->pid_dir);
	set_aside(&paths);
}
