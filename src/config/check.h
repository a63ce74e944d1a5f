/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Checks across options, and against the machine. */

#include "config/config.h"
#include "config/setting.h"

/* The CPUs of this machine. */
struct machine {
	struct cpu_set present;
	struct cpu_set online; /* those present that are online */
	struct cpu_set usable; /* those online on which this process may run */
};

/* The settings in force: for each option that of the command line, or else that of the file. */
struct effective {
	const struct setting *of[OPT_N];
	const char *unknown; /* as in struct settings */
};

/*
 * Finds the CPUs. A CPU outside the affinity mask counts as usable if the mask can be set to it:
 * workers are meant to run on isolated CPUs (isolcpus, systemd's CPUAffinity=). The calling thread
 * is moved for a moment. Returns 0 or a negative errno.
 */
int machine_probe(struct machine *ret_machine, struct err *err);

/*
 * Settles which way of port control is in force, switches off what another setting rules out, and
 * looks up the sockets' accounts; a default account that does not exist counts as not set. Adds
 * notices about this, and about variables that are unknown or set twice. -ENODEV: another account
 * does not exist, or an account cannot be looked up at present.
 */
int check_resolve(struct config *config, struct effective *effective, struct err *err);

/*
 * -EINVAL: settings contradict each other, or this machine can never satisfy them. -ENODEV: it
 * cannot satisfy them now.
 */
int check_config(const struct config *config, const struct effective *effective,
	const struct machine *machine, struct err *err);

/* -ENODEV: the pid directory is not there; -EINVAL: it is something else. */
int check_pid_dir(const struct config *config, const struct effective *effective, struct err *err);

int check_sched(
	const struct config_sched *config, const struct effective *effective, struct err *err);
