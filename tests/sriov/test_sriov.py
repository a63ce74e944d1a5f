# SPDX-License-Identifier: BSD-3-Clause
"""Real VFs of igb cards: wire <-> VF <-> daemon <-> virtio_user. All programs except the wire run
on the machine with the cards."""

import time

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Dot1Q, Ether

from lib.nichost import RUN, SYSFS_PCI, mac
from lib.ovsdb import SCHEMA
from lib.packet_socket import PacketSocket
from lib.paths import SCRIPTS, program
from lib.pinger import Pinger
from lib.proc import Process, run, wait_until

ETH_P_IP = 0x0800

pytestmark = pytest.mark.timeout(600)


def assert_wakes_by_itself(daemon):
    """The worker does not wait for interrupts, which the drivers of these cards do not set up: it looks
    for packets about every millisecond. A worker that waits looks ten times a second."""
    assert daemon.worker_sleeps() > 100


@pytest.mark.ci
def test_bind_relay_add_remove(nic_host, start_daemon, start_vm):
    """The daemon binds what its configuration names and relays a static VF, and further VFs come
    and go."""
    pf = nic_host.PFS[0]
    vfs = nic_host.make_vfs(pf, 2)
    netdev = nic_host.netdev(pf)
    daemon = start_daemon({0: vfs[0]}, config=f"VIRTIOFWD_BIND_VFIO_PCI={netdev}\n")
    assert [nic_host.driver(vf) for vf in vfs] == ["vfio-pci"] * 2
    vm0 = start_vm(daemon, mac(vfs[0]))
    vm0.assert_answers()
    assert_wakes_by_itself(daemon)

    daemon.port_control("add", "--virtio-id=1", f"--pci-addr={vfs[1]}")
    vm1 = start_vm(daemon, mac(vfs[1]), relay=1)
    vm1.assert_answers()
    daemon.port_control("remove", "--virtio-id=1", f"--pci-addr={vfs[1]}")
    assert nic_host.wire.ping(vm1.address, count=1, wait=1) == 0
    daemon.port_control("add", "--virtio-id=1", f"--pci-addr={vfs[1]}")
    vm1.wait_answer()
    vm1.assert_answers()
    vm0.assert_answers()
    daemon.stop()


@pytest.mark.ci
def test_zero_copy(nic_host, start_daemon, start_vm):
    """The VF reads what VMs send from their memory, which the IOMMU maps for it, whichever of the
    two comes first. Under traffic first one of them leaves, then the other."""
    pf = nic_host.PFS[0]
    vf = nic_host.make_vfs(pf, 1)[0]
    daemon = start_daemon({0: vf}, ["--zero-copy"],
                          config=f"VIRTIOFWD_BIND_VFIO_PCI={vf}\n")
    daemon.wait_output(f"device {vf}: long packets of the VM are sent without a copy", 60)
    mapped = f"device {vf} reads the memory of the VM"
    vm = start_vm(daemon, mac(vf))
    daemon.wait_output(mapped, 60)
    vm.assert_answers()
    with Pinger(nic_host.wire, vm.address, interval=0.02, size=1400) as pinger:
        daemon.port_control("remove", "--virtio-id=0", f"--pci-addr={vf}")
        daemon.port_control("add", "--virtio-id=0", f"--pci-addr={vf}")
        daemon.wait_output(mapped, 60, count=2)
        pinger.wait_reply(after=time.time())
        vm.kill()
        daemon.wait_output("VM detached", 60)
    vm = start_vm(daemon, mac(vf))
    daemon.wait_output(mapped, 60, count=3)
    vm.assert_answers()
    daemon.stop()
    assert "does not send" not in daemon.output() and "kept" not in daemon.output()


def assert_vfs_released(nic_host, pf, seconds=60):
    """Sets sriov_numvfs to 0, which waits for whoever has a VF open."""
    nic_host.run(f"timeout {seconds} sh -c 'echo 0 >{SYSFS_PCI}/{pf}/sriov_numvfs'")
    assert nic_host.run(f"cat {SYSFS_PCI}/{pf}/sriov_numvfs").strip() == "0"


