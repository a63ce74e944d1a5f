/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* PortControlRequest <-> struct op, for this folder. Pure; any thread. */

#include "base/err.h"
#include "control/op.h"
#include "virtioforwarder.pb-c.h"

/* A request with everything that it points to, except the strings of its op, which must outlive it.
 */
struct port_control_frame {
	Virtioforwarder__PortControlRequest request;
	Virtioforwarder__PortControlRequest__PciAddress addresses[BOND_MEMBERS_MAX];
	Virtioforwarder__PortControlRequest__PciAddress *address_list[BOND_MEMBERS_MAX];
	char *device_list[BOND_MEMBERS_MAX];
};

/* What is not set in `op` is not set in the request; a bond's mode is set with its name. */
void port_control_request_fill(const struct op *op, struct port_control_frame *frame);

/* As port_control_request_decode(). */
int port_control_request_read(
	const Virtioforwarder__PortControlRequest *wire, struct op *ret_op, struct err *err);
