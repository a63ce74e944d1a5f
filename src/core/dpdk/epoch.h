/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Grace periods, by DPDK's quiescent-state RCU.
 *
 * A worker announces a quiescent state between two iterations, when it holds no pointer that it has
 * read from a published place. A thread that has taken something out of such a place calls
 * epoch_synchronize(). When the call returns, every worker has passed through a quiescent state
 * since, so none can still use what was taken out: it may be changed, handed to another worker or
 * freed.
 *
 * A grace period takes as long as the longest iteration: microseconds. It never gives up. After a
 * second it logs which workers it waits for, and goes on waiting.
 */

#include <stdbool.h>
#include <stdint.h>

struct epoch;

/* For readers 0..n_readers-1; none is registered yet. NULL when out of memory. */
struct epoch *epoch_new(unsigned n_readers);
struct epoch *epoch_free(struct epoch *epoch);

/*
 * Registers a reader before its thread starts. The reader is offline; `cpu` is the one that it runs
 * on, for the log.
 */
void epoch_register(struct epoch *epoch, unsigned reader, unsigned cpu);

/*
 * Each is for the reader's own thread only. Offline readers are not waited for and must hold no
 * pointer to anything published.
 */
void epoch_online(struct epoch *epoch, unsigned reader);
void epoch_offline(struct epoch *epoch, unsigned reader);
void epoch_quiescent(struct epoch *epoch, unsigned reader);

/*
 * epoch_synchronize() without waiting: epoch_token() begins a grace period, and epoch_passed()
 * tells whether every reader has passed through a quiescent state, or was offline, since the token
 * was taken. Any thread.
 */
uint64_t epoch_token(struct epoch *epoch);
bool epoch_passed(struct epoch *epoch, uint64_t token);

/*
 * Logs for which readers epoch_passed() is still false, `waited_ns` after the token was taken.
 * `why` completes the log's "still waiting to ...". False if there is none. Any thread but a
 * worker.
 */
bool epoch_log_late(const struct epoch *epoch, uint64_t token, uint64_t waited_ns, const char *why);

/*
 * Blocks for one grace period. `why`: see above. Any thread that is not an online reader; several
 * at once are fine.
 */
void epoch_synchronize(struct epoch *epoch, const char *why);

/* The same for what only that reader can hold: waits for no other. */
void epoch_synchronize_reader(struct epoch *epoch, unsigned reader, const char *why);
