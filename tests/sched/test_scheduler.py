# SPDX-License-Identifier: BSD-3-Clause
"""vio4wd_core_scheduler with endpoints served by a script."""

import os
import signal
import socket
import subprocess

import pytest

from lib.paths import program
from lib.proc import CLOSED, Process, standard_files, wait_until
from lib.vioclient import extended

from fake_daemon import VF_TO_VM, VM_TO_VF, FakeDaemon, Lane

POLL_S = 0.2
TIMEOUT_S = 20
CALL_TIMEOUT_S = 2  # of the clients, for one answer
SATURATED, HALF = 12.0, 5.0  # million packets a second: 98 and 41 % of a core by the weights


@pytest.fixture
def daemon(workdir):
    """Creates a FakeDaemon on CPUs 11 and 12, with all relays on CPU 11."""
    def make(rates, **options):
        relays = {i: {VF_TO_VM: Lane(11, rate), VM_TO_VF: Lane(11, 0)}
                  for i, rate in enumerate(rates)}
        return FakeDaemon(workdir, [11, 12], relays, **options)
    return make


def argv(workdir, *options):
    config = workdir / "virtioforwarder"
    if not config.exists():
        config.write_text("VIO4WD_CORE_SCHED_SENSITIVITY=0.25\n", encoding="utf-8")
    return [program("vio4wd_core_scheduler"), f"--config={config}",
            f"--stats-ep=ipc://{workdir}/stats", f"--sched-ep=ipc://{workdir}/core_sched",
            f"--poll-interval={POLL_S}", *options]


@pytest.fixture
def scheduler(workdir, stack):
    """Starts a scheduler, which must end cleanly at the end of the test."""
    def start(*options):
        process = stack.enter_context(Process(argv(workdir, *options), "scheduler",
                                              log_path=workdir / "scheduler.log"))
        stack.callback(stop, process)
        return process

    def stop(process):
        if process.running():
            assert process.terminate(3 * CALL_TIMEOUT_S + 2) == 0

    return start


def polls(fake, n):
    """Waits for n more polls."""
    goal = fake.n_stats + n
    wait_until(lambda: fake.n_stats >= goal, TIMEOUT_S, f"{n} polls")


def is_balanced(fake):
    return fake.updates and abs(fake.load(11) - fake.load(12)) < 1e-6


def test_closed_standard_descriptors(workdir, daemon, stack):
    """No other file gets their numbers."""
    with daemon([1.0]) as fake:
        process = stack.enter_context(Process([*CLOSED, *argv(workdir)], "scheduler"))
        polls(fake, 1)
        assert standard_files(process.pid) == ["/dev/null"] * 3
        assert process.terminate(3 * CALL_TIMEOUT_S + 2) == 0


def test_skew_is_balanced_in_one_go_and_stays(daemon, scheduler):
    with daemon([3, 3, 3, 3]) as fake:
        log = scheduler()
        wait_until(lambda: fake.updates, TIMEOUT_S, "a move")
        assert fake.polls_before == [2]  # the first poll that has rates
        assert is_balanced(fake)
        assert all(vm_to_vf == 11 for _, vm_to_vf in fake.updates[0].values())
        polls(fake, 5)
        assert len(fake.updates) == 1
        log.expect(r"relay \d VF to VM \(\d+\.\d % of a core\): CPU 11 -> CPU 12", 1)


def test_new_load_is_balanced_by_the_second_poll(daemon, scheduler):
    """The first poll sees that there is load, the next one how much."""
    with daemon([0, 0]) as fake:
        scheduler()
        polls(fake, 4)
        assert not fake.updates
        fake.relays.update({relay: {VF_TO_VM: Lane(11, HALF)} for relay in (7, 8)})
        before = fake.n_stats
        wait_until(lambda: is_balanced(fake), TIMEOUT_S, "balance")
        assert fake.polls_before[-1] - before <= 2


def test_small_and_even_loads_stay(daemon, scheduler):
    with daemon([0.3, 0.1]) as fake:
        scheduler()
        polls(fake, 5)
        assert not fake.updates


