/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdio.h>

/* Writes docs/metrics.md. Used by the build and a test, not by the daemon. */
void metrics_write_docs(FILE *out);
