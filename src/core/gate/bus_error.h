/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What happens when a guest takes its memory away from under us.
 *
 * Theory. A guest's memory is a file that the guest shares with us and can truncate. Whoever then
 * touches a page behind the new end gets SIGBUS. So does who touches a page that the kernel has
 * withdrawn because the host's memory has failed there (a hardware error that it cannot correct):
 * with hugepages, that is much of the memory of one guest, and none of the others'. The signal
 * handler maps anonymous zeros over the whole mapping, so the thread goes on where it was. It notes
 * which file it was and wakes the reader of bus_error_fd(), which ends the connections that share
 * this file. This costs nothing as long as it does not happen; a separate process for each guest
 * would have cost copies.
 *
 * Only shared writable mappings of files that are not DPDK's own memory are replaced. Any other bus
 * error ends the process as usual: it is a defect of ours, or memory of our own has failed.
 *
 * It also defines sigaction(), which replaces the C library's for all libraries too: another
 * handler of bus errors, as DPDK installs one for a moment, hears of those in DPDK's own memory
 * only.
 *
 * A signal handler finds its state in static variables only, so there is one of this in a process.
 */

#include <stdbool.h>

#include "base/err.h"
#include "base/file_id.h"

/* Installs the handler. Before the first guest. */
int bus_error_open(struct err *err);

/* Restores what bus errors did before. No guest may be left. */
void bus_error_close(void);

/* An eventfd, readable when such errors have happened since the last bus_error_take(). */
int bus_error_fd(void);

/*
 * Takes the next error that has not been taken yet: the file whose memory has vanished. False if
 * there is none. One thread only.
 */
bool bus_error_take(struct file_id *ret_file);
