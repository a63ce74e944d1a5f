/* SPDX-License-Identifier: BSD-3-Clause */
#include "config/check.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/endpoints.h"
#include "base/loopback.h"
#include "base/number.h"
#include "base/ovsdb_endpoint.h"

/* Fails with -code because of the value of option `id`. */
_printf_(5, 6) static int complain(int code, const struct effective *effective, enum option_id id,
	struct err *err, const char *fmt, ...)
{
	const struct config_option *option = &config_options[id];
	char text[ERR_TEXT_SIZE];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	err_set(err, code, "%s", text);
	if (effective->of[id]->n > 0)
		return err_prefix(err, -code, "%s", effective->of[id]->values[0].origin);
	return err_prefix(
		err, -code, "--%s (default %s)", option->long_name, option_default_name(option));
}

/* The value is wrong. */
#define refuse(...) complain(EINVAL, __VA_ARGS__)
/* The machine lacks at present what the value names; a later start may find it. */
#define miss(...) complain(ENODEV, __VA_ARGS__)

_printf_(3, 4) static int add_notice(struct config *config, struct err *err, const char *fmt, ...)
{
	char **notices, *notice;
	va_list args;
	int length;

	va_start(args, fmt);
	length = vasprintf(&notice, fmt, args);
	va_end(args);
	if (length < 0)
		return err_set(err, ENOMEM, "out of memory");
	notices = realloc(config->notices, (config->n_notices + 1) * sizeof(*notices));
	if (!notices) {
		free(notice);
		return err_set(err, ENOMEM, "out of memory");
	}
	config->notices = notices;
	notices[config->n_notices++] = notice;
	return 0;
}

/*
 * Switches off a boolean or an endpoint that was configured, and adds a notice. `reason` may be
 * NULL: the operator need not know.
 */
static int switch_off(struct config *config, struct effective *effective, enum option_id id,
	const char *reason, struct err *err)
{
	static const struct setting nothing;
	const struct config_option *option = &config_options[id];
	int r = 0;

	if (reason)
		r = add_notice(config, err, "%s: %s; it stays off",
			effective->of[id]->values[0].origin, reason);
	effective->of[id] = &nothing;
	if (r < 0 || id == OPT_OVSDB_SOCK)
		return r;
	return option->parse(option, "false", config, err);
}

/* As in a shell, the last setting counts; the author of the other one may not know. */
static int tell_settings_twice(
	struct config *config, const struct effective *effective, struct err *err)
{
	int r = 0;

	for (unsigned id = 0; r == 0 && id < OPT_N; id++)
		if (effective->of[id]->line_before > 0)
			r = add_notice(config, err,
				"%s is set in line %u and again in line %u of the configuration "
				"file; the latter is in force",
				config_options[id].variable, effective->of[id]->line_before,
				effective->of[id]->line);
	return r;
}

static int tell_unknown(struct config *config, const struct effective *effective, struct err *err)
{
	if (!effective->unknown)
		return 0;
	return add_notice(config, err,
		"unknown variables of the configuration file, which change nothing as they are "
		"blank: %s",
		effective->unknown);
}

static int resolve_port_control(struct config *config, struct effective *effective, struct err *err)
{
	const char *winner = NULL;
	int r = 0;

	if (config->zmq_port_control_ep)
		winner = "port control over ZeroMQ takes precedence";
	if (winner && config->ipc_port_control)
		r = switch_off(config, effective, OPT_IPC, winner, err);
	if (config->ipc_port_control)
		winner = "port control by command file takes precedence";
	if (r == 0 && winner && effective->of[OPT_OVSDB_SOCK]->n > 0)
		r = switch_off(config, effective, OPT_OVSDB_SOCK, winner, err);
	config->ovsdb = winner == NULL;
	if (r == 0 && config->ovsdb && config->keep_ports)
		r = switch_off(config, effective, OPT_KEEP_PORTS,
			"rows of OVSDB come back by themselves", err);
	return r;
}

static int resolve_core_sched(struct config *config, struct effective *effective, struct err *err)
{
	if (config->core_sched_enable || !config->zmq_core_sched_ep)
		return 0;

	/* In the file the endpoint is usually on, whatever the switch says. */
	bool in_file = effective->of[OPT_ZMQ_CORE_SCHED]->line > 0;
	return switch_off(config, effective, OPT_ZMQ_CORE_SCHED,
		in_file ? NULL : "VIO4WD_CORE_SCHED_ENABLE is not true", err);
}

