/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "config/check.h"

#define ONLINE_PATH "/sys/devices/system/cpu/online"

static int read_online(struct cpu_set *ret_online, struct err *err)
{
	char text[1024] = "";
	FILE *file = fopen(ONLINE_PATH, "re");

	if (!file)
		return err_set(err, errno, ONLINE_PATH ": cannot be opened: %s", strerror(errno));
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	text[strcspn(text, "\n")] = '\0';
	if (cpu_set_parse(text, ret_online, err) < 0)
		return err_prefix(err, -EIO, ONLINE_PATH);
	return 0;
}

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

	r = read_online(&machine.online, err);
	if (r < 0)
		return r;
	if (sched_getaffinity(0, sizeof(before), &before) < 0)
		return err_set(err, errno, "the CPU affinity cannot be read: %s", strerror(errno));
	for (int cpu = cpu_set_next(&machine.online, 0); cpu >= 0;
		cpu = cpu_set_next(&machine.online, (unsigned)cpu + 1))
		if (CPU_ISSET((unsigned)cpu, &before) || may_run_on((unsigned)cpu))
			cpu_set_add(&machine.usable, (unsigned)cpu);
	if (sched_setaffinity(0, sizeof(before), &before) < 0)
		return err_set(err, errno, "the CPU affinity cannot be set: %s", strerror(errno));
	*ret_machine = machine;
	return 0;
}
