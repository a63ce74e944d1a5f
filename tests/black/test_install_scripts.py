# SPDX-License-Identifier: BSD-3-Clause
"""What the scripts make of apt: in any language, with package lists of yesterday, beside another apt."""

import os
import re

import pytest

from lib.paths import SCRIPTS
from lib.proc import run


@pytest.fixture
def tools(workdir):
    """Replaces programs by shell scripts; returns the environment in which they are found."""
    def tools(**scripts):
        for name, script in scripts.items():
            path = workdir / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\nset -eu\ncd {workdir}\n{script}\n", encoding="utf-8")
            path.chmod(0o755)
        return {**os.environ, "PATH": f"{workdir}:{os.environ['PATH']}", "LC_ALL": "de_DE.UTF-8"}

    return tools


def test_newest_kernel(workdir, tools):
    """The archive has replaced the kernel that the package lists name."""
    kernel = workdir / "kernel"
    for folder in ("DEBIAN", "boot", "lib/modules/6.1.0-2-cloud"):
        (kernel / folder).mkdir(parents=True)
    (kernel / "boot/vmlinuz-6.1.0-2-cloud").touch()
    (kernel / "DEBIAN/control").write_text(
        "Package: kernel\nVersion: 2\nArchitecture: all\nMaintainer: n <n@example.com>\n"
        "Description: none\n", encoding="ascii")
    run(["dpkg-deb", "--build", kernel, workdir / "new.deb"])
    (workdir / "list").write_text("1", encoding="ascii")
    (workdir / "here").mkdir()
    env = tools(
        apt_cache="""case $LC_ALL in C*) word=Depends ;; *) word='Hängt ab von' ;; esac
echo "$2"
echo "  $word: linux-image-6.1.0-$(cat list)-cloud" """,
        apt_get="""case $* in
*update) echo 2 >list ;;
*'download linux-image-6.1.0-2-cloud') cp new.deb here/linux-image-6.1.0-2-cloud.deb ;;
*) exit 100 ;;
esac""")
    said = run(["sh", "-euc", '. "$1"; fetch_kernel cloud; echo "$version"', "sh",
                SCRIPTS / "vm-parts.sh"], cwd=workdir / "here", env=env)
    assert said.splitlines()[-1] == "6.1.0-2-cloud"


@pytest.mark.parametrize("complaint, calls", [
    ("Could not get lock /var/lib/apt/lists/lock", ["install", "install"]),
    ("Unable to locate package clang", ["install", "update", "install"])], ids=["locked", "no-lists"])
def test_first_try_fails(workdir, tools, complaint, calls):
    """Another apt is waited for; a missing package needs new lists."""
    env = tools(dpkg_query="exit 1", apt_get=f"""echo "$*" >>calls
[ ! -e failed ] || exit 0
touch failed
echo 'E: {complaint}' >&2
exit 100""")
    run([SCRIPTS / "install-deps", "clang"], env=env)
    assert re.findall(r" (install|update)\b", (workdir / "calls").read_text(encoding="ascii")) == calls
