/* SPDX-License-Identifier: BSD-3-Clause */

/* Whether an account can use a directory, as its modes say. */

#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/directory.h"
#include "base/err.h"
#include "host/readiness.h"

struct account {
	uid_t uid;
	gid_t gid;
	gid_t groups[64];
	int n_groups;
};

static struct account account_of(uid_t uid, gid_t gid)
{
	const struct passwd *passwd = getpwuid(uid);
	struct account account = {.uid = uid, .gid = gid, .n_groups = ARRAY_SIZE(account.groups)};

	if (passwd == NULL || getgrouplist(passwd->pw_name, passwd->pw_gid, account.groups,
				      &account.n_groups) < 0)
		account.n_groups = 0;
	return account;
}

static bool is_member(const struct account *account, gid_t gid)
{
	if (account->gid == gid)
		return true;
	for (int i = 0; i < account->n_groups; i++)
		if (account->groups[i] == gid)
			return true;
	return false;
}

/* `bits` as of others: 1 search, 2 write. */
static bool may(const struct account *account, const struct stat *st, unsigned bits)
{
	unsigned shift = account->uid == st->st_uid ? 6 : is_member(account, st->st_gid) ? 3 : 0;

	return account->uid == 0 || (st->st_mode >> shift & bits) == bits;
}

void host_check_directory(const char *path, const char *user, uid_t uid, gid_t gid, bool writes,
	host_finding *report, void *userdata)
{
	static const char check[] = "sockets";
	char part[PATH_MAX];
	struct err said;
	const struct account account = account_of(uid, gid);
	const bool anybody = uid == (uid_t)-1;
	struct stat st;

	err_set(&said, 0, "%s is made when the daemon starts", path);
	for (const char *end = path; *end != '\0';) {
		end += 1 + strcspn(end + 1, "/");
		snprintf(part, sizeof(part), "%.*s", (int)(end - path), path);
		bool last = *end == '\0';
		if (stat(part, &st) < 0)
			break;
		if (!S_ISDIR(st.st_mode) ||
			(!anybody && !may(&account, &st, last && writes ? 3 : 1))) {
			err_set(&said, 0,
				"%s is no directory that user %s can %s: see its owner and mode",
				part, anybody ? "?" : user, last && writes ? "write to" : "search");
			report(userdata, check, HOST_MISSING, said.text);
			return;
		}
		if (last && directory_check_owner(path, uid, &said) < 0) {
			report(userdata, check, HOST_MISSING, said.text);
			return;
		}
		if (last)
			err_set(&said, 0, "%s can be used by %s", path,
				anybody ? "everybody" : user);
	}
	report(userdata, check, HOST_OK, said.text);
}
