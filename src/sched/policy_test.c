/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "sched/explain.h"
#include "sched/policy.h"

#define RANDOM_MACHINES 2000

/* Workers on CPUs 10, 11, ..., on the nodes in turn. */
static struct sched_input machine(unsigned n_workers, int n_nodes)
{
	struct sched_input input = {.n_workers = n_workers, .sensitivity = 0.25};

	for (unsigned i = 0; i < n_workers; i++)
		input.workers[i] = (struct sched_worker){
			.cpu = 10 + i, .numa_node = n_nodes ? (int)i % n_nodes : -1};
	return input;
}

/* Adds a lane whose node is that of its worker; returns it for changes. */
static struct sched_lane *add_lane(struct sched_input *input, unsigned worker, double load)
{
	unsigned i = input->n_lanes++;

	input->lanes[i] = (struct sched_lane){
		.relay_id = i / 2,
		.direction = i % 2,
		.worker = worker,
		.load = load,
		.numa_node = input->workers[worker].numa_node,
	};
	return &input->lanes[i];
}

static struct sched_plan plan_for(const struct sched_input *input)
{
	struct sched_plan plan;

	memset(&plan, 0xa5, sizeof(plan));
	sched_plan(input, &plan);
	return plan;
}

static void apply(struct sched_input *input, const struct sched_plan *plan)
{
	for (unsigned i = 0; i < plan->n_moves; i++)
		input->lanes[plan->moves[i].lane].worker = plan->moves[i].to;
}

static double worst_load(const struct sched_input *input, int node)
{
	double load[WORKERS_MAX] = {}, worst = 0;

	for (unsigned i = 0; i < input->n_lanes; i++)
		load[input->lanes[i].worker] += input->lanes[i].load;
	for (unsigned i = 0; i < input->n_workers; i++)
		if ((node < 0 || input->workers[i].numa_node == node) && load[i] > worst)
			worst = load[i];
	return worst;
}

static double random_unit(unsigned *seed)
{
	return rand_r(seed) / ((double)RAND_MAX + 1);
}

/*
 * Lanes on their own nodes, a few of them pinned, with a load of up to about two cores per worker.
 */
static struct sched_input random_machine(unsigned *seed)
{
	int n_nodes = rand_r(seed) % 3;
	struct sched_input input = machine(2 + (unsigned)rand_r(seed) % 15, n_nodes);
	unsigned n = (unsigned)rand_r(seed) % (2 * RELAYS_MAX);
	double scale = 2 * random_unit(seed) * input.n_workers / (n + 1);

	input.global_numa = rand_r(seed) % 4 == 0;
	input.sensitivity = random_unit(seed);
	for (unsigned i = 0; i < n; i++) {
		double load = scale * random_unit(seed) * (rand_r(seed) % 8 ? 1 : 6);
		struct sched_lane *lane =
			add_lane(&input, (unsigned)rand_r(seed) % input.n_workers, load);

		lane->pinned = rand_r(seed) % 6 == 0;
	}
	return input;
}

static void a_skewed_load_is_balanced(void **state)
{
	struct sched_input input = machine(2, 1);
	struct sched_plan plan;

	for (unsigned i = 0; i < 4; i++)
		add_lane(&input, 0, 0.2);
	plan = plan_for(&input);
	assert_int_equal(plan.n_moves, 2);
	assert_int_equal(plan.moves[0].reason, SCHED_BALANCE);
	assert_int_equal(plan.n_findings, 1);
	assert_int_equal(plan.findings[0].verdict, SCHED_VERDICT_BALANCE);
	assert_int_equal(plan.findings[0].n_moves, 2);
	assert_float_equal(plan.findings[0].now.worst, 0.8, 1e-9);
	assert_float_equal(plan.findings[0].now.imbalance, 1, 1e-9);
	assert_float_equal(plan.findings[0].now.variation, 1, 1e-9);
	assert_float_equal(plan.findings[0].then.worst, 0.4, 1e-9);
	assert_float_equal(plan.findings[0].then.variation, 0, 1e-9);
	apply(&input, &plan);
	assert_float_equal(worst_load(&input, -1), 0.4, 1e-9);
	plan = plan_for(&input);
	assert_int_equal(plan.n_moves, 0);
	assert_int_equal(plan.findings[0].verdict, SCHED_VERDICT_EVEN);
}

