"""Borg's ssh does what we need, whatever a person's ssh_config says and however old ssh is."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.remote.host import LocalHost
from tasks.remote.openssh import ASKED, LATER, OpenSsh
from tasks.remote.output import Output
from tasks.remote.script import Script, quote
from tasks.storage.ssh import SshServer, SshStorage
from tests.integration.remote.servers import Server, Ssh, make_key, server
from tests.integration.remote.support import eventually, free_port, processes_with
from tests.means import means

OLD = r"""
for word in "$@"; do
  case $word in
    -V) echo 'OpenSSH_7.4p1, OpenSSL 1.0.2k-fips  26 Jan 2017' >&2; exit 0 ;;
    KnownHostsCommand=*|SessionType=*|StdinNull=*|ForkAfterAuthentication=*|RemoteCommand=*)
      echo "command-line: line 0: Bad configuration option: $word" >&2; exit 255 ;;
  esac
done
"""
AGES = ("now", "7.5", "7.4")
OLDER = "ssh1"  # Debian's openssh-client-ssh1: OpenSSH 7.5, which speaks today's protocol as well
OF_LATER = (
    "RemoteCommand false",
    "StdinNull yes",
    "SessionType none",
    "ForkAfterAuthentication yes",
    "KnownHostsCommand /bin/false",
)
HOST_STAR = (
    "RequestTTY force",
    "LogLevel DEBUG3",
    "StrictHostKeyChecking no",
    "HostKeyAlias of-the-person",
    "UserKnownHostsFile /dev/null",
    "PreferredAuthentications password",
    "PubkeyAuthentication no",
    "PermitLocalCommand yes",
    "ForwardAgent yes",
    "ForwardX11 yes",
    "CheckHostIP yes",
    "NoHostAuthenticationForLocalhost yes",
    "AddKeysToAgent yes",
    "BatchMode no",
)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("box") / "sshd", Banner="/etc/passwd") as made:
        yield made


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ssh:
    made = Ssh(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return made


def words(box: Server, host_key: str | None = None, key: Path | None = None) -> list[str]:
    """Return borg's ssh for the machine as it is now."""
    config = SshStorage(kind="ssh", host=box.address, user="root", port=box.port, directory="d", host_key=host_key)
    storage = SshServer("store", config, means())
    made = storage.ssh_words(str(key or box.key), LocalHost().facts().ssh)
    return [*made, "-p", str(box.port), f"root@{box.address}"]


def say(text: str, told: list[str]) -> Output:
    return LocalHost().run(Script(quote([*told, f"cat >/dev/null; echo {text}"])), timeout=60)


def use(ssh: Ssh, age: str) -> None:
    """Let ssh be the machine's own, one that knows as little as 7.4, or a real 7.5."""
    ssh.wrap(OLD if age == "7.4" else "", OLDER if age == "7.5" else "ssh")


@pytest.mark.parametrize("age", AGES)
def test_host_star_of_every_kind_changes_nothing(box: Server, ssh: Ssh, age: str) -> None:
    own = [
        *HOST_STAR,
        *(OF_LATER if age == "now" else ()),
        f"LocalCommand touch {ssh.folder}/was-run",
        f"LocalForward {free_port()} 127.0.0.1:1",
    ]
    use(ssh, age)
    ssh.config.write_text("Host *\n " + "\n ".join(own) + "\n")
    output = say("reached", words(box, box.host_key))
    assert (output.code, output.text, output.error_text) == (0, "reached\n", "")
    assert not (ssh.folder / "was-run").exists()


def test_what_ssh_knows_is_asked_of_ssh_itself(ssh: Ssh) -> None:
    assert LocalHost().facts().ssh.knows == frozenset(ASKED)
    ssh.wrap(OLD)
    assert LocalHost().facts().ssh == OpenSsh("7.4p1", frozenset())
    use(ssh, "7.5")
    assert LocalHost().facts().ssh == OpenSsh("7.5p1", frozenset())
    ssh.wrap(OLD.replace("KnownHostsCommand=*|", "").replace("|RemoteCommand=*", ""))
    known = LocalHost().facts().ssh
    assert known.known_hosts_command
    assert known.options()[-1] == LATER[0]


@pytest.mark.parametrize("age", AGES)
def test_the_pinned_key_alone_is_right_and_no_file_is_left(
    box: Server, ssh: Ssh, age: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    use(ssh, age)
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text().split()
    ssh.config.write_text(f"Host *\n StrictHostKeyChecking no\n UserKnownHostsFile {ssh.known_hosts}\n")
    ssh.trust(box)
    refused = say("reached", words(box, " ".join(other[:2])))
    assert refused.code == 255
    assert "Host key verification failed" in refused.error_text
    assert say("reached", words(box, box.host_key)).text == "reached\n"
    assert not list(scratch.iterdir())
    assert ssh.known_hosts.read_text() == box.known


def test_a_shared_connection_is_never_ridden_on(box: Server, ssh: Ssh, tmp_path: Path) -> None:
    """An own session of the person's with full access stands open; a host's key that is refused gets nothing by it."""
    stranger = make_key(tmp_path / "stranger")
    sockets = tempfile.mkdtemp()  # a socket's path has 108 bytes at most, and ssh adds 17: pytest's folder is too long
    shared = f"ControlMaster auto\n ControlPath {sockets}/%r-%p\n ControlPersist 60\n"
    ssh.config.write_text(f"Host *\n {shared} StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n")
    mine = ["ssh", "-i", str(box.key), "-p", str(box.port), f"root@{box.address}"]
    subprocess.run(
        [*mine[:1], "-fNM", *mine[1:]], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60
    )
    assert say("mine", mine).text == "mine\n"
    try:
        assert say("ridden", ["ssh", "-i", str(stranger), *mine[3:]]).text == "ridden\n"  # so does plain ssh
        refused = say("ridden", words(box, box.host_key, stranger))
        assert (refused.code, refused.text) == (255, "")
        assert "Permission denied (publickey" in refused.error_text
    finally:
        LocalHost().run(Script(quote([*mine[:1], "-O", "exit", *mine[1:]])), timeout=60)
        shutil.rmtree(sockets)


def test_the_old_way_ends_with_whoever_uses_it(box: Server, ssh: Ssh) -> None:
    ssh.wrap(OLD)
    mark = "sleep 98765"
    host = LocalHost()
    with host.started(Script(quote([*words(box, box.host_key), mark]))):
        assert eventually(lambda: bool(processes_with(f"root@{box.address} {mark}")))
    assert eventually(lambda: not processes_with(f"root@{box.address} {mark}"))
