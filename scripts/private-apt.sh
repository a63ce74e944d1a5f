# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Sourced: apt with sources and package lists of its own, so that the machine's stay as they are.

# debian_mirror ARCHIVE: prints the mirror from which this machine gets debian or debian-security.
debian_mirror() {
	apt_mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' \
		/etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -m 1 "/$1/\{0,1\}\$" || true)
	apt_mirror=${apt_mirror:-http://deb.debian.org/$1}
	echo "${apt_mirror%/}"
}

# private_apt DIR TYPE SUITE...: prepares DIR for apt_get, with TYPE (deb or deb-src) of the SUITEs.
private_apt() {
	apt_dir=$1
	apt_type=$2
	shift 2
	mkdir -p "$apt_dir/lists/partial"
	for apt_suite; do
		case $apt_suite in
		*-security) apt_uri=$(debian_mirror debian-security) ;;
		*) apt_uri=$(debian_mirror debian) ;;
		esac
		echo "$apt_type [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $apt_uri $apt_suite main"
	done >"$apt_dir/private.list"
	apt_get update
}

apt_get() {
	apt-get -qq -o APT::Sandbox::User=root -o Dir::Etc::sourcelist="$apt_dir/private.list" \
		-o Dir::Etc::sourceparts=/dev/null -o Dir::State::Lists="$apt_dir/lists" \
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= "$@" >&2
}
