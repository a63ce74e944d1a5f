# SPDX-License-Identifier: BSD-3-Clause
"""The Debian package on a clean Debian with systemd as init: what it installs, how its services run
and what they may do, that they relay packets, and that nothing is left of it. In the order of this
file, on one system."""

import hashlib
import os
import re
import stat
from pathlib import Path

import pytest
from lib.paths import ROOT
from lib.peer import Peer, memif_device, net_socket
from lib.proc import run, wait_until
from lib.tree import Tree
from packaged import (CLIENTS, CONFFILE, DAEMON, DEB, DPDK, DROP_INS, NO_HUGE, SCHEDULER, Service, download,
                      install)

SERVICES = [DAEMON, SCHEDULER]
EXPOSURE_MAX = 5.0
PACKETS = 20_000
SOCKETS = "/tmp/virtio-forwarder"  # as shipped
CLIENT = "virtio-forwarder/virtioforwarder_port_control.py"  # in lib and lib64
MEMIF = memif_device("/memif", 0)
STATIC = {"VIRTIOFWD_STATIC_VFS": f"({MEMIF}=0 net_af_packet0,iface=veth0=1)"}

# What a running machine writes, and where packages that are not ours are kept.
NOT_OURS = ("/proc", "/sys", "/dev", "/run", "/tmp", "/root", "/var/log", "/var/cache", "/var/lib/apt",
            "/var/lib/dpkg")
# A user stays, by Debian's policy: it may still own files.
USERS = {f"/etc/{name}{dash}" for name in ("passwd", "group", "shadow", "gshadow") for dash in ("", "-")}

pytestmark = pytest.mark.timeout(600)


def test_lintian():
    assert run(["lintian", "--allow-root", "--tag-display-limit=0", DEB], timeout=300) == ""


def files(tree):
    """{path: (mode, owner, contents)} of everything that a package may leave."""
    found = {}
    for folder, folders, names in os.walk(tree.root):
        here = "/" + os.path.relpath(folder, tree.root)
        folders[:] = [name for name in folders if os.path.normpath(f"{here}/{name}") not in NOT_OURS]
        for path in (tree.root / here.lstrip("/") / name for name in (".", *names)):
            status = path.lstat()
            content = None
            if stat.S_ISLNK(status.st_mode):
                content = path.readlink()
            elif stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(path.read_bytes()).digest()
            found[f"/{path.relative_to(tree.root)}"] = (status.st_mode, status.st_uid, content)
    return found


@pytest.fixture(scope="module")
def tree():
    with Tree("bookworm", ["systemd", "systemd-sysv", "dbus", "needrestart"]) as tree:
        download(tree)
        tree.boot()
        run(tree.argv(["ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1"]))
        for veth in ("veth0", "veth1"):
            run(tree.argv(["ip", "link", "set", veth, "up"]))
        tree.clean = files(tree)
        install(tree)
        yield tree


@pytest.fixture
def daemon(tree):
    service = Service(tree)
    yield service
    service("stop")


@pytest.fixture
def scheduler(tree):
    service = Service(tree, SCHEDULER)
    yield service
    service("stop")


def test_layout(tree):
    clients = [f"virtioforwarder_{name}.py"
               for name in ("core_pinner", "monitor_load", "port_control", "stats")]
    for folder in ("/usr/lib/virtio-forwarder", CLIENTS):
        for client in clients:
            tree.run(f"test -x {folder}/{client} && {folder}/{client} --help")
    conffiles = tree.run("dpkg-query -W -f '${Conffiles}' virtio-forwarder").split()
    assert set(conffiles[::2]) == {CONFFILE, "/etc/needrestart/conf.d/virtio-forwarder.conf"}
    for path in ("/usr/share/bash-completion/completions/vio4wd",
                 "/usr/share/virtio-forwarder/save-relays.awk",
                 "/usr/share/virtio-forwarder/virtioforwarder.proto",
                 *(f"/usr/share/man/man{name}.gz" for name in (
                     "8/virtio-forwarder.8", "5/virtioforwarder.5", "1/vio4wd.1",
                     "8/vio4wd_core_scheduler.8")),
                 *(f"/usr/share/doc/virtio-forwarder/{name}" for name in (
                     "README.md", "docs/operating.md", "unprivileged.conf",
                     "usr.bin.virtio-forwarder", "libvirt-qemu.local", "virtio_forwarder.te",
                     "virtio_forwarder.fc", "prometheus/scrape.yml",
                     "prometheus/virtio-forwarder.rules.yml", "grafana/virtio-forwarder.json"))):
        tree.run(f"test -s {path}")
    tree.run("getent passwd virtio-forwarder")


