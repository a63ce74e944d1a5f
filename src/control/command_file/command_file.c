/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/command_file/command_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file_id.h"
#include "base/log.h"
#include "base/owned_file.h"
#include "control/command_file/commands.h"
#include "control/turn.h"
#include "host/netdev.h"
#include "host/sysfs.h"

#define FILE_SIZE_MAX 4096

/* A port added by the file, remembered so that it can be deleted once its interface is gone. */
struct added_port {
	char netdev[IFNAMSIZ]; /* "" for none */
	struct device_id device;
};

struct command_file {
	const char *path;
	const char *name; /* the last part of the path */
	const char *sysfs;
	int directory_fd;
	op_apply *apply;
	void *userdata;
	sd_event_source *watch;
	sd_event_source *turn;    /* one-shot: looks for the file, or continues with its commands */
	struct command *commands; /* of the file taken last; NULL if there was none */
	unsigned n_commands, n_done;
	struct log_limit warnings;
	struct added_port added[RELAYS_MAX];
};

/*
 * Unlinks the name if it still refers to the file that was read. A file that replaced it is taken
 * next.
 */
static int unlink_same(const struct command_file *file, const struct stat *status)
{
	struct stat now;

	if (fstatat(file->directory_fd, file->name, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!file_id_equal(file_id_of(status), file_id_of(&now)))
		return 0;
	return unlinkat(file->directory_fd, file->name, 0) == 0 || errno == ENOENT ? 0 : -errno;
}

/*
 * Reads the file and unlinks it. Returns its length; 0 if there is no file, or an empty one, which
 * its writer may still fill; or a negative errno, with the file left alone.
 */
static ssize_t take_file(
	const struct command_file *file, char ret_text[static FILE_SIZE_MAX + 1], struct err *err)
{
	struct stat status;
	ssize_t n;
	int r;

	n = owned_file_read(file->directory_fd, file->name, ret_text, FILE_SIZE_MAX, &status, err);
	if (n <= 0)
		return n == -ENOENT ? 0 : n;
	r = unlink_same(file, &status);
	return r < 0 ? err_set(err, -r, "cannot unlink it: %s", strerror(-r)) : n;
}

/* Finds the relay and the device that a command refers to. */
static int find_port(const struct command_file *file, const struct command *command,
	int *ret_relay_id, struct device_id *ret_device, struct err *err)
{
	struct host_vf vf;
	int r;

	for (int i = 0; i < RELAYS_MAX && !command->add; i++)
		if (!strcmp(file->added[i].netdev, command->netdev)) {
			*ret_relay_id = i;
			*ret_device = file->added[i].device;
			return 0;
		}
	r = host_vf_from_netdev(file->sysfs, command->netdev, &vf, err);
	if (r < 0)
		return r;
	if (vf.number >= RELAYS_MAX)
		return err_set(err, EINVAL, "interface %s is VF %d, and relays end at %d",
			command->netdev, vf.number, RELAYS_MAX - 1);
	*ret_relay_id = vf.number;
	device_id_from_pci(&vf.addr, ret_device);
	return 0;
}

/* From now on another port has the name: interfaces can be renamed. */
static void forget_name(struct command_file *file, const char *netdev)
{
	for (unsigned i = 0; i < RELAYS_MAX; i++)
		if (!strcmp(file->added[i].netdev, netdev))
			file->added[i].netdev[0] = '\0';
}

static void execute(struct command_file *file, const struct command *command)
{
	struct op op = {
		.kind = command->add ? OP_ADD : OP_REMOVE,
		.conditional = command->add,
	};
	const char *verb = command->add ? "add_port" : "del_port";
	struct op_result result = {0};
	struct added_port *added;

	op.device.n_members = 1;
	result.code = -find_port(file, command, &op.relay_id, &op.device.members[0], &result.err);
	if (result.code == 0)
		file->apply(file->userdata, &op, &result);
	if (result.code != 0) {
		log_error("%s: %s %s: %s", file->path, verb, command->netdev, result.err.text);
		return;
	}
	log_notice("%s: %s %s: done, relay %d, device %s", file->path, verb, command->netdev,
		op.relay_id, op.device.members[0].text);
	if (command->add)
		forget_name(file, command->netdev);
	added = &file->added[op.relay_id];
	*added = (struct added_port){.device = op.device.members[0]};
	if (command->add)
		strcpy(added->netdev, command->netdev);
}

/*
 * Takes the file, if there is one. A text that cannot be parsed is taken too, but none of its
 * commands is executed.
 */
static void look(struct command_file *file)
{
	char text[FILE_SIZE_MAX + 1];
	struct err err = {""};
	ssize_t length;

	free(file->commands);
	file->commands = NULL;
	file->n_commands = file->n_done = 0;
	length = take_file(file, text, &err);
	if (length < 0) {
		if (log_limit_pass(&file->warnings, LOG_WARNING))
			log_warning("%s is left alone: %s", file->path, err.text);
		return;
	}
	if (commands_parse(text, (size_t)length, &file->commands, &file->n_commands, &err) < 0)
		log_error("%s: nothing is done: %s", file->path, err.text);
}

/* Also runs after the last command: another file may have come meanwhile. */
static int on_turn(sd_event_source *source, void *userdata)
{
	const uint64_t began_ns = clock_monotonic_ns();
	struct command_file *file = userdata;

	if (file->n_done == file->n_commands)
		look(file);
	if (file->n_commands == 0)
		return 0;
	while (file->n_done < file->n_commands && !turn_is_over(began_ns))
		execute(file, &file->commands[file->n_done++]);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/*
 * A file that has just been created is taken once it has been written. Symbolic links, directories,
 * FIFOs, and hard links whose other name is still there, are not written.
 */
static bool is_to_be_written(const struct command_file *file)
{
	struct stat status;

	return fstatat(file->directory_fd, file->name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
	       (S_ISREG(status.st_mode) && status.st_nlink == 1);
}

static int on_directory(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
	struct command_file *file = userdata;

	if (event->mask & IN_IGNORED)
		log_error("%s: its directory is gone; no more commands are taken", file->path);
	else if ((event->mask & IN_Q_OVERFLOW) ||
		 (event->len > 0 && !strcmp(event->name, file->name) &&
			 !((event->mask & IN_CREATE) && is_to_be_written(file))))
		return sd_event_source_set_enabled(file->turn, SD_EVENT_ONESHOT);
	return 0;
}

static int open_directory(struct command_file *file, struct err *err)
{
	const char *path = file->path;
	char copy[PATH_MAX];

	if (path[0] != '/' || strlen(path) >= sizeof(copy) || strrchr(path, '/')[1] == '\0')
		return err_set(
			err, EINVAL, "command file \"%s\": not the absolute path of a file", path);
	file->name = strrchr(path, '/') + 1;
	strcpy(copy, path);
	file->directory_fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file->directory_fd < 0)
		return err_set(err, errno, "command file %s: cannot open the directory: %s", path,
			strerror(errno));
	return 0;
}

/* The limit of the user, for all programs together, that the error can mean. */
static const char *inotify_limit(int error)
{
	switch (error) {
	case EMFILE:
		return ", or too many inotify instances (sysctl fs.inotify.max_user_instances)";
	case ENOSPC:
		return " (sysctl fs.inotify.max_user_watches)";
	default:
		return "";
	}
}

int command_file_new(struct command_file **ret_file, sd_event *event,
	const struct command_file_options *options, op_apply *apply, void *userdata,
	struct err *err)
{
	struct command_file *file = calloc(1, sizeof(*file));
	int r;

	if (!file)
		return err_set(err, ENOMEM, "out of memory");
	file->apply = apply;
	file->userdata = userdata;
	file->warnings = (struct log_limit)LOG_LIMIT(5);
	file->path = options->path;
	file->sysfs = options->sysfs ? options->sysfs : SYSFS_ROOT;
	file->directory_fd = -1;
	r = open_directory(file, err);
	if (r < 0)
		goto failed;
	r = sd_event_add_inotify_fd(event, &file->watch, file->directory_fd,
		IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO, on_directory, file);
	if (r >= 0)
		r = sd_event_add_defer(event, &file->turn, on_turn, file);
	if (r < 0) {
		err_set(err, -r, "command file %s: cannot be watched: %s%s", file->path,
			strerror(-r), inotify_limit(-r));
		goto failed;
	}
	*ret_file = file;
	return 0;
failed:
	command_file_free(file);
	return r;
}

struct command_file *command_file_free(struct command_file *file)
{
	if (!file)
		return NULL;
	sd_event_source_disable_unref(file->watch);
	sd_event_source_disable_unref(file->turn);
	if (file->directory_fd >= 0)
		close(file->directory_fd);
	free(file->commands);
	free(file);
	return NULL;
}
