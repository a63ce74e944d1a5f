/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/print.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

typedef ProtobufCFieldDescriptor Field;

#define DIGITS_SIZE 18 /* 17 digits distinguish any two doubles */

/* The digits of the shortest decimal that reads back as `value`; returns its exponent. */
static int shortest_digits(double value, char ret_digits[static DIGITS_SIZE])
{
	char text[PRINT_FLOAT_SIZE];
	char *exponent;
	size_t n = 0;

	for (int precision = 0; precision <= 16; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision, value);
		if (strtod(text, NULL) == value)
			break;
	}
	exponent = strchr(text, 'e');
	for (char *c = text; c < exponent; c++)
		if (*c != '.')
			ret_digits[n++] = *c;
	ret_digits[n] = '\0';
	return atoi(exponent + 1);
}

void print_float(double value, char ret_text[static PRINT_FLOAT_SIZE])
{
	char digits[DIGITS_SIZE];
	const char *sign = signbit(value) ? "-" : "";
	int exponent, n;

	if (isnan(value)) {
		strcpy(ret_text, "nan");
		return;
	}
	if (isinf(value)) {
		snprintf(ret_text, PRINT_FLOAT_SIZE, "%sinf", sign);
		return;
	}
	exponent = shortest_digits(fabs(value), digits);
	n = (int)strlen(digits);
	if (exponent < -4 || exponent >= 16)
		snprintf(ret_text, PRINT_FLOAT_SIZE, "%s%c%s%se%+03d", sign, digits[0],
			n > 1 ? "." : "", digits + 1, exponent);
	else if (exponent < 0)
		snprintf(ret_text, PRINT_FLOAT_SIZE, "%s0.%.*s%s", sign, -exponent - 1, "0000",
			digits);
	else if (n <= exponent + 1)
		snprintf(ret_text, PRINT_FLOAT_SIZE, "%s%s%.*s.0", sign, digits, exponent + 1 - n,
			"0000000000000000");
	else
		snprintf(ret_text, PRINT_FLOAT_SIZE, "%s%.*s.%s", sign, exponent + 1, digits,
			digits + exponent + 1);
}

static const void *member(const ProtobufCMessage *message, unsigned offset)
{
	return (const char *)message + offset;
}

static size_t value_size(const Field *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		return sizeof(char *);
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(ProtobufCMessage *);
	case PROTOBUF_C_TYPE_UINT64:
		return sizeof(uint64_t);
	default:
		return sizeof(uint32_t);
	}
}

/* Returns the number of the field's values; *ret_values points to the first. */
static size_t field_values(
	const ProtobufCMessage *message, const Field *field, const void **ret_values)
{
	const void *at = member(message, field->offset);

	*ret_values = at;
	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		memcpy(ret_values, at, sizeof(*ret_values));
		return *(const size_t *)member(message, field->quantifier_offset);
	}
	if (field->label == PROTOBUF_C_LABEL_REQUIRED)
		return 1;
	if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(void *const *)at != NULL && *(void *const *)at != field->default_value;
	return *(const protobuf_c_boolean *)member(message, field->quantifier_offset) ? 1 : 0;
}

static const char *enum_name(const Field *field, int number)
{
	const ProtobufCEnumValue *value =
		protobuf_c_enum_descriptor_get_value(field->descriptor, number);

	return value ? value->name : NULL;
}

/*
 * A single-precision number. Like Python, takes the shortest decimal that reads back as the same
 * float.
 */
static double shortest_single(float value)
{
	char text[PRINT_FLOAT_SIZE];

	for (int precision = 6; precision <= 9; precision++) {
		snprintf(text, sizeof(text), "%.*g", precision, (double)value);
		if (strtof(text, NULL) == value)
			break;
	}
	return strtod(text, NULL);
}