static void an_exchange_helps_where_no_move_does(void **state)
{
	struct sched_input input = machine(2, 1);
	struct sched_plan plan;

	add_lane(&input, 0, 0.5);
	add_lane(&input, 0, 0.4);
	add_lane(&input, 1, 0.2);
	add_lane(&input, 1, 0.1);
	plan = plan_for(&input);
	apply(&input, &plan);
	assert_float_equal(worst_load(&input, -1), 0.6, 1e-9);
}

/* The coefficient of variation of two workers with 0.5 +- x is 2x. */
static void within_the_hysteresis_nothing_moves(void **state)
{
	struct sched_input input = machine(2, 1);
	struct sched_plan plan;

	add_lane(&input, 0, 0.5);
	add_lane(&input, 1, 0.38);
	add_lane(&input, 0, 0.12);
	plan = plan_for(&input);
	assert_int_equal(plan.n_moves, 0);
	assert_int_equal(plan.findings[0].verdict, SCHED_VERDICT_STAY);
	assert_int_equal(plan.findings[0].n_moves, 1);

	input.lanes[1].load = 0.37; /* 0.62 : 0.37, to become 0.5 : 0.49 */
	input.sensitivity = 0.26;
	assert_int_equal(plan_for(&input).n_moves, 0);
	input.sensitivity = 0.24;
	assert_int_equal(plan_for(&input).n_moves, 1);
}

static void how_next_to_nothing_is_spread_does_not_matter(void **state)
{
	struct sched_input input = machine(2, 1);

	input.sensitivity = 0;
	for (unsigned i = 0; i < 4; i++)
		add_lane(&input, 0, 0.02);
	assert_int_equal(plan_for(&input).n_moves, 0);
}

/* One hot worker among many hardly shows in the coefficient of variation. */
static void one_hot_worker_among_many_is_relieved(void **state)
{
	struct sched_input input = machine(16, 1);
	struct sched_plan plan;

	add_lane(&input, 0, 0.35);
	add_lane(&input, 0, 0.35);
	for (unsigned i = 1; i < 16; i++)
		add_lane(&input, i, i == 1 ? 0.1 : 0.45);
	plan = plan_for(&input);
	assert_true(plan.findings[0].now.variation - plan.findings[0].then.variation < 0.25);
	assert_int_equal(plan.n_moves, 1);
	assert_int_equal(plan.moves[0].to, 1);
}

static void a_saturated_worker_is_relieved_at_any_sensitivity(void **state)
{
	struct sched_input input = machine(2, 1);
	struct sched_plan plan;

	input.sensitivity = 1;
	for (unsigned i = 0; i < 4; i++)
		add_lane(&input, 0, 0.23);
	add_lane(&input, 1, 0.6);
	plan = plan_for(&input);
	assert_int_equal(plan.n_moves, 0);
	add_lane(&input, 0, 0.04);
	plan = plan_for(&input);
	assert_int_equal(plan.n_moves, 1);
	assert_int_equal(plan.moves[0].reason, SCHED_OVERLOAD);
	assert_int_equal(plan.findings[0].verdict, SCHED_VERDICT_RELIEVE);
}

/* Worker 0 is full and cannot be relieved, and worker 1 can. */
static void a_full_worker_does_not_hide_another(void **state)
{
	const struct {
		unsigned n_lanes;
		bool pinned;
	} of_worker_0[] = {{1, false}, {2, true}};

	for (unsigned i = 0; i < ARRAY_SIZE(of_worker_0); i++) {
		const unsigned n = of_worker_0[i].n_lanes;
		struct sched_input input = machine(8, 1);
		struct sched_plan plan;

		for (unsigned j = 0; j < n; j++)
			add_lane(&input, 0, 1.0 / n)->pinned = of_worker_0[i].pinned;
		for (unsigned j = 0; j < 3; j++)
			add_lane(&input, 1, 0.33);
		for (unsigned worker = 2; worker < 8; worker++)
			add_lane(&input, worker, 0.5);
		plan = plan_for(&input);
		assert_int_equal(plan.n_moves, 1);
		assert_int_equal(input.lanes[plan.moves[0].lane].worker, 1);
		assert_int_equal(plan.moves[0].reason, SCHED_OVERLOAD);
		apply(&input, &plan);
		assert_int_equal(plan_for(&input).n_moves, 0);
	}
}

