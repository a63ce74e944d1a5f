# SPDX-License-Identifier: BSD-3-Clause
"""A VM with neither disk nor kernel: it boots from the network by iPXE, in the ROM of QEMU's
virtio-net card. DHCP gives it an address and the name of a script, TFTP gives it the script, and
the script makes it fetch more."""

ADDRESS = "10.0.0.1"
CIDR = f"{ADDRESS}/24"
MEMORY_MIB = 64
FILES = {"script": f"#!ipxe\nimgfetch tftp://{ADDRESS}/more\n", "more": 100_000 * "x"}
# What the server logs once the VM has fetched everything.
BOOTED = "DHCPACK.*sent [^\n]*/script .*sent [^\n]*/more "


def write_files(directory):
    """Writes FILES to a directory, which is created."""
    directory.mkdir()
    for name, text in FILES.items():
        (directory / name).write_text(text, encoding="utf-8")


def server(interface, directory):
    """The command line of a server that serves FILES from that directory and logs to standard
    error."""
    return ["dnsmasq", "--keep-in-foreground", "--log-facility=-", "--conf-file=/dev/null", "--port=0",
            "--user=root", f"--interface={interface}", "--dhcp-range=10.0.0.10,10.0.0.20",
            "--dhcp-leasefile=/dev/null", "--dhcp-boot=script", "--enable-tftp",
            f"--tftp-root={directory}"]
