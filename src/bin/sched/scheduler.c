/* SPDX-License-Identifier: BSD-3-Clause */
#include "bin/sched/scheduler.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/log.h"
#include "sched/explain.h"

/* Logs an error once, not at every poll. Returns `r`. */
static int complain(struct scheduler *scheduler, int r, const char *text)
{
	if (strcmp(scheduler->last_error, text) != 0)
		log_warning("%s", text);
	snprintf(scheduler->last_error, sizeof(scheduler->last_error), "%s", text);
	return r;
}

static void forget(struct scheduler *scheduler)
{
	observer_reset(&scheduler->observer);
	scheduler->n_verdicts = 0;
}

static int disconnected(struct scheduler *scheduler, int r, const struct err *err)
{
	forget(scheduler);
	scheduler->connected = false;
	sd_notify(0, "STATUS=waiting for virtio-forwarder");
	return complain(scheduler, r, err->text);
}

static void connected(struct scheduler *scheduler, const struct cpu_set *workers)
{
	char list[256];

	if (scheduler->connected)
		return;
	cpu_set_format(workers, list, sizeof(list));
	log_notice("virtio-forwarder is there: workers on CPUs %s", list);
	sd_notifyf(0, "STATUS=balancing CPUs %s", list);
	scheduler->connected = true;
	scheduler->last_error[0] = '\0';
}

/* Reads the daemon's workers and statistics. Returns 0 or a negative errno. */
static int observe(struct scheduler *scheduler)
{
	const struct stats_request request = {.relays = STATS_RELAYS_ALL, .include_inactive = true};
	const struct config_sched *config = scheduler->config;
	struct stats_reply *reply;
	struct cpu_set workers;
	struct err err = {};
	int r;

	r = client_core_sched_cpus(config->sched_ep, &workers, &err);
	if (r == 0)
		r = client_stats(config->stats_ep, &request, &reply, &err);
	if (r < 0)
		return disconnected(scheduler, r, &err);
	connected(scheduler, &workers);
	if (!observer_take(&scheduler->observer, &workers, reply, clock_monotonic_ns())) {
		log_notice("virtio-forwarder has started anew; what was known is forgotten");
		scheduler->n_verdicts = 0;
	}
	return 0;
}

/* Sets the CPU of a lane in the move. A direction's own CPU is that of its first slice. */
static void set_cpu(struct core_move *move, const struct sched_lane *lane, unsigned cpu)
{
	bool vf_to_vm = lane->direction == VF_TO_VM;
	struct slice_cpus *slices = vf_to_vm ? &move->vf_to_vm_slices : &move->vm_to_vf_slices;

	if (lane->slice == 0)
		*(vf_to_vm ? &move->vf_to_vm_cpu : &move->vm_to_vf_cpu) = cpu;
	if (lane->n_slices > 1) {
		slices->n = lane->n_slices;
		slices->cpus[lane->slice] = cpu;
	}
}

/* The move of that relay in the list; a new one starts from where the relay runs now. */
static struct core_move *relay_move(const struct sched_input *input, unsigned relay_id,
	unsigned cpu, struct core_move *moves, unsigned *n)
{
	struct core_move *move = &moves[*n];

	for (unsigned i = 0; i < *n; i++)
		if (moves[i].relay_id == relay_id)
			return &moves[i];
	/* The message needs a CPU even for a direction that does not run. */
	*move = (struct core_move){.relay_id = relay_id, .vf_to_vm_cpu = cpu, .vm_to_vf_cpu = cpu};
	for (unsigned i = 0; i < input->n_lanes; i++)
		if (input->lanes[i].relay_id == relay_id)
			set_cpu(move, &input->lanes[i], input->workers[input->lanes[i].worker].cpu);
	(*n)++;
	return move;
}

static int carry_out(
	struct scheduler *scheduler, const struct sched_input *input, const struct sched_plan *plan)
{
	struct core_move moves[RELAYS_MAX + 1];
	unsigned n = 0;
	struct err err = {};
	int r;

