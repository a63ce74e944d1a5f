/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <rte_malloc.h>

#include "core/gate/bus_error.h"
#include "core/packet/packet_fixture.h"

#define PAGES 4
#define PAGE_BYTES ((size_t)getpagesize()) /* arm64 kernels differ */

struct shared {
	int fd;
	volatile char *bytes;
	struct stat st;
};

static struct shared share(int flags)
{
	struct shared shared = {.fd = memfd_create("test", MFD_CLOEXEC)};

	assert_true(shared.fd >= 0);
	assert_int_equal(ftruncate(shared.fd, PAGES * PAGE_BYTES), 0);
	assert_int_equal(fstat(shared.fd, &shared.st), 0);
	void *map = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, flags, shared.fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	shared.bytes = map;
	return shared;
}

static void unshare_all(struct shared *shared)
{
	munmap((void *)shared->bytes, PAGES * PAGE_BYTES);
	close(shared->fd);
}

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* In each test, because cmocka installs its own handlers while a test runs. */
static void open_handler(void)
{
	signal(SIGBUS, SIG_DFL);
	assert_int_equal(bus_error_open(NULL), 0);
}

static void truncated_memory_reads_as_zeros(void **state)
{
	struct shared shared = share(MAP_SHARED);
	struct file_id file;

	open_handler();
	shared.bytes[0] = shared.bytes[PAGE_BYTES] = 'x';
	assert_int_equal(ftruncate(shared.fd, PAGE_BYTES), 0);
	assert_false(readable(bus_error_fd()));
	assert_int_equal(shared.bytes[PAGE_BYTES + 7], 0);

	assert_true(readable(bus_error_fd()));
	assert_true(bus_error_take(&file));
	assert_int_equal(file.device, shared.st.st_dev);
	assert_int_equal(file.inode, shared.st.st_ino);
	assert_false(bus_error_take(&file));
	assert_false(readable(bus_error_fd()));

	/* The whole mapping is replaced at once: nothing else faults, and writing works. */
	for (unsigned i = 0; i < PAGES; i++) {
		assert_int_equal(shared.bytes[i * PAGE_BYTES], 0);
		shared.bytes[i * PAGE_BYTES] = 'y';
	}
	assert_false(bus_error_take(&file));
	unshare_all(&shared);
	bus_error_close();
}

static void every_file_is_told(void **state)
{
	struct shared shared[5];
	struct file_id file;

	open_handler();
	for (unsigned i = 0; i < 5; i++) {
		shared[i] = share(MAP_SHARED);
		assert_int_equal(ftruncate(shared[i].fd, 0), 0);
		shared[i].bytes[0] = 'x';
	}
	for (unsigned i = 0; i < 5; i++) {
		assert_true(bus_error_take(&file));
		assert_int_equal(file.inode, shared[i].st.st_ino);
		unshare_all(&shared[i]);
	}
	assert_false(bus_error_take(&file));
	bus_error_close();
}

#define THREADS 8

struct toucher {
	pthread_barrier_t *barrier;
	volatile char *byte;
};

static void *touch(void *argument)
{
	struct toucher *toucher = argument;

	pthread_barrier_wait(toucher->barrier);
	(*toucher->byte)++;
	return NULL;
}

