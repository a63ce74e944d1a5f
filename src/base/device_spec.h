/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/device_id.h"
#include "base/limits.h"

/* What a relay is attached to: one device, or a bond of up to eight. */
struct device_spec {
	unsigned n_members; /* 0: none named */
	struct device_id members[BOND_MEMBERS_MAX];
	char bond_name[DEVICE_NAME_SIZE]; /* "" if it is no bond, else "net_bonding..." */
	unsigned bond_mode;               /* 0..6, as DPDK numbers them */
	uint8_t bond_mac[6];              /* all zeros: that of the first member */
};

static inline bool device_spec_is_bond(const struct device_spec *device)
{
	return device->bond_name[0] != '\0';
}

/* The bond's name, or the device as text; "" if none is named. */
static inline const char *device_spec_name(const struct device_spec *device)
{
	return device_spec_is_bond(device) ? device->bond_name : device->members[0].text;
}
