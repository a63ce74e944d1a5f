/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/cpu_keeper.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/log.h"

static void note_in_place(struct cpu_keeper *keeper)
{
	if (keeper->is_away)
		log_notice("%s is back on CPU %u", keeper->who, keeper->cpu);
	keeper->is_away = false;
}

static void note_put_back(struct cpu_keeper *keeper)
{
	if (keeper->is_away) {
		note_in_place(keeper);
	} else if (keeper->quiet == 0) {
		log_warning(
			"%s was taken off CPU %u, by a change of the cpuset or of its affinity, "
			"and has been put back",
			keeper->who, keeper->cpu);
		keeper->quiet = CPU_KEEPER_QUIET;
	}
}

static void note_refused(struct cpu_keeper *keeper, int error)
{
	if (!keeper->is_away)
		log_error(
			"%s was taken off CPU %u and cannot be put back (%s): the CPU is offline, "
			"or not in the cpuset of the service",
			keeper->who, keeper->cpu, strerror(error));
	keeper->is_away = true;
}

void cpu_keeper_check(struct cpu_keeper *keeper, pid_t thread)
{
	cpu_set_t own, now;

	if (keeper->quiet > 0)
		keeper->quiet--;
	CPU_ZERO(&own);
	CPU_SET(keeper->cpu, &own);
	if (sched_getaffinity(thread, sizeof(now), &now) == 0 && CPU_EQUAL(&now, &own))
		note_in_place(keeper);
	else if (sched_setaffinity(thread, sizeof(own), &own) == 0)
		note_put_back(keeper);
	else
		note_refused(keeper, errno);
}
