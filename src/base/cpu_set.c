/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/cpu_set.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int add_once(struct cpu_set *set, unsigned cpu, struct err *err)
{
	if (cpu_set_has(set, cpu))
		return err_set(err, EINVAL, "CPU %u is named twice", cpu);
	cpu_set_add(set, cpu);
	return 0;
}

static int read_mask(const char *text, const char *digits, struct cpu_set *set, struct err *err)
{
	unsigned cpu = 0;

	if (!*digits || digits[strspn(digits, "0123456789abcdefABCDEF")])
		return err_set(err, EINVAL, "'%s' is no hexadecimal mask such as 0x6", text);
	for (const char *c = digits + strlen(digits); c-- > digits; cpu += 4) {
		int lower = tolower((unsigned char)*c);
		int value = lower <= '9' ? lower - '0' : lower - 'a' + 10;

		for (unsigned bit = 0; bit < 4; bit++) {
			if (!(value >> bit & 1))
				continue;
			if (cpu + bit >= CPU_SET_MAX)
				return err_set(err, EINVAL, "'%s' names a CPU above %d", text,
					CPU_SET_MAX - 1);
			cpu_set_add(set, cpu + bit);
		}
	}
	return 0;
}

/* Reads a CPU number and advances *text behind it. */
static int read_cpu(const char **text, unsigned *ret_cpu, struct err *err)
{
	const char *c = *text;
	unsigned cpu = 0;

	if (!isdigit((unsigned char)*c))
		return err_set(err, EINVAL, "a CPU number is expected %s%s%s",
			*c ? "at '" : "at the end", c, *c ? "'" : "");
	for (; isdigit((unsigned char)*c); c++) {
		cpu = cpu * 10 + (unsigned)(*c - '0');
		if (cpu >= CPU_SET_MAX)
			return err_set(err, EINVAL, "a CPU number is above %d", CPU_SET_MAX - 1);
	}
	*text = c;
	*ret_cpu = cpu;
	return 0;
}

/* Reads "N" or "N-M" and advances *text behind it. */
static int read_range(const char **text, struct cpu_set *set, struct err *err)
{
	unsigned first, last;
	int r;

	r = read_cpu(text, &first, err);
	if (r < 0)
		return r;
	last = first;
	if (**text == '-') {
		(*text)++;
		r = read_cpu(text, &last, err);
		if (r < 0)
			return r;
		if (last < first)
			return err_set(err, EINVAL, "the range %u-%u is reversed", first, last);
	}
	for (unsigned cpu = first; cpu <= last; cpu++) {
		r = add_once(set, cpu, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_list(const char *text, struct cpu_set *set, struct err *err)
{
	for (;;) {
		int r = read_range(&text, set, err);

		if (r < 0)
			return r;
		if (!*text)
			return 0;
		if (*text++ != ',')
			return err_set(err, EINVAL, "unexpected '%s' in a list of CPUs", text - 1);
	}
}

int cpu_set_parse(const char *text, struct cpu_set *ret_set, struct err *err)
{
	bool is_mask = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	struct cpu_set set = {};
	int r;

	r = is_mask ? read_mask(text, text + 2, &set, err) : read_list(text, &set, err);
	if (r < 0)
		return r;
	if (cpu_set_count(&set) == 0)
		return err_set(err, EINVAL, "'%s' names no CPU", text);
	*ret_set = set;
	return 0;
}

int cpu_set_read(const char *path, struct cpu_set *ret_set, struct err *err)
{
	char text[CPU_LIST_SIZE] = "";
	FILE *file = fopen(path, "re");

	if (!file)
		return err_set(err, errno, "%s: cannot be opened: %s", path, strerror(errno));
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	text[strcspn(text, "\n")] = '\0';
	if (cpu_set_parse(text, ret_set, err) < 0)
		return err_prefix(err, -EIO, "%s", path);
	return 0;
}

bool cpu_set_has(const struct cpu_set *set, unsigned cpu)
{
	return cpu < CPU_SET_MAX && (set->words[cpu / 64] >> cpu % 64 & 1);
}

void cpu_set_add(struct cpu_set *set, unsigned cpu)
{
	if (cpu < CPU_SET_MAX)
		set->words[cpu / 64] |= UINT64_C(1) << cpu % 64;
}

unsigned cpu_set_count(const struct cpu_set *set)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(set->words); i++)
		n += (unsigned)__builtin_popcountll(set->words[i]);
	return n;
}

int cpu_set_next(const struct cpu_set *set, unsigned cpu)
{
	for (; cpu < CPU_SET_MAX; cpu++)
		if (cpu_set_has(set, cpu))
			return (int)cpu;
	return -1;
}

void cpu_set_format(const struct cpu_set *set, char *ret_text, unsigned size)
{
	char list[CPU_LIST_SIZE] = "";
	unsigned length = 0;

	for (int first = cpu_set_next(set, 0); first >= 0;) {
		const char *comma = length > 0 ? "," : "";
		char *at = list + length;
		int last = first;

		while (cpu_set_has(set, (unsigned)last + 1))
			last++;
		if (first == last)
			length += (unsigned)sprintf(at, "%s%d", comma, first);
		else
			length += (unsigned)sprintf(at, "%s%d-%d", comma, first, last);
		first = cpu_set_next(set, (unsigned)last + 1);
	}
	if (length >= size) {
		for (length = size - (unsigned)sizeof("...");
			length > 0 && list[length - 1] != ',';)
			length--;
		strcpy(list + length, "...");
	}
	strcpy(ret_text, list);
}
