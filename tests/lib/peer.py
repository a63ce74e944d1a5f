# SPDX-License-Identifier: BSD-3-Clause
"""packet-peer, the program that plays the far ends of a relay, and checks of its results."""

import contextlib
import json
import os
from dataclasses import dataclass

from lib import vioclient
from lib.paths import build_dir
from lib.proc import Process, WaitTimeout, wait_until
from lib.wire import OK

EOF = "\x04"  # the character that means end of file on a terminal
NAP_US = 200  # all peers share a CPU: one with a rate rests where nothing moves, for the others' sake


def memif_device(directory, relay=0, role="server"):
    """A device for the daemon whose far end is net_socket(directory, relay). Lossless, with back
    pressure. DPDK's memif driver has two traps. It unmaps the rings of a far end that goes away
    while they are being polled, so the daemon must let go before the peer leaves. And a server
    never closes its listening socket, so a device that is to be attached again has the role
    "client" (the peer then has net_server=True, and is open before the device is attached)."""
    return f"net_memif{relay},role={role},socket={net_socket(directory, relay)}"


def net_socket(directory, relay=0):
    """An abstract socket: there is nothing to remove, and only its network namespace sees it."""
    return f"{directory}/net{relay}"


class Peer:
    """A packet-peer: the VM's side of a relay, the network's side, or both. It sends from start()
    until its count is reached or until stop(); result() returns the outcome, and its ends stay
    until finish(). As a context manager it is killed on exit unless it was finished."""

    def __init__(self, directory, name="peer", vm=None, net=None, netns=None, **options):
        """vm: a vhost-user socket; net: net_socket(). netns: the namespace to run in. options:
        those of packet-peer, count=0, packed=True, pause_vm="1000,500", ..."""
        rests = options.get("rate") and not options.get("latency")
        arguments = {"vm": vm, "net": net, "control": True, "nap": NAP_US if rests else None,
                     "cpu": min(os.sched_getaffinity(0)), **options}
        argv = [build_dir() / "tests" / "peer" / "packet-peer"]
        for option, value in arguments.items():
            option = "--" + option.replace("_", "-")
            if value is True:
                argv.append(option)
            elif value is not None and value is not False:
                argv.append(f"{option}={value}")
        self.name = name
        if netns:
            argv = netns.argv(argv)
        self._process = Process(argv, name, tty=True, log_path=directory / f"{name}.log")

    @property
    def pid(self):
        return self._process.pid

    def _messages(self):
        """The JSON messages that it has printed so far."""
        return [json.loads(line) for line in self._process.output.text.splitlines(keepends=True)
                if line.startswith("{") and line.endswith("}\n")]

    def _wait_messages(self, count, matches, timeout, what):
        """Waits until it has printed so many messages that match; returns them."""
        def look():
            running = self._process.running()
            if not running:
                self._process.output.join()
            found = [message for message in self._messages() if matches(message)]
            if len(found) >= count:
                return found
            if not running:
                raise WaitTimeout(f"{self.name} has ended before {what}:\n"
                                  f"{self._process.output.tail()}")
            return None

        return wait_until(look, timeout, f"{self.name}: {what}", interval=0.02)

    def wait_event(self, event, timeout=60, count=1, **fields):
        """Waits until it has reported an event so many times: wait_event("first",
        stream="vf_to_vm")."""
        expected = {"event": event, **fields}
        self._wait_messages(count, lambda message: expected.items() <= message.items(), timeout,
                            f"{count} * {expected}")

    def start(self, timeout=60):
        """Waits until its links are up, and starts to send."""
        self.wait_event("ready", timeout)
        self._process.send("start\n")

    def stop(self):
        """Stops sending; what is under way is still received."""
        self._process.send("stop\n")

    def result(self, timeout=120):
        """Waits until everything has been received; returns {"ok": ..., "vm_to_vf": {"sent": ...},
        ...}."""
        return self._wait_messages(1, lambda message: "ok" in message, timeout, "its result")[0]

    def finish(self, timeout=20):
        """Lets it end; returns its exit code: 0 if nothing was lost, reordered or altered."""
        self._process.send(EOF)
        code = self._process.wait(timeout)
        self._process.__exit__()
        return code

    def kill(self):
        """kill -9"""
        self._process.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.__exit__()


