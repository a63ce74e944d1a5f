/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Documents generated from the option table: the shipped /etc/default/virtioforwarder and the lists
 * in the man pages. Used by the build, not by the programs.
 */

#include <stdio.h>

/* Writes the shipped file. */
void docs_write_file(FILE *out);

/*
 * Copies a man page's template. A line "@OPTIONS@" becomes the daemon's options, "@SCHED_OPTIONS@"
 * the core scheduler's, "@VARIABLES@" the variables of the file; "@VERSION@" within a line becomes
 * the project's version.
 */
void docs_write_man(FILE *template, FILE *out);
