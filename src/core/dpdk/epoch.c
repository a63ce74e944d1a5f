/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/dpdk/epoch.h"

#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>
#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

#define SPINS_BEFORE_SLEEP 2000
#define SLEEP_NS 50000
#define ALARM_NS UINT64_C(1000000000)

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

static bool log_late(const struct epoch *epoch, struct range readers, uint64_t token,
	uint64_t waited_ns, const char *why)
{
	bool any = false;

	for (unsigned i = readers.first; i < readers.end; i++) {
		if (has_passed(epoch, i, token))
			continue;
		log_error("the worker on CPU %u has not finished an iteration for %.1f s; still "
			  "waiting to %s",
			epoch->cpus[i], (double)waited_ns / 1e9, why);
		any = true;
	}
	return any;
}

bool epoch_log_late(const struct epoch *epoch, uint64_t token, uint64_t waited_ns, const char *why)
{
	return log_late(epoch, all_readers(epoch), token, waited_ns, why);
}

static void synchronize(struct epoch *epoch, struct range readers, const char *why)
{
	uint64_t token = epoch_token(epoch);
	struct timespec pause = {.tv_nsec = SLEEP_NS};
	uint64_t begin_ns = 0, alarm_ns = 0;

	for (unsigned spins = 0; !have_passed(epoch, readers, token); spins++) {
		if (spins < SPINS_BEFORE_SLEEP) {
			rte_pause();
			continue;
		}
		const uint64_t now_ns = clock_monotonic_ns();
		if (begin_ns == 0) {
			begin_ns = now_ns;
			alarm_ns = now_ns + ALARM_NS;
		}
		if (now_ns >= alarm_ns) {
			log_late(epoch, readers, token, now_ns - begin_ns, why);
			alarm_ns = now_ns + 10 * ALARM_NS;
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