def test_directions_are_moved_apart(daemon, scheduler):
    with daemon([]) as fake:
        fake.relays[3] = {VF_TO_VM: Lane(11, HALF), VM_TO_VF: Lane(11, HALF)}
        scheduler()
        wait_until(lambda: fake.updates, TIMEOUT_S, "a move")
        assert sorted(fake.updates[0][3]) == [11, 12]


def test_pinned_relays_stay(daemon, scheduler):
    with daemon([HALF, 2, 2], messages=extended) as fake:
        fake.relays[0][VF_TO_VM].pinned = fake.relays[1][VF_TO_VM].pinned = True
        scheduler()
        wait_until(lambda: fake.updates, TIMEOUT_S, "a move")
        polls(fake, 3)
        assert fake.updates == [{2: (12, 11)}]


def test_measured_load_counts_more_than_rates(daemon, scheduler):
    """By rates, relay 0 is the load; by measurement, relays 1 and 2 are."""
    with daemon([SATURATED, 0.01, 0.01], messages=extended) as fake:
        for relay, busy in ((0, 0.01), (1, 0.45), (2, 0.45)):
            fake.relays[relay][VF_TO_VM].busy = busy
        scheduler()
        wait_until(lambda: fake.updates, TIMEOUT_S, "a move")
        assert {fake.relays[1][VF_TO_VM].cpu, fake.relays[2][VF_TO_VM].cpu} == {11, 12}


def test_slices_move_by_themselves(daemon, scheduler):
    """A relay is too much for one CPU, and the daemon has split it."""
    with daemon([SATURATED, 0], messages=extended) as fake:
        lane = fake.relays[0][VF_TO_VM]
        lane.busy, lane.slices = 0.9, [[11, 0.3], [11, 0.3], [11, 0.3]]
        process = scheduler()
        wait_until(lambda: fake.updates, TIMEOUT_S, "a move")
        assert sorted(cpu for cpu, _ in lane.slices) == [11, 11, 12]
        process.expect(r"relay 0 VF to VM, slice \d of 3 .*CPU 11 -> CPU 12", TIMEOUT_S)
        polls(fake, 3)
        assert len(fake.updates) == 1


def test_what_slices_did_before_is_no_load(daemon, scheduler):
    """A device of several queues comes back: its slices were busy for a day before it went."""
    with daemon([0], messages=extended) as fake:
        fake.relays.update({relay: {VF_TO_VM: Lane(cpu, HALF), VM_TO_VF: Lane(cpu, 0)}
                            for relay, cpu in ((1, 11), (2, 12))})
        scheduler()
        polls(fake, 4)
        lane = fake.relays[0][VF_TO_VM]
        lane.busy_before_s, lane.busy, lane.slices = 86400, 0.04, [[11, 0.02], [11, 0.02]]
        polls(fake, 4)
        assert not fake.updates


@pytest.mark.parametrize("options, moves", [((), 0), (("--global-numa-opt",), 1)])
def test_numa(daemon, scheduler, options, moves):
    """Memory and CPU 11 on node 0, CPU 12 on node 1."""
    with daemon([HALF, HALF], messages=extended, nodes={11: 0, 12: 1}) as fake:
        scheduler(*options)
        polls(fake, 5)
        assert len(fake.updates) == moves


@pytest.mark.parametrize("relay_node, moves", [(None, 1), (-1, 0), (1, 0)])
def test_a_relay_of_whatever_node(daemon, scheduler, relay_node, moves):
    """The node reported for the relay takes precedence over its pool's node, 0, which is also
    reported if there is no pool or its node is unknown."""
    with daemon([HALF], messages=extended, nodes={11: 1, 12: 0}, relay_node=relay_node) as fake:
        scheduler()
        polls(fake, 5)
        assert len(fake.updates) == moves


def test_dry_run(daemon, workdir):
    with daemon([3, 3]) as fake:
        result = subprocess.run(argv(workdir, "--dry-run"), capture_output=True, text=True,
                                timeout=TIMEOUT_S, check=False)
        assert result.returncode == 0 and result.stderr == ""
        assert "CPU 11: " in result.stdout and "CPU 12: 0.0 % of a core, 0 lanes" in result.stdout
        assert "imbalance 1.00 -> 0.00" in result.stdout
        assert "would move relay" in result.stdout
        assert not fake.updates


