# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Sourced by scripts that make something once: where it is kept, and room to make it in.

# cache_dir [NAME]: makes build/vm (or $VIO4WD_CACHE), or NAME in it, and prints it.
cache_dir() {
	cache=${VIO4WD_CACHE:-$here/../build/vm}${1:+/$1}
	mkdir -p "$cache"
	(cd "$cache" && pwd)
}

# lock FILE: until this script ends, nobody else makes the same.
lock() {
	exec 9>"$1"
	flock 9
}

# work_beside PATH: makes the directory $work beside PATH, which is gone when this script ends, however
# that is, and goes there.
work_beside() {
	work=$(mktemp -d "$1.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' HUP INT TERM # dash runs the above at an exit only
	cd "$work"
}
