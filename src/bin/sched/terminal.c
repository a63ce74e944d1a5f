/* SPDX-License-Identifier: BSD-3-Clause */
#include "bin/sched/terminal.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <time.h>

#define ENTER "\033[?1049h\033[?25l" /* alternate screen, no cursor */
#define LEAVE "\033[?25h\033[?1049l"
#define HOME "\033[H"
#define CLEAR_LINE "\033[K"
#define CLEAR_REST "\033[J"

#define COLUMNS_DEFAULT 120 /* if stdout is not a terminal */

/*
 * Global, since a signal handler has no context. The handler makes ppoll() return; this says
 * whether to stop.
 */
static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	if (number != SIGWINCH)
		stopped = 1;
}

static void catch_signals(struct terminal *terminal)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t set;

	sigemptyset(&set);
	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
		sigaddset(&set, numbers[i]);
		sigaction(numbers[i], &action, NULL);
	}
	sigprocmask(SIG_BLOCK, &set, &terminal->signals);
}

void terminal_open(struct terminal *terminal)
{
	struct termios keys;

	*terminal = (struct terminal){.is_screen = isatty(STDOUT_FILENO)};
	catch_signals(terminal);
	if (!terminal->is_screen)
		return;
	fputs(ENTER, stdout);
	if (tcgetattr(STDIN_FILENO, &terminal->before) < 0)
		return;
	keys = terminal->before;
	keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	terminal->has_keys = tcsetattr(STDIN_FILENO, TCSANOW, &keys) == 0;
}

void terminal_close(struct terminal *terminal)
{
	if (terminal->is_screen)
		fputs(LEAVE, stdout);
	fflush(stdout);
	if (terminal->has_keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal->before);
	sigprocmask(SIG_SETMASK, &terminal->signals, NULL);
}

struct top_size terminal_size(const struct terminal *terminal)
{
	struct winsize size;

	if (!terminal->is_screen)
		return (struct top_size){.columns = COLUMNS_DEFAULT};
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row < 2)
		return (struct top_size){.columns = 80, .rows = 23};
	return (struct top_size){.columns = size.ws_col, .rows = size.ws_row - 1U};
}

void terminal_begin(const struct terminal *terminal)
{
	if (terminal->is_screen)
		fputs(HOME, stdout);
}

void terminal_end(const struct terminal *terminal)
{
	fputs(terminal->is_screen ? CLEAR_REST : "\n", stdout);
	fflush(stdout);
}

const char *terminal_line_end(const struct terminal *terminal)
{
	return terminal->is_screen ? CLEAR_LINE "\n" : "\n";
}

/* Reads a key; true if it means quit, or if stdin is closed. */
static bool key_is_quit(void)
{
	char key;

	return read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q';
}

bool terminal_wait(const struct terminal *terminal, double seconds)
{
	struct pollfd keys = {.fd = terminal->has_keys ? STDIN_FILENO : -1, .events = POLLIN};
	struct timespec timeout = {.tv_sec = (time_t)seconds};
	int r;

	timeout.tv_nsec = (long)((seconds - (double)timeout.tv_sec) * 1e9);
	r = ppoll(&keys, 1, &timeout, &terminal->signals);
	if (stopped || (r < 0 && errno != EINTR))
		return false;
	return r <= 0 || !key_is_quit();
}