def test_dry_run_watches(daemon, scheduler):
    with daemon([3, 3]) as fake:
        process = scheduler("--dry-run=watch")
        for _ in range(3):
            process.expect(r"would move relay \d VF to VM", TIMEOUT_S)
        assert not fake.updates
        assert process.terminate() == 0


def test_dry_run_with_other_workers(daemon, scheduler):
    """There is no picture until there are loads again."""
    with daemon([HALF]) as fake:
        process = scheduler("--dry-run=watch")
        process.expect("CPU 12: ", TIMEOUT_S)
        fake.cpus = [11, 12, 13]
        load = process.expect(r"CPU 11: (\S+) %[^\n]*\nCPU 12:[^\n]*\nCPU 13: ", TIMEOUT_S)
        assert float(load[1]) > 10


def test_dry_run_ends_with_its_terminal(daemon, scheduler):
    with daemon([3, 3]):
        process = scheduler("--dry-run=watch")
        process.expect("would move relay", TIMEOUT_S)
        process.signal(signal.SIGHUP)
        assert process.wait(TIMEOUT_S) == -signal.SIGHUP


def test_dry_run_ends_with_its_reader(daemon, workdir):
    with daemon([3, 3]), subprocess.Popen(argv(workdir, "--dry-run=watch"), text=True,
                                          stdout=subprocess.PIPE,
                                          stderr=subprocess.PIPE) as process:
        try:
            process.stdout.readline()
            process.stdout.close()
            assert process.wait(TIMEOUT_S) == 1
            assert process.stderr.read().endswith("error the plan cannot be printed: Broken pipe\n")
        finally:
            process.kill()


def test_dry_run_to_a_full_disk(daemon, workdir):
    with daemon([3, 3]), open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run(argv(workdir, "--dry-run"), stdout=full, stderr=subprocess.PIPE,
                                text=True, timeout=TIMEOUT_S, check=False)
    assert result.returncode == 1 and "No space left on device" in result.stderr


def test_dry_run_without_a_daemon(workdir):
    result = subprocess.run(argv(workdir, "--dry-run"), capture_output=True, text=True,
                            timeout=TIMEOUT_S, check=False)
    assert result.returncode == 1 and result.stdout == ""
    assert len(result.stderr.splitlines()) == 1 and "core_sched" in result.stderr


def test_starts_before_the_daemon(daemon, scheduler):
    process = scheduler()
    process.expect("warning no answer from", TIMEOUT_S)
    with daemon([3, 3]) as fake:
        process.expect("virtio-forwarder is there: workers on CPUs 11-12", TIMEOUT_S)
        wait_until(lambda: is_balanced(fake), TIMEOUT_S, "balance")
    assert process.output.text.count("warning no answer") == 1


def test_daemon_restarts(daemon, scheduler):
    """Once with a pause, once between two polls; counters and placement start afresh each time."""
    process = scheduler()
    with daemon([3, 3]) as fake:
        wait_until(lambda: is_balanced(fake), TIMEOUT_S, "balance")
        polls(fake, 10)  # so that the counters stay above those of the next one for a while
    process.expect("warning no answer from", TIMEOUT_S)
    with daemon([3, 3]) as fake:
        process.expect("virtio-forwarder is there", TIMEOUT_S)
        wait_until(lambda: is_balanced(fake), TIMEOUT_S, "balance")
        polls(fake, 10)
        fake.stop()
        for relay in fake.relays.values():
            relay[VF_TO_VM].cpu = 11
        fake.start()
        process.expect("has started anew", TIMEOUT_S)
        wait_until(lambda: is_balanced(fake), TIMEOUT_S, "balance")
        assert len(fake.updates) == 2


def test_other_workers_after_a_restart(daemon, scheduler):
    with daemon([3, 3]) as fake:
        process = scheduler()
        wait_until(lambda: is_balanced(fake), TIMEOUT_S, "balance")
        fake.cpus = [12, 13, 14]  # and a lane on a CPU without a worker
        process.expect("has started anew", TIMEOUT_S)
        polls(fake, 5)
        assert len(fake.updates) == 1
        fake.relays[5] = {VF_TO_VM: Lane(13, HALF), VM_TO_VF: Lane(13, HALF)}
        wait_until(lambda: len(fake.updates) > 1, TIMEOUT_S, "a move")
        assert set(fake.updates[1]) == {5}


