/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "config/check.h"

#define PRESENT_PATH "/sys/devices/system/cpu/present"
#define ONLINE_PATH "/sys/devices/system/cpu/online"

static bool may_run_on(unsigned cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof(one), &one) == 0;
}

int machine_probe(struct machine *ret_machine, struct err *err)
{
	struct machine machine = {};
	cpu_set_t before;
	int r;

	r = cpu_set_read(PRESENT_PATH, &machine.present, err);
	if (r == 0)
		r = cpu_set_read(ONLINE_PATH, &machine.online, err);
	if (r < 0)
		return r;
	if (sched_getaffinity(0, sizeof(before), &before) < 0)
		return err_set(err, errno, "the CPU affinity cannot be read: %s", strerror(errno));
	CPU_SET_FOR_EACH (cpu, &machine.online)
		if (CPU_ISSET((unsigned)cpu, &before) || may_run_on((unsigned)cpu))
			cpu_set_add(&machine.usable, (unsigned)cpu);
	if (sched_setaffinity(0, sizeof(before), &before) < 0)
		return err_set(err, errno, "the CPU affinity cannot be set: %s", strerror(errno));
	*ret_machine = machine;
	return 0;
}