static void threads_fault_at_the_same_time(void **state)
{
	open_handler();
	for (unsigned round = 0; round < 50; round++) {
		struct shared shared = share(MAP_SHARED);
		pthread_t threads[THREADS];
		struct toucher touchers[THREADS];
		pthread_barrier_t barrier;
		struct file_id file;

		pthread_barrier_init(&barrier, NULL, THREADS);
		assert_int_equal(ftruncate(shared.fd, 0), 0);
		for (unsigned i = 0; i < THREADS; i++) {
			touchers[i] = (struct toucher){
				&barrier, &shared.bytes[i % PAGES * PAGE_BYTES + i]};
			assert_int_equal(pthread_create(&threads[i], NULL, touch, &touchers[i]), 0);
		}
		for (unsigned i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		assert_true(bus_error_take(&file));
		assert_int_equal(file.inode, shared.st.st_ino);
		while (bus_error_take(&file))
			assert_int_equal(file.inode, shared.st.st_ino);
		pthread_barrier_destroy(&barrier);
		unshare_all(&shared);
	}
	bus_error_close();
}

static sigjmp_buf in_own_memory;

static void jump_back(int signal)
{
	siglongjmp(in_own_memory, 1);
}

/*
 * As DPDK does while it gets a hugepage: its handler is for its own memory. What a guest takes away
 * meanwhile is replaced as ever.
 */
static void handlers_of_others_get_errors_of_dpdk_only(void **state)
{
	struct sigaction action = {.sa_handler = jump_back}, old, mine;
	struct shared shared = share(MAP_SHARED);
	struct file_id file;
	volatile bool jumped = false;
	char *page = rte_malloc(NULL, 3 * PAGE_BYTES, PAGE_BYTES);

	assert_non_null(page);
	open_handler();
	assert_int_equal(sigaction(SIGBUS, &action, &old), 0);
	assert_int_equal(ftruncate(shared.fd, 0), 0);
	shared.bytes[0] = 'x';
	assert_true(bus_error_take(&file));
	assert_int_equal(file.inode, shared.st.st_ino);

	assert_ptr_equal(mmap(page + PAGE_BYTES, PAGE_BYTES, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_FIXED, shared.fd, 0),
		page + PAGE_BYTES);
	if (sigsetjmp(in_own_memory, 1) == 0)
		page[PAGE_BYTES] = 'x';
	else
		jumped = true;
	assert_true(jumped);
	assert_false(bus_error_take(&file));

	assert_int_equal(sigaction(SIGBUS, &old, &mine), 0);
	assert_ptr_equal(mine.sa_handler, jump_back);
	assert_int_equal(sigaction(SIGBUS, NULL, &mine), 0);
	assert_ptr_equal(mine.sa_sigaction, old.sa_sigaction);

	/* From then on such an error ends the process again. */
	pid_t pid = fork();
	int status;
	if (pid == 0) {
		page[PAGE_BYTES] = 'x';
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);

	assert_ptr_equal(mmap(page + PAGE_BYTES, PAGE_BYTES, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		page + PAGE_BYTES);
	rte_free(page);
	unshare_all(&shared);
	bus_error_close();
}

/* It may be guests' eventfds and memory that have used them up. */
static void works_without_a_descriptor_left(void **state)
{
	struct shared shared = share(MAP_SHARED);
	struct rlimit limit, none;
	struct file_id file;

	open_handler();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){0, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(ftruncate(shared.fd, 0), 0);
	shared.bytes[0] = 'x';
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(bus_error_take(&file));
	unshare_all(&shared);
	bus_error_close();
}

/* As the kernel does for an error in memory that cannot be corrected. */
static void report_memory_error(volatile char *address, int code)
{
	siginfo_t info = {.si_signo = SIGBUS, .si_code = code};

	info.si_addr = (void *)address;
	assert_int_equal(syscall(SYS_rt_sigqueueinfo, getpid(), SIGBUS, &info), 0);
}

static void memory_that_has_failed_reads_as_zeros(void **state)
{
	struct shared shared = share(MAP_SHARED);
	struct file_id file;

	open_handler();
	shared.bytes[0] = shared.bytes[PAGE_BYTES] = 'x';
	report_memory_error(shared.bytes, BUS_MCEERR_AO);
	assert_int_equal(shared.bytes[0], 'x');
	assert_false(bus_error_take(&file));

	report_memory_error(shared.bytes, BUS_MCEERR_AR);
	assert_int_equal(shared.bytes[0], 0);
	assert_int_equal(shared.bytes[PAGE_BYTES], 0);
	assert_true(bus_error_take(&file));
	assert_int_equal(file.device, shared.st.st_dev);
	assert_int_equal(file.inode, shared.st.st_ino);
	unshare_all(&shared);
	bus_error_close();
}

enum cause {
	PRIVATE,   /* a private mapping of a truncated file is touched */
	SENT,      /* somebody sends the signal */
	HARDWARE,  /* a private mapping of a file fails */
	ANONYMOUS, /* memory of ours that has no file fails */
	DPDK,      /* memory of DPDK fails while DPDK gets a hugepage */
};

static void cause_bus_error(enum cause cause)
{
	const struct sigaction action = {.sa_handler = jump_back};
	struct shared shared = share(MAP_PRIVATE);

	switch (cause) {
	case PRIVATE:
		if (ftruncate(shared.fd, 0) == 0)
			shared.bytes[0] = 'x';
		break;
	case SENT:
		raise(SIGBUS);
		break;
	case HARDWARE:
		report_memory_error(shared.bytes, BUS_MCEERR_AR);
		break;
	case ANONYMOUS:
		report_memory_error((char *)&shared, BUS_MCEERR_AR);
		break;
	case DPDK:
		sigaction(SIGBUS, &action, NULL);
		if (sigsetjmp(in_own_memory, 1) == 0)
			report_memory_error(rte_malloc(NULL, 1, 0), BUS_MCEERR_AR);
		break;
	}
}

/* How a child ends that has such an error. */
static int end_of_child(enum cause cause)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		bus_error_close(); /* it knows the parent's mappings */
		open_handler();
		cause_bus_error(cause);
		raise(SIGBUS); /* the first signal only restores the default action */
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void other_bus_errors_end_the_process(void **state)
{
	open_handler();
	assert_int_equal(end_of_child(PRIVATE), SIGBUS);
	assert_int_equal(end_of_child(SENT), SIGBUS);
	assert_int_equal(end_of_child(HARDWARE), SIGBUS);
	assert_int_equal(end_of_child(ANONYMOUS), SIGBUS);
	assert_int_equal(end_of_child(DPDK), SIGBUS);
	bus_error_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truncated_memory_reads_as_zeros),
		cmocka_unit_test(every_file_is_told),
		cmocka_unit_test(threads_fault_at_the_same_time),
		cmocka_unit_test(handlers_of_others_get_errors_of_dpdk_only),
		cmocka_unit_test(memory_that_has_failed_reads_as_zeros),
		cmocka_unit_test(works_without_a_descriptor_left),
		cmocka_unit_test(other_bus_errors_end_the_process),
	};

	return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
