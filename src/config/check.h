/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What the values of several options, and the machine, say to each other. */

#include "config/config.h"
#include "config/setting.h"

/* The CPUs of this machine. */
struct machine {
	struct cpu_set present;
	struct cpu_set online; /* those of them that run */
	struct cpu_set usable; /* those of them where this process may run */
};

/* The settings in force: for each option that of the command line, else that of the file. */
struct sources {
	const struct setting *of[OPT_N];
	bool from_file[OPT_N];
};

/*
 * Finds the CPUs. A CPU outside the affinity mask counts as usable where the mask may be set to it:
 * isolated CPUs (isolcpus, systemd's CPUAffinity=) are what workers are for. The calling thread is
 * moved for a moment. Returns 0 or a negative errno.
 */
int machine_probe(struct machine *ret_machine, struct err *err);

/*
 * Settles which way of port control is in force, and takes back what another setting rules out and
 * accounts that are only the default and do not exist; adds notices, of variables set twice too.
 * -ENODEV: another account does not exist, or whether one does cannot be told now.
 */
int check_resolve(struct config *config, struct sources *sources, struct err *err);

/*
 * Refuses contradictions and what this machine cannot have (-EINVAL), and what it does not have now
 * (-ENODEV).
 */
int check_config(const struct config *config, const struct sources *sources,
	const struct machine *machine, struct err *err);

int check_sched(const struct config_sched *config, const struct sources *sources, struct err *err);
