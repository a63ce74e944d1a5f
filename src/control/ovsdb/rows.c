/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ovsdb/rows.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void row_fini(struct row *row)
{
	free(row->relay_id);
	free(row->device);
	free(row->ident);
}

void rows_fini(struct rows *rows)
{
	for (unsigned i = 0; i < rows->n; i++)
		row_fini(&rows->rows[i]);
	free(rows->rows);
	*rows = (struct rows){0};
}

static struct row *find_uuid(struct rows *rows, const char *uuid)
{
	for (unsigned i = 0; i < rows->n; i++)
		if (!strcmp(rows->rows[i].uuid, uuid))
			return &rows->rows[i];
	return NULL;
}

static struct row *find_name(struct rows *rows, const char *name)
{
	for (unsigned i = 0; i < rows->n; i++)
		if (!strcmp(rows->rows[i].name, name))
			return &rows->rows[i];
	return NULL;
}

static void row_remove(struct rows *rows, struct row *row)
{
	row_fini(row);
	*row = rows->rows[--rows->n];
}

static int row_append(struct rows *rows, const struct row *row)
{
	struct row *grown = reallocarray(rows->rows, rows->n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	grown[rows->n++] = *row;
	rows->rows = grown;
	return 0;
}

/* The pairs of a map: ["map", [[key, value], ...]]; NULL if it is no map. */
static const json_t *map_pairs(const json_t *map)
{
	const char *kind = json_string_value(json_array_get(map, 0));
	const json_t *pairs = json_array_get(map, 1);

	return kind && !strcmp(kind, "map") && json_is_array(pairs) ? pairs : NULL;
}

/* The value of a key; NULL if the map does not have it. */
static const char *map_get(const json_t *pairs, const char *key)
{
	const char *name;

	for (size_t i = 0; i < json_array_size(pairs); i++) {
		name = json_string_value(json_array_get(json_array_get(pairs, i), 0));
		if (name && !strcmp(name, key))
			return json_string_value(json_array_get(json_array_get(pairs, i), 1));
	}
	return NULL;
}

static int copy_value(char **ret_copy, const json_t *pairs, const char *key)
{
	const char *value = map_get(pairs, key);

	if (!value || !value[0])
		return 0;
	*ret_copy = strdup(value);
	return *ret_copy ? 0 : -ENOMEM;
}

/* Returns 1 if the row asks for a relay, 0 if it does not, or a negative errno. */
static int row_read(struct row *ret_row, const char *uuid, const json_t *columns)
{
	const json_t *pairs = map_pairs(json_object_get(columns, "external_ids"));
	const char *name = json_string_value(json_object_get(columns, "name"));
	struct row row = {0};

	if (!pairs || !name || strlen(uuid) >= sizeof(row.uuid))
		return -EPROTO;
	if (!map_get(pairs, "virtio_forwarder") && !map_get(pairs, "virtio_relay"))
		return 0;
	strcpy(row.uuid, uuid);
	snprintf(row.name, sizeof(row.name), "%s", name);
	if (copy_value(&row.relay_id, pairs, "virtio_forwarder_id") < 0 ||
		copy_value(&row.device, pairs, "virtio_forwarder_device") < 0 ||
		copy_value(&row.ident, pairs, "iface-id") < 0) {
		row_fini(&row);
		return -ENOMEM;
	}
	*ret_row = row;
	return 1;
}

/* What is known of an interface stays valid as long as its name is the same. */
static void row_inherit(struct row *row, const struct row *former)
{
	if (!former || strcmp(row->name, former->name) != 0)
		return;
	row->resolved = former->resolved;
	row->vf = former->vf;
	row->logged = former->logged;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* True if both rows ask for the same. */
static bool row_equal(const struct row *a, const struct row *b)
{
	return !strcmp(a->name, b->name) && same_text(a->relay_id, b->relay_id) &&
	       same_text(a->device, b->device) && same_text(a->ident, b->ident);
}

/*
 * Applies one row of the update to `rows`. `former` are the rows before the update, possibly the
 * same object. Returns 1 if the row changes them, 0 if not, or a negative errno.
 */
static int take_row(struct rows *rows, struct rows *former, const char *uuid, const json_t *update)
{
	const json_t *columns = json_object_get(update, "new");
	struct row *known = former == rows ? find_uuid(rows, uuid) : NULL;
	struct row row;
	int r;

	if (!json_is_object(update))
		return -EPROTO;
	r = columns ? row_read(&row, uuid, columns) : 0;
	if (r > 0) {
		if (known && row_equal(known, &row)) {
			row_fini(&row);
			return 0;
		}
		row_inherit(&row, known ? known : find_name(former, row.name));
		if (!known) {
			r = row_append(rows, &row);
			if (r < 0)
				row_fini(&row);
			return r < 0 ? r : 1;
		}
		row_fini(known);
		*known = row;
	} else if (r == 0 && known) {
		row_remove(rows, known);
		return 1;
	}
	return r;
}

/*
 * Applies either the updates that tell a row's new content or (`ended`) those that tell its
 * deletion.
 */
static int take_updates(struct rows *rows, struct rows *former, const json_t *table, bool ended)
{
	bool changed = false;
	const char *uuid;
	json_t *update;
	int r;

	json_object_foreach ((json_t *)table, uuid, update) {
		if (ended == !!json_object_get(update, "new"))
			continue;
		r = take_row(rows, former, uuid, update);
		if (r < 0)
			return r;
		changed = changed || r > 0;
	}
	return changed;
}

/*
 * Deletions come last: within one update a row may replace another of the same name, and inherits
 * from it.
 */
static int take_table(struct rows *rows, struct rows *former, const json_t *table)
{
	int changed = take_updates(rows, former, table, false);
	int ended = changed < 0 ? changed : take_updates(rows, former, table, true);

	return ended < 0 ? ended : changed || ended;
}

int rows_take(struct rows *rows, const json_t *table_updates, bool initial, struct err *err)
{
	const json_t *table = json_object_get(table_updates, "Interface");
	struct rows fresh = {0};
	int r;

	if (!json_is_object(table_updates) || (table && !json_is_object(table)))
		return err_set(err, EPROTO, "the server sent a malformed update");
	r = take_table(initial ? &fresh : rows, rows, table);
	if (r < 0) {
		rows_fini(&fresh);
		return err_set(err, -r,
			r == -ENOMEM ? "out of memory" : "the server sent a malformed row");
	}
	if (initial) {
		rows_fini(rows);
		*rows = fresh;
		return 1;
	}
	return r;
}
