# SPDX-License-Identifier: BSD-3-Clause
"""Everything at once for VIO4WD_SOAK_SECONDS: as many relays as the DPDK has ports for; VMs that
come, are killed, and migrate; devices that come and go; good and bad requests; lanes moved at
random and by the core scheduler; and two relays under steady load, which must not notice. Every
packet is accounted for, and the daemon must not grow. VIO4WD_SEED repeats the order of events."""

import collections
import os
import random
import time

import pytest
from guest import Guest

from lib import vioclient
from lib.forwarder import Forwarder
from lib.paths import program, stock_dpdk
from lib.peer import Peer, assert_nothing_lost, counted_in, memif_device, net_socket, wait_active
from lib.proc import Process, memory_kib, open_files, wait_until
from lib.wire import ADD, OK, REMOVE

SECONDS = float(os.environ.get("VIO4WD_SOAK_SECONDS", 20))
SEED = int(os.environ.get("VIO4WD_SEED", random.SystemRandom().randrange(1 << 32)))
RELAYS = 32 if stock_dpdk() else 64
WATCHED = 2            # they carry numbered packets all the time
WATCHED_PPS = 2000     # each way
ROUND_S = min(60.0, SECONDS / 3)
GROWTH_KIB = 4 << 10   # RssAnon, from the end of the first round to that of the last
CPUS = sorted(os.sched_getaffinity(0))


class Requests:
    """Requests that change nothing except where lanes run."""

    def __init__(self, forwarder, core_sched, chance):
        self.forwarder, self.core_sched, self.chance = forwarder, core_sched, chance

    def _port_control(self, op, **fields):
        return vioclient.port_control(self.forwarder.port_control_endpoint, op, **fields)

    def move(self):
        cpus = [self.chance.choice(CPUS[-2:]) for _ in range(2)]
        answer = vioclient.core_sched(self.core_sched, 0, [(self.chance.randrange(RELAYS), *cpus)])
        assert answer.status == OK, answer

    def move_to_nowhere(self):
        answer = vioclient.core_sched(self.core_sched, 0, [(self.chance.randrange(RELAYS), 999, 999)])
        assert answer.status != OK

    def occupied(self):
        """A device for a relay that has one already, as relay 0 always does."""
        assert self._port_control(ADD, virtio_id=0, device=["net_null9"],
                                  conditional=False).status != OK

    def not_there(self):
        assert self._port_control(REMOVE, virtio_id=self.chance.randrange(RELAYS), device=["net_null9"],
                                  conditional=False).status != OK

    def no_such_relay(self):
        assert self._port_control(ADD, virtio_id=self.chance.randrange(64, 1 << 31),
                                  device=["net_null9"], conditional=False).status != OK

    def garbage(self):
        endpoint = self.chance.choice((self.forwarder.port_control_endpoint,
                                       self.forwarder.stats_endpoint, self.core_sched))
        vioclient.exchange(endpoint, self.chance.randbytes(self.chance.randrange(200)))

    def slow_statistics(self):
        """An answer that comes when nobody waits for it any more."""
        with vioclient.Session(self.forwarder.stats_endpoint) as client:
            client.send(vioclient.compat.StatsRequest(delay=50).SerializeToString())

    def statistics(self):
        """All relays at one moment; each must be balanced."""
        answer = vioclient.stats(self.forwarder.stats_endpoint)
        assert len(answer.relay) == 64
        for state in answer.relay:
            for direction in ("vm_to_vf", "vf_to_vm"):
                counters = counted_in(state, direction)
                assert counters.balanced(), (state.id, direction, counters)

    def actions(self):
        return [(self.move, 10), (self.move_to_nowhere, 1), (self.occupied, 1), (self.not_there, 1),
                (self.no_such_relay, 1), (self.garbage, 1), (self.slow_statistics, 1),
                (self.statistics, 4)]


