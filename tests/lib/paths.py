# SPDX-License-Identifier: BSD-3-Clause
"""Where the tree, the programs under test and the cached VM images are; directories to work in."""

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
MESON = "/usr/bin/meson"  # the makefile's


def build_dir():
    return Path(os.environ.get("VIO4WD_BUILD", ROOT / "build"))


def cache_dir():
    """The directory of the kernel, the initramfs and other files that are fetched once (see
    scripts/vm-image)."""
    return Path(os.environ.get("VIO4WD_CACHE", ROOT / "build" / "vm"))


@contextmanager
def work_directory(prefix="vio4wd-"):
    """A directory with a path short enough for sockets, which everybody may enter; removed in the end."""
    path = Path(tempfile.mkdtemp(prefix=prefix))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def program(name):
    """A program of the build under test, by name."""
    path = build_dir() / "bin" / name
    if not path.exists():
        path = build_dir() / "src" / "bin" / name
    if not path.exists():
        raise FileNotFoundError(f"{name} is not built in {build_dir()}: run make")
    return path


def dpdk_version():
    """That of the build under test, as (year, month)."""
    said = subprocess.run([program("virtio-forwarder"), "--version"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    return tuple(map(int, re.search(r"DPDK (\d+)\.(\d+)", said).groups()))


def stock_dpdk():
    """Whether the build under test is linked with the machine's own DPDK, which has 32 ports."""
    linked = subprocess.run(["ldd", program("virtio-forwarder")], stdout=subprocess.PIPE, text=True,
                            check=True).stdout
    return "librte_eal" in linked