@pytest.mark.ci
def test_vfs_go_and_come_back(nic_host, start_daemon, start_vm):
    """Under traffic the PF removes its VFs and creates new ones; then its driver is reloaded."""
    pf = nic_host.PFS[0]
    vf = nic_host.make_vfs(pf, 1)[0]
    daemon = start_daemon({0: vf}, config=f"VIRTIOFWD_BIND_VFIO_PCI={vf}\n")
    vm = start_vm(daemon, mac(vf))
    vm.assert_answers()
    with Pinger(nic_host.wire, vm.address, interval=0.05) as pinger:
        assert_vfs_released(nic_host, pf)
        daemon.wait_state("DPDK_ADDED")
        state = daemon.stats()
        assert state["vf"]["pci_addr_str"] == vf and state["vm_to_vf"]["active"], state
        nic_host.make_vfs(pf, 1)
        daemon.wait_state("DPDK_READY")
        pinger.wait_reply(after=time.time())
    vm.assert_answers()

    nic_host.run("timeout 30 rmmod igb")
    daemon.wait_state("DPDK_ADDED")
    nic_host.run("modprobe igb")
    wait_until(lambda: nic_host.run(f"ls {SYSFS_PCI}/{pf}/net 2>/dev/null || true"), 30, "the PF is back")
    nic_host.make_vfs(pf, 1)
    daemon.wait_state("DPDK_READY")
    vm.wait_answer()
    vm.assert_answers()
    daemon.stop()


def test_vf_appears_after_the_start(nic_host, start_daemon, start_vm):
    """It is bound when a relay gets it, if the configuration names it and nobody uses it."""
    nic_host.run("modprobe igbvf")
    pf = nic_host.PFS[0]
    daemon = start_daemon(options=["--dynamic-sockets"],
                          config=f"VIRTIOFWD_BIND_VFIO_PCI={nic_host.netdev(pf)}:1\n")
    assert "has 0 VFs; make them first" in daemon.output()
    named, other = nic_host.make_vfs(pf, 2)
    interface = nic_host.netdev(named)

    def add(vf):
        daemon.port_control("add_sock", f"--pci-addr={vf}", f"--vhost-path={daemon.socket()}")

    for vf, setting, words in ((named, f"ip addr add 192.0.2.1/24 dev {interface}", "has an IP address"),
                               (other, f"ip addr flush dev {interface}", "is bound to the kernel's driver")):
        nic_host.run(setting)
        with pytest.raises(AssertionError, match=words):
            add(vf)
        assert nic_host.driver(vf) == "igbvf"
    add(named)
    assert [nic_host.driver(vf) for vf in (named, other)] == ["vfio-pci", "igbvf"]
    vm = start_vm(daemon, mac(named))
    vm.assert_answers()
    daemon.stop()
    nic_host.run("rmmod igbvf")


@pytest.fixture
def database(nic_host):
    """A database of Open vSwitch with a bridge br0: the path of its socket."""
    folder = nic_host.run(f"mktemp -d {RUN}/database.XXXXXX").strip()
    socket = f"{folder}/socket"
    nic_host.run(f"cd {folder} && ovsdb-tool create file {SCHEMA} && ovsdb-server file --remote=punix:{socket} "
                 f"--unixctl={folder}/ctl --pidfile={folder}/pid --detach && "
                 f"ovs-vsctl --db=unix:{socket} --no-wait add-br br0")
    yield socket
    nic_host.run(f"kill $(cat {folder}/pid)")


def test_vf_of_a_database_row_appears(nic_host, start_daemon, start_vm, database):
    """It is bound, too, once it has been set up."""
    pf = nic_host.PFS[0]
    vf = f"{pf[:8]}10.0"
    daemon = start_daemon(options=["--zmq-port-control-ep=false", f"--ovsdb-sock={database}"],
                          config=f"VIRTIOFWD_BIND_VFIO_PCI={nic_host.netdev(pf)}\n")
    nic_host.run(f"ovs-vsctl --db=unix:{database} --no-wait add-port br0 vf0 -- set Interface vf0 "
                 "external_ids:virtio_forwarder=true external_ids:virtio_forwarder_id=0 "
                 f"external_ids:virtio_forwarder_device='\"{vf}\"'")
    daemon.wait_output(f"device {vf} is no PCI device of this host", 60)
    assert nic_host.make_vfs(pf, 1) == [vf]
    daemon.wait_state("DPDK_READY")
    vm = start_vm(daemon, mac(vf))
    vm.assert_answers()
    daemon.stop()


