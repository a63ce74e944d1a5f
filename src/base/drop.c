/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/drop.h"

#include <assert.h>

static const struct {
	const char *name;
	const char *text;
} reasons[] = {
#define DROP(id, name, text) [DROP_##id] = {name, text},
	DROP_REASONS(DROP)
#undef DROP
};

const char *drop_reason_name(enum drop_reason reason)
{
	assert(reason < DROP_N);
	return reasons[reason].name;
}

const char *drop_reason_text(enum drop_reason reason)
{
	assert(reason < DROP_N);
	return reasons[reason].text;
}
