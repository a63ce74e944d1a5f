/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/gate/bus_error.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <rte_memory.h>
#include <rte_pause.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/util.h"

#define ERRORS_MAX 64 /* not taken yet; more are handled, but not reported */

static void on_bus_error(int signal, siginfo_t *info, void *context);

static struct {
	int event_fd; /* -1: not open */
	int maps_fd;  /* /proc/self/maps; there may be no descriptor left when it is needed */
	atomic_flag replacing; /* held by the thread that replaces a mapping; guards the next two */
	struct {
		uintptr_t start, end;
	} replaced[ERRORS_MAX]; /* the last ones */
	unsigned n_replaced;
	struct sigaction ours, previous;
	/* What somebody else has asked for meanwhile, by sigaction(). */
	struct sigaction other;
	atomic_bool has_other;
	/*
	 * A slot is written by the thread that had the error, after it has taken the slot's number,
	 * and read by bus_error_take().
	 */
	struct {
		struct file_id file;
		atomic_bool full;
	} slots[ERRORS_MAX];
	atomic_uint next_in;
	unsigned next_out;
} errors = {
	.event_fd = -1,
	.replacing = ATOMIC_FLAG_INIT,
	.ours = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO},
};

/* What matters of a line of /proc/self/maps. */
struct mapping {
	uintptr_t start, end;
	char permissions[5];
	struct file_id file;
};

/* Reads the file in pieces: the handler may allocate nothing. */
struct reader {
	int fd;
	size_t at, n;
	char buffer[1024];
};

static int next_char(struct reader *reader)
{
	if (reader->at == reader->n) {
		ssize_t n = read(reader->fd, reader->buffer, sizeof(reader->buffer));
		if (n <= 0)
			return -1;
		reader->n = n;
		reader->at = 0;
	}
	return (unsigned char)reader->buffer[reader->at++];
}

/* Reads a number of base 10 or 16 and the one character behind it. */
static uint64_t next_number(struct reader *reader, int base)
{
	uint64_t value = 0;

	for (;;) {
		int c = next_char(reader);
		int digit = base;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if (c >= 'a' && c <= 'f')
			digit = c - 'a' + 10;
		if (digit >= base)
			return value;
		value = value * base + digit;
	}
}

/* "start-end rw-s offset major:minor inode   path" */
static bool next_mapping(struct reader *reader, struct mapping *ret_mapping)
{
	struct mapping mapping = {0};

	mapping.start = next_number(reader, 16);
	mapping.end = next_number(reader, 16);
	for (unsigned i = 0; i < 4; i++)
		mapping.permissions[i] = next_char(reader);
	next_char(reader);
	next_number(reader, 16);
	unsigned major_number = next_number(reader, 16);
	mapping.file.device = makedev(major_number, next_number(reader, 16));
	mapping.file.inode = next_number(reader, 10);
	int c;
	do
		c = next_char(reader);
	while (c != '\n' && c >= 0);
	*ret_mapping = mapping;
	return c == '\n';
}

static bool find_mapping(uintptr_t address, struct mapping *ret_mapping)
{
	struct reader reader = {.fd = errors.maps_fd};
	bool found = false;

	lseek(reader.fd, 0, SEEK_SET);
	while (!found && next_mapping(&reader, ret_mapping))
		found = address >= ret_mapping->start && address < ret_mapping->end;
	return found;
}

static bool has_replaced(uintptr_t address)
{
	for (unsigned i = 0; i < MIN(errors.n_replaced, ERRORS_MAX); i++)
		if (address >= errors.replaced[i].start && address < errors.replaced[i].end)
			return true;
	return false;
}

static void note(struct file_id file)
{
	unsigned slot = atomic_fetch_add(&errors.next_in, 1) % ERRORS_MAX;

	if (!atomic_load(&errors.slots[slot].full)) {
		errors.slots[slot].file = file;
		atomic_store(&errors.slots[slot].full, true);
	}
	eventfd_write(errors.event_fd, 1);
}

