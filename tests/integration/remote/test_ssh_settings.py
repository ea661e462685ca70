"""Hosts are reached as ssh reaches them: by the person's own configuration, with the host key of every hop checked."""

import base64
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.remote.running import HostError
from tasks.remote.script import Script
from tasks.remote.ssh import LoginRefusedError, SshHost, SshTarget, UnknownHostKeyError, shown_host_key
from tests.integration.remote.servers import Server, Ssh, make_key, server
from tests.integration.remote.support import eventually, free_port, processes_with


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server, Server]]:
    """A host and two jump hosts."""
    folder = tmp_path_factory.mktemp("hops")
    with server(folder / "host") as host, server(folder / "first") as first, server(folder / "second") as second:
        yield host, first, second


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ssh:
    made = Ssh(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return made


def block(name: str, at: Server, *lines: str) -> str:
    own = (f"HostName {at.address}", f"Port {at.port}", f"IdentityFile {at.key}")
    return "\n  ".join((f"Host {name}", *own, *lines)) + "\n"


def answer(target: SshTarget) -> str:
    host = SshHost(target)
    try:
        assert host.files().exists("/")
        return host.run(Script("echo reached"), timeout=60).text.strip()
    finally:
        host.close()


def test_an_alias_in_an_included_file_holds(ssh: Ssh, servers: tuple[Server, ...], tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "one").write_text(block("crm", servers[0]))
    ssh.write(f"Include {tmp_path}/conf.d/*")
    ssh.trust(servers[0])
    assert answer(SshTarget("crm")) == "reached"


def test_match_and_a_program_in_it_hold(ssh: Ssh, servers: tuple[Server, ...]) -> None:
    host = servers[0]
    ssh.write(
        f'Match originalhost crm exec "true"\n HostName {host.address}\n Port {host.port}\n IdentityFile {host.key}'
    )
    ssh.trust(host)
    assert answer(SshTarget("crm")) == "reached"


@pytest.mark.parametrize("jumps", [["first"], ["first", "second"]])
def test_every_hop_is_checked(ssh: Ssh, servers: tuple[Server, Server, Server], jumps: list[str]) -> None:
    host, first, second = servers
    hops = {"first": first, "second": second}
    blocks = [block("crm", host, f"ProxyJump {','.join(jumps)}"), *(block(name, at) for name, at in hops.items())]
    # what a person lets pass for themselves does not hold for us
    ssh.write("".join(blocks) + "Host *\n StrictHostKeyChecking no\n")
    ssh.trust(host, *(hops[name] for name in jumps))
    assert answer(SshTarget("crm")) == "reached"
    assert shown_host_key(SshTarget("crm")) == host.host_key
    for unknown in jumps:
        ssh.trust(host, *(hops[name] for name in jumps if name != unknown))
        before = hops[unknown].log.count("Accepted")
        for ask in (answer, shown_host_key):
            with pytest.raises(HostError, match=r"cannot be reached through .*Host key verification failed") as caught:
                ask(SshTarget("crm"))
        assert f"ssh {jumps[0]}" in caught.value.remedy
        assert hops[unknown].log.count("Accepted") == before
    ssh.trust(*(hops[name] for name in jumps))
    with pytest.raises(UnknownHostKeyError):
        answer(SshTarget("crm"))


def test_a_jump_host_with_a_jump_host_of_its_own_is_checked_too(ssh: Ssh, servers: tuple[Server, ...]) -> None:
    host, first, second = servers
    blocks = (block("crm", host, "ProxyJump second"), block("second", second, "ProxyJump first"), block("first", first))
    ssh.write("".join(blocks) + "Host *\n StrictHostKeyChecking no\n")
    ssh.trust(host, first, second)
    assert answer(SshTarget("crm")) == "reached"
    ssh.trust(host, second)
    with pytest.raises(HostError, match="Host key verification failed"):
        answer(SshTarget("crm"))


def test_jump_hosts_in_a_ring_end(ssh: Ssh) -> None:
    ssh.write("Host crm\n ProxyJump one\nHost one\n ProxyJump two\nHost two\n ProxyJump one\n")
    with pytest.raises(HostError, match="more than 8 jump hosts"):
        answer(SshTarget("crm"))


def test_a_jump_host_takes_nothing_else_from_host_star(ssh: Ssh, servers: tuple[Server, ...], tmp_path: Path) -> None:
    host, first, _ = servers
    wide = (
        *("RequestTTY force", "RemoteCommand false", "StdinNull yes", "SessionType none", "LogLevel DEBUG3"),
        *("ControlMaster auto", f"ControlPath {tmp_path}/%C", "ControlPersist 60", "ForwardAgent yes"),
        *("ForkAfterAuthentication yes", f"LocalForward {free_port()} 127.0.0.1:1", "PermitLocalCommand yes"),
        f"LocalCommand touch {tmp_path}/was-run",
    )
    ssh.write(block("crm", host, "ProxyJump first") + block("first", first) + "Host *\n " + "\n ".join(wide) + "\n")
    ssh.trust(host, first)
    assert answer(SshTarget("crm")) == "reached"
    assert not (tmp_path / "was-run").exists()
    assert eventually(lambda: not processes_with(f"127.0.0.1:{host.port}"))


def test_no_proxy_is_left_when_the_connection_ends(ssh: Ssh, servers: tuple[Server, ...]) -> None:
    host, first, _ = servers
    ssh.write(block("crm", host, "ProxyJump first") + block("first", first))
    ssh.trust(host, first)
    there = SshHost(SshTarget("crm"))
    there.facts()
    mark = f"-W {host.address}:{host.port}"
    assert processes_with(mark)
    there.close()
    assert eventually(lambda: not processes_with(mark))


def test_proxy_jump_none_and_proxy_command_hold(ssh: Ssh, servers: tuple[Server, ...]) -> None:
    host, first, _ = servers
    ssh.write(block("crm", host, "ProxyJump none") + "Host *\n ProxyJump nowhere.invalid\n")
    ssh.trust(host)
    assert answer(SshTarget("crm")) == "reached"
    command = f"ssh -W [%h]:%p -p {first.port} -i {first.key} {first.address}"
    ssh.write(block("crm", host, f"ProxyCommand {command}"))
    ssh.trust(host, first)
    assert answer(SshTarget("crm")) == "reached"
    ssh.write(block("crm", host, "ProxyCommand echo it is closed today >&2; false"))
    with pytest.raises(HostError, match="ProxyCommand failed: it is closed today"):
        answer(SshTarget("crm"))


def test_host_key_alias_holds(ssh: Ssh, servers: tuple[Server, ...]) -> None:
    ssh.write(block("crm", servers[0], "HostKeyAlias the-crm"))
    ssh.known_hosts.write_text(f"the-crm {servers[0].host_key}\n")
    assert answer(SshTarget("crm")) == "reached"


@pytest.mark.parametrize(
    "bad", ["[127.0.0.1 ssh-ed25519 AAAA", "crm ssh-ed25519 AAAA====x", "|1|x|y ssh-rsa", "\udcff\0", "a b", "@x y z w"]
)
def test_a_line_of_known_hosts_that_cannot_be_read_is_passed_over(
    ssh: Ssh, servers: tuple[Server, ...], bad: str
) -> None:
    ssh.write(block("crm", servers[0]))
    ssh.known_hosts.write_bytes(f"{bad}\n{servers[0].known}".encode("utf-8", "surrogateescape"))
    assert answer(SshTarget("crm")) == "reached"


def test_hashed_names_patterns_and_revoked_keys_are_as_ssh_has_them(ssh: Ssh, servers: tuple[Server, ...]) -> None:
    host = servers[0]
    ssh.write(block("crm", host))
    ssh.trust(host)
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", ssh.known_hosts], check=True, capture_output=True)
    assert ssh.known_hosts.read_text().startswith("|1|")
    assert answer(SshTarget("crm")) == "reached"
    ssh.known_hosts.write_text(f"[127.0.*]:* {host.host_key}\n")
    assert answer(SshTarget("crm")) == "reached"
    ssh.known_hosts.write_text(f"[127.0.*]:*,![127.0.0.1]:{host.port} {host.host_key}\n")
    with pytest.raises(UnknownHostKeyError):
        answer(SshTarget("crm"))
    ssh.known_hosts.write_text(f"{host.known}@revoked * {host.host_key}\n")
    with pytest.raises(HostError, match="revoked"):
        answer(SshTarget("crm"))


def test_identities_only_keeps_other_keys_at_home(
    ssh: Ssh, servers: tuple[Server, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = servers[0]
    stranger = make_key(tmp_path / "stranger")
    with agent(tmp_path, monkeypatch, host.key):
        config = block("crm", host).replace(str(host.key), str(stranger))
        ssh.config.write_text(f"{config} UserKnownHostsFile {ssh.known_hosts}\n IdentitiesOnly yes\n")
        ssh.trust(host)
        with pytest.raises(LoginRefusedError, match="stranger"):
            answer(SshTarget("crm"))
        ssh.config.write_text(f"{config} UserKnownHostsFile {ssh.known_hosts}\n")
        assert answer(SshTarget("crm")) == "reached"


def test_a_key_with_a_passphrase_serves_from_the_agent(
    ssh: Ssh, servers: tuple[Server, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = servers[0]
    locked = tmp_path / "locked"
    locked.write_bytes(host.key.read_bytes())
    locked.chmod(0o600)
    ssh.config.write_text(f"UserKnownHostsFile {ssh.known_hosts}\nIdentitiesOnly yes\n")
    with agent(tmp_path, monkeypatch, locked):
        subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", locked], check=True)
        assert answer(host.target(key=locked)) == "reached"
    with pytest.raises(HostError, match="has a passphrase") as caught:
        answer(host.target(key=locked))
    assert f"ssh-add {locked}" in caught.value.remedy


class agent:  # noqa: N801  # reads as what it is
    """A real ssh-agent with one key."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, key: Path) -> None:
        self._place = folder / "agent"
        self._patch = monkeypatch
        self._key = key

    def __enter__(self) -> None:
        self._process = subprocess.Popen(["ssh-agent", "-D", "-a", self._place], stdout=subprocess.DEVNULL)
        self._patch.setenv("SSH_AUTH_SOCK", str(self._place))
        added = ("ssh-add", "-q", self._key)  # fails until the agent listens, a moment after its socket is there
        assert eventually(lambda: subprocess.run(added, check=False).returncode == 0)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._patch.delenv("SSH_AUTH_SOCK")


def test_a_certificate_beside_the_key_lets_in(ssh: Ssh, tmp_path: Path) -> None:
    authority, user = make_key(tmp_path / "authority"), make_key(tmp_path / "user")
    signed = ("ssh-keygen", "-q", "-s", authority, "-I", "me", "-n", "root", f"{user}.pub")
    with server(tmp_path / "certified", TrustedUserCAKeys=f"{authority}.pub") as host:
        with pytest.raises(LoginRefusedError):
            answer(host.target(key=user))
        subprocess.run(signed, check=True)
        assert answer(host.target(key=user)) == "reached"
        (tmp_path / "user-cert.pub").rename(tmp_path / "elsewhere.pub")
        ssh.write(f"Host *\n CertificateFile {tmp_path}/elsewhere.pub\n")
        assert answer(host.target(key=user)) == "reached"


def test_a_key_that_others_may_read_is_told_with_its_remedy(servers: tuple[Server, ...], tmp_path: Path) -> None:
    host = servers[0]
    key = tmp_path / "open"
    key.write_bytes(host.key.read_bytes())
    key.chmod(0o660)
    with pytest.raises(HostError, match=r"may be read by others \(mode 0660\)") as caught:
        answer(host.target(key=key))
    subprocess.run(["sh", "-c", caught.value.remedy.strip("`")], check=True)
    assert answer(host.target(key=key)) == "reached"


def test_a_refused_login_names_user_key_and_the_line_that_mends_it(ssh: Ssh, servers: tuple[Server, ...]) -> None:
    host = servers[0]
    stranger = make_key(ssh.folder / "stranger")
    ssh.write("")
    with pytest.raises(LoginRefusedError) as caught:
        answer(SshTarget(f"somebody@{host.address}", host.port, stranger, host.host_key))
    assert f"refused for somebody; tried {stranger}" in caught.value.what
    assert f"ssh-copy-id -i {stranger}.pub -p {host.port} somebody@{host.address}" in caught.value.remedy


@pytest.mark.parametrize("written", ["[::1]", "::1", "root@::1", "root@[::1]"])
def test_an_address_of_ipv6_is_taken_in_either_form(tmp_path_factory: pytest.TempPathFactory, written: str) -> None:
    with server(tmp_path_factory.mktemp("six") / "host", address="::1") as host:
        assert answer(SshTarget(written, host.port, host.key, host.host_key)) == "reached"
        assert shown_host_key(SshTarget(written, host.port)) == host.host_key


def test_one_session_for_each_connection_is_enough(tmp_path: Path) -> None:
    with server(tmp_path / "narrow", MaxSessions=1) as narrow:
        host = SshHost(narrow.target())
        try:
            assert host.files().exists("/")
            with host.started(Script("sleep 60")), host.started(Script("sleep 60")):
                assert [host.run(Script(f"echo {n}"), timeout=60).text for n in range(3)] == ["0\n", "1\n", "2\n"]
                assert host.files().exists("/")
        finally:
            host.close()
        assert narrow.log.count("Accepted publickey") <= 5


def test_start_files_that_print_are_told_with_their_first_words(tmp_path: Path) -> None:
    noisy = tmp_path / "noisy.sh"
    noisy.write_text(
        "#!/bin/sh\necho 'Welcome to \033[31mCRM, all is logged'\nexec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"\n"
    )
    noisy.chmod(0o755)
    with server(tmp_path / "noisy", ForceCommand=str(noisy)) as host:
        there = SshHost(host.target())
        try:
            with pytest.raises(HostError, match=r'print "Welcome to \[31mCRM, all is logged"') as caught:
                there.files()
            assert caught.value.what.isprintable()
            assert there.run(Script("echo scripts do not mind"), timeout=60).text == "scripts do not mind\n"
        finally:
            there.close()


def test_a_configuration_that_ssh_refuses_is_told_in_its_words(ssh: Ssh) -> None:
    ssh.config.write_text("Hsot crm\n")
    with pytest.raises(HostError, match=r"ssh does not take its configuration: .*terminating"):
        answer(SshTarget("crm"))


def test_a_name_that_does_not_exist_and_a_server_that_says_nothing(ssh: Ssh) -> None:
    ssh.write("Host silent\n HostName 127.0.0.1\n ConnectTimeout 1\n")
    with pytest.raises(HostError, match="the name cannot be resolved"):
        answer(SshTarget("nobody.invalid"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = SshTarget(
            "silent", silent.getsockname()[1], host_key=f"ssh-ed25519 {base64.b64encode(blob()).decode()}"
        )
        with pytest.raises(HostError, match="cannot be reached"):
            answer(target)


def blob() -> bytes:
    kind = b"ssh-ed25519"
    return len(kind).to_bytes(4, "big") + kind + (32).to_bytes(4, "big") + bytes(32)