def wait_active(forwarder, relay=0, active=True, timeout=60):
    """Waits until device and VM of a relay are both ready, or not."""
    wait_until(lambda: vioclient.relay(forwarder.stats_endpoint, relay).active == active, timeout,
               f"relay {relay} {'active' if active else 'inactive'}")


def attached_peer(stack, workdir, forwarder, relay=0, **options):
    """A peer at both ends of an active relay; it is left with the stack. See end()."""
    peer = stack.enter_context(Peer(workdir, vm=forwarder.socket(relay),
                                    net=net_socket(workdir, relay), **options))
    peer.wait_event("ready")
    wait_active(forwarder, relay)
    return peer


# The names of the source and the destination of each direction.
ENDS = {"vm_to_vf": ("vm", "vf"), "vf_to_vm": ("vf", "vm")}


@dataclass
class Counted:
    """The counters of one direction in one snapshot: (packets, bytes)."""
    received: tuple
    sent: tuple
    dropped: tuple  # for any reason
    backlog: tuple

    def balanced(self):
        return all(received == sum(gone) for received, *gone in
                   zip(self.received, self.sent, self.dropped, self.backlog))


def counted_in(relay_state, direction):
    """The counters in one relay's part of an answer."""
    source, destination = ENDS[direction]
    state = getattr(relay_state, direction)
    pair = lambda name: tuple(getattr(state, f"{unit}_{name}") for unit in ("pkts", "bytes"))
    return Counted(pair(f"rx_from_{source}"), pair(f"tx_to_{destination}"),
                   (sum(drop.packets for drop in state.drop), sum(drop.bytes for drop in state.drop)),
                   (state.backlog_packets, state.backlog_bytes))


def counted(forwarder, direction, relay=0):
    return counted_in(vioclient.relay(forwarder.stats_endpoint, relay), direction)


def assert_balanced(forwarder, relay=0):
    """Asserts what holds at every moment: received = sent + dropped + backlog, packets and bytes
    alike."""
    for direction in ENDS:
        counters = counted(forwarder, direction, relay)
        assert counters.balanced(), (relay, direction, counters)


def assert_counted(count, wanted, what=""):
    """count() must return exactly that, at once or a moment later: a worker that gets no CPU counts
    late."""
    with contextlib.suppress(WaitTimeout):
        wait_until(lambda: count() == wanted, 5, "counters")
    assert count() == wanted, what


def assert_nothing_lost(forwarder, result, relay=0, directions=tuple(ENDS)):
    """For a peer that played both ends: all packets sent have arrived, unaltered and in order, and
    the daemon has counted exactly those."""
    assert result["ok"], result
    for direction in directions:
        seen = result[direction]
        assert seen["sent"] == seen["received"] > 0, result
        amount = (seen["sent"], seen["sent_bytes"])
        assert_counted(
            lambda: counted(forwarder, direction, relay),
            Counted(received=amount, sent=amount, dropped=(0, 0), backlog=(0, 0)), direction)


def end(forwarder, peer):
    """Ends the daemon and, not earlier (see memif_device()), a peer that played both ends and must have
    found no fault."""
    forwarder.stop()
    assert peer.finish() == 0


def _port_control(forwarder, op, relay, device):
    response = vioclient.port_control(forwarder.port_control_endpoint, op, virtio_id=relay,
                                      device=[device], conditional=False)
    assert response.status == OK, response


def attach(forwarder, relay, device):
    """Attaches a device to a relay while the daemon runs."""
    _port_control(forwarder, 0, relay, device)


def detach(forwarder, relay, device):
    _port_control(forwarder, 1, relay, device)
