/* SPDX-License-Identifier: BSD-3-Clause */

#include "control/metrics/docs.h"

int main(void)
{
	metrics_write_docs(stdout);
	return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
