/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Giving back many VFIO devices at once.
 *
 * The kernel resets a function when the last reference to its device is gone, which takes 100 ms.
 * DPDK closes one device after the other, so 64 VFs would take more than 6 s. While it does so, we
 * hold a second descriptor of each device; then threads close all of these at the same time.
 * (Kernels before Linux 6.17, and stable ones without its fix, reset the VFs of one bus in turn.)
 *
 * Control thread.
 */

struct vfio_devices;

/*
 * Holds all VFIO devices that the process has open; they cannot be opened anew until they are
 * released. NULL if memory is out: then each is reset when DPDK closes it.
 */
struct vfio_devices *vfio_devices_hold(void);

/* Lets them go and waits until they are reset. Does nothing for NULL. Returns NULL. */
struct vfio_devices *vfio_devices_release(struct vfio_devices *devices);