static int resolve_memory(struct config *config, struct effective *effective, struct err *err)
{
	if (!config->same_numa || !config->no_huge)
		return 0;
	return switch_off(config, effective, OPT_SAME_NUMA,
		"without huge pages (--no-huge) the kernel chooses the nodes", err);
}

/*
 * After no account of that name was found: takes the name for a number. -ENOENT if it is none, or
 * the reason why the lookup failed.
 */
static int take_as_number(const char *name, unsigned *ret_id)
{
	if (errno != 0 && errno != ENOENT && errno != ESRCH)
		return -errno;
	return number_parse(name, UINT_MAX - 1, ret_id) < 0 ? -ENOENT : 0;
}

static int find_user(const char *name, unsigned *ret_id)
{
	errno = 0;
	const struct passwd *user = getpwnam(name);
	if (user == NULL)
		return take_as_number(name, ret_id);
	*ret_id = user->pw_uid;
	return 0;
}

static int find_group(const char *name, unsigned *ret_id)
{
	errno = 0;
	const struct group *group = getgrnam(name);
	if (group == NULL)
		return take_as_number(name, ret_id);
	*ret_id = group->gr_gid;
	return 0;
}

/* Looks up an account. Only one with the default name may be missing. */
static int resolve_account(struct config *config, const struct effective *effective,
	enum option_id id, const char *name, unsigned *ret_id, struct err *err)
{
	bool is_group = id == OPT_SOCKET_GROUP;
	const char *kind = is_group ? "group" : "user";

	int r = is_group ? find_group(name, ret_id) : find_user(name, ret_id);
	if (r == 0)
		return 0;
	if (r != -ENOENT)
		return miss(effective, id, err, "the %s '%s' cannot be looked up: %s", kind, name,
			strerror(-r));
	if (strcmp(name, config_options[id].default_text) != 0)
		return miss(effective, id, err, "there is no %s '%s' on this machine", kind, name);
	*ret_id = (unsigned)-1;
	return add_notice(config, err,
		"%s: there is no %s '%s' on this machine, and the sockets' %s is left alone; name "
		"that of QEMU (on RHEL qemu)",
		config_options[id].variable, kind, name, is_group ? "group" : "owner");
}

/*
 * What is of no use with dynamic sockets, and what they lack. It is no error: a file with such
 * settings may have started the original.
 */
static int resolve_dynamic_sockets(
	struct config *config, const struct effective *effective, struct err *err)
{
	int r = 0;

	if (!config->dynamic_sockets)
		return 0;
	if (config->n_vfs > 0)
		r = add_notice(config, err,
			"%s: nothing is attached at start, since the daemon runs with dynamic "
			"sockets (VIRTIOFWD_DYNAMIC_SOCKETS, --dynamic-sockets)",
			effective->of[OPT_STATIC_VFS]->values[0].origin);
	config->n_vfs = 0;
	if (r == 0 && !config->zmq_port_control_ep)
		r = add_notice(config, err,
			"%s: no VM will have a socket, since only port control over ZeroMQ "
			"(VIRTIOFWD_ZMQ_PORT_CONTROL_EP, --zmq-port-control-ep) can ask for one, "
			"and it is off",
			effective->of[OPT_DYNAMIC_SOCKETS]->values[0].origin);
	return r;
}

int check_resolve(struct config *config, struct effective *effective, struct err *err)
{
	int r;

	r = tell_settings_twice(config, effective, err);
	if (r == 0)
		r = tell_unknown(config, effective, err);
	if (r == 0)
		r = resolve_port_control(config, effective, err);
	if (r == 0)
		r = resolve_core_sched(config, effective, err);
	if (r == 0)
		r = resolve_dynamic_sockets(config, effective, err);
	if (r == 0)
		r = resolve_memory(config, effective, err);
	if (r == 0)
		r = resolve_account(config, effective, OPT_SOCKET_OWNER, config->socket_owner,
			&config->socket_uid, err);
	if (r == 0)
		r = resolve_account(config, effective, OPT_SOCKET_GROUP, config->socket_group,
			&config->socket_gid, err);
	return r;
}