	for (unsigned i = 0; i < plan->n_moves; i++) {
		const struct sched_lane *lane = &input->lanes[plan->moves[i].lane];
		unsigned cpu = input->workers[plan->moves[i].to].cpu;

		set_cpu(relay_move(input, lane->relay_id, cpu, moves, &n), lane, cpu);
	}
	r = client_core_sched_move(scheduler->config->sched_ep, moves, n, &err);
	if (r < 0) {
		/* Without an answer, the daemon may still have made the moves, or make them. */
		const bool unknown = r == -ETIMEDOUT || r == -EBADMSG;

		err_prefix(&err, r,
			unknown ? "it is not known whether relays were moved"
				: "no relay was moved");
		return complain(scheduler, r, err.text);
	}
	scheduler->last_error[0] = '\0';
	return 0;
}

static void log_plan(
	struct scheduler *scheduler, const struct sched_input *input, const struct sched_plan *plan)
{
	char text[EXPLAIN_SIZE];

	for (unsigned i = 0; i < plan->n_findings; i++) {
		const struct sched_finding *found = &plan->findings[i];
		bool acts = found->verdict == SCHED_VERDICT_BALANCE ||
		            found->verdict == SCHED_VERDICT_RELIEVE;

		/* An unchanged verdict is not worth a line at every poll. */
		if (!acts && i < scheduler->n_verdicts && scheduler->verdicts[i] == found->verdict)
			continue;
		explain_finding(input, found, text);
		log_at(acts ? LOG_INFO : LOG_DEBUG, "%s", text);
		scheduler->verdicts[i] = found->verdict;
	}
	scheduler->n_verdicts = plan->n_findings;
	for (unsigned i = 0; i < plan->n_moves; i++) {
		explain_move(input, &plan->moves[i], text);
		log_info("%s", text);
	}
}

static void print_worker(const struct sched_input *input, unsigned worker)
{
	double load = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < input->n_lanes; i++) {
		if (input->lanes[i].worker != worker)
			continue;
		load += input->lanes[i].load;
		n++;
	}
	printf("CPU %u", input->workers[worker].cpu);
	if (input->workers[worker].numa_node >= 0)
		printf(" (NUMA node %d)", input->workers[worker].numa_node);
	printf(": %.1f %% of a core, %u lanes\n", load * 100, n);
}

/* Returns 0, or -EIO after logging the reason. */
static int print_plan(const struct sched_input *input, const struct sched_plan *plan)
{
	char text[EXPLAIN_SIZE];

	for (unsigned i = 0; i < input->n_workers; i++)
		print_worker(input, i);
	for (unsigned i = 0; i < plan->n_findings; i++) {
		explain_finding(input, &plan->findings[i], text);
		printf("%s\n", text);
	}
	for (unsigned i = 0; i < plan->n_moves; i++) {
		explain_move(input, &plan->moves[i], text);
		printf("would move %s\n", text);
	}
	if (plan->n_moves == 0)
		printf("would move nothing\n");
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	log_error("the plan cannot be printed: %s", strerror(errno));
	return -EIO;
}

int scheduler_poll(struct scheduler *scheduler)
{
	const struct config_sched *config = scheduler->config;
	struct sched_input input = {
		.sensitivity = config->sensitivity,
		.global_numa = config->global_numa_opt,
	};
	struct sched_plan plan;
	int r;

	r = observe(scheduler);
	if (r < 0)
		return r;
	if (!observer_look(&scheduler->observer, &input))
		return false;
	sched_plan(&input, &plan);
	if (config->dry_run) {
		r = print_plan(&input, &plan);
	} else {
		log_plan(scheduler, &input, &plan);
		r = plan.n_moves > 0 ? carry_out(scheduler, &input, &plan) : 0;
	}
	return r < 0 ? r : true;
}

void scheduler_fini(struct scheduler *scheduler)
{
	observer_reset(&scheduler->observer);
}
