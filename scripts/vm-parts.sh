# SPDX-License-Identifier: BSD-3-Clause
# Sourced by the scripts that make VM images; works in the current directory. shellcheck shell=sh

# fetch_packages PACKAGE...: downloads them. A fresh machine has no package lists, and old lists
# name files that no longer exist.
fetch_packages() {
	apt-get -qq -o APT::Sandbox::User=root download "$@" >&2 || {
		apt-get -qq update >&2
		apt-get -qq -o APT::Sandbox::User=root download "$@" >&2
	}
}

# fetch_kernel FLAVOUR: unpacks Debian's newest kernel in kernel/; sets $vmlinuz and $version.
fetch_kernel() {
	apt-cache show "linux-image-$1" >/dev/null 2>&1 || apt-get -qq update >&2
	fetch_packages "$(apt-cache depends "linux-image-$1" |
		sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\)/\1/p' | head -n 1)"
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