def test_dependencies(tree):
    """DPDK is part of it, and no interpreter is needed."""
    depends = tree.run("dpkg-query -W -f '${Depends}' virtio-forwarder")
    print(depends)
    assert not re.search("dpdk|librte|python|perl", depends)
    assert "python3" not in tree.run("dpkg-query -W -f '${Package} ${db:Status-Status}\\n'")


def test_version(tree):
    """It names DPDK and, built from a git repository, the commit."""
    version = tree.run("dpkg-query -W -f '${Version}' virtio-forwarder").removeprefix("1:")
    assert f"virtio-forwarder {version}\n" in tree.run("virtio-forwarder --version")
    commit = r"\+git\d{14}\.[0-9a-f]{7,}(\.dirty)?" if (ROOT / ".git").exists() else ""
    assert re.fullmatch(rf"[0-9.]+{commit}\+dpdk[0-9.]+[+~]deb[0-9u]+", version)


def test_notices(tree):
    """Of what is linked statically: the licence, and who has written the drivers."""
    notices = tree.run("cat /usr/share/doc/virtio-forwarder/copyright.dpdk")
    assert "Redistributions in binary form must reproduce" in notices
    for holder in ("Intel", "Netronome", "Mellanox", "Broadcom", "Amazon", "University of California"):
        assert holder in notices


def test_dpdk_is_hardened():
    symbols = run(["nm", DPDK / "lib/librte_vhost.a"])
    assert "__stack_chk_fail" in symbols and "__snprintf_chk" in symbols


def test_not_started_by_itself(tree):
    for name in SERVICES:
        service = Service(tree, name)
        assert service.state() == "inactive"
        assert service("is-enabled", check=False).strip() == "disabled"


def test_units(tree):
    units = " ".join(f"/lib/systemd/system/{name}.service" for name in SERVICES)
    assert tree.run(f"systemd-analyze verify --man=no {units}") == ""
    for name in SERVICES:
        said = tree.run(f"systemd-analyze security --no-pager {name}.service", check=False)
        exposure = float(re.search(r"exposure level for \S+: ([0-9.]+)", said).group(1))
        print(f"{name}: exposure {exposure}")
        assert exposure < EXPOSURE_MAX, said


def test_wrong_configuration(daemon):
    """It says what is wrong, and is not restarted again and again."""
    daemon.configure(drop_ins=[], VIRTIOFWD_CPU_MASK="1023")
    daemon("start", check=False)
    assert daemon.state() == "failed"
    assert re.search(r"virtioforwarder:\d+: .*there is no CPU 1023", daemon.journal())
    daemon("reset-failed")


def test_life(tree, daemon, scheduler):
    daemon.configure(**STATIC)
    daemon("start")
    scheduler("start")
    assert [daemon.state(), scheduler.state()] == ["active", "active"], scheduler.journal()
    assert daemon.relay(1)["vf"]["pci_addr_str"].startswith("net_af_packet0")
    first, scheduling = daemon.pid(), scheduler.pid()

    daemon("restart")
    second = daemon.pid()
    assert daemon.state() == "active" and second != first

    # There is nothing to reload, and systemd says so; the daemon goes on.
    assert "not applicable" in daemon("reload", check=False)
    assert daemon.pid() == second

    tree.run(f"kill -9 {second}")
    wait_until(lambda: daemon.pid() not in (0, second) and daemon.state() == "active", 60,
               "systemd to start it again")
    assert daemon.relay(1)["vf"]["pci_addr_str"].startswith("net_af_packet0")
    assert scheduler.pid() == scheduling

    daemon("stop")
    scheduler("stop")
    assert [daemon.state(), scheduler.state()] == ["inactive", "inactive"]
    for path in ("/run/virtio-forwarder/*", "/run/virtio-forwarder.pid", f"{SOCKETS}/*"):
        tree.run(f"! ls -d {path}")


def test_left_alone_when_a_library_is_upgraded(tree, daemon, scheduler):
    """needrestart restarts the scheduler, which keeps nothing, but not the daemon."""
    daemon.configure()
    daemon("start")
    scheduler("start")
    before, scheduling = daemon.pid(), scheduler.pid()
    tree.run("library=$(readlink -f /usr/lib/*/libzmq.so.5); cp -p $library /usr/lib/new; mv /usr/lib/new $library")
    said = tree.run("needrestart -r a")
    assert daemon.pid() == before and scheduler.pid() != scheduling, said


