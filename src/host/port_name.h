/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdbool.h>

/* What the phys_port_name of a VF's representor says. */
struct port_name {
	int controller; /* -1 if it is not named; so is pf */
	int pf;
	int vf;
	bool external; /* "cN" stands first: another host's controller */
};

/*
 * Parses "pf0vf3", "c1pf0vf3", "pf0c1vf3", "p0pf0vf3", "vf3" and "3". Anything else (uplinks "p0",
 * PFs "pf0", sub-functions "pf0sf7") is -EINVAL and leaves *ret_name untouched.
 */
int port_name_parse(const char *text, struct port_name *ret_name);