class Soak:
    def __init__(self, workdir, stack):
        self.chance = random.Random(SEED)
        core_sched = f"ipc://{workdir}/core_sched"
        devices = {relay: memif_device(workdir, relay) for relay in range(WATCHED)}
        devices.update({relay: f"net_ring{relay}" for relay in range(WATCHED, RELAYS)})
        self.forwarder = stack.enter_context(Forwarder(
            workdir, devices, cpus=(CPUS[0], CPUS[-2:]),
            config="VIO4WD_CORE_SCHED_ENABLE=true\n",
            options=[f"--zmq-core-sched-ep={core_sched}"]))
        self.watched = [stack.enter_context(Peer(
            workdir, f"peer{relay}", vm=self.forwarder.socket(relay), net=net_socket(workdir, relay),
            count=0, rate=WATCHED_PPS, flows=8, packed=relay == 1, drain_ms=20000))
            for relay in range(WATCHED)]
        for relay, peer in enumerate(self.watched):
            peer.start()
            wait_active(self.forwarder, relay)
        self.scheduler = stack.enter_context(Process(
            [program("vio4wd_core_scheduler"), f"--config={self.forwarder.config_file}",
             f"--stats-ep={self.forwarder.stats_endpoint}", f"--sched-ep={core_sched}",
             "--poll-interval=2"], "scheduler",
            log_path=workdir / "scheduler.log"))
        self.guests = [Guest(relay, self.forwarder, self.chance)
                       for relay in range(WATCHED, RELAYS)]
        self.requests = Requests(self.forwarder, core_sched, self.chance)
        self.done = collections.Counter()

    def step(self):
        actor = self.chance.choice(self.guests) if self.chance.random() < 0.8 else self.requests
        actions, weights = zip(*actor.actions())
        action = self.chance.choices(actions, weights)[0]
        self.done[action.__name__] += 1
        action()

    def round(self, seconds):
        """Does many things, then restores the initial state. Returns (descriptors, KiB)."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.step()
        for guest in self.guests:
            guest.end()
        assert self.scheduler.running()
        files = []

        def steady():
            files.append(open_files(self.forwarder.pid))
            return files[-5:].count(files[-1]) == 5

        wait_until(steady, 20, "a steady number of descriptors", interval=0.2)
        return files[-1], memory_kib(self.forwarder.pid, "RssAnon")

    def end(self):
        assert self.scheduler.terminate() == 0
        for peer in self.watched:
            peer.stop()
        sent = 0
        for relay, peer in enumerate(self.watched):
            result = peer.result()
            assert_nothing_lost(self.forwarder, result, relay)
            sent += sum(result[direction]["sent"] for direction in ("vm_to_vf", "vf_to_vm"))
        self.forwarder.stop(300)
        for peer in self.watched:
            assert peer.finish() == 0
        return sent


@pytest.mark.timeout(SECONDS + 900)
def test_soak(workdir, stack, capsys):
    begin = time.monotonic()
    soak = Soak(workdir, stack)
    with capsys.disabled():
        print(f"\nseed {SEED}, {RELAYS} relays", flush=True)
        marks = []
        while len(marks) < 2 or time.monotonic() < begin + SECONDS:
            marks.append(soak.round(ROUND_S))
            print(f"{time.monotonic() - begin:6.0f} s  {sum(soak.done.values()):6} steps  "
                  f"{marks[-1][0]} descriptors  {marks[-1][1]} KiB", flush=True)
        offered, withdrawn, received = (sum(getattr(guest, name) for guest in soak.guests)
                                        for name in ("offered", "withdrawn", "received"))
        print(f"{offered} packets offered = {received} back + "
              f"{offered - withdrawn - received} dropped and counted + {withdrawn} never taken; "
              f"watched relays: {soak.end()} sent and received")
        print(", ".join(f"{name} {count}" for name, count in soak.done.most_common()))
    (first_files, first_kib), (last_files, last_kib) = marks[0], marks[-1]
    assert last_files == first_files, marks
    assert last_kib - first_kib < GROWTH_KIB, marks
