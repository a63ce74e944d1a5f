/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The daemon: reads the configuration, starts everything in order, runs the control thread's event
 * loop until it is told to stop, and shuts everything down in reverse order.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/file_id.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/pid_file.h"
#include "base/standard_fds.h"
#include "config/config.h"
#include "control/daemonize.h"
#include "control/descriptor_reserve.h"
#include "control/forwarder.h"
#include "control/services.h"
#include "control/watchdog.h"
#include "core/dpdk/dpdk_log.h"
#include "core/dpdk/eal.h"
#include "host/bind.h"
#include "host/numa.h"
#include "host/sysfs.h"
#include "host/usable.h"

#define PROGRAM "virtio-forwarder"
/* Set in the environment of the program in VIRTIOFWD_BINARY, which may start this one again. */
#define BINARY_STARTED "VIRTIOFWD_BINARY_STARTED"

struct daemon {
	struct config *config;
	struct pid_file pid_file;
	struct daemonize daemonize;
	sd_event *event;
	struct forwarder *forwarder;
	struct services *services;
	struct watchdog *watchdog;
};

static bool is_this_program(const char *path)
{
	struct stat named, running;

	return stat(path, &named) == 0 && stat("/proc/self/exe", &running) == 0 &&
	       file_id_equal(file_id_of(&named), file_id_of(&running));
}

/*
 * If run as a service, executes the program named by VIRTIOFWD_BINARY in this process, so that it
 * becomes the service. Returns if there is none, if it is this program, or if it cannot be started.
 */
static void become_binary(const char *path, char **argv)
{
	if (path == NULL || getenv("NOTIFY_SOCKET") == NULL || getenv(BINARY_STARTED) != NULL ||
		is_this_program(path))
		return;
	log_notice("VIRTIOFWD_BINARY: goes on as %s", path);
	setenv(BINARY_STARTED, "1", 1);
	execv(path, argv);
	log_notice("VIRTIOFWD_BINARY: %s cannot be started: %s; " PROGRAM " itself goes on", path,
		strerror(errno));
}

/*
 * Blocks the signals that the event loop handles, in this thread and thus in every thread created
 * later. Ignores SIGPIPE, which a vanished reader of our log or socket would cause, and SIGIO: the
 * kernel sends it in place of the real-time signals by which net_tap is told of packets, if too
 * many of those are pending.
 */
static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);
}

/*
 * Allows as many descriptors as possible: 64 VMs with 32 queue pairs bring 8192 eventfds. The limit
 * that a login shell sets, 1024, protects programs that use select(); neither we nor our libraries
 * do.
 */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int on_stop_signal(
	sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	log_event_at(LOG_NOTICE, &(struct log_event){.name = "stopping", .relay = -1},
		"stopping on %s", strsignal(info->ssi_signo));
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

/* A daemon has no terminal to lose and does not reload its configuration. */
static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	log_notice("SIGHUP is ignored: the configuration is read at start only");
	return 0;
}

static void set_log_level(int level)
{
	log_set_level(level);
	dpdk_log_set_level(level);
}

static int on_debug(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	set_log_level(LOG_DEBUG);
	log_notice("SIGUSR1: the log level is %d until SIGUSR2 or a restart", LOG_DEBUG);
	return 0;
}

static int on_debug_end(
	sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	const struct config *config = userdata;

	log_notice("SIGUSR2: the log level is %d, as configured", config->log_level);
	set_log_level(config->log_level);
	return 0;
}

static int make_event_loop(sd_event **ret_event, struct config *config, struct err *err)
{
	sd_event *event = NULL;

	int r = sd_event_new(&event);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGTERM, on_stop_signal, NULL);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGINT, on_stop_signal, NULL);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGHUP, on_hangup, NULL);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGUSR1, on_debug, NULL);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGUSR2, on_debug_end, config);
	if (r < 0) {
		sd_event_unref(event);
		return err_set(err, -r, "event loop: %s", strerror(-r));
	}
	*ret_event = event;
	return 0;
}

static void report_binding(void *userdata, const char *name, int r, const struct err *err)
{
	if (r < 0)
		log_error("VIRTIOFWD_BIND_VFIO_PCI: %s", err->text);
	else if (r > 0)
		log_info("%s bound to " HOST_BIND_DRIVER, name);
}

/* Uses memory of the workers' nodes only, and reserves there what the configured devices need. */
static void confine_memory(const struct config *config, struct eal_options *options)
{
	char text[128];

	options->memory_nodes =
		host_numa_memory(SYSFS_ROOT, &config->worker_cpus, config->huge_dir);
	numa_set_format(options->memory_nodes, text, sizeof(text));
	log_info("packets are kept on NUMA node %s only (--same-numa)", text);
	for (unsigned i = 0; i < config->n_vfs; i++) {
		int node = host_numa_node_of_device(SYSFS_ROOT, &config->vfs[i].device);

		options->node_bytes[numa_set_choose(options->memory_nodes, node)] +=
			DEVICE_MEMORY_BYTES;
	}
}