def test_vf_token(nic_host, start_daemon):
    """VFIO hands out the VFs of a PF that it has to nobody without the PF's token, which nobody knows
    here."""
    pf = nic_host.PFS[1]
    sriov = "/sys/module/vfio_pci/parameters/enable_sriov"
    nic_host.bind(pf, "vfio-pci")
    try:
        nic_host.run(f"echo Y >{sriov}; echo 1 >{SYSFS_PCI}/{pf}/sriov_numvfs")
        vf = f"{pf[:8]}10.0"
        assert nic_host.driver(vf) == "vfio-pci"
        for options, words in (([], "VFIO wants a VF token then, but none is configured"),
                               (["--vfio-vf-token=0"], "perhaps VIRTIOFWD_VFIO_VF_TOKEN is not")):
            daemon = start_daemon(options=options)
            with pytest.raises(AssertionError, match=words):
                daemon.port_control("add", "--virtio-id=0", f"--pci-addr={vf}")
            daemon.stop()
    finally:
        nic_host.run(f"echo 0 >{SYSFS_PCI}/{pf}/sriov_numvfs; echo N >{sriov}")
        nic_host.bind(pf, "igb")


def test_vf_comes_back_unbound(nic_host, start_daemon, start_vm):
    """A VF that was bound by hand is created anew, without a driver for DPDK: the log says so, and
    that it has to be bound."""
    pf = nic_host.PFS[0]
    vf = nic_host.make_vfs(pf, 1)[0]
    nic_host.bind(vf, "vfio-pci")
    daemon = start_daemon({0: vf})
    vm = start_vm(daemon, mac(vf))
    vm.assert_answers()
    assert_vfs_released(nic_host, pf)
    daemon.wait_state("DPDK_ADDED")
    nic_host.make_vfs(pf, 1)
    daemon.wait_output(f"; bind it: vio4wd vf bind {vf}", 30)
    nic_host.run(f"{program('vio4wd')} vf bind {vf}")
    daemon.wait_state("DPDK_READY")
    vm.wait_answer()
    vm.assert_answers()
    daemon.stop()


def test_vf_by_its_own_interface(nic_host, start_daemon):
    """The interface of a VF goes when a daemon binds the VF. The VF can be added by that name all the same,
    in the next daemon, too; and given back to the kernel's driver."""
    pf = nic_host.PFS[0]
    nic_host.run("modprobe igbvf")
    vf = nic_host.make_vfs(pf, 2)[1]
    name = nic_host.netdev(vf)
    for _ in range(2):
        daemon = start_daemon(options=["--zmq-port-control-ep=false", "--ipc"],
                              config=f"VIRTIOFWD_BIND_VFIO_PCI={nic_host.netdev(pf)}\n")
        assert nic_host.run(f"ls /sys/class/net/{name} 2>/dev/null || true") == ""
        nic_host.run(f"echo add_port {name} >/tmp/vio_cmd.new; mv /tmp/vio_cmd.new /tmp/vio_cmd")
        daemon.wait_output(f"add_port {name}: done, relay 1, device {vf}", 30)
        daemon.wait_state("DPDK_READY", relay=1)
        daemon.stop()
    nic_host.run(f"{program('vio4wd')} vf unbind {name}")
    assert nic_host.driver(vf) == "igbvf"
    nic_host.run("rmmod igbvf")


def test_vf_of_a_pod_is_not_bound(nic_host):
    """Its interface is in another network namespace, where the host does not see it."""
    nic_host.run("modprobe igbvf")
    vf = nic_host.make_vfs(nic_host.PFS[0], 1)[0]
    name = nic_host.netdev(vf)
    bind = f"{program('vio4wd')} vf bind {vf} 2>&1 || true"
    nic_host.run(f"ip netns add pod; ip link set {name} netns pod")
    assert "is in use: its interface is in another network namespace" in nic_host.run(bind)
    assert nic_host.driver(vf) == "igbvf"
    nic_host.run(f"ip netns exec pod ip link set {name} netns 1; ip netns del pod")
    nic_host.run(bind)
    assert nic_host.driver(vf) == "vfio-pci"
    nic_host.run("rmmod igbvf")


def test_vlans(nic_host, start_daemon, start_vm):
    """The PF keeps tagged frames even from a VF that it trusts. If the VF has a VLAN, the VM gets the frames
    of that one, without their tag, and no others."""
    pf = nic_host.PFS[0]
    vf = nic_host.make_vfs(pf, 1)[0]
    daemon = start_daemon({0: vf}, config=f"VIRTIOFWD_BIND_VFIO_PCI={vf}\n")
    vm = start_vm(daemon, mac(vf))
    ethernet = Ether(dst=mac(vf), src=nic_host.wire.link("wire")["address"])
    ping = IP(src="10.0.0.1", dst=vm.address) / ICMP()
    pings = [bytes(ethernet / Dot1Q(vlan=100) / ping / "tagged"), bytes(ethernet / ping / "untagged")]

    with PacketSocket(nic_host.wire.name, "wire") as wire:
        def answered(wanted):
            """Sends both pings until that one is answered; returns what was answered."""
            seen = set()

            def look():
                for one in pings:
                    wire.send(one)
                seen.update(bytes(Ether(answer)[ICMP].payload)[:8].decode().rstrip("\0")
                            for answer in wire.frames(ETH_P_IP, 0.5))
                return wanted in seen

            wait_until(look, 30, f"an answer to the {wanted} ping")
            return seen

        assert answered("untagged") == {"untagged"}
        nic_host.run(f"ip link set {nic_host.netdev(pf)} vf 0 vlan 100")
        wire.frames(ETH_P_IP)
        assert answered("tagged") == {"tagged"}
    daemon.stop()


