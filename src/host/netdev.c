/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/netdev.h"

#include <errno.h>
#include <string.h>

#include "base/netdev_name.h"
#include "host/former_names.h"
#include "host/port_name.h"
#include "host/sysfs.h"

#define NETDEV "%s/class/net/%s"
#define SWITCH_ID_SIZE 80 /* 32 bytes in hex, and more than that */

/* The PFs behind one switch: NICs have up to 16 functions. */
#define PFS_MAX 64

struct pf_set {
	struct pci_addr pfs[PFS_MAX];
	unsigned n;
};

static bool same_card(const struct pci_addr *a, const struct pci_addr *b)
{
	return a->domain == b->domain && a->bus == b->bus && a->slot == b->slot;
}

/* The switch that an interface is a port of; "" for none. */
static void read_switch_id(
	const char *sysfs, const char *netdev, char ret_id[static SWITCH_ID_SIZE])
{
	if (sysfs_read(ret_id, SWITCH_ID_SIZE, NETDEV "/phys_switch_id", sysfs, netdev) < 0)
		ret_id[0] = '\0';
}

static void add_pf(struct pf_set *set, const struct pci_addr *pf)
{
	for (unsigned i = 0; i < set->n; i++)
		if (pci_addr_equal(&set->pfs[i], pf))
			return;
	if (set->n < PFS_MAX)
		set->pfs[set->n++] = *pf;
}

/* The PFs which have an interface (the uplink, or a port of the card) on the switch. */
static void find_pfs(const char *sysfs, const char *switch_id, struct pf_set *ret_set)
{
	_cleanup_closedir_ DIR *dir = sysfs_opendir("%s/class/net", sysfs);
	char id[SWITCH_ID_SIZE];
	struct pci_addr addr;
	struct dirent *entry;

	ret_set->n = 0;
	while (dir && (entry = readdir(dir))) {
		if (!netdev_name_valid(entry->d_name) ||
			sysfs_link_pci(&addr, NETDEV "/device", sysfs, entry->d_name) < 0 ||
			!host_pci_is_pf(sysfs, &addr))
			continue;
		read_switch_id(sysfs, entry->d_name, id);
		if (!strcmp(id, switch_id))
			add_pf(ret_set, &addr);
	}
}

/* The position of a PF's card among the cards of the set, in the order of their addresses. */
static int card_number(const struct pf_set *set, const struct pci_addr *pf)
{
	int number = 0;

	for (unsigned i = 0; i < set->n; i++) {
		const struct pci_addr *other = &set->pfs[i];
		bool first = true; /* the card is counted once */

		for (unsigned j = 0; j < i; j++)
			first = first && !same_card(other, &set->pfs[j]);
		if (first && !same_card(other, pf) && pci_addr_compare(other, pf) < 0)
			number++;
	}
	return number;
}

static unsigned count_cards(const struct pf_set *set)
{
	int last = -1;

	for (unsigned i = 0; i < set->n; i++)
		last = MAX(last, card_number(set, &set->pfs[i]));
	return last + 1;
}

/* Leaves the PFs of the named controller and, where more than one is left, of the named number. */
static void narrow(struct pf_set *set, const struct port_name *name)
{
	struct pf_set left = {0};

	if (name->controller >= 0 && (name->external || count_cards(set) > 1)) {
		for (unsigned i = 0; i < set->n; i++)
			if (card_number(set, &set->pfs[i]) == name->controller)
				add_pf(&left, &set->pfs[i]);
		*set = left;
	}
	if (name->pf >= 0 && set->n > 1) {
		left.n = 0;
		for (unsigned i = 0; i < set->n; i++)
			if (set->pfs[i].function == name->pf)
				add_pf(&left, &set->pfs[i]);
		*set = left;
	}
}

static int find_pf(const char *sysfs, const char *netdev, const struct port_name *name,
	struct pci_addr *ret_pf, struct err *err)
{
	char switch_id[SWITCH_ID_SIZE];
	struct pf_set set;

