/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/placement.h"

int placement_worker_on(const struct workers *workers, int cpu)
{
	for (unsigned i = 0; i < workers_count(workers); i++)
		if ((int)workers_cpu(workers, i) == cpu)
			return i;
	return -1;
}

unsigned placement_choose(
	const struct workers *workers, const struct config_pin *pin, enum direction direction)
{
	if (pin->set) {
		int cpu = direction == VF_TO_VM ? pin->vf_to_vm_cpu : pin->vm_to_vf_cpu;
		int worker = placement_worker_on(workers, cpu);
		if (worker >= 0)
			return worker;
	}

	unsigned best = 0;
	for (unsigned i = 1; i < workers_count(workers); i++)
		if (workers_load(workers, i) < workers_load(workers, best))
			best = i;
	return best;
}
