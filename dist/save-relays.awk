# SPDX-License-Identifier: BSD-3-Clause
# Reads `vio4wd stats --include-inactive` and prints the commands that add the present devices to a daemon
# that has been restarted without VIRTIOFWD_KEEP_PORTS. With -v sockets=1: those that add the present dynamic sockets.
BEGIN { FS = "=" }
{
	value = substr($0, length($1) + 2)
	gsub("'", "'\\''", value)
	value = "='" value "'"
}
$1 ~ /[.]pci_addr_str$/ { device = " --device" value }
$1 ~ /[.]vhost_socket_name$/ && $2 != "NONE" { path = " --vhost-path" value }
$1 ~ /[.]socket_mode$/ { mode = " --socket-mode" value }
$1 ~ /[.]ident$/ { ident = " --ident" value }
$1 ~ /[.]vf_to_vm[.]active$/ {
	split($1, name, /[_.]/)
	if (sockets && device != "" && path != "")
		print "vio4wd port add-sock --conditional" device path mode ident
	if (!sockets && device != "")
		print "vio4wd port add --conditional --virtio-id=" name[2] device ident
	device = path = mode = ident = ""
}
