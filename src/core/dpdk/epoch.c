/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/dpdk/epoch.h"

#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>
#include <stdatomic.h>
#include <time.h>

#include "base/log.h"

#define SPINS_BEFORE_SLEEP 2000
#define SLEEP_NS 50000
#define ALARM_S 1

struct epoch {
	unsigned n_readers;
	struct rte_rcu_qsbr *qsbr; /* shared with the readers, through DPDK's own atomics */
	unsigned cpus[];           /* of the readers; for the log */
};

struct epoch *epoch_new(unsigned n_readers)
{
	struct epoch *epoch = calloc(1, sizeof(*epoch) + n_readers * sizeof(epoch->cpus[0]));

	if (epoch == NULL)
		return NULL;
	epoch->n_readers = n_readers;
	epoch->qsbr =
		rte_zmalloc("epoch", rte_rcu_qsbr_get_memsize(n_readers), RTE_CACHE_LINE_SIZE);
	if (epoch->qsbr == NULL || rte_rcu_qsbr_init(epoch->qsbr, n_readers) != 0)
		return epoch_free(epoch);
	return epoch;
}

struct epoch *epoch_free(struct epoch *epoch)
{
	if (epoch != NULL) {
		rte_free(epoch->qsbr);
		free(epoch);
	}
	return NULL;
}

void epoch_register(struct epoch *epoch, unsigned reader, unsigned cpu)
{
	epoch->cpus[reader] = cpu;
	rte_rcu_qsbr_thread_register(epoch->qsbr, reader);
}

void epoch_online(struct epoch *epoch, unsigned reader)
{
	rte_rcu_qsbr_thread_online(epoch->qsbr, reader);
}

void epoch_offline(struct epoch *epoch, unsigned reader)
{
	rte_rcu_qsbr_thread_offline(epoch->qsbr, reader);
}

void epoch_quiescent(struct epoch *epoch, unsigned reader)
{
	rte_rcu_qsbr_quiescent(epoch->qsbr, reader);
}

uint64_t epoch_token(struct epoch *epoch)
{
	uint64_t token = rte_rcu_qsbr_start(epoch->qsbr);

	/* What has been taken out must be gone before we look at who is online. */
	atomic_thread_fence(memory_order_seq_cst);
	return token;
}

static bool has_passed(const struct epoch *epoch, unsigned reader, uint64_t token)
{
	uint64_t count = __atomic_load_n(&epoch->qsbr->qsbr_cnt[reader].cnt, __ATOMIC_ACQUIRE);

	return count == __RTE_QSBR_CNT_THR_OFFLINE || count >= token;
}

/* Readers first .. end - 1. */
struct range {
	unsigned first;
	unsigned end;
};

static struct range all_readers(const struct epoch *epoch)
{
	return (struct range){0, epoch->n_readers};
}

/*
 * Not rte_rcu_qsbr_check(): all its callers share the highest token that one of them saw pass, and
 * a reader that was offline when that one looked may be online now, behind this token.
 */
static bool have_passed(const struct epoch *epoch, struct range readers, uint64_t token)
{
	for (unsigned i = readers.first; i < readers.end; i++)
		if (!has_passed(epoch, i, token))
			return false;
	return true;
}

bool epoch_passed(struct epoch *epoch, uint64_t token)
{
	return have_passed(epoch, all_readers(epoch), token);
}

/* Logs which readers have not passed yet; nothing if all have by now. */
static void log_wait(
	const struct epoch *epoch, struct range readers, uint64_t token, const char *why)
{
	for (unsigned i = readers.first; i < readers.end; i++) {
		if (!has_passed(epoch, i, token))
			log_error("the worker on CPU %u has not finished an iteration for %d s; "
				  "still waiting to %s",
				epoch->cpus[i], ALARM_S, why);
	}
}

static void synchronize(struct epoch *epoch, struct range readers, const char *why)
{
	uint64_t token = epoch_token(epoch);
	struct timespec pause = {.tv_nsec = SLEEP_NS};
	time_t alarm_s = 0;

	for (unsigned spins = 0; !have_passed(epoch, readers, token); spins++) {
		if (spins < SPINS_BEFORE_SLEEP) {
			rte_pause();
			continue;
		}
		struct timespec now;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (alarm_s == 0)
			alarm_s = now.tv_sec + ALARM_S + 1;
		if (now.tv_sec >= alarm_s) {
			log_wait(epoch, readers, token, why);
			alarm_s = now.tv_sec + 10 * ALARM_S;
		}
		nanosleep(&pause, NULL);
	}
}

void epoch_synchronize(struct epoch *epoch, const char *why)
{
	synchronize(epoch, all_readers(epoch), why);
}

void epoch_synchronize_reader(struct epoch *epoch, unsigned reader, const char *why)
{
	synchronize(epoch, (struct range){reader, reader + 1}, why);
}