static int check_cpu(const struct effective *effective, enum option_id id,
	const struct machine *machine, unsigned cpu, struct err *err)
{
	char text[128];

	if (!cpu_set_has(&machine->present, cpu)) {
		cpu_set_format(&machine->present, text, sizeof(text));
		return refuse(
			effective, id, err, "there is no CPU %u; CPUs %s are there", cpu, text);
	}
	if (!cpu_set_has(&machine->online, cpu)) {
		cpu_set_format(&machine->online, text, sizeof(text));
		return miss(effective, id, err, "CPU %u is not online; CPUs %s are", cpu, text);
	}
	if (!cpu_set_has(&machine->usable, cpu)) {
		cpu_set_format(&machine->usable, text, sizeof(text));
		return miss(effective, id, err,
			"this process may not run on CPU %u (cgroup cpuset), only on %s", cpu,
			text);
	}
	return 0;
}

static int check_cpus(const struct config *config, const struct effective *effective,
	const struct machine *machine, struct err *err)
{
	const struct cpu_set *workers = &config->worker_cpus;
	int r;

	if (cpu_set_count(workers) > WORKERS_MAX)
		return refuse(effective, OPT_CPUS, err, "%u CPUs; no more than %d can be used",
			cpu_set_count(workers), WORKERS_MAX);
	CPU_SET_FOR_EACH (cpu, workers) {
		r = check_cpu(effective, OPT_CPUS, machine, (unsigned)cpu, err);
		if (r < 0)
			return r;
	}
	r = check_cpu(effective, OPT_MASTER_LCORE, machine, config->master_cpu, err);
	if (r < 0)
		return r;
	if (cpu_set_has(workers, config->master_cpu) && !config->share_master_cpu)
		return refuse(effective, OPT_CPUS, err,
			"CPU %u is that of the control thread (VIRTIOFWD_MASTER_LCORE, "
			"--master-lcore) and cannot be a worker's, too, unless "
			"--share-master-cpu (VIRTIOFWD_SHARE_MASTER_CPU) allows it",
			config->master_cpu);
	return 0;
}

static int check_pins(
	const struct config *config, const struct effective *effective, struct err *err)
{
	char workers[128];

	cpu_set_format(&config->worker_cpus, workers, sizeof(workers));
	for (unsigned id = 0; id < RELAYS_MAX; id++) {
		const struct config_pin *pin = &config->pins[id];
		const int cpus[] = {pin->vf_to_vm_cpu, pin->vm_to_vf_cpu};

		for (unsigned i = 0; pin->set && i < ARRAY_SIZE(cpus); i++)
			if (!cpu_set_has(&config->worker_cpus, (unsigned)cpus[i]))
				return refuse(effective, OPT_CPU_PINS, err,
					"relay %u: CPU %d is no worker CPU; those are %s", id,
					cpus[i], workers);
	}
	return 0;
}

static int check_sockets(
	const struct config *config, const struct effective *effective, struct err *err)
{
	/* "%u" becomes up to two digits, and a '/' joins directory and name. */
	size_t length = strlen(config->socket_dir) + 1 + strlen(config->socket_pattern);

	if (length >= SOCKET_PATH_SIZE)
		return refuse(effective,
			effective->of[OPT_SOCKET_DIR]->n > 0 ? OPT_SOCKET_DIR : OPT_SOCKET_PATTERN,
			err,
			"directory and name of a socket have %zu characters together; a socket's "
			"path may have %d",
			length, SOCKET_PATH_SIZE - 1);
	return 0;
}

static bool is_tcp(const char *endpoint)
{
	unsigned port;

	/* libzmq would take the port modulo 65536. */
	return strncmp(endpoint, "tcp://", 6) == 0 &&
	       number_parse(strrchr(endpoint, ':') + 1, UINT16_MAX, &port) == 0 && port > 0;
}