def test_refused_moves_are_said_once_and_tried_again(daemon, scheduler):
    with daemon([3, 3]) as fake:
        fake.refusal = "relay 0: no way"
        process = scheduler()
        process.expect("warning no relay was moved: relay 0: no way", TIMEOUT_S)
        wait_until(lambda: len(fake.updates) >= 4, TIMEOUT_S, "repeated moves")
        assert process.output.text.count("no way") == 1
        fake.refusal = None
        wait_until(lambda: is_balanced(fake), TIMEOUT_S, "balance")


@pytest.mark.parametrize("endpoint", ["stats", "core_sched"])
def test_nonsense_is_survived(daemon, scheduler, endpoint):
    with daemon([3, 3]) as fake:
        fake.garbage = {endpoint}
        process = scheduler()
        process.expect(f"warning the answer of ipc://.*{endpoint} is no", TIMEOUT_S)
        fake.garbage = set()
        wait_until(lambda: is_balanced(fake), TIMEOUT_S, "balance")


@pytest.mark.parametrize("endpoint", ["stats", "core_sched"])
def test_silence_is_survived(daemon, scheduler, endpoint):
    with daemon([3, 3]) as fake:
        fake.mute = {endpoint}
        process = scheduler()
        process.expect(f"warning no answer from ipc://.*{endpoint}", TIMEOUT_S)
        fake.mute = set()
        wait_until(lambda: is_balanced(fake), TIMEOUT_S, "balance")


def test_a_late_answer_to_moves_is_no_refusal(daemon, scheduler):
    """The daemon may still make the moves, once it has time."""
    with daemon([3, 3]) as fake:
        fake.mute_updates = True
        process = scheduler()
        process.expect("warning it is not known whether relays were moved: no answer from", TIMEOUT_S)
        fake.mute_updates = False
        wait_until(lambda: is_balanced(fake), TIMEOUT_S, "balance")
        assert "no relay was moved" not in process.output.text


def test_odd_answers(daemon, scheduler):
    """No workers at all; relays with wild numbers; lanes without a CPU."""
    with daemon([3, 3]) as fake:
        fake.cpus = []
        process = scheduler()
        polls(fake, 3)
        fake.cpus = [11, 12, 5000]
        fake.relays[70] = {VF_TO_VM: Lane(11, HALF)}
        fake.relays[9] = {}
        polls(fake, 3)
        assert process.running()


def test_stops_at_once(daemon, scheduler):
    with daemon([3, 3]) as fake:
        process = scheduler()
        polls(fake, 2)
        assert process.terminate(2) == 0
        process.expect("stopping on Terminated", 1)


@pytest.mark.parametrize("options, words", [
    (["--sensitivity=2"], ["--sensitivity"]),
    (["--poll-interval=x"], ["--poll-interval"]),
    (["--stats-ep=off"], ["stats endpoint is off"]),
    (["--sched-ep=no"], ["core scheduler endpoint is off"]),
    (["--nosuch"], ["--nosuch"]),
    (["--check-config", "--sched-ep=no"], ["--sched-ep: ", "is off"]),
])
def test_bad_usage(workdir, options, words):
    result = subprocess.run([*argv(workdir), *options], capture_output=True, text=True,
                            timeout=TIMEOUT_S, check=False)
    assert result.returncode == 2 and result.stdout == ""
    for word in words:
        assert word in result.stderr


def test_check(workdir):
    result = subprocess.run([*argv(workdir), "--check-config"], capture_output=True, text=True,
                            timeout=TIMEOUT_S, check=True)
    assert (result.stdout, result.stderr) == ("the configuration is good\n", "")


def test_readiness_is_told(workdir, scheduler):
    """Tests sd_notify on a socket of ours."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(workdir / "notify"))
        notify.settimeout(TIMEOUT_S)
        os.environ["NOTIFY_SOCKET"] = str(workdir / "notify")
        try:
            process = scheduler()
        finally:
            del os.environ["NOTIFY_SOCKET"]
        assert b"READY=1" in notify.recv(4096)
        assert process.running()
