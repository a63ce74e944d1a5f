/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "base/log.h"
#include "core/vf/vf.h"

/* Writes a line about a relay's device, with both as fields. Control thread. */
#define log_of_vf(severity, vf, fmt, ...)                                                \
	log_event_at(severity,                                                           \
		&(struct log_event){.relay = (int)(vf)->relay_id, .device = (vf)->name}, \
		"relay %u: " fmt, (vf)->relay_id, __VA_ARGS__)
