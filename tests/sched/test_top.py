# SPDX-License-Identifier: BSD-3-Clause
"""The load monitor, as `vio4wd top` and under its compatible name."""

import fcntl
import re
import struct
import subprocess
import termios

import pytest

from lib.paths import program
from lib.proc import Process, wait_until
from lib.vioclient import extended

from fake_daemon import VF_TO_VM, VM_TO_VF, FakeDaemon, Lane

TIMEOUT_S = 20
NAMES = [("virtioforwarder_monitor_load.py",), ("vio4wd", "top")]


def argv(workdir, *options, name=NAMES[0]):
    return [program(name[0]), *name[1:], f"--stats-ep=ipc://{workdir}/stats",
            f"--sched-ep=ipc://{workdir}/core_sched", "--poll-interval=0.1", *options]


@pytest.fixture
def fake(workdir, stack):
    relays = {i: {VF_TO_VM: Lane(11, 5 if i == 2 else 0.001), VM_TO_VF: Lane(12, 0)}
              for i in range(4)}
    return stack.enter_context(FakeDaemon(workdir, [11, 12, 13], relays))


@pytest.mark.parametrize("name", NAMES)
def test_lines_into_a_pipe(fake, workdir, stack, name):
    process = stack.enter_context(Process(argv(workdir, name=name), "top"))
    process.expect(r"^CPU   11 \[#+\.+\]  4\d\.\d % \(estimate\)  4 lanes$", TIMEOUT_S)
    process.expect(r"^CPU   12 \[\.+\]   0\.0 % \(estimate\)  4 lanes$", TIMEOUT_S)
    process.expect(r"^CPU   13 .* 0 lanes$", TIMEOUT_S)
    process.expect(r"^ +2  on on \|  11 +4\d\.\d +[45]\d\d\d\.\d +2\d\d\d\.\d +0 \|  12 ", TIMEOUT_S)
    process.expect(r"^ +0  on on \|", TIMEOUT_S)
    process.expect(r"\n\nCPU   11 ", TIMEOUT_S)  # the next picture
    assert "\033" not in process.output.text
    assert process.terminate() == 0


def test_measured_load_and_sleep(workdir, stack):
    relays = {0: {VF_TO_VM: Lane(11, 1, busy=0.25)}}
    stack.enter_context(FakeDaemon(workdir, [11], relays, messages=extended, nodes={11: 0}))
    process = stack.enter_context(Process(argv(workdir), "top"))
    # What is measured for the worker and for its lane.
    process.expect(r"^CPU   11 \[\.+\]   0\.0 %  asleep   0\.0 %  waiting  [45]\d\.\d %  1 lanes$", TIMEOUT_S)
    process.expect(r"^ +0  on -  \|  11   2\d\.\d ", TIMEOUT_S)


def test_slices_are_counted_where_they_are(workdir, stack):
    lane = Lane(11, 1, busy=0.75)
    lane.slices = [[11, 0.5], [12, 0.25]]
    stack.enter_context(FakeDaemon(workdir, [11, 12], {0: {VF_TO_VM: lane}}, messages=extended))
    process = stack.enter_context(Process(argv(workdir), "top"))
    process.expect(r"^CPU   11 .*  (49|50)\.\d % \(estimate\)  1 lanes$", TIMEOUT_S)
    process.expect(r"^CPU   12 .*  2[45]\.\d % \(estimate\)  1 lanes$", TIMEOUT_S)
    process.expect(r"^ +0  on -  \| 11\+ +7[45]\.\d ", TIMEOUT_S)


def resize(process, rows, columns):
    fcntl.ioctl(process._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def screen_lines(text):
    """The lines of the last complete picture."""
    picture = text.split("\033[H")[-2]
    return [re.sub(r"\033\[[0-9;?]*[a-zA-Z]", "", line) for line in picture.split("\n")][:-1]


def test_screen(fake, workdir, stack):
    process = stack.enter_context(Process(argv(workdir), "top", tty=True))
    process.expect(re.escape("\033[?1049h"), TIMEOUT_S)
    before = fake.n_stats
    wait_until(lambda: fake.n_stats > before + 3, TIMEOUT_S, "pictures")
    resize(process, 8, 40)
    wait_until(lambda: process.output.text.count("\033[H") > 3 and
               len(screen_lines(process.output.text)) <= 7, TIMEOUT_S, "a picture that fits")
    lines = screen_lines(process.output.text)
    assert max(map(len, lines)) <= 40
    assert lines[-1] == "and 4 more"
    process.send("q")
    assert process.wait(TIMEOUT_S) == 0
    assert process.output.text.rstrip().endswith("\033[?25h\033[?1049l")


def test_keys_other_than_q_do_nothing_and_signals_end_it(fake, workdir, stack):
    process = stack.enter_context(Process(argv(workdir), "top", tty=True))
    process.expect(re.escape("\033[?1049h"), TIMEOUT_S)
    process.send("x")
    before = fake.n_stats
    wait_until(lambda: fake.n_stats > before + 3, TIMEOUT_S, "pictures")
    assert process.terminate() == 0
    assert process.output.text.endswith("\033[?25h\033[?1049l")


def test_daemon_goes_and_comes(fake, workdir, stack):
    process = stack.enter_context(Process(argv(workdir), "top"))
    process.expect("CPU   13", TIMEOUT_S)
    fake.stop()
    process.expect("no answer from", TIMEOUT_S)
    fake.start()
    process.expect("CPU   13", TIMEOUT_S)
    assert process.terminate() == 0


def test_a_closed_pipe_ends_it(fake, workdir):
    """`vio4wd top | head -1`"""
    result = subprocess.run(
        ["sh", "-c", '"$@" | head -1', "sh", *map(str, argv(workdir))],
        capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    assert result.stdout.startswith("CPU   11")
    assert len(result.stdout.splitlines()) == 1


def test_no_daemon(workdir):
    result = subprocess.run(argv(workdir), capture_output=True, text=True, timeout=TIMEOUT_S,
                            check=False)
    assert result.returncode == 1 and result.stdout == ""
    assert "no answer" in result.stderr


@pytest.mark.parametrize("options", [("--poll-interval=0",), ("--poll-interval=x",), ("--nosuch",),
                                     ("argument",)])
def test_bad_usage(workdir, options):
    result = subprocess.run(argv(workdir, *options), capture_output=True, text=True,
                            timeout=TIMEOUT_S, check=False)
    assert result.returncode == 2 and result.stdout == ""