static int check_endpoints(
	const struct config *config, const struct effective *effective, struct err *err)
{
	const struct {
		enum option_id id;
		const char *endpoint;
	} all[] = {{OPT_ZMQ_PORT_CONTROL, config->zmq_port_control_ep},
		{OPT_ZMQ_STATS, config->zmq_stats_ep}, {OPT_ZMQ_CONFIG, config->zmq_config_ep},
		{OPT_ZMQ_CORE_SCHED, config->zmq_core_sched_ep}};

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		const char *endpoint = all[i].endpoint;

		if (!endpoint)
			continue;
		if (!config->allow_tcp_endpoints && !endpoint_ipc_path(endpoint))
			return refuse(effective, all[i].id, err,
				"'%s' would let anyone on the network control the daemon, without "
				"a password; use ipc://, or --allow-tcp-endpoints where you want "
				"that",
				endpoint);
		if (!endpoint_ipc_path(endpoint) && !is_tcp(endpoint))
			return refuse(effective, all[i].id, err,
				"'%s' is neither ipc:///FILE nor tcp://ADDRESS:PORT, with a port "
				"of 1 to 65535",
				endpoint);
		for (unsigned j = 0; j < i; j++)
			if (all[j].endpoint && strcmp(endpoint, all[j].endpoint) == 0)
				return refuse(effective, all[i].id, err,
					"'%s' is the endpoint of %s, too; name another one",
					endpoint, config_options[all[j].id].variable);
	}
	return 0;
}

static int check_metrics(
	const struct config *config, const struct effective *effective, struct err *err)
{
	struct sockaddr_storage addr;
	socklen_t length;
	struct err reason;

	if (!config->metrics_ep || endpoint_ipc_path(config->metrics_ep) ||
		loopback_parse(config->metrics_ep, &addr, &length, &reason) == 0)
		return 0;
	return refuse(effective, OPT_METRICS, err, "%s", reason.text);
}

static int check_capture(
	const struct config *config, const struct effective *effective, struct err *err)
{
	if (!config->capture_ep || endpoint_ipc_path(config->capture_ep))
		return 0;
	return refuse(effective, OPT_CAPTURE, err,
		"'%s' is no UNIX socket, and packets go to no other place; write "
		"ipc:///directory/file",
		config->capture_ep);
}

static int check_ovsdb(
	const struct config *config, const struct effective *effective, struct err *err)
{
	struct ovsdb_endpoint endpoint;
	struct err reason;

	if (!config->ovsdb)
		return 0;
	if (ovsdb_endpoint_parse(config->ovsdb_sock, &endpoint, &reason) < 0)
		return refuse(effective, OPT_OVSDB_SOCK, err, "%s", reason.text);
	if (endpoint.tls && !config->ovsdb_ca_cert)
		return refuse(effective, OPT_OVSDB_SOCK, err,
			"ssl: needs the certificate that signs the database's "
			"(VIRTIOFWD_OVSDB_CA_CERT, --ovsdb-ca-cert)");
	if (endpoint.tls && !config->ovsdb_private_key != !config->ovsdb_certificate)
		return refuse(effective, OPT_OVSDB_SOCK, err,
			"ssl: takes our private key (VIRTIOFWD_OVSDB_PRIVATE_KEY, "
			"--ovsdb-private-key) and our certificate (VIRTIOFWD_OVSDB_CERTIFICATE, "
			"--ovsdb-certificate) together, or neither");
	return 0;
}

int check_pid_dir(const struct config *config, const struct effective *effective, struct err *err)
{
	struct stat st;

	if (stat(config->pid_dir, &st) < 0)
		return miss(effective, OPT_PID_DIR, err, "directory '%s': %s", config->pid_dir,
			strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return refuse(effective, OPT_PID_DIR, err,
			"'%s' is no directory; name the one that shall hold virtio-forwarder.pid",
			config->pid_dir);
	return 0;
}

int check_config(const struct config *config, const struct effective *effective,
	const struct machine *machine, struct err *err)
{
	int r;

	r = check_cpus(config, effective, machine, err);
	if (r == 0)
		r = check_pins(config, effective, err);
	if (r == 0)
		r = check_sockets(config, effective, err);
	if (r == 0)
		r = check_endpoints(config, effective, err);
	if (r == 0)
		r = check_metrics(config, effective, err);
	if (r == 0)
		r = check_capture(config, effective, err);
	if (r == 0)
		r = check_ovsdb(config, effective, err);
	return r;
}

int check_sched(
	const struct config_sched *config, const struct effective *effective, struct err *err)
{
	if (!config->stats_ep)
		return refuse(effective, OPT_SCHED_STATS_EP, err,
			"the stats endpoint is off, and without it there is nothing to go by");
	if (!config->sched_ep)
		return refuse(effective, OPT_SCHED_SCHED_EP, err,
			"the core scheduler endpoint is off, and without it nothing can be moved");
	return 0;
}