def test_endpoints_in_tmp(daemon, scheduler):
    """The directory that both services share."""
    daemon.configure(VIRTIOFWD_ZMQ_STATS_EP="ipc:///tmp/stats",
                     VIRTIOFWD_ZMQ_CORE_SCHED_EP="ipc:///tmp/core_sched")
    daemon("start")
    scheduler("start")
    wait_until(lambda: "virtio-forwarder is there" in scheduler.journal(), 30, "them to meet")


def test_watchdog_ends_what_hangs(tree, daemon):
    daemon.configure(drop_ins=[NO_HUGE, "[Service]\nWatchdogSec=2\n"])
    daemon("start")
    hung = daemon.pid()
    tree.run(f"kill -STOP {hung}")
    wait_until(lambda: daemon.pid() not in (0, hung) and daemon.state() == "active", 90,
               "the watchdog to restart it")
    assert "watchdog timeout" in daemon.journal().lower()


def packets_pass(tree, daemon, workdir):
    """Packets pass both ways through relay 0, and what the kernel sends to the veth pair arrives at
    relay 1."""
    with Peer(workdir, vm=tree.path(f"{SOCKETS}/virtio-forwarder0.sock"),
              net=net_socket("/memif", 0), netns=tree, count=PACKETS, flows=4) as peer:
        peer.start()
        assert peer.result()["ok"]
        state = daemon.relay(0)
        assert state["active"]
        assert state["vf_to_vm"]["pkts_tx_to_vm"] == PACKETS
        assert state["vm_to_vf"]["pkts_tx_to_vf"] == PACKETS


def test_confined_by_its_unit(tree, daemon, workdir):
    """The units' restrictions still let it relay packets."""
    daemon.configure(**STATIC)
    daemon("start")
    status = Path(f"/proc/{daemon.pid()}/status")
    packets_pass(tree, daemon, workdir)
    for line in ("NoNewPrivs:\t1", "Seccomp:\t2"):
        assert line in tree.run(f"cat {status}")


@pytest.fixture
def drop_in(tree):
    return tree.run("cat /usr/share/doc/virtio-forwarder/unprivileged.conf")


def test_ended_late_when_memory_runs_out(daemon, drop_in):
    """Also without root, since systemd sets it. (Not looked up in /proc: it is ignored on a machine whose
    root may not set it.)"""
    for drop_ins in ([], [drop_in]):
        daemon.configure(drop_ins)
        assert int(daemon("show -P OOMScoreAdjust")) < -500


@pytest.fixture
def check(drop_in):
    """The command by which the drop-in checks what its user lacks."""
    return re.search(r"\n#\s+(systemd-run .* vio4wd check-host -- .*)", drop_in)[1]


@pytest.fixture
def unprivileged(tree, daemon, drop_in):
    """Starts the daemon with the drop-in and further settings."""
    no_huge = re.search(r"\n(ExecStart=/.*)", drop_in)[1] + " --no-huge\n"
    tree.run(f"rm -rf {SOCKETS} /run/virtio-forwarder")  # they are root's

    def start(**settings):
        daemon.configure([drop_in, f"[Service]\nExecStart=\n{no_huge}"], **settings)
        daemon("start")

    yield start
    daemon("stop")
    tree.run(f"rm -rf {SOCKETS} /run/virtio-forwarder")  # they are not root's


def test_a_user_of_its_own(tree, daemon, unprivileged, workdir):
    """Without root: vdevs need nothing, AF_PACKET needs two capabilities."""
    unprivileged(**STATIC)
    assert tree.run(f"stat -c %U /proc/{daemon.pid()}").strip() == "virtio-forwarder"
    assert tree.run(f"stat -c %U:%G {SOCKETS}/virtio-forwarder0.sock").strip() == \
        "virtio-forwarder:kvm"
    # Not QEMU's group: whoever may open these controls every VM.
    endpoints = tree.run("stat -c '%F %a %U:%G' /run/virtio-forwarder/*").splitlines()
    endpoints = [line for line in endpoints if line.startswith("socket")]
    assert len(endpoints) >= 4
    assert set(endpoints) == {"socket 660 virtio-forwarder:virtio-forwarder"}
    packets_pass(tree, daemon, workdir)


