# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Sourced by scripts that make something once: where it is kept, and room to make it in.

# cache_dir [NAME]: creates build/vm (or $VIO4WD_CACHE), or NAME in it, and prints its path.
cache_dir() {
	cache=${VIO4WD_CACHE:-$here/../build/vm}${1:+/$1}
	mkdir -p "$cache"
	(cd "$cache" && pwd)
}

# lock FILE: keeps others from making the same until this script ends.
lock() {
	exec 9>"$1"
	flock 9
}

# made FILE [SOURCE...]: true if FILE is there, and neither this script nor a SOURCE is newer.
made() {
	[ -e "$1" ] && [ -z "$(find "$0" "$@" -maxdepth 0 -newer "$1")" ]
}

# work_beside PATH: creates the directory $work next to PATH and changes to it. It is removed when
# this script ends, however that is.
work_beside() {
	work=$(mktemp -d "$1.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' HUP INT TERM # dash runs the above only on exit
	cd "$work"
}
