/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stdio.h>

/* docs/metrics.md. Only the build and a test use this, not the daemon. */
void metrics_write_docs(FILE *out);