# For a QEMU started by libvirt, which has an additional group of its own.
ACCEPT = """import socket
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind("virtio-forwarder0.sock")
    listener.listen()
    listener.settimeout(30)
    listener.accept()
"""


def test_a_user_of_its_own_as_client(tree, daemon, unprivileged, check):
    """The daemon can use what QEMU creates in the directory; a directory in which QEMU cannot is
    reported."""
    daemon.configure(VIRTIOFWD_VHOST_CLIENT="true")  # before the service has ever run, too
    assert re.search("^ok +configuration .*\nok +daemon ", tree.run(f"{check} --no-huge", check=False), re.M)
    unprivileged(VIRTIOFWD_VHOST_CLIENT="true")
    assert tree.run(f"stat -c '%a %U:%G' {SOCKETS}").strip() == "3775 virtio-forwarder:kvm"
    kvm = int(tree.run("getent group kvm").split(":")[2])
    run(["/usr/bin/python3", "-c", ACCEPT], cwd=tree.path(SOCKETS), user=4711, group=4711,
        extra_groups=[kvm], umask=0o002)
    assert "keep out" not in daemon.journal()
    assert re.search("^ok +sockets .* can be used", tree.run(f"{check} --no-huge", check=False), re.M)
    as_root = check[check.index("vio4wd"):]  # for root it is not somebody else's
    assert re.search("^ok +sockets .* can be used", tree.run(as_root, check=False), re.M)
    daemon("stop")
    tree.run(f"chmod 755 {SOCKETS}")
    assert re.search("^missing +sockets .* keep out the group kvm", tree.run(check, check=False), re.M)
    daemon("start")
    assert f"keep out the group kvm, as which VMs run (VIRTIOFWD_SOCKET_GROUP): chgrp kvm {SOCKETS}; " \
        f"chmod 3775 {SOCKETS}" in daemon.journal()


def test_huge_pages_of_its_own(tree, daemon, drop_in, check):
    """The mount that the drop-in describes; of another one the check says that it is root's."""
    def checked():
        return re.search("^(?:ok|missing) +hugepages +(.*)", tree.run(check, check=False), re.M)[1]

    in_fstab = re.search(r"\n#\s+(none (\S+) hugetlbfs .*)", drop_in)
    mount_point = in_fstab[2]
    daemon.configure(VIRTIOFWD_HUGETLBFS_MOUNT_POINT=mount_point)
    tree.run(f"mkdir {mount_point} && cp /etc/fstab /root && echo '{in_fstab[1]}' >>/etc/fstab")
    tree.run(f"mount -t hugetlbfs none {mount_point}")
    assert "Permission denied" in checked()
    tree.run(f"umount {mount_point} && mount {mount_point}")
    assert "are free" in checked()
    tree.run(f"umount {mount_point} && rmdir {mount_point} && cp -p /root/fstab /etc/fstab")


def call_as_os_vif(tree, operation, device, path):
    """os-vif's plugin runs exactly this, and accepts exit codes 0 and 1. Returns the code and the
    output."""
    said = tree.run(f"{CLIENTS}/virtioforwarder_port_control.py {operation} --pci-addr={device} "
                    f"--vhost-path={path} && echo code=0 || echo code=$?")
    text, code = re.fullmatch(r"(.*)code=(\d+)\n", said, re.S).groups()
    return int(code), text


def test_os_vif(tree, daemon):
    """There is no VF here, so plugging one is refused, with a reason. So is unplugging what is not
    there or belongs to another device."""
    daemon.configure(VIRTIOFWD_DYNAMIC_SOCKETS="true")
    daemon("start")
    path = f"{SOCKETS}/vhu1"
    code, text = call_as_os_vif(tree, "add_sock", "0000:05:08.1", path)
    assert code == 1 and "0000:05:08.1" in text
    assert call_as_os_vif(tree, "remove_sock", "0000:05:08.1", path)[0] == 1
    tree.run(f"vio4wd port add-sock --device=net_null7 --vhost-path={path} && test -S {path}")
    assert daemon.relay(0)["vhost"]["vhost_socket_name"] == path
    assert call_as_os_vif(tree, "add_sock", "0000:05:08.1", path)[0] == 1
    assert call_as_os_vif(tree, "remove_sock", "0000:05:08.1", path)[0] == 1
    tree.run(f"test -S {path}")
    daemon("stop")
    assert call_as_os_vif(tree, "add_sock", "0000:05:08.1", path)[0] == 1  # nobody answers


