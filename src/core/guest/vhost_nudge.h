/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Makes the vhost library's thread look at the sockets that it has been given. It notices a new
 * listening socket only once a second, but at once when a connection is made; so one is made and
 * ended. Without this the first frontend of a new socket would wait that long. `dir`: a directory
 * where a socket may be made for a moment. A failure is no error: the thread looks anyway.
 *
 * Control thread.
 */
void vhost_nudge(const char *dir);
