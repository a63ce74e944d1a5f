/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Tells whoever watches over the guests' call eventfds (gate.h) that they are in use, so that he
 * can rest while nobody calls a guest. One for the process. The watcher looks at intervals of his
 * own while they are in use, at least once after each call; a caller pays for an atomic load, and
 * for the first call after a rest a system call.
 */

#include <stdbool.h>

/*
 * wake_fd: an eventfd of the watcher, which he finds written to after a call while he rests; -1
 * where there is no watcher any more. While nobody calls.
 */
void call_watch_open(int wake_fd);

/* A guest is about to be called. Any thread. */
void call_watch_note(void);

/*
 * The watcher is about to look. False where nobody has called since the last time but one: then he
 * may rest afterwards, and is woken by the next call. The watcher's thread.
 */
bool call_watch_look(void);
