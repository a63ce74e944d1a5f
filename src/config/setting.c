/* SPDX-License-Identifier: BSD-3-Clause */
#include "config/setting.h"

#include <errno.h>
#include <string.h>

static void setting_clear(struct setting *setting)
{
	for (unsigned i = 0; i < setting->n; i++) {
		free(setting->values[i].text);
		free(setting->values[i].origin);
	}
	free(setting->values);
	setting->values = NULL;
	setting->n = 0;
}

static bool is_blank(const char *text)
{
	return !text[strspn(text, " \t")];
}

int settings_add(struct settings *settings, enum option_id id, const char *text, const char *origin,
	struct err *err)
{
	struct setting *setting = &settings->of[id];
	struct value value, *values;

	if (!config_options[id].list || is_blank(text))
		setting_clear(setting);
	setting->given = true;
	if (is_blank(text))
		return 0;
	values = realloc(setting->values, (setting->n + 1) * sizeof(*values));
	if (!values)
		return err_set(err, ENOMEM, "out of memory");
	setting->values = values;
	value = (struct value){strdup(text), strdup(origin)};
	if (!value.text || !value.origin) {
		free(value.text);
		free(value.origin);
		return err_set(err, ENOMEM, "out of memory");
	}
	values[setting->n++] = value;
	return 0;
}

void settings_fini(struct settings *settings)
{
	for (unsigned id = 0; id < OPT_N; id++)
		setting_clear(&settings->of[id]);
	free(settings->unknown);
	settings->unknown = NULL;
}
