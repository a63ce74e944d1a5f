/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Reads a decimal number of 0..max, digits and nothing else. Returns 0, or -EINVAL with *ret_number
 * untouched.
 */
int number_parse(const char *text, unsigned max, unsigned *ret_number);