def test_surprise_removal(nic_host, start_daemon, start_vm):
    """Under traffic a card is removed from the PCI bus; after a rescan of the bus it is there
    again. (A VF goes with its PF only: in Linux it has no `remove`.)"""
    card = nic_host.CARD
    daemon = start_daemon({0: card}, config=f"VIRTIOFWD_BIND_VFIO_PCI={card}\n")
    vm = start_vm(daemon, nic_host.CARD_MAC)
    vm.assert_answers()
    assert_wakes_by_itself(daemon)
    with Pinger(nic_host.wire, vm.address, interval=0.05) as pinger:
        nic_host.run(f"timeout 15 sh -c 'echo 1 >{SYSFS_PCI}/{card}/remove'")
        daemon.wait_state("DPDK_ADDED")
        assert daemon.stats()["vm_to_vf"]["active"]
        nic_host.run("echo 1 >/sys/bus/pci/rescan")
        daemon.wait_state("DPDK_READY")
        pinger.wait_reply(after=time.time())
    vm.assert_answers()
    daemon.stop()


@pytest.mark.parametrize("driver", ["igb_uio", "uio_pci_generic"])
def test_uio(nic_host, start_daemon, start_vm, driver):
    """A VF bound to one of the UIO drivers, which need physical addresses."""
    if driver == "igb_uio":
        module = run([SCRIPTS / "igb-uio"], timeout=600).splitlines()[-1]
        nic_host.run(f"modprobe uio && insmod {module}")
    else:
        nic_host.run(f"modprobe {driver}")
    vf = nic_host.make_vfs(nic_host.PFS[0], 1)[0]
    nic_host.run(f"{program('vio4wd')} vf bind --driver={driver} {vf}")
    assert nic_host.driver(vf) == driver
    daemon = start_daemon({0: vf})
    vm = start_vm(daemon, mac(vf))
    vm.assert_answers()
    daemon.stop()
    nic_host.run(f"{program('vio4wd')} vf unbind {vf}")
    assert nic_host.driver(vf) != driver


def test_vf_starts_with_less(nic_host, start_daemon, start_vm):
    """The driver of a VF fails to start it with receive interrupts. The VF is opened anew, again and again,
    until it can be used without them."""
    pf = nic_host.PFS[0]
    vf = nic_host.make_vfs(pf, 1)[0]
    daemon = start_daemon({0: vf}, config=f"VIRTIOFWD_BIND_VFIO_PCI={vf}\n", preload="refuse")
    daemon.wait_output("; it is used with no receive interrupts", 60)
    vm = start_vm(daemon, mac(vf))
    vm.assert_answers()
    daemon.stop()


def link_ups(nic_host, netdev):
    """How often an interface's link has come up."""
    return int(nic_host.run(f"cat /sys/class/net/{netdev}/carrier_up_count"))


DEAD = "is away: it has received nothing since the link of its PF came up"


def test_pf_is_reset(nic_host, start_daemon, start_vm):
    """A PF that is set up or reset also resets its VFs, and QEMU's igb card tells nobody: the VF is
    reopened. One that receives after its wire was cut and mended is left alone."""
    pf = nic_host.PFS[0]
    vf = nic_host.make_vfs(pf, 1)[0]
    netdev = nic_host.netdev(pf)
    daemon = start_daemon({0: vf}, config=f"VIRTIOFWD_BIND_VFIO_PCI={vf}\n")
    vm = start_vm(daemon, mac(vf))
    vm.assert_answers()
    anew = daemon.output().count(DEAD)
    with Pinger(nic_host.wire, vm.address, interval=0.02) as pinger:
        ups = link_ups(nic_host, netdev)
        nic_host.set_link(pf, False)
        nic_host.set_link(pf, True)
        wait_until(lambda: link_ups(nic_host, netdev) > ups, 30, "the PF's link is up")
        pinger.wait_reply(after=time.time() + 3, timeout=60)  # it was checked after a second
    assert daemon.output().count(DEAD) == anew
    for reset in (f"ip link set {netdev} down; ip link set {netdev} up", f"ethtool -r {netdev}",
                  f"ip link set {netdev} mtu 1400"):
        nic_host.run(reset)
        daemon.wait_output(DEAD, 60, count=anew + 1)
        vm.wait_answer()
        vm.assert_answers()
        anew = daemon.output().count(DEAD)
    nic_host.run(f"ip link set {netdev} mtu 1500")
    daemon.stop()