static bool replace_alone(uintptr_t address)
{
	struct mapping mapping;

	if (!find_mapping(address, &mapping))
		return false;
	if (mapping.file.inode == 0) /* another thread was faster, or it is memory of our own */
		return has_replaced(address);
	if (strcmp(mapping.permissions, "rw-s") != 0)
		return false;
	if (mmap((void *)mapping.start, mapping.end - mapping.start, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return false;
	unsigned n = errors.n_replaced++ % ERRORS_MAX;
	errors.replaced[n].start = mapping.start;
	errors.replaced[n].end = mapping.end;
	note(mapping.file);
	return true;
}

/* True if zeros have taken the place of a mapping that a guest has shared. */
static bool replace(uintptr_t address)
{
	while (atomic_flag_test_and_set(&errors.replacing))
		rte_pause();
	bool done = replace_alone(address);
	atomic_flag_clear(&errors.replacing);
	return done;
}

static int system_sigaction(int signal, const struct sigaction *action, struct sigaction *ret_old)
{
	static int (*_Atomic next)(int, const struct sigaction *, struct sigaction *);

	if (next == NULL)
		next = dlsym(RTLD_NEXT, "sigaction");
	return next(signal, action, ret_old);
}

/* There is no page for DPDK's own memory: true if somebody expected that. */
static bool pass_on(int signal, siginfo_t *info, void *context)
{
	if (!atomic_load(&errors.has_other))
		return false;
	if (errors.other.sa_flags & SA_SIGINFO)
		errors.other.sa_sigaction(signal, info, context);
	else
		errors.other.sa_handler(signal);
	return true;
}

static bool handle(int signal, siginfo_t *info, void *context)
{
	if (info->si_code == BUS_MCEERR_AO)
		return true; /* a page has failed that nobody has touched since */
	if (info->si_code != BUS_ADRERR && info->si_code != BUS_MCEERR_AR)
		return false;
	if (rte_mem_virt2memseg_list(info->si_addr) != NULL)
		return info->si_code == BUS_ADRERR && pass_on(signal, info, context);
	return replace((uintptr_t)info->si_addr);
}

static void on_bus_error(int signal, siginfo_t *info, void *context)
{
	int saved_errno = errno;

	if (!handle(signal, info, context))
		system_sigaction(SIGBUS, &errors.previous, NULL); /* it happens again, by default */
	errno = saved_errno;
}

/*
 * In place of libc's. DPDK installs a handler of its own whenever it gets a hugepage, for all
 * threads, which jumps back to where it touched that page. If a guest's memory vanished just then,
 * a worker would jump onto the stack of another thread. So others' handlers for SIGBUS hear
 * of missing pages of DPDK's own memory, and of nothing else. Any thread; DPDK's calls exclude each
 * other.
 */
int sigaction(int signal, const struct sigaction *action, struct sigaction *ret_old)
{
	if (signal != SIGBUS || errors.event_fd < 0)
		return system_sigaction(signal, action, ret_old);
	const struct sigaction old = atomic_load(&errors.has_other) ? errors.other : errors.ours;
	if (action != NULL) {
		atomic_store(&errors.has_other, false);
		errors.other = *action;
		atomic_store(&errors.has_other, action->sa_sigaction != on_bus_error);
	}
	if (ret_old != NULL)
		*ret_old = old;
	return 0;
}

int bus_error_open(struct err *err)
{
	int maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	if (maps_fd < 0)
		return err_set(err, errno, "/proc/self/maps: %s", strerror(errno));
	int event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (event_fd < 0) {
		int r = err_set(err, errno, "eventfd(): %s", strerror(errno));
		close(maps_fd);
		return r;
	}
	system_sigaction(SIGBUS, &errors.ours, &errors.previous);
	errors.maps_fd = maps_fd;
	errors.event_fd = event_fd;
	return 0;
}

void bus_error_close(void)
{
	struct file_id file;

	if (errors.event_fd < 0)
		return;
	system_sigaction(SIGBUS, &errors.previous, NULL);
	while (bus_error_take(&file))
		;
	errors.n_replaced = 0;
	close(errors.maps_fd);
	close(errors.event_fd);
	errors.event_fd = -1;
}

int bus_error_fd(void)
{
	return errors.event_fd;
}

bool bus_error_take(struct file_id *ret_file)
{
	eventfd_t count;

	eventfd_read(errors.event_fd, &count);
	for (unsigned tried = 0; tried < ERRORS_MAX; tried++) {
		unsigned slot = errors.next_out++ % ERRORS_MAX;
		if (atomic_load(&errors.slots[slot].full)) {
			*ret_file = errors.slots[slot].file;
			atomic_store(&errors.slots[slot].full, false);
			return true;
		}
	}
	return false;
}