/* Three lanes of half a core on two workers: one of these is full, whichever it is. */
static void a_full_worker_is_not_exchanged_for_another(void **state)
{
	unsigned seed = 1;

	for (unsigned i = 0; i < 100; i++) {
		struct sched_input input = machine(2, 1);

		for (unsigned j = 0; j < 3; j++)
			add_lane(&input, j / 2, 0.48 + 0.02 * random_unit(&seed));
		assert_int_equal(plan_for(&input).n_moves, 0);
	}
}

static void a_pinned_lane_stays_and_others_make_room(void **state)
{
	struct sched_input input = machine(2, 1);
	struct sched_plan plan;

	add_lane(&input, 0, 0.6)->pinned = true;
	add_lane(&input, 0, 0.3);
	plan = plan_for(&input);
	assert_int_equal(plan.n_moves, 1);
	assert_int_equal(plan.moves[0].lane, 1);
}

static void nodes_are_balanced_each_for_itself(void **state)
{
	struct sched_input input = machine(4, 2); /* nodes 0, 1, 0, 1 */
	struct sched_plan plan;

	for (unsigned i = 0; i < 4; i++)
		add_lane(&input, 0, 0.2);
	plan = plan_for(&input);
	assert_int_equal(plan.n_findings, 2);
	assert_int_equal(plan.n_moves, 2);
	assert_int_equal(plan.moves[0].to, 2);
	assert_int_equal(plan.moves[1].to, 2);
	input.global_numa = true;
	plan = plan_for(&input);
	assert_int_equal(plan.n_findings, 1);
	assert_int_equal(plan.n_moves, 3);
	apply(&input, &plan);
	assert_float_equal(worst_load(&input, -1), 0.2, 1e-9);
}

static void a_lane_comes_home(void **state)
{
	struct sched_input input = machine(4, 2);
	struct sched_plan plan;

	add_lane(&input, 1, 0.1)->numa_node = 0;
	add_lane(&input, 0, 0.3);
	plan = plan_for(&input);
	assert_int_equal(plan.n_moves, 1);
	assert_int_equal(plan.moves[0].to, 2);
	assert_int_equal(plan.moves[0].reason, SCHED_LOCALITY);
	/* Its node has no worker: it is at home where it runs. */
	input.lanes[0].numa_node = 7;
	assert_int_equal(plan_for(&input).n_moves, 0);
	/* Its node has no room. */
	input.lanes[0].numa_node = 0;
	input.lanes[1].load = 0.9;
	add_lane(&input, 2, 0.9);
	assert_int_equal(plan_for(&input).n_moves, 0);
}

/* It suffers most from remote memory, which may be why it fills its worker. */
static void a_lane_that_fills_its_worker_comes_home(void **state)
{
	struct sched_input input = machine(4, 2);
	struct sched_plan plan;

	add_lane(&input, 1, 1.0)->numa_node = 0;
	plan = plan_for(&input);
	assert_int_equal(plan.n_moves, 1);
	assert_int_equal(plan.moves[0].reason, SCHED_LOCALITY);
	for (unsigned worker = 0; worker < 4; worker += 2)
		add_lane(&input, worker, 0.04);
	assert_int_equal(plan_for(&input).n_moves, 1);
	for (unsigned worker = 0; worker < 4; worker += 2)
		add_lane(&input, worker, 0.02);
	assert_int_equal(plan_for(&input).n_moves, 0);
}

