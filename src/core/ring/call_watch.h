/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Tells the thread that watches the guests' call eventfds (gate.h) whether they are in use, so that
 * it can rest while nobody calls a guest. One for the process. While they are in use, the watcher
 * looks at them at intervals of its own, at least once after each call. A call costs an atomic
 * load; the first call after a rest costs a system call too.
 */

#include <stdbool.h>

/*
 * Sets the watcher's eventfd, which is written to when a guest is called while the watcher rests.
 * -1: there is no watcher any more. Only while nobody calls a guest.
 */
void call_watch_open(int wake_fd);

/* Announces that a guest is about to be called. Any thread. */
void call_watch_note(void);

/*
 * Announces that the watcher is about to look. False if no guest has been called since the previous
 * look: then the watcher may rest after this one, and the next call wakes it. The watcher's thread.
 */
bool call_watch_look(void);
