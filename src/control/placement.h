/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Which worker runs a lane: the one that the configuration pins it to, else the one with the least
 * to do. Control thread.
 */

#include "config/config.h"
#include "core/workers.h"

/* The worker for this direction of the relay. There is always one. */
unsigned placement_choose(
	const struct workers *workers, const struct config_pin *pin, enum direction direction);

/* The worker on that CPU, or -1. */
int placement_worker_on(const struct workers *workers, int cpu);