/* The cost of remote memory is no reason to saturate a worker at home. */
static void a_small_lane_does_not_saturate_its_home(void **state)
{
	struct sched_input input = machine(4, 2);

	add_lane(&input, 1, 0.1)->numa_node = 0;
	add_lane(&input, 0, 0.86);
	add_lane(&input, 2, 0.86);
	assert_int_equal(plan_for(&input).n_moves, 0);
}

/* Two lanes have overflowed to the other node and have become too much for their worker. */
static void lanes_away_from_home_are_balanced_where_they_are(void **state)
{
	struct sched_input input = machine(4, 2); /* nodes 0, 1, 0, 1 */
	struct sched_plan plan;

	add_lane(&input, 0, 0.9);
	add_lane(&input, 2, 0.9);
	add_lane(&input, 1, 0.50)->numa_node = 0;
	add_lane(&input, 1, 0.49)->numa_node = 0;
	plan = plan_for(&input);
	assert_int_equal(plan.n_moves, 1);
	assert_int_equal(plan.moves[0].to, 3);
	assert_int_equal(plan.moves[0].reason, SCHED_OVERLOAD);
	apply(&input, &plan);
	assert_int_equal(plan_for(&input).n_moves, 0);
	/* They still come home once there is room. */
	input.lanes[0].load = 0.2;
	plan = plan_for(&input);
	assert_true(plan.n_moves >= 1);
	assert_int_equal(plan.moves[0].reason, SCHED_LOCALITY);
	assert_int_equal(input.workers[plan.moves[0].to].numa_node, 0);
}

static void check_plan(const struct sched_input *input, const struct sched_plan *plan)
{
	struct sched_input after = *input;

	for (unsigned i = 0; i < plan->n_moves; i++) {
		const struct sched_lane *lane = &input->lanes[plan->moves[i].lane];
		char text[EXPLAIN_SIZE];

		assert_in_range(plan->moves[i].lane, 0, input->n_lanes - 1);
		assert_in_range(plan->moves[i].to, 0, input->n_workers - 1);
		assert_false(lane->pinned);
		assert_int_not_equal(lane->worker, plan->moves[i].to);
		if (!input->global_numa)
			assert_int_equal(
				lane->numa_node, input->workers[plan->moves[i].to].numa_node);
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(plan->moves[i].lane, plan->moves[j].lane);
		explain_move(input, &plan->moves[i], text);
	}
	apply(&after, plan);
	for (unsigned i = 0; i < plan->n_findings; i++) {
		const struct sched_finding *found = &plan->findings[i];
		bool taken = found->verdict == SCHED_VERDICT_BALANCE ||
		             found->verdict == SCHED_VERDICT_RELIEVE;
		double now = worst_load(input, found->numa_node);
		double then = worst_load(&after, found->numa_node);
		char text[EXPLAIN_SIZE];

		assert_true(then <= now + 1e-9);
		assert_float_equal(now, found->now.worst, 1e-9);
		assert_float_equal(then, taken ? found->then.worst : now, 1e-9);
		explain_finding(input, found, text);
	}
}

static void a_random_machine_never_gets_worse(void **state)
{
	unsigned seed = 1, moved = 0;

	for (unsigned i = 0; i < RANDOM_MACHINES; i++) {
		struct sched_input input = random_machine(&seed);
		struct sched_plan plan = plan_for(&input), again = plan_for(&input);

		check_plan(&input, &plan);
		moved += plan.n_moves > 0;
		assert_memory_equal(&plan, &again, sizeof(plan));
	}
	assert_in_range(moved, RANDOM_MACHINES / 4, RANDOM_MACHINES);
}

static void expect_rest(struct sched_input input)
{
	input.sensitivity = 0;
	for (unsigned rounds = 0;; rounds++) {
		struct sched_plan plan = plan_for(&input);

		if (plan.n_moves == 0)
			return;
		apply(&input, &plan);
		assert_in_range(rounds, 0, 3);
	}
}

static void a_random_machine_comes_to_rest(void **state)
{
	unsigned seed = 2;

	for (unsigned i = 0; i < RANDOM_MACHINES; i++)
		expect_rest(random_machine(&seed));
}

