/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * How many packets a lane takes at a time, as a histogram. Bucket i counts the bursts of up to 2^i
 * packets that no bucket before it counts; the last one counts all larger bursts.
 */

#define BURST_BUCKETS 7 /* 1, 2, 3-4, 5-8, 9-16, 17-32, more */

/* The largest burst that bucket i < BURST_BUCKETS - 1 counts. */
static inline unsigned burst_bucket_limit(unsigned bucket)
{
	return 1u << bucket;
}

/* The bucket of a burst of n >= 1 packets. */
static inline unsigned burst_bucket(unsigned long n)
{
	unsigned bucket = n > 1 ? 64 - (unsigned)__builtin_clzl(n - 1) : 0;

	return bucket < BURST_BUCKETS ? bucket : BURST_BUCKETS - 1;
}
