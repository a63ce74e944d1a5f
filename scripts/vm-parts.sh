# SPDX-License-Identifier: BSD-3-Clause
# Sourced by the scripts that make VM images; works in the current directory. shellcheck shell=sh

export LC_ALL=C # what is read below is not translated

# with_lists COMMAND...: runs a command that needs apt's package lists. If it fails it is run again with
# new lists: a fresh machine has none, and old ones name packages and files that no longer exist.
with_lists() {
	"$@" >/dev/null 2>&1 || {
		apt-get -qq update >&2
		"$@" >&2
	}
}

# download PACKAGE...
download() {
	apt-get -qq -o APT::Sandbox::User=root download "$@"
}

# dependency PACKAGE NAME: prints the first package on which PACKAGE depends and whose name begins with NAME.
dependency() {
	apt-cache depends "$1" | sed -n "s/.*Depends: \($2.*\)/\1/p" | head -n 1
}

download_kernel() {
	download "$(dependency "linux-image-$1" 'linux-image-[0-9]')"
}

# fetch_kernel FLAVOUR: unpacks Debian's newest kernel in kernel/; sets $vmlinuz and $version.
fetch_kernel() {
	with_lists download_kernel "$1"
	mkdir kernel
	dpkg-deb -x linux-image-*.deb kernel
	vmlinuz=$(ls kernel/boot/vmlinuz-*)
	version=${vmlinuz##*/vmlinuz-}
	[ -d kernel/lib/modules ] || ln -s usr/lib kernel/lib
	depmod -b kernel "$version"
}

# add_modules MODULE...: puts modules and their dependencies into root/modules, decompressed (Debian
# 13 has .ko.xz); root/modules/order lists them in loading order.
add_modules() {
	mkdir -p root/modules
	for module; do
		modprobe -d "$PWD/kernel" -S "$version" --show-depends "$module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r path; do
		name=${path##*/}
		case $name in
		*.xz) name=${name%.xz} && xz -dc "$path" >"root/modules/$name" ;;
		*) cp "$path" "root/modules/$name" ;;
		esac
		echo "$name" >>root/modules/order
	done
}

# pack_initramfs: packs root/ into the file initramfs.
pack_initramfs() {
	(cd root && find . | cpio -o -H newc --quiet | gzip -1) >initramfs
}
