/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/metrics/docs.h"

#include "base/drop.h"
#include "control/metrics/table.h"

static void write_metric(FILE *out, const struct metric *metric)
{
	const struct metric_type_names *type = &metric_types[metric->type];

	fprintf(out, "| `%s%s` | %s | %s | %s |\n", metric->name, type->suffix, type->name,
		metric->labels, metric->help);
}

void metrics_write_docs(FILE *out)
{
	fprintf(out,
		"# Metrics\n\n"
		"These are the metrics of the metrics endpoint; [monitoring.md](monitoring.md) "
		"says how to read it.\n"
		"This file is generated from the table in the source "
		"(`build/src/control/metrics/metrics-docs`); a\n"
		"unit test compares the two.\n\n"
		"All names begin with `" METRIC_PREFIX "`, which is left out here. `direction` is\n"
		"`vf_to_vm` or `vm_to_vf`; `relay` is an id from 0 to 63. The counters of a relay "
		"live as long as the\n"
		"daemon, with two exceptions: those of a device start again when it is attached or "
		"has come back, and those\n"
		"of a VM (`relay_vm_..._total`) when the relay's socket is made anew (dynamic "
		"sockets).\n\n"
		"| metric | type | labels | meaning |\n|---|---|---|---|\n");
	for (enum metric_id id = 0; id < METRIC_N; id++)
		write_metric(out, &metrics[id]);
	fprintf(out, "\nReasons for drops:\n\n| reason | meaning |\n|---|---|\n");
	for (unsigned i = 0; i < DROP_N; i++)
		fprintf(out, "| `%s` | %s |\n", drop_reason_name(i), drop_reason_text(i));
}
