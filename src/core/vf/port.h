/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * How ports come and go: a device becomes a DPDK port, several become a bond, and back again. What
 * a port is configured to do is in vf.h.
 *
 * Control thread, except as noted.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/device_spec.h"
#include "base/err.h"

/*
 * Attaches the device: DPDK finds a driver for it. All or nothing. The error says what an operator
 * can do.
 */
int port_open(uint16_t *ret_port, const struct device_id *id, struct err *err);

/* The port of an open device; -ENODEV if there is none. */
int port_find(uint16_t *ret_port, const struct device_id *id);

/* Stops and closes the port and lets go of the device. */
void port_close(uint16_t port);

/* Opens all members and makes a bond of them. All or nothing. */
int port_open_bond(uint16_t *ret_port, const struct device_spec *bond, struct err *err);

/*
 * Fails (-ENOMEM) unless the driver of a bond of mode 4 finds memory for these members. It
 * allocates some for each member that becomes active for the first time, and ends the process if
 * there is none. To be called before the bond is started and before a member is added to it; a
 * member whose link comes up later is not safe from that. Other modes: 0.
 */
int port_check_lacp_memory(
	uint16_t bond, const uint16_t *members, unsigned n_members, struct err *err);

/*
 * Fails (-ENOMEM) unless there is memory for the rings of the port, or of all members of a bond. To
 * be asked when they could not be made: a bond's driver does not say why when it starts, and others
 * call other reasons ENOMEM. The rings that were made by then count as used, so this is a guess.
 */
int port_check_ring_memory(uint16_t port, bool bond, struct err *err);

/* Makes an open port a member of a bond. No lane may run on the bond. */
int port_add_member(uint16_t bond, uint16_t member, struct err *err);

/*
 * Takes a member out of a bond; it stays open. There must be another one, and no lane may run on
 * the bond, which keeps its MAC.
 */
void port_remove_member(uint16_t bond, uint16_t member);

/*
 * To be called now and then for a bond that receives from one member at a time: it stays with the
 * present one. Since port_remove_member() its driver would otherwise fall back to the member that
 * it had then, as soon as that has a link again, and without the bond's MAC. Returns false if that
 * has happened: the present member has another MAC. Lanes may run.
 */
bool port_follow_links(uint16_t bond);

/*
 * Gives the bond's MAC to the members that are to have it; the bond keeps it from now on. May wait
 * for the PFs. Lanes may run, but the driver must not be doing the same on a thread of its own, as
 * it does when a link has changed.
 */
void port_keep_mac(uint16_t bond);

/* Stops, dissolves and closes the bond and closes its members. */
void port_close_bond(uint16_t port);

/* True if the driver of a port, or of a member if it is a bond, has this name. */
bool port_is_driven_by(uint16_t port, bool bond, const char *driver);

/*
 * The number of devices behind the port, 1 or the members that its bond has now, and how many of
 * them have a link and, with LACP, a partner that has agreed. Control thread.
 */
unsigned port_links(uint16_t port, bool bond, unsigned *ret_up);

/*
 * True if the link is up; that of a bond, if there is a member on which it sends now. A worker that
 * sends on it.
 */
bool port_is_up(uint16_t port, bool bond);

/*
 * Describes the state of the link of an open device, as "Link up at 10 Gbps FDX Autoneg". Does not
 * block.
 */
void port_describe_link(const char *device_name, char *ret_text, size_t size);

/*
 * The packets that an open device has received so far, by its own count; 0 as well if it does not
 * answer. May wait for the device, as vf_read_counters() does.
 */
uint64_t port_received(const char *device_name);