static int start_dpdk(const struct config *config, struct err *err)
{
	struct eal_options options = {
		.master_cpu = config->master_cpu,
		.worker_cpus = config->worker_cpus,
		.huge_dir = config->no_huge ? "" : config->huge_dir,
		.vfio_vf_token = config->vfio_vf_token,
		.physical_addresses =
			host_needs_physical_addresses(SYSFS_ROOT) && host_sees_physical_addresses(),
		.log_level = config->log_level,
		.bytes = forwarder_memory_bytes(config),
	};

	if (config->same_numa)
		confine_memory(config, &options);
	return eal_start(&options, err);
}

static int start(struct daemon *daemon, struct err *err)
{
	const struct config *config = daemon->config;

	int r = descriptor_reserve_init();
	if (r < 0)
		return err_set(err, -r, "no descriptor to keep in reserve: %s", strerror(-r));
	r = pid_file_take(&daemon->pid_file, config->pid_dir, err);
	if (r == 0 && !config->foreground)
		r = daemonize_start(&daemon->daemonize, err);
	if (r == 0)
		r = pid_file_write(&daemon->pid_file, err);
	/* Only logs a device that cannot be bound: whatever needs it will fail later. */
	if (r == 0 && config->bind_vfio_pci != NULL)
		host_bind(SYSFS_ROOT, config->bind_vfio_pci, report_binding, NULL);
	if (r == 0)
		r = start_dpdk(config, err);
	if (r == 0)
		r = make_event_loop(&daemon->event, daemon->config, err);
	if (r == 0)
		r = forwarder_new(&daemon->forwarder, config, daemon->event, err);
	if (r == 0)
		r = services_new(&daemon->services, config, daemon->forwarder, daemon->event, err);
	if (r == 0)
		r = watchdog_new(&daemon->watchdog, daemon->forwarder, daemon->event, err);
	return r;
}

static void stop(struct daemon *daemon)
{
	watchdog_free(daemon->watchdog);
	services_free(daemon->services);
	forwarder_free(daemon->forwarder);
	sd_event_unref(daemon->event);
	pid_file_release(&daemon->pid_file);
	config_free(daemon->config);
}

/* How there can be more of what the start has run out of. */
static const char *remedy(int r)
{
	switch (r) {
	case -EMFILE:
		return "; raise the limit: ulimit -n, or LimitNOFILE= of the service";
	case -EAGAIN: /* of pthread_create() */
		return "; allow more threads: ulimit -u, TasksMax= of the service, or the pids "
		       "limit of the container";
	default:
		return "";
	}
}

static void become_ready(struct daemon *daemon)
{
	log_leave_stderr();
	log_event_at(LOG_NOTICE, &(struct log_event){.name = "ready", .relay = -1},
		"ready: version %s, %s", PROJECT_VERSION, eal_version());
	sd_notify(0, "READY=1");
	daemonize_ready(&daemon->daemonize);
}

int main(int argc, char **argv)
{
	struct daemon daemon = {.pid_file.fd = -1, .daemonize.ready_fd = -1};
	struct err err = {0};

	standard_fds_open();
	log_open(PROGRAM, LOG_INFO);
	int r = config_load(argc, argv, &daemon.config, &err);
	if (r == CONFIG_EXIT)
		return EXIT_SUCCESS;
	if (r < 0) {
		log_error("%s", err.text);
		return r == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
	}
	log_open(PROGRAM, daemon.config->log_level);
	if (!daemon.config->foreground || daemon.config->log_syslog)
		log_to_syslog();
	become_binary(daemon.config->binary, argv);
	for (unsigned i = 0; i < daemon.config->n_notices; i++)
		log_notice("%s", daemon.config->notices[i]);
	block_signals();
	raise_descriptor_limit();

	r = start(&daemon, &err);
	if (r == -ECANCELED) {
		log_notice("%s", err.text);
		stop(&daemon);
		return EXIT_SUCCESS;
	}
	if (r < 0) {
		log_error("%s%s", err.text, remedy(r));
		stop(&daemon);
		return EXIT_FAILURE;
	}
	become_ready(&daemon);
	r = sd_event_loop(daemon.event);
	if (r < 0)
		log_error("event loop: %s", strerror(-r));
	sd_notify(0, "STOPPING=1");
	stop(&daemon);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
