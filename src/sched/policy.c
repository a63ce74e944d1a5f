/* SPDX-License-Identifier: BSD-3-Clause */
#include "sched/policy.h"

#include <math.h>

#include "sched/search.h"

/* The squares of the deviations, since a difference of two sums of squares is mostly rounding. */
static double variance(const struct search *search, int domain, double mean, unsigned n)
{
	double squares = 0;

	for (unsigned i = 0; i < search->input->n_workers; i++)
		if (search->domain[i] == domain)
			squares += (search->load[i] - mean) * (search->load[i] - mean);
	return squares / n;
}

static struct sched_spread measure(const struct search *search, int domain)
{
	struct sched_spread spread = {};
	double sum = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < search->input->n_workers; i++) {
		if (search->domain[i] != domain)
			continue;
		n++;
		sum += search->load[i];
		spread.worst = fmax(spread.worst, search->load[i]);
	}
	if (sum > 0) {
		double mean = sum / n;

		spread.variation = sqrt(variance(search, domain, mean, n)) / mean;
		spread.imbalance = spread.worst / mean - 1;
	}
	return spread;
}

static unsigned least_loaded(const struct search *search, int domain)
{
	unsigned best = WORKERS_MAX;

	for (unsigned i = 0; i < search->input->n_workers; i++)
		if (search->domain[i] == domain &&
			(best == WORKERS_MAX || search->load[i] < search->load[best]))
			best = i;
	return best;
}

static void add_move(struct sched_plan *plan, unsigned lane, unsigned to, enum sched_reason reason)
{
	plan->moves[plan->n_moves++] = (struct sched_move){lane, to, reason};
}

/*
 * Moves lanes to the node of their memory, if a worker there has room for them or would have
 * hardly more to do than theirs. That node does not change, so no hysteresis is needed. A lane
 * that cannot go is at home where it runs, for this time.
 */
static void bring_home(struct search *search, struct sched_plan *plan)
{
	for (unsigned i = 0; i < search->input->n_lanes; i++) {
		unsigned from = search->at[i];
		double load = search->input->lanes[i].load;
		unsigned to;

		if (!search->movable[i] || search->home[i] == search->domain[from])
			continue;
		to = least_loaded(search, search->home[i]);
		if (search->load[to] + load <
			fmax(SCHED_SATURATED, search->load[from] + SCHED_REMOTE_COST)) {
			search_place(search, i, to);
			add_move(plan, i, to, SCHED_LOCALITY);
		} else {
			search->home[i] = search->domain[from];
		}
	}
}

/* The load of the fullest worker among this one and those that get lanes of it. */
static double fullest_after(
	const struct search *before, const struct search *after, unsigned worker)
{
	double fullest = after->load[worker];

	for (unsigned i = 0; i < before->input->n_lanes; i++)
		if (before->at[i] == worker)
			fullest = fmax(fullest, after->load[after->at[i]]);
	return fullest;
}

/*
 * The largest relief of a worker of the domain that has at least the load `floor`. It is no relief
 * if another worker has the load instead.
 */
static double relief(
	const struct search *before, const struct search *after, int domain, double floor)
{
	double most = 0;

	for (unsigned i = 0; i < before->input->n_workers; i++)
		if (before->domain[i] == domain && before->load[i] >= floor)
			most = fmax(most, before->load[i] - fullest_after(before, after, i));
	return most;
}

static enum sched_verdict judge(
	const struct search *before, const struct search *after, const struct sched_finding *found)
{
	double sensitivity = before->input->sensitivity;
	const struct sched_spread *now = &found->now, *then = &found->then;

	if (found->n_moves == 0)
		return SCHED_VERDICT_EVEN;
	if (relief(before, after, found->numa_node, SCHED_SATURATED) >= SCHED_RELIEF_MIN)
		return SCHED_VERDICT_RELIEVE;
	if (relief(before, after, found->numa_node, 0) >= SCHED_RELIEF_MIN &&
		(now->variation - then->variation >= sensitivity ||
			now->imbalance - then->imbalance >= sensitivity))
		return SCHED_VERDICT_BALANCE;
	return SCHED_VERDICT_STAY;
}

/*
 * Adds the moves to the plan. If a lane is moved for locality already, that move gets the final
 * place.
 */
static void adopt(const struct search *before, const struct search *after,
	const struct sched_finding *found, struct sched_plan *plan)
{
	enum sched_reason reason =
		found->verdict == SCHED_VERDICT_RELIEVE ? SCHED_OVERLOAD : SCHED_BALANCE;

	for (unsigned i = 0; i < before->input->n_lanes; i++) {
		unsigned known = 0;

		if (before->at[i] == after->at[i])
			continue;
		while (known < plan->n_moves && plan->moves[known].lane != i)
			known++;
		if (known < plan->n_moves)
			plan->moves[known].to = after->at[i];
		else
			add_move(plan, i, after->at[i], reason);
	}
}

static void plan_domain(struct search *search, int domain, struct sched_plan *plan)
{
	struct search improved = *search;
	struct sched_finding *found = &plan->findings[plan->n_findings++];

	search_improve(&improved, domain);
	*found = (struct sched_finding){
		.numa_node = domain,
		.now = measure(search, domain),
		.then = measure(&improved, domain),
	};
	for (unsigned i = 0; i < search->input->n_lanes; i++)
		found->n_moves += search->at[i] != improved.at[i];
	found->verdict = judge(search, &improved, found);
	if (found->verdict == SCHED_VERDICT_BALANCE || found->verdict == SCHED_VERDICT_RELIEVE) {
		adopt(search, &improved, found, plan);
		*search = improved;
	}
}

static bool is_known(const struct sched_plan *plan, int domain)
{
	for (unsigned i = 0; i < plan->n_findings; i++)
		if (plan->findings[i].numa_node == domain)
			return true;
	return false;
}

void sched_plan(const struct sched_input *input, struct sched_plan *ret_plan)
{
	struct search search;

	ret_plan->n_moves = ret_plan->n_findings = 0;
	search_init(&search, input);
	bring_home(&search, ret_plan);
	for (unsigned i = 0; i < input->n_workers; i++)
		if (!is_known(ret_plan, search.domain[i]))
			plan_domain(&search, search.domain[i], ret_plan);
}
