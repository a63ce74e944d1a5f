/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The configuration file. Its syntax is the part of the shell's that such files use: assignments,
 * comments, quotes, backslashes, arrays. Nothing is expanded or executed; where a shell would do
 * so, we fail.
 */

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/setting.h"

#define FILE_SIZE_MAX (1024 * 1024)

struct cursor {
	const char *path;
	const char *at;
	unsigned line;
	enum program program;
	struct settings *settings;
	struct err *err;
};

_printf_(3, 4) static int fail_at(struct cursor *c, unsigned line, const char *fmt, ...)
{
	char text[ERR_TEXT_SIZE];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return err_set(c->err, EINVAL, "%s:%u: %s", c->path, line, text);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(struct cursor *c)
{
	while (is_blank(*c->at))
		c->at++;
}

/* Skips blanks, comments and line ends between two assignments or array items. */
static void skip_lines(struct cursor *c)
{
	for (;; c->at++) {
		skip_blanks(c);
		if (*c->at == '#')
			c->at += strcspn(c->at, "\n");
		if (*c->at != '\n')
			return;
		c->line++;
	}
}

static int refuse_expansion(struct cursor *c)
{
	return fail_at(c, c->line,
		"'%c' would need a shell, and this file is not read by one; write the value "
		"itself, or '%c' in single quotes",
		*c->at, *c->at);
}

/*
 * Reads the text after an opening quote, up to and including the closing one; appends it to *text.
 */
static int read_quoted(struct cursor *c, char quote, char **text)
{
	unsigned line = c->line;

	for (; *c->at != quote; c->at++) {
		if (!*c->at || *c->at == '\n')
			return fail_at(c, line, "no closing %c on this line", quote);
		if (quote == '"') {
			if (*c->at == '$' || *c->at == '`')
				return refuse_expansion(c);
			if (*c->at == '\\' && c->at[1] && strchr("\"\\$`", c->at[1]))
				c->at++;
		}
		*(*text)++ = *c->at;
	}
	c->at++;
	return 0;
}

/* Reads a word, up to a blank, the end of the line, or (in an array) an unquoted ')'. */
static int read_word(struct cursor *c, bool in_array, char **ret_word)
{
	_cleanup_free_ char *word = malloc(strcspn(c->at, "\n") + 1);
	char *end = word;
	int r;

	if (!word)
		return err_set(c->err, ENOMEM, "out of memory");
	while (*c->at && *c->at != '\n' && !is_blank(*c->at) && !(in_array && *c->at == ')')) {
		switch (*c->at) {
		case '$':
		case '`':
			return refuse_expansion(c);
		case '\'':
		case '"':
			c->at++;
			r = read_quoted(c, c->at[-1], &end);
			if (r < 0)
				return r;
			break;
		case '\\':
			c->at++;
			if (!*c->at || *c->at == '\n' || *c->at == '\r')
				return fail_at(c, c->line, "a value cannot go on in the next line");
			/* fall through */
		default:
			*end++ = *c->at++;
		}
	}
	*end = '\0';
	*ret_word = word;
	word = NULL;
	return 0;
}

static int add(struct cursor *c, enum option_id id, const char *text)
{
	char origin[ERR_TEXT_SIZE];

	snprintf(
		origin, sizeof(origin), "%s:%u: %s", c->path, c->line, config_options[id].variable);
	return settings_add(c->settings, id, text, origin, c->err);
}

/* Reads an array "(a b c)" from behind its '('; it may span several lines. */
static int read_array(struct cursor *c, enum option_id id)
{
	const char *variable = config_options[id].variable;
	unsigned line = c->line;
	int r;

	if (!config_options[id].list)
		return fail_at(c, line, "%s takes one value, not an array", variable);
	r = add(c, id, "");
	for (skip_lines(c); r == 0 && *c->at != ')'; skip_lines(c)) {
		_cleanup_free_ char *word = NULL;

		if (!*c->at)
			return fail_at(c, line, "%s: no ')' ends the array", variable);
		r = read_word(c, true, &word);
		if (r == 0 && *word)
			r = add(c, id, word);
	}
	c->at++;
	return r;
}

static int read_value(struct cursor *c, enum option_id id)
{
	_cleanup_free_ char *word = NULL;
	int r;

	if (*c->at == '(') {
		c->at++;
		return read_array(c, id);
	}
	r = read_word(c, false, &word);
	return r < 0 ? r : add(c, id, word);
}

/*
 * A blank value means the default, so nothing is lost if the variable is not known: another version
 * may know it.
 */
static int read_unknown(struct cursor *c, const char *variable)
{
	const char *others = c->settings->unknown;
	_cleanup_free_ char *word = NULL;
	char *all;
	int r;

	r = read_word(c, false, &word);
	if (r < 0)
		return r;
	if (word[strspn(word, " \t")])
		return fail_at(c, c->line, "unknown variable '%s'; virtioforwarder(5) lists them",
			variable);
	if (asprintf(&all, "%s%s%s", others ? others : "", others ? ", " : "", variable) < 0)
		return err_set(c->err, ENOMEM, "out of memory");
	free(c->settings->unknown);
	c->settings->unknown = all;
	return 0;
}

static int read_known(struct cursor *c, enum option_id id)
{
	struct setting *setting = &c->settings->of[id];
	unsigned line = c->line;
	int r = 0;

	setting->line_before = setting->line;
	if (setting->given)
		r = add(c, id, ""); /* drops a former list too */
	if (r == 0)
		r = read_value(c, id);
	if (r == 0)
		setting->line = line;
	return r;
}

static int read_name(struct cursor *c, char **ret_name)
{
	const char *name = c->at;
	int length;

	while (*c->at && *c->at != '\n' && *c->at != '=' && !is_blank(*c->at))
		c->at++;
	length = (int)(c->at - name);
	if (is_blank(*c->at) && strspn(c->at, " \t=") > strspn(c->at, " \t"))
		return fail_at(c, c->line, "no blank may stand before the '='");
	if (*c->at != '=' || length == 0)
		return fail_at(c, c->line, "'%.*s' is no variable=value", length, name);
	c->at++;
	*ret_name = strndup(name, (size_t)length);
	return *ret_name ? 0 : err_set(c->err, ENOMEM, "out of memory");
}

static int read_assignment(struct cursor *c)
{
	_cleanup_free_ char *name = NULL;
	enum option_id id;
	int r;

	r = read_name(c, &name);
	if (r < 0)
		return r;
	id = option_by_variable(c->program, name);
	r = id == OPT_N ? read_unknown(c, name) : read_known(c, id);
	if (r < 0)
		return r;
	skip_blanks(c);
	if (*c->at && *c->at != '\n' && *c->at != '#')
		return fail_at(c, c->line,
			"%s: '%.*s' follows the value; put a value that holds blanks in quotes",
			name, (int)strcspn(c->at, " \t\r\n"), c->at);
	c->at += strcspn(c->at, "\n");
	return 0;
}

/*
 * No control characters other than those between words and lines: values end up in log lines and in
 * file names.
 */
static int check_characters(struct cursor *c, const char *text)
{
	unsigned line = 1;

	for (; *text; text++) {
		if (*text == '\n')
			line++;
		else if (iscntrl((unsigned char)*text) && !is_blank(*text))
			return fail_at(c, line, "control character 0x%02x",
				(unsigned)(unsigned char)*text);
	}
	return 0;
}

int file_parse(const char *path, const char *text, enum program program, struct settings *settings,
	struct err *err)
{
	static const char bom[] = "\xef\xbb\xbf"; /* some editors put it in front of UTF-8 */
	struct cursor c = {path, text, 1, program, settings, err};
	int r;

	if (strncmp(text, bom, strlen(bom)) == 0)
		c.at += strlen(bom);
	r = check_characters(&c, c.at);
	for (skip_lines(&c); r == 0 && *c.at; skip_lines(&c))
		r = read_assignment(&c);
	return r;
}

int file_read(const char *path, enum program program, struct settings *settings, struct err *err)
{
	_cleanup_free_ char *text = malloc(FILE_SIZE_MAX + 1);
	size_t length;
	FILE *file;
	int code;

	if (!text)
		return err_set(err, ENOMEM, "out of memory");
	file = fopen(path, "re");
	if (!file)
		return err_set(err, errno, "%s: cannot be opened: %s", path, strerror(errno));
	length = fread(text, 1, FILE_SIZE_MAX + 1, file);
	code = ferror(file) ? errno : 0;
	fclose(file);
	if (code)
		return err_set(err, code, "%s: cannot be read: %s", path, strerror(code));
	if (length > FILE_SIZE_MAX)
		return err_set(err, EFBIG, "%s: larger than %d bytes", path, FILE_SIZE_MAX);
	text[length] = '\0';
	if (strlen(text) < length)
		return err_set(err, EINVAL, "%s: holds a NUL byte; it is no text file", path);
	return file_parse(path, text, program, settings, err);
}
