# SPDX-License-Identifier: BSD-3-Clause
"""The totals of the tests are the last line, even if tests fail, are ended or cannot start."""

import json
import os
import shutil
import signal
import subprocess

import pytest

from lib.paths import MESON, ROOT, SCRIPTS
from lib.proc import Process

TIMEOUT_S = 20


@pytest.fixture
def tool(workdir):
    """Replaces a program by a shell script; returns the environment in which it is found."""
    def tool(name, script):
        path = workdir / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
        path.chmod(0o755)
        return {**os.environ, "PATH": f"{workdir}:{os.environ['PATH']}",
                "VIO4WD_BUILD": str(workdir)}

    return tool


@pytest.fixture
def run_tests(workdir, tool):
    """Makes a copy of run-tests that takes workdir for the tree and runs a shell script in place of meson;
    returns its path and the environment to run it in."""
    def run_tests(meson):
        env = tool("meson", meson)
        text = (SCRIPTS / "run-tests").read_text(encoding="utf-8")
        assert MESON in text
        path = workdir / "scripts" / "run-tests"
        path.parent.mkdir()
        path.write_text(text.replace(MESON, f"{workdir}/meson"), encoding="utf-8")
        path.chmod(0o755)
        return path, env

    return run_tests


def test_ended(workdir, run_tests):
    """What is done counts, and the suite that was running has failed."""
    script, env = run_tests("echo begun; exec sleep 60")
    with Process(["env", *(f"{name}={env[name]}" for name in ("PATH", "VIO4WD_BUILD")),
                  script, "unit", "check"], "run-tests") as process:
        process.expect("begun", TIMEOUT_S)
        process.signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 1
    last = process.output.text.splitlines()[-1]
    assert last == "0 passed, 1 failed"
    assert "FAILED unit: ended by SIGTERM" in process.output.text
    assert "check    not run" in process.output.text
    assert (workdir / "test-summary").read_text(encoding="ascii") == f"{last}\n"


def test_sudo(workdir, tool, run_tests):
    """It becomes root for what needs it, with its settings."""
    tool("sudo", 'echo "called: $*"')
    script, env = run_tests("echo as it is; exit 1")
    os.chown(workdir, 65534, 65534)

    def run(*suites):
        return subprocess.run([script, *suites], env={**env, "VIO4WD_X": "1"}, user=65534, group=65534,
                              extra_groups=[], stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S,
                              check=False).stdout

    called = run("unit", "black")
    assert called.startswith("called: env ") and called.endswith(f" {script} unit black\n")
    assert f" VIO4WD_BUILD={workdir} " in called and " VIO4WD_X=1 " in called
    assert "as it is" in run("unit")


def test_builds_belong_to_the_caller_of_sudo(workdir, run_tests):
    script, env = run_tests(f"echo >{workdir}/build-fuzz/log; exit 1")
    (workdir / "build-fuzz").mkdir()
    (workdir / "build-fuzz" / "link").symlink_to(script)
    subprocess.run([script, "unit"], env={**env, "SUDO_UID": "65534", "SUDO_GID": "65533"},
                   timeout=TIMEOUT_S, check=False)
    for path in (workdir / "build-fuzz", *(workdir / "build-fuzz").iterdir()):
        assert (path.lstat().st_uid, path.lstat().st_gid) == (65534, 65533)
    assert os.stat(script).st_uid == os.getuid()


def test_skipped(workdir, run_tests):
    """Also a test of a program whose other tests have passed."""
    (workdir / "meson-logs").mkdir()
    said = ("[ RUN      ] a\nno luck\n[  SKIPPED ] a\n[ RUN      ] b\n[       OK ] b\n"
            "[  SKIPPED ] 1 test(s), listed below:\n[  SKIPPED ] a\n")
    (workdir / "report").write_text(json.dumps(
        {"name": "x", "result": "OK", "duration": 1, "stdout": said}) + "\n", encoding="ascii")
    script, env = run_tests(f"cp {workdir}/report {workdir}/meson-logs/unit.json")
    output = subprocess.run([script, "unit"], env=env, stdout=subprocess.PIPE, text=True,
                            timeout=TIMEOUT_S, check=True).stdout
    assert f"SKIPPED {workdir.name} x.a: no luck\n" in output
    assert output.splitlines()[-1] == "1 passed, 0 failed, 1 skipped"


@pytest.mark.parametrize("script, last", [
    ("echo 5 passed, 2 failed >build/test-summary; echo make: Error 1; exit 2", "5 passed, 2 failed"),
    ("echo make: Error 1; exit 2", "0 passed, 1 failed")], ids=["fails", "does-not-begin"])
def test_last_line_of_ci(workdir, tool, script, last):
    env = tool("make", script)
    for directory in (".ci", "build"):
        (workdir / directory).mkdir()
    shutil.copy(ROOT / ".ci" / "run", workdir / ".ci")
    (workdir / "build" / "test-summary").write_text("9 passed, 0 failed\n", encoding="ascii")
    result = subprocess.run([workdir / ".ci" / "run"], env=env, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S, check=False)
    assert result.returncode == 2
    assert result.stdout.splitlines()[-1] == last
