/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/gate/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <rte_memory.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FAULTS_MAX 64 /* not taken yet; more are handled, but not reported */

static struct {
	int event_fd; /* -1: not open */
	struct sigaction previous;
	/*
	 * A slot is written by the thread that had the fault, after it has taken the slot's number,
	 * and read by fault_take().
	 */
	struct {
		struct fault fault;
		atomic_bool full;
	} slots[FAULTS_MAX];
	atomic_uint next_in;
	unsigned next_out;
} faults = {.event_fd = -1};

/* What matters of a line of /proc/self/maps. */
struct mapping {
	uintptr_t start, end;
	char permissions[5];
	dev_t device;
	ino_t inode;
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
	mapping.device = makedev(major_number, next_number(reader, 16));
	mapping.inode = next_number(reader, 10);
	int c;
	do
		c = next_char(reader);
	while (c != '\n' && c >= 0);
	*ret_mapping = mapping;
	return c == '\n';
}

static bool find_mapping(uintptr_t address, struct mapping *ret_mapping)
{
	struct reader reader = {.fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC)};
	bool found = false;

	while (reader.fd >= 0 && !found && next_mapping(&reader, ret_mapping))
		found = address >= ret_mapping->start && address < ret_mapping->end;
	if (reader.fd >= 0)
		close(reader.fd);
	return found;
}

static void note(uintptr_t address, const struct mapping *mapping)
{
	unsigned slot = atomic_fetch_add(&faults.next_in, 1) % FAULTS_MAX;

	if (!atomic_load(&faults.slots[slot].full)) {
		faults.slots[slot].fault = (struct fault){mapping->device, mapping->inode, address};
		atomic_store(&faults.slots[slot].full, true);
	}
	eventfd_write(faults.event_fd, 1);
}

/* True if zeros have taken the place of a mapping that a guest has shared. */
static bool replace(uintptr_t address)
{
	struct mapping mapping;

	if (rte_mem_virt2memseg_list((void *)address) != NULL || !find_mapping(address, &mapping))
		return false;
	if (mapping.inode == 0)
		return true; /* another thread has replaced it at the same time */
	if (strcmp(mapping.permissions, "rw-s") != 0)
		return false;
	if (mmap((void *)mapping.start, mapping.end - mapping.start, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return false;
	note(address, &mapping);
	return true;
}

static void on_bus_error(int signal, siginfo_t *info, void *context)
{
	int saved_errno = errno;

	if (info->si_code != BUS_ADRERR || !replace((uintptr_t)info->si_addr))
		sigaction(SIGBUS, &faults.previous, NULL); /* it happens again, by default */
	errno = saved_errno;
}

int fault_open(struct err *err)
{
	struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};

	faults.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (faults.event_fd < 0)
		return err_set(err, errno, "eventfd(): %s", strerror(errno));
	if (sigaction(SIGBUS, &action, &faults.previous) < 0) {
		int r = err_set(err, errno, "sigaction(): %s", strerror(errno));
		fault_close();
		return r;
	}
	return 0;
}

void fault_close(void)
{
	struct fault fault;

	if (faults.event_fd < 0)
		return;
	sigaction(SIGBUS, &faults.previous, NULL);
	while (fault_take(&fault))
		;
	close(faults.event_fd);
	faults.event_fd = -1;
}

int fault_fd(void)
{
	return faults.event_fd;
}

bool fault_take(struct fault *ret_fault)
{
	eventfd_t count;

	eventfd_read(faults.event_fd, &count);
	for (unsigned tried = 0; tried < FAULTS_MAX; tried++) {
		unsigned slot = faults.next_out++ % FAULTS_MAX;
		if (atomic_load(&faults.slots[slot].full)) {
			*ret_fault = faults.slots[slot].fault;
			atomic_store(&faults.slots[slot].full, false);
			return true;
		}
	}
	return false;
}
