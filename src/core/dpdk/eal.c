/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/dpdk/eal.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/limits.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_version.h>
#include <stdio.h>
#include <string.h>

#include "core/dpdk/dpdk_log.h"
#include "core/dpdk/hugepages.h"

#define ARGUMENTS_MAX 24

/* DPDK's own heap, before any device: measured, and rounded up to a huge page. */
#define EAL_BYTES (8ULL << 20)

/* "0@<master>,1@<worker>,...": DPDK's thread numbers are small, CPU numbers may not be. */
static char *lcores_argument(const struct eal_options *options)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	fprintf(f, "--lcores=0@%u", options->master_cpu);
	unsigned lcore = 1;
	CPU_SET_FOR_EACH (cpu, &options->worker_cpus)
		fprintf(f, ",%u@%d", lcore++, cpu);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static uint64_t bytes_on(const struct eal_options *options, int node)
{
	bool lowest = node == numa_set_choose(options->memory_nodes, -1);

	return options->node_bytes[node] + (lowest ? EAL_BYTES : 0);
}

/*
 * "--socket-mem=<MiB of node 0>,<of node 1>,...": DPDK rounds up to whole pages, takes them and
 * keeps them; it takes more when it needs more. There is no --socket-limit for the other nodes:
 * some drivers (mlx5) need a little memory on their device's node, and virtual ones on the control
 * thread's, or they do not open the device.
 */
static void format_memory(const struct eal_options *options, char *ret_text, size_t size)
{
	size_t length = (size_t)snprintf(ret_text, size, "--socket-mem=");

	for (int node = 0; node < NUMA_NODES_MAX && options->memory_nodes.nodes >> node; node++)
		length += (size_t)snprintf(ret_text + length, size - length, "%s%" PRIu64,
			node == 0 ? "" : ",", (bytes_on(options, node) + (1 << 20) - 1) >> 20);
}

/* What is needed later is counted as well, so that adding pages once is enough. */
static int require_memory(const struct eal_options *options, struct err *err)
{
	int r = 0;

	if (options->memory_nodes.nodes == 0)
		return hugepages_require(EAL_BYTES + options->bytes, -1, err);
	for (int node = 0; node < NUMA_NODES_MAX && r == 0; node++)
		if (bytes_on(options, node) > 0)
			r = hugepages_require(bytes_on(options, node), node, err);
	return r;
}

/*
 * DPDK makes a directory for what its processes share, and has nothing to put there. It is removed
 * at once, so that the daemon cannot leave it behind, however it ends.
 */
static void remove_runtime_dir(void)
{
	rmdir(rte_eal_get_runtime_dir());
}

/*
 * DPDK decides whether there are enough pages: it also gets some that are not free beforehand (left
 * in files by programs that have ended, reserved for the mount, made on demand). But its message
 * says less than ours. Counted before, since it keeps what it gets.
 */
static int init(const struct eal_options *options, int argc, char **argv, struct err *err)
{
	struct err lack = {""};
	bool lacking = require_memory(options, &lack) < 0;

	/* Enough is free. If DPDK does not get it all the same, this is what to say of that. */
	if (!lacking && options->huge_dir[0] != '\0')
		hugepages_missing(EAL_BYTES + options->bytes, -1, &lack);
	dpdk_log_capture_start();
	int r = rte_eal_init(argc, argv);
	const char *said = dpdk_log_capture_end();

	remove_runtime_dir();
	if (r >= 0)
		return 0;
	if (lacking && (rte_errno == ENOMEM || rte_errno == EACCES /* no page at all */)) {
		*err = lack;
		return -ENOMEM;
	}
	bool why = rte_errno == ENOMEM && lack.text[0] != '\0';
	return err_set(err, rte_errno != 0 ? rte_errno : EIO, "DPDK does not start: %s%s%s",
		said[0] ? said : rte_strerror(rte_errno), why ? "; " : "", why ? lack.text : "");
}

int eal_start(const struct eal_options *options, struct err *err)
{
	char *argv[ARGUMENTS_MAX];
	int argc = 0;
	_cleanup_free_ char *lcores = lcores_argument(options);
	char huge_dir[sizeof("--huge-dir=") + PATH_MAX], memory[256], token[64], prefix[64],
		no_huge_mib[16];
	uint64_t id;

	if (lcores == NULL)
		return err_set(err, ENOMEM, "out of memory");
	argv[argc++] = "virtio-forwarder";
	argv[argc++] = lcores;
	argv[argc++] = "--main-lcore=0";
	argv[argc++] = "--no-shconf"; /* nothing to share, nothing left behind */
	argv[argc++] = "--no-telemetry";
	/* Allows only an address that does not exist, so that no device is probed at start. */
	argv[argc++] = "--allow=ffff:ff:1f.7";
	/* Whoever else uses the same hugetlbfs may have the same pid, in another container. */
	if (getentropy(&id, sizeof(id)) < 0)
		return err_set(err, errno, "random number: %s", strerror(errno));
	snprintf(prefix, sizeof(prefix), "--file-prefix=virtio-forwarder-%" PRIx64, id);
	argv[argc++] = prefix;
	if (options->physical_addresses && options->huge_dir[0] != '\0')
		argv[argc++] = "--iova-mode=pa";
	if (options->huge_dir[0] != '\0') {
		snprintf(huge_dir, sizeof(huge_dir), "--huge-dir=%s", options->huge_dir);
		argv[argc++] = huge_dir;
		argv[argc++] = "--huge-unlink=always";
		if (options->memory_nodes.nodes != 0) {
			format_memory(options, memory, sizeof(memory));
			argv[argc++] = memory;
		}
	} else {
		argv[argc++] = "--no-huge";
		argv[argc++] = "--iova-mode=va";
		argv[argc++] = "-m";
		snprintf(no_huge_mib, sizeof(no_huge_mib), "%d", NO_HUGE_MIB);
		argv[argc++] = no_huge_mib;
	}
	if (options->vfio_vf_token != NULL) {
		snprintf(token, sizeof(token), "--vfio-vf-token=%s", options->vfio_vf_token);
		argv[argc++] = token;
	}
	argv[argc] = NULL;

	int r = hugepages_use(options->huge_dir, err);
	hugepages_confine(options->memory_nodes);
	if (r == 0)
		r = dpdk_log_open(options->log_level, err);
	if (r == 0)
		r = init(options, argc, argv, err);
	return r;
}

bool eal_uses_physical_addresses(void)
{
	return rte_eal_iova_mode() == RTE_IOVA_PA;
}

const char *eal_version(void)
{
	return rte_version();
}
