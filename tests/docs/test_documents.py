# SPDX-License-Identifier: BSD-3-Clause
"""The commands of the documents. Each block of them is fenced (```sh) and says in a comment in front of
it what becomes of it here:

    <!-- run -->                       it is run, in the order of the document
    <!-- run: REMARK -->               likewise
    <!-- run instead: COMMAND (WHY) --> the command is run in its place
    <!-- run by: FILE -->              that test runs it
    <!-- not run: WHY -->

They are run in one shell a document, on a host of its own: the programs are installed in /usr of a
mount namespace whose /etc, /run and /tmp are its own too, and two veth pairs are there."""

import re
import shutil
from dataclasses import dataclass

import pytest

from lib.net import Veth
from lib.ovsdb import SCHEMA
from lib.paths import MESON, ROOT, build_dir
from lib.proc import run

DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"(?P<before>[^\n]*)\n```sh\n(?P<commands>.*?)^```", re.S | re.M)
INDENTED = re.compile(r"\n\n {4,}(?P<first>\S+).*")
COMMENT = re.compile(r"<!-- (?P<kind>run|run instead|run by|not run)(?:: (?P<text>.*))? -->")

# /usr with our programs in it; /etc, /run and /tmp that nobody else sees. $1 is a directory with
# the installed tree in `usr`, the script, and room for the overlays.
ENTER = """set -e
for directory in usr etc; do
    mkdir -p "$1/$directory" "$1/work-$directory"
    mount -t overlay -o "lowerdir=/$directory,upperdir=$1/$directory,workdir=$1/work-$directory" none /$directory
done
exec 3<"$1/script"
mount -t tmpfs none /run
mkdir -p /run/lock
cd /
mount -t tmpfs none /tmp
exec bash -e /dev/fd/3
"""


@dataclass
class Block:
    document: str
    kind: str
    text: str
    commands: str

    @property
    def script(self):
        """What is run for it here; empty if nothing is."""
        if self.kind == "run":
            return self.commands
        if self.kind == "run instead":
            return re.sub(r" \([^()]*\)$", "", self.text) + "\n"
        return ""


def blocks(document):
    text = document.read_text(encoding="utf-8")
    assert text.count("```sh\n") == len(BLOCK.findall(text)), document
    for match in BLOCK.finditer(text):
        comment = COMMENT.fullmatch(match["before"].strip())
        where = f"{document.name}: {match['commands'].splitlines()[0]!r}"
        assert comment, f"{where}: says not in front of it whether it is run, and by whom"
        assert comment["text"] or comment["kind"] == "run", f"{where}: no reason"
        yield Block(document.name, comment["kind"], comment["text"] or "", match["commands"])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_block_says_what_becomes_of_it(document):
    for block in blocks(document):
        if block.kind == "run by":
            assert (ROOT / block.text).is_file(), f"{document.name}: no {block.text}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_commands_are_fenced(document):
    """A block that is only indented must show something other than commands: a picture, a part of a
    file, options."""
    for match in INDENTED.finditer(document.read_text(encoding="utf-8")):
        first = match["first"]
        assert not (shutil.which(first) or first == "cd" or first.startswith("build")), (
            f"{document.name}: {match[0].strip()!r}")


def anchors(document):
    """What a link may have behind #: the headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)", document.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_lead_somewhere(document):
    text = document.read_text(encoding="utf-8")
    for link, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", text):
        target = document.parent / link if link else document
        assert target.exists(), f"{document.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{document.name}: {link}#{anchor}"


SETTING = re.compile(r"^(\w+)=\S", re.M)


def test_sample_configuration_is_complete():
    """It replaces the shipped file, so it must set whatever that sets to another value than the default."""
    sample, = re.findall(r"cat > /etc/default/virtioforwarder <<END\n(.*?)END\n",
                         (ROOT / "docs/operating.md").read_text(encoding="utf-8"), re.S)
    shipped = (ROOT / "dist/virtioforwarder.default").read_text(encoding="utf-8")
    assert not set(SETTING.findall(shipped)) - set(SETTING.findall(sample))


@pytest.fixture
def installed(workdir):
    """Our programs as a package installs them, for /usr."""
    target = workdir / "target"
    run([MESON, "install", "-C", build_dir(), "--no-rebuild", "--destdir", target], timeout=120)
    prefix = next(target.glob("**/bin/vio4wd")).parents[1]
    shutil.move(prefix, workdir / "usr")
    return workdir


def run_script(host, directory, script, timeout=120):
    """Runs a script. Whatever it starts, daemons included, ends with it, even if it does not
    complete."""
    (directory / "script").write_text(script, encoding="utf-8")
    return host.run(["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
                     "--mount-proc", "sh", "-c", ENTER, "sh", directory], timeout=timeout)


def script_of(document):
    return "".join(
        f"echo '== {block.document}: {number}'\n{block.script}"
        for number, block in enumerate(blocks(document)) if block.script)


# Daemons started by a document end with its shell.
END_DAEMONS = """
end() {
    code=$?
    for file in /run/virtio-forwarder.pid /tmp/demo/virtio-forwarder.pid /run/openvswitch/ovsdb-server.pid; do
        [ -e $file ] && kill "$(cat $file)"
        for i in $(seq 100); do [ -e $file ] || continue 2; sleep 0.1; done
        echo "$file does not go"
        exit 1
    done
    exit $code
}
trap end EXIT
"""

# What a document presupposes.
PRELUDES = {
    "README.md": """
cd /tmp
mkdir -p build/bin
ln -s /usr/bin/virtio-forwarder /usr/lib/virtio-forwarder/*.py build/bin
""",
    "openstack.md": """
virtio-forwarder --config=/dev/null --no-huge --cpus=1 --vhost-path=/tmp/virtio-forwarder \
    --dynamic-sockets --zmq-port-control-ep --zmq-stats-ep
vio4wd port add-sock --device=net_af_packet1,iface=veth2 --vhost-path=/tmp/virtio-forwarder/vhu1 \
    --socket-mode=client --ident="vm 1=a'b"
ports() { vio4wd stats --include-inactive --relay=0 --delay=0 | sed '/vf_to_vm/,$d'; }
ports >/run/before
""",
    "ovs.md": f"""
mkdir -p /run/openvswitch
ovsdb-tool create /run/conf.db {SCHEMA}
ovsdb-server /run/conf.db --remote=punix:/run/openvswitch/db.sock --detach --no-chdir \
    --pidfile=/run/openvswitch/ovsdb-server.pid --log-file=/dev/null
ovs-vsctl --no-wait init
ovs-vsctl --no-wait add-br br0
""",
}


# What must be true after it.
EPILOGUES = {
    "openstack.md": """
ports | diff /run/before -
""",
}


@pytest.mark.parametrize("document", [
    document for document in DOCUMENTS if script_of(document)], ids=lambda document: document.name)
def test_commands(document, installed, host, wire, veth):
    for number, name in enumerate(("veth0", "veth2")):
        pair = veth if number == 0 else Veth(wire, host, inner="wire2")
        host.ip("link", "set", pair.outer, "down")
        host.ip("link", "set", pair.outer, "name", name)
        host.ip("link", "set", name, "up")
    (installed / "etc" / "default").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "dist/virtioforwarder.default",
                installed / "etc" / "default" / "virtioforwarder")
    print(run_script(host, installed, END_DAEMONS + PRELUDES.get(document.name, "")
                     + script_of(document) + EPILOGUES.get(document.name, "")))
