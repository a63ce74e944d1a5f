# SPDX-License-Identifier: BSD-3-Clause
"""dpdk-testpmd as a peer: as the VM (through its net_virtio_user device) or as another relay."""

import re
import secrets

from lib.proc import Process, run


def virtio_user(socket, server=False, queues=1, index=0, **features):
    """The --vdev of a frontend on a vhost-user socket. features: packed_vq=1, mrg_rxbuf=0, ..."""
    options = {"path": socket, "server": int(server), "queues": queues, "queue_size": 1024,
               **features}
    return f"net_virtio_user{index}," + ",".join(f"{k}={v}" for k, v in options.items())


def bond(name, mode, *members):
    """The --vdev of a bond of devices that are listed before it."""
    version = run(["pkg-config", "--modversion", "libdpdk"])
    member = "member" if tuple(map(int, version.split(".")[:2])) >= (23, 11) else "slave"
    return ",".join([name, f"mode={mode}", *(f"{member}={device}" for device in members)])


class Testpmd:
    """A testpmd in interactive mode on devices given as --vdev strings."""

    __test__ = False  # not a test class, despite its name (for pytest)

    def __init__(self, vdevs, options=(), eal=(), cores=(0, 1), directory=None, netns=None,
                 name="testpmd", timeout=60, huge=False, prefix=()):
        """options: of testpmd itself; eal: of DPDK. cores: one for the shell, the others forward.
        huge: use hugepages that no other process sees. prefix: a command to run it with."""
        argv = [*prefix, "dpdk-testpmd", "-l", ",".join(map(str, cores)), "--main-lcore", cores[0],
                *(["--in-memory"] if huge else ["--no-huge", "-m", "512"]),
                "--no-pci", "--iova-mode=va", "--single-file-segments",
                f"--file-prefix={name}-{secrets.token_hex(3)}", *eal]
        for vdev in vdevs:
            argv += ["--vdev", vdev]
        argv += ["--", "-i", "--total-num-mbufs=16384", *options]
        self._process = Process(netns.argv(argv) if netns else argv, name, tty=True,
                                log_path=directory / f"{name}.log" if directory else None)
        try:
            self._process.expect("testpmd> ", timeout)
        except BaseException:
            self._process.__exit__()
            raise

    @property
    def pid(self):
        return self._process.pid

    @property
    def output(self):
        return self._process.output

    def command(self, text, timeout=20):
        """Runs a command of its shell; returns the output."""
        self._process.send(text + "\n")
        return self._process.expect(r"(.*?)testpmd> ", timeout).group(1)

    def stats(self):
        """Counters by port: {0: {"RX-packets": n, "TX-packets": n, ...}}."""
        text = self.command("show port stats all")
        blocks = re.findall(r"NIC statistics for port (\d+)(.*?)(?=NIC statistics|\Z)", text, re.S)
        return {int(port): {name: int(value) for name, value in
                            re.findall(r"([RT]X-(?:packets|errors|missed|bytes|nombuf)): *(\d+)",
                                       block)}
                for port, block in blocks}

    def quit(self, timeout=20):
        self._process.send("quit\n")
        return self._process.wait(timeout)

    def kill(self):
        return self._process.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.__exit__()
