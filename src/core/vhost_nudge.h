/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Makes the vhost library's thread look at the sockets it has been given: it notices a new
 * listening one once a second, but at once when a connection is made, so one is made and ended.
 * Without it the first frontend of a new socket would wait that long. `dir`: where a socket may be
 * made for a moment. What fails is no error: the thread looks by itself.
 *
 * Control thread.
 */
void vhost_nudge(const char *dir);