static void print_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\' || c == '\'')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			fprintf(out, "\\%03o", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static void print_scalar(FILE *out, const Field *field, const void *value)
{
	char number[PRINT_FLOAT_SIZE];
	const char *name;

	switch (field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		fputs(*(const protobuf_c_boolean *)value ? "true" : "false", out);
		break;
	case PROTOBUF_C_TYPE_INT32:
		fprintf(out, "%" PRId32, *(const int32_t *)value);
		break;
	case PROTOBUF_C_TYPE_UINT32:
		fprintf(out, "%" PRIu32, *(const uint32_t *)value);
		break;
	case PROTOBUF_C_TYPE_UINT64:
		fprintf(out, "%" PRIu64, *(const uint64_t *)value);
		break;
	case PROTOBUF_C_TYPE_FLOAT:
		print_float(shortest_single(*(const float *)value), number);
		fputs(number, out);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		name = enum_name(field, *(const int *)value);
		if (name)
			fputs(name, out);
		else
			fprintf(out, "%d", *(const int *)value);
		break;
	default: /* text: our messages have no other type */
		print_text(out, *(const char *const *)value);
		break;
	}
}

static void print_fields(
	FILE *out, const ProtobufCMessage *message, bool extensions, unsigned depth)
{
	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		const Field *field = &message->descriptor->fields[i];
		const void *values;
		size_t n = field_values(message, field, &values);

		if (field->id >= PRINT_EXTENSIONS_FROM && !extensions)
			continue;
		for (size_t k = 0; k < n; k++) {
			const void *value = (const char *)values + k * value_size(field);

			fprintf(out, "%*s%s", (int)depth * 2, "", field->name);
			if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
				fputs(" {\n", out);
				print_fields(out, *(ProtobufCMessage *const *)value, extensions,
					depth + 1);
				fprintf(out, "%*s}\n", (int)depth * 2, "");
			} else {
				fputs(": ", out);
				print_scalar(out, field, value);
				fputc('\n', out);
			}
		}
	}
}

void print_protobuf(FILE *out, const ProtobufCMessage *message, bool extensions)
{
	print_fields(out, message, extensions, 0);
}

static json_t *json_message(const ProtobufCMessage *message);

static json_t *json_value(const Field *field, const void *value)
{
	const char *name;

	switch (field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		return json_boolean(*(const protobuf_c_boolean *)value);
	case PROTOBUF_C_TYPE_INT32:
		return json_integer(*(const int32_t *)value);
	case PROTOBUF_C_TYPE_UINT32:
		return json_integer(*(const uint32_t *)value);
	case PROTOBUF_C_TYPE_UINT64:
		return json_integer((json_int_t) * (const uint64_t *)value);
	case PROTOBUF_C_TYPE_FLOAT:
		return json_real(shortest_single(*(const float *)value));
	case PROTOBUF_C_TYPE_ENUM:
		name = enum_name(field, *(const int *)value);
		return name ? json_string(name) : json_integer(*(const int *)value);
	case PROTOBUF_C_TYPE_MESSAGE:
		return json_message(*(ProtobufCMessage *const *)value);
	default:
		return json_string(*(const char *const *)value);
	}
}

static json_t *json_field(const Field *field, const void *values, size_t n)
{
	json_t *array;

	if (field->label != PROTOBUF_C_LABEL_REPEATED)
		return json_value(field, values);
	array = json_array();
	for (size_t k = 0; k < n; k++)
		if (json_array_append_new(array,
			    json_value(field, (const char *)values + k * value_size(field))) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static json_t *json_message(const ProtobufCMessage *message)
{
	json_t *object = json_object();

	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		const Field *field = &message->descriptor->fields[i];
		const void *values;
		size_t n = field_values(message, field, &values);

		if (n == 0 && field->label != PROTOBUF_C_LABEL_REPEATED)
			continue;
		if (json_object_set_new(object, field->name, json_field(field, values, n)) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

int print_json(FILE *out, const ProtobufCMessage *message)
{
	json_t *object = json_message(message);
	int r;

	if (!object)
		return -ENOMEM;
	r = json_dumpf(object, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) < 0 ? -ENOMEM : 0;
	fputc('\n', out);
	json_decref(object);
	return r;
}
