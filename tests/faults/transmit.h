/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <rte_mbuf.h>

/* The transmit function that transmit.c puts in place of that of each net_null device. */
uint16_t transmit(void *queue, struct rte_mbuf **packets, uint16_t n);