def test_upgrade(tree, daemon):
    """An upgrade keeps the configuration, and the running daemon until that is restarted, with the
    new unit."""
    daemon.configure(**STATIC)
    daemon("enable")
    daemon("start")
    before = daemon.pid()
    conffile = tree.path(CONFFILE)
    kept = conffile.read_text()
    tree.run("cd /root && dpkg-deb -R package.deb new && "
             "sed -i 's/^Version: .*/&+next/' new/DEBIAN/control && echo '# new' >>new/etc/default/"
             f"virtioforwarder && sed -i 's/^Description=/&next: /' new/lib/systemd/system/{DAEMON}.service "
             "&& dpkg-deb -b new next.deb && dpkg --force-confold -i next.deb", timeout=300)
    assert "+next" in tree.run("dpkg-query -W virtio-forwarder")
    assert daemon.pid() == before and daemon.state() == "active"
    assert daemon("is-enabled").strip() == "enabled"
    assert conffile.read_text() == kept
    assert daemon("show --value --property=Description").startswith("next: ")
    daemon("restart")
    assert daemon.state() == "active" and daemon.pid() != before


def make_original(tree, link):
    """Builds a package that stands for one of the original's: /root/original.deb. `link` is that of the two
    directories of clients which is a link to the other, or None."""
    fill = "".join(f"mkdir -p usr/{lib}/virtio-forwarder; cp client usr/{lib}/{CLIENT}; "
                   for lib in ("lib", "lib64") if lib != link)
    if link:
        other = {"lib": "lib64", "lib64": "lib"}[link]
        fill += f"mkdir -p usr/{link}; ln -s ../{other}/virtio-forwarder usr/{link}/virtio-forwarder; "
    tree.run(f"""rm -rf /root/original && mkdir -p /root/original/DEBIAN && cd /root/original
cat >DEBIAN/control <<'END'
Package: virtio-forwarder
Version: 0.9
Architecture: amd64
Maintainer: nobody <nobody@example.org>
Description: stands for the original
END
echo {CONFFILE} >DEBIAN/conffiles; mkdir -p etc/default; echo VIRTIOFWD_CPU_MASK=1 >.{CONFFILE}
printf '#!/bin/sh\necho the original\n' >client; chmod 755 client
{fill}rm client
dpkg-deb --build . ../original.deb""")


@pytest.mark.parametrize("link", [
    pytest.param(None, id="two-directories"),
    pytest.param("lib64", id="lib64-is-a-link"),
    pytest.param("lib", id="lib-is-a-link"),
])
def test_original_is_put_back_and_replaced(tree, link):
    """The clients can be called by both paths, whichever of the packages is installed over the other."""
    paths = [f"/usr/{lib}/{CLIENT}" for lib in ("lib", "lib64")]
    before = tree.path(CONFFILE).read_text()
    make_original(tree, link)
    tree.run("dpkg --force-confold -i /root/original.deb")
    assert [tree.run(path) for path in paths] == ["the original\n"] * 2
    tree.run("dpkg --force-confold -i /root/package.deb")
    assert [tree.run(f"readlink -f {path}") for path in paths] == ["/usr/bin/vio4wd\n"] * 2
    tree.run("! ls -d /usr/lib*/*.dpkg-backup")
    assert tree.path(CONFFILE).read_text() == before


def test_removal_and_purge(tree):
    """Removal stops it and keeps the configuration; a purge leaves nothing."""
    daemon = Service(tree)
    daemon.configure(**STATIC)
    daemon("start")
    tree.run("touch /run/virtio-forwarder.ports /run/virtio-forwarder.ports.old")  # VIRTIOFWD_KEEP_PORTS
    tree.run("dpkg --remove virtio-forwarder")
    assert daemon.state() == "inactive"
    tree.run(f"test -e {CONFFILE}")
    tree.run(f"rm -r {DROP_INS}")
    tree.run("apt-get -q -y purge virtio-forwarder && apt-get -q -y autoremove --purge", timeout=300)
    now = files(tree)
    changed = {path for path in tree.clean.keys() | now.keys() if tree.clean.get(path) != now.get(path)}
    assert changed <= USERS, changed - USERS
    for path in ("/run/virtio-forwarder*", "/run/systemd/system/*virtio*", SOCKETS, "/tmp/vio_cmd"):
        tree.run(f"! ls -d {path}")
