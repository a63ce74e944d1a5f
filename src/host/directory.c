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

static bool find_account(const char *user, const char *group, struct account *ret_account)
{
	struct passwd *passwd = getpwnam(user);
	struct group *also = group != NULL ? getgrnam(group) : NULL;

	if (passwd == NULL)
		return false;
	ret_account->uid = passwd->pw_uid;
	ret_account->gid = also != NULL ? also->gr_gid : passwd->pw_gid;
	ret_account->n_groups = ARRAY_SIZE(ret_account->groups);
	if (getgrouplist(user, passwd->pw_gid, ret_account->groups, &ret_account->n_groups) < 0)
		ret_account->n_groups = ARRAY_SIZE(ret_account->groups);
	return true;
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

void host_check_directory(const char *path, const char *user, const char *group, bool writes,
	host_finding *report, void *userdata)
{
	static const char check[] = "sockets";
	char part[PATH_MAX];
	struct err said;
	struct account account = {.uid = (uid_t)-1};
	struct stat st;

	err_set(&said, 0, "%s is made when the daemon starts", path);
	if (user != NULL && !find_account(user, group, &account)) {
		err_set(&said, 0, "there is no user %s", user);
		report(userdata, check, HOST_MISSING, said.text);
		return;
	}
	for (const char *end = path; *end != '\0';) {
		end += 1 + strcspn(end + 1, "/");
		snprintf(part, sizeof(part), "%.*s", (int)(end - path), path);
		bool last = *end == '\0';
		if (stat(part, &st) < 0)
			break;
		if (!S_ISDIR(st.st_mode) ||
			(user != NULL && !may(&account, &st, last && writes ? 3 : 1))) {
			err_set(&said, 0,
				"%s is no directory that user %s can %s: see its owner and mode",
				part, user != NULL ? user : "?",
				last && writes ? "write to" : "search");
			report(userdata, check, HOST_MISSING, said.text);
			return;
		}
		if (last && directory_check_owner(path, account.uid, &said) < 0) {
			report(userdata, check, HOST_MISSING, said.text);
			return;
		}
		if (last)
			err_set(&said, 0, "%s can be used by %s", path,
				user != NULL ? user : "everybody");
	}
	report(userdata, check, HOST_OK, said.text);
}
