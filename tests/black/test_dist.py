# SPDX-License-Identifier: BSD-3-Clause
"""dist/ is consistent: the RPM's file list matches an installation, the version numbers match, and
the policies compile."""

import re
import shutil

import pytest
from lib.paths import MESON, ROOT, build_dir
from lib.proc import run

DIST = ROOT / "dist"
SPEC = (DIST / "rpm/virtio-forwarder.spec").read_text(encoding="utf-8")
MACROS = {
    "_sysconfdir": "/etc", "_bindir": "/usr/bin", "_prefix": "/usr", "_datadir": "/usr/share",
    "_unitdir": "/usr/lib/systemd/system", "_sysusersdir": "/usr/lib/sysusers.d",
    "_tmpfilesdir": "/usr/lib/tmpfiles.d", "_docdir": "/usr/share/doc", "_mandir": "/usr/share/man"}


def spec_files():
    """The paths of %files, without the documents that rpm takes from the source, and directories."""
    files = re.sub("%dir .*", "", SPEC.split("%files\n", 1)[1]).split()
    paths = (re.sub(r"%\{(\w+)\}", lambda macro: MACROS[macro.group(1)], word)
             for word in files if word.startswith("%{"))
    return {path.removesuffix("*") for path in paths}


@pytest.mark.skipif(not shutil.which(MESON), reason="needs meson")
def test_rpm_lists_what_is_installed(workdir):
    run([MESON, "install", "-C", build_dir(), "--no-rebuild", f"--destdir={workdir}"])
    installed = set()
    for path in workdir.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            installed.add(re.sub(r"^/lib/", "/usr/lib/", f"/{path.relative_to(workdir)}"))
    assert installed == spec_files()


def test_versions_agree():
    version = re.search(r"version: '([0-9.]+)'", (ROOT / "meson.build").read_text()).group(1)
    assert f"Epoch:          1\nVersion:        {version}\n" in SPEC
    assert (DIST / "debian/changelog").read_text().startswith(f"virtio-forwarder (1:{version}) ")


@pytest.mark.skipif(not shutil.which("checkmodule"), reason="needs checkmodule")
def test_selinux_module_compiles(workdir):
    module = workdir / "virtio_forwarder.mod"
    run(["checkmodule", "-M", "-m", "-o", module, DIST / "selinux/virtio_forwarder.te"])
    run(["semodule_package", "-o", workdir / "virtio_forwarder.pp", "-m", module,
         "-f", DIST / "selinux/virtio_forwarder.fc"])


@pytest.mark.skipif(not shutil.which("apparmor_parser"), reason="needs apparmor_parser")
def test_apparmor_profile_compiles():
    run(["apparmor_parser", "--skip-kernel-load", "--skip-cache",
         DIST / "apparmor/usr.bin.virtio-forwarder"])
