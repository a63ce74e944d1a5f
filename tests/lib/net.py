# SPDX-License-Identifier: BSD-3-Clause
"""Network namespaces and veth pairs, so that no test packet leaves the machine."""

import json
import math
import re
import secrets
from pathlib import Path

from lib.proc import run

PING_ANSWER = re.compile(r"bytes from \S+ icmp_seq=(\d+)")


class Netns:
    """A network namespace of our own. Whatever is in it is removed with it."""

    def __init__(self, prefix="vio4wd", ipv6=True):
        """ipv6=False: no IPv6 addresses, hence none of the packets that Linux sends to configure
        them."""
        self.name = f"{prefix}-{secrets.token_hex(3)}"
        try:
            run(["ip", "netns", "add", self.name])
            if not ipv6:
                self.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
                self.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
            self.ip("link", "set", "lo", "up")
        except BaseException:
            self.close()
            raise

    def argv(self, command):
        """The command line that runs a command in this namespace."""
        return ["ip", "netns", "exec", self.name, *map(str, command)]

    def run(self, command, timeout=60, check=True):
        return run(self.argv(command), timeout, check)

    def ip(self, *arguments):
        return run(["ip", "-n", self.name, *arguments])

    def sysctl(self, name, value):
        """Sets a net.* sysctl of this namespace; does nothing if this kernel does not have it."""
        path = Path("/proc/sys") / name.replace(".", "/")
        if path.exists():
            self.run(["sh", "-c", f"echo {value} > {path}"])

    def link(self, interface):
        """What the kernel tells of an interface, as ip-link(8) names it: {"address": ..., "flags":
        [...], "stats64": ...}."""
        return json.loads(self.ip("-s", "-j", "link", "show", "dev", interface))[0]

    def counters(self, interface):
        """The kernel's counters of an interface, as {"rx": {"packets": n, "bytes": n, ...}, "tx":
        ...}."""
        return self.link(interface)["stats64"]

    def ping(self, address, count=5, interval=0.1, wait=10):
        """Pings an address; returns how many pings were answered, at the latest `wait` seconds
        after the last."""
        return self.ping_report(address, count, interval, wait)[0]

    def ping_report(self, address, count, interval, wait, size=56):
        """Like ping(); also returns the output. The time limit is that of the whole run (-w), since
        that of a single answer (-W) applies only to the first. Pings beyond `count` that are sent
        meanwhile do not count."""
        seconds = math.ceil(count * interval + wait)
        output = self.run(["ping", "-n", "-c", count, "-i", interval, "-w", seconds, "-s", size, address],
                          timeout=30 + seconds, check=False)
        return len({number for number in PING_ANSWER.findall(output) if int(number) <= count}), output

    def close(self):
        run(["ip", "netns", "del", self.name], check=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Veth:
    """A veth pair between a wire and a daemon. The end `inner` in the namespace `wire` has the
    address; the end `outer` in the namespace `host` is the daemon's device. Offloads are off on
    both ends, as on a cable: complete checksums, no oversized frames. The pair is removed with
    either namespace."""

    def __init__(self, wire, host, address=None, inner="wire", mtu=1500):
        """address: with its prefix length, "10.0.0.1/24"."""
        self.wire, self.host = wire, host
        self.inner = inner
        self.outer = f"vio{secrets.token_hex(4)}"
        host.ip("link", "add", self.outer, "type", "veth", "peer", "name", inner, "netns",
                wire.name)
        for netns, name in ((host, self.outer), (wire, inner)):
            netns.run(["ethtool", "-K", name, "tx", "off", "gso", "off", "tso", "off", "gro", "off"])
            netns.ip("link", "set", name, "mtu", str(mtu), "up")
        if address:
            wire.ip("addr", "add", address, "dev", inner)

    def throttle(self, rate, burst):
        """Lets the daemon's end send no faster; 10 MB wait. AF_PACKET: with qdisc_bypass=0 only."""
        self.host.run(["tc", "qdisc", "add", "dev", self.outer, "root", "tbf", "rate", rate,
                       "burst", burst, "limit", "10mb"])

    def set_link(self, up):
        self.wire.ip("link", "set", self.inner, "up" if up else "down")