	if (!name->external && sysfs_link_pci(ret_pf, NETDEV "/device", sysfs, netdev) == 0)
		return 0;
	read_switch_id(sysfs, netdev, switch_id);
	if (!switch_id[0])
		return err_set(err, EINVAL,
			"interface %s has neither a device nor a phys_switch_id to find its PF by",
			netdev);
	find_pfs(sysfs, switch_id, &set);
	if (set.n == 0)
		return err_set(err, ENODEV,
			"interface %s: no PF has an interface on its switch %s (yet)", netdev,
			switch_id);
	narrow(&set, name);
	if (set.n == 0 && name->controller > 0)
		return err_set(err, EINVAL,
			"interface %s stands for a VF of controller %d, which is no card of this "
			"host",
			netdev, name->controller);
	if (set.n == 0)
		return err_set(err, ENODEV,
			"interface %s: no PF %d has an interface on its switch %s (yet)", netdev,
			name->pf, switch_id);
	if (set.n > 1)
		return err_set(err, EINVAL,
			"interface %s: %u PFs are on its switch %s, and its phys_port_name does "
			"not say which",
			netdev, set.n, switch_id);
	*ret_pf = set.pfs[0];
	return 0;
}

/* Reads phys_port_name; -EINVAL if it is no representor's. */
static int read_port_name(
	const char *sysfs, const char *netdev, struct port_name *ret_name, struct err *err)
{
	char text[IFNAMSIZ + 16] = "";

	sysfs_read(text, sizeof(text), NETDEV "/phys_port_name", sysfs, netdev);
	if (port_name_parse(text, ret_name) < 0)
		return err_set(err, EINVAL,
			"interface %s is neither a VF's nor a VF's representor (phys_port_name is "
			"\"%s\")",
			netdev, text);
	return 0;
}

bool host_netdev_is_representor(const char *sysfs, const char *netdev)
{
	struct port_name name;

	return !sysfs_exists(NETDEV "/device/physfn", sysfs, netdev) &&
	       read_port_name(sysfs, netdev, &name, NULL) == 0;
}

static int representor_vf(
	const char *sysfs, const char *netdev, struct host_vf *ret_vf, struct err *err)
{
	struct port_name name;
	struct pci_addr pf;
	int r;

	r = read_port_name(sysfs, netdev, &name, err);
	if (r < 0)
		return r;
	r = find_pf(sysfs, netdev, &name, &pf, err);
	if (r < 0)
		return r;
	r = host_vf_of_pf(sysfs, &pf, name.vf, ret_vf, err);
	return r < 0 ? err_prefix(err, r, "interface %s", netdev) : 0;
}

int host_vf_from_netdev(
	const char *sysfs, const char *netdev, struct host_vf *ret_vf, struct err *err)
{
	char text[PCI_ADDR_TEXT_SIZE], other_text[PCI_ADDR_TEXT_SIZE];
	struct pci_addr addr, other;
	int r;

	if (!netdev_name_valid(netdev))
		return err_set(err, EINVAL, "\"%.32s\" can be no interface's name", netdev);
	if (!sysfs_exists(NETDEV, sysfs, netdev)) {
		if (host_former_name_find(sysfs, netdev, &addr) < 0)
			return err_set(err, ENODEV,
				"there is no interface %s (yet); a VF that others have bound to "
				"vfio-pci is named by its representor, or once vio4wd vf has "
				"unbound and bound it",
				netdev);
	} else if (sysfs_link_pci(&addr, NETDEV "/device/physfn", sysfs, netdev) < 0) {
		return representor_vf(sysfs, netdev, ret_vf, err);
	} else if (sysfs_link_pci(&addr, NETDEV "/device", sysfs, netdev) < 0) {
		return err_set(err, EINVAL, "interface %s has a physfn but no PCI device", netdev);
	} else if (host_former_name_find(sysfs, netdev, &other) == 0 &&
		   !pci_addr_equal(&addr, &other)) {
		pci_addr_format(&addr, text);
		pci_addr_format(&other, other_text);
		return err_set(err, EEXIST,
			"interface %s is VF %s, but VF %s, which is bound, was %s before; name "
			"them by representors, or give interface %s another name",
			netdev, text, other_text, netdev, netdev);
	}
	r = host_vf_from_pci(sysfs, &addr, ret_vf, err);
	return r < 0 ? err_prefix(err, r, "interface %s", netdev) : 0;
}