/* Lanes move to their node or within the one on which they are. */
static void lanes_away_from_home_come_to_rest(void **state)
{
	unsigned seed = 4;

	for (unsigned i = 0; i < RANDOM_MACHINES; i++) {
		struct sched_input input = random_machine(&seed);

		for (unsigned j = 0; j < input.n_lanes; j++)
			if (rand_r(&seed) % 2)
				input.lanes[j].numa_node =
					input.workers[rand_r(&seed) % input.n_workers].numa_node;
		const struct sched_plan plan = plan_for(&input);
		for (unsigned j = 0; j < plan.n_moves && !input.global_numa; j++) {
			const struct sched_lane *lane = &input.lanes[plan.moves[j].lane];
			const int to = input.workers[plan.moves[j].to].numa_node;

			assert_true(to == lane->numa_node ||
				    to == input.workers[lane->worker].numa_node);
		}
		expect_rest(input);
	}
}

static void the_largest_machine_is_no_problem(void **state)
{
	struct sched_input input = machine(WORKERS_MAX, 2);
	unsigned seed = 3;
	double total = 0;

	for (unsigned i = 0; i < SCHED_LANES_MAX; i++) {
		double load = random_unit(&seed);

		add_lane(&input, i % 2, load);
		total += load;
	}
	struct sched_plan plan = plan_for(&input);
	check_plan(&input, &plan);
	apply(&input, &plan);
	assert_true(worst_load(&input, -1) < 1.1 * total / WORKERS_MAX);

	struct sched_input empty = machine(1, 0);
	plan = plan_for(&empty);
	assert_int_equal(plan.n_moves, 0);
	assert_int_equal(plan.n_findings, 1);
}

static void a_plan_is_told_in_words(void **state)
{
	struct sched_input input = machine(2, 1);
	char text[EXPLAIN_SIZE];

	add_lane(&input, 0, 0.31);
	add_lane(&input, 0, 0.3);
	struct sched_plan plan = plan_for(&input);
	assert_int_equal(plan.n_moves, 1);
	explain_move(&input, &plan.moves[0], text);
	assert_string_equal(
		text, "relay 0 VM to VF (30.0 % of a core): CPU 10 -> CPU 11, to balance the load");
	explain_finding(&input, &plan.findings[0], text);
	assert_string_equal(text, "NUMA node 0: worst CPU 61.0 -> 31.0 %, imbalance 1.00 -> 0.02, "
				  "variation 1.00 -> 0.02: 1 move, worth the sensitivity of 0.25");
	apply(&input, &plan);
	plan = plan_for(&input);
	explain_finding(&input, &plan.findings[0], text);
	assert_string_equal(
		text, "NUMA node 0: worst CPU 31.0 %, imbalance 0.02: no move would help");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_skewed_load_is_balanced),
		cmocka_unit_test(an_exchange_helps_where_no_move_does),
		cmocka_unit_test(within_the_hysteresis_nothing_moves),
		cmocka_unit_test(how_next_to_nothing_is_spread_does_not_matter),
		cmocka_unit_test(one_hot_worker_among_many_is_relieved),
		cmocka_unit_test(a_saturated_worker_is_relieved_at_any_sensitivity),
		cmocka_unit_test(a_full_worker_does_not_hide_another),
		cmocka_unit_test(a_full_worker_is_not_exchanged_for_another),
		cmocka_unit_test(a_pinned_lane_stays_and_others_make_room),
		cmocka_unit_test(nodes_are_balanced_each_for_itself),
		cmocka_unit_test(a_lane_comes_home),
		cmocka_unit_test(a_lane_that_fills_its_worker_comes_home),
		cmocka_unit_test(a_small_lane_does_not_saturate_its_home),
		cmocka_unit_test(lanes_away_from_home_are_balanced_where_they_are),
		cmocka_unit_test(a_random_machine_never_gets_worse),
		cmocka_unit_test(a_random_machine_comes_to_rest),
		cmocka_unit_test(lanes_away_from_home_come_to_rest),
		cmocka_unit_test(the_largest_machine_is_no_problem),
		cmocka_unit_test(a_plan_is_told_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
