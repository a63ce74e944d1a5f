/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/text.h"

#include <string.h>

/*
 * The length of the UTF-8 sequence at `text`; 0 if there is none or it is a control character.
 * Reads no byte behind the terminating NUL.
 */
static size_t sequence_length(const unsigned char *text)
{
	unsigned length, code;

	if (text[0] < 0x80)
		return text[0] >= 0x20 && text[0] != 0x7f;
	if (text[0] >= 0xc2 && text[0] < 0xe0)
		length = 2;
	else if (text[0] >= 0xe0 && text[0] < 0xf0)
		length = 3;
	else if (text[0] >= 0xf0 && text[0] < 0xf5)
		length = 4;
	else
		return 0;

	code = text[0] & (0x7f >> length);
	for (unsigned i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	/* C1 controls, overlong forms, surrogates, beyond Unicode. */
	if (code < 0xa0 || (length == 3 && code < 0x800) || (length == 4 && code < 0x10000) ||
		(code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
		return 0;
	return length;
}

bool text_valid(const char *text)
{
	while (*text) {
		size_t length = sequence_length((const unsigned char *)text);

		if (length == 0)
			return false;
		text += length;
	}
	return true;
}

void text_copy(char *ret_text, size_t size, const char *text)
{
	while (*text) {
		size_t length = sequence_length((const unsigned char *)text);
		size_t taken = length ? length : 1;

		if (taken >= size)
			break;
		if (length)
			memcpy(ret_text, text, length);
		else
			*ret_text = '?';
		ret_text += taken;
		size -= taken;
		text += taken;
	}
	*ret_text = '\0';
}