def start_bond(start_daemon, start_vm, vfs):
    """Starts a daemon whose relay 0 has a bond of these VFs, of which one works at a time, and its VM."""
    daemon = start_daemon(config=f"VIRTIOFWD_BIND_VFIO_PCI={','.join(vfs)}\n")
    daemon.port_control("add", "--virtio-id=0", "--name=net_bonding0", "--mode=1",
                        *(f"--pci-addr={vf}" for vf in vfs))
    vm = start_vm(daemon, mac(vfs[0]))
    vm.wait_answer()
    vm.assert_answers()
    return daemon, vm


def test_bond_fails_over(nic_host, start_daemon, start_vm):
    """A bond of two VFs of different PFs: a wire is cut, a VF is removed, and the PF of the
    remaining VF is reset. The bond is then reopened on that VF, with the MAC that it had from the
    other."""
    vfs = [nic_host.make_vfs(pf, 1)[0] for pf in nic_host.PFS]
    daemon, vm = start_bond(start_daemon, start_vm, vfs)
    for pf in nic_host.PFS:
        nic_host.set_link(pf, False)
        vm.wait_answer()
        nic_host.set_link(pf, True)
    assert_vfs_released(nic_host, nic_host.PFS[0])
    vm.wait_answer()
    assert daemon.stats()["vf_to_vm"]["internal_state"] == "DPDK_READY"
    nic_host.run(f"ethtool -r {nic_host.netdev(nic_host.PFS[1])}")
    daemon.wait_output(f"device {vfs[1]} is back", 60)
    vm.wait_answer()
    nic_host.make_vfs(nic_host.PFS[0], 1)
    daemon.wait_output(f"device {vfs[0]} is back", 60)
    assert_vfs_released(nic_host, nic_host.PFS[1])
    vm.wait_answer()
    daemon.port_control("remove", "--virtio-id=0", "--name=net_bonding0")
    daemon.stop()


def test_bond_keeps_its_mac(nic_host, start_daemon, start_vm):
    """One of two VFs is lost and comes back, and the other one loses its link for a while. DPDK's driver
    would return to that one, without the bond's MAC, and neither VF reports links. With broadcasts on
    the net, a VF that does not receive for its VM is not doubted."""
    vfs = [nic_host.make_vfs(pf, 1)[0] for pf in nic_host.PFS]
    lost, other = nic_host.PFS
    daemon, vm = start_bond(start_daemon, start_vm, vfs)
    assert_vfs_released(nic_host, lost)
    vm.wait_answer()
    nic_host.make_vfs(lost, 1)
    daemon.wait_output(f"device {vfs[0]} is back", 60)
    ups = link_ups(nic_host, nic_host.netdev(other))
    with Process(nic_host.wire.argv(["ping", "-b", "-i", "0.2", "10.0.0.255"]), "broadcasts"):
        nic_host.set_link(other, False)
        vm.wait_answer()
        with Pinger(nic_host.wire, vm.address) as pinger:
            pinger.wait_reply(after=time.time() + 2)  # the daemon looks once a second
            nic_host.set_link(other, True)
            wait_until(lambda: link_ups(nic_host, nic_host.netdev(other)) > ups, 30,
                       "the PF's link is up")
            pinger.wait_reply(after=time.time() + 3)
    daemon.stop()
    assert DEAD not in daemon.output()


def test_bond_of_many(nic_host, start_daemon, start_vm):
    """Each member has receive rings of its own to fill, also when all have been away."""
    vfs = [vf for pf in nic_host.PFS for vf in nic_host.make_vfs(pf, 4)]
    daemon, vm = start_bond(start_daemon, start_vm, vfs)
    for pf in nic_host.PFS:
        assert_vfs_released(nic_host, pf)
    daemon.wait_state("DPDK_ADDED")
    for pf in nic_host.PFS:
        nic_host.make_vfs(pf, 4)
    for vf in vfs:
        daemon.wait_output(f"device {vf} is back", 60)
    vm.wait_answer()
    vm.assert_answers()
    daemon.stop()
