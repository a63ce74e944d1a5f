/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What happens when a guest takes its memory away under us.
 *
 * Theory. A guest's memory is a file that it shares with us, and which it can truncate: whoever
 * touches a page behind the new end gets SIGBUS. The handler puts anonymous zeros in the place of
 * the whole mapping, so that the thread goes on where it was, notes which file it was, and wakes
 * the reader of fault_fd(), who ends the connections that share that file. Nothing is paid for this
 * as long as it does not happen; processes of their own for each guest would have cost copies.
 *
 * Only shared writable mappings of files that are not DPDK's own memory are replaced. Any other bus
 * error is a defect of ours or of the machine and ends the process as usual.
 *
 * A signal handler finds its state in static variables only, so this is one for the process.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct fault {
	dev_t device; /* with inode: the file, as fstat() names it */
	ino_t inode;
	uintptr_t address; /* that was touched first */
};

/* Installs the handler. Before the first guest. */
int fault_open(struct err *err);

/* Back to what bus errors do by default. No guest may be left. */
void fault_close(void);

/* An eventfd, readable when faults have happened since the last fault_take(). */
int fault_fd(void);

/* Takes the next fault that has not been taken; false where there is none. One thread. */
bool fault_take(struct fault *ret_fault);
