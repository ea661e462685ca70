"""Certificates of hosts: what ssh takes is taken, and nothing that ssh refuses."""

import os
import subprocess
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.remote.script import Script
from tasks.remote.ssh import SshHost, UnknownHostKeyError
from tasks.remote.ssh_target import SshTarget
from tests.integration.remote.servers import Server, Ssh, make_key, server


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ssh:
    made = Ssh(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    made.write("")
    return made


def key_of(kind: str, file: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", file], check=True)
    return file


def public(file: Path) -> str:
    return " ".join(file.with_suffix(".pub").read_text().split()[:2])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("authority")
    make_key(folder / "other")
    return make_key(folder / "authority")


CASES = {
    "its address": ("ed25519", ["-h", "-n", "127.0.0.1"], ""),
    "rsa": ("rsa", ["-h", "-n", "127.0.0.1"], ""),
    "ecdsa": ("ecdsa", ["-h", "-n", "127.0.0.1"], ""),
    "several names": ("ed25519", ["-h", "-n", "crm.example.org,127.0.0.1"], ""),
    "a pattern": ("ed25519", ["-h", "-n", "127.0.0.*"], "it is for 127"),
    "every host": ("ed25519", ["-h"], ""),
    "times": ("ed25519", ["-h", "-n", "127.0.0.1", "-V", "-1h:+1h"], ""),
    "another host": ("ed25519", ["-h", "-n", "crm.example.org"], "it is for crm.example.org"),
    "a name with its port": ("ed25519", ["-h", "-n", "[127.0.0.1]"], "it is for"),
    "expired": ("ed25519", ["-h", "-n", "127.0.0.1", "-V", "-2h:-1h"], "it has expired"),
    "not yet": ("ed25519", ["-h", "-n", "127.0.0.1", "-V", "+1h:+2h"], "it is not valid yet"),
    "a person's": ("ed25519", ["-n", "127.0.0.1"], "person's"),
    "critical options": (
        "ed25519",
        ["-h", "-n", "127.0.0.1", "-O", "critical:x@example.org=1"],
        "options that are not known",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_as_ssh_does(case: str, ssh: Ssh, authority: Path, tmp_path: Path) -> None:
    kind, words, fault = CASES[case]
    with certified(tmp_path, kind, authority, words) as host:
        ssh.known_hosts.write_text(f"@cert-authority [127.0.0.1]:* {public(authority)}\n")
        assert_same(ssh, host, fault)


def certified(folder: Path, kind: str, authority: Path, words: list[str]) -> AbstractContextManager[Server]:
    """An sshd whose key has a certificate."""
    own = key_of(kind, folder / "own")
    signing = ["ssh-keygen", "-q", "-s", str(authority), "-I", "test", *words, f"{own}.pub"]
    subprocess.run(signing, check=True, capture_output=True)
    return server(folder / "sshd", hostkey=own, HostCertificate=folder / "own-cert.pub")


def assert_same(ssh: Ssh, host: Server, fault: str) -> None:
    """Ssh and we take the server, or both refuse it, for the reason given."""
    line = ["ssh", "-o", "BatchMode=yes", "-i", str(host.key), "-p", str(host.port), f"root@{host.address}", "true"]
    by_ssh = subprocess.run(line, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert (by_ssh.returncode == 0) == (not fault), by_ssh
    target = replace(host.target(host_key=None), host=f"root@{host.address}")
    if not fault:
        assert reached(target) == "reached"
        return
    with pytest.raises(UnknownHostKeyError, match=fault) as caught:
        reached(target)
    assert "host_key" in caught.value.remedy


def reached(target: SshTarget) -> str:
    host = SshHost(target)
    try:
        return host.run(Script("echo reached"), timeout=60).text.strip()
    finally:
        host.close()


def test_another_authority_a_revoked_one_and_one_for_other_hosts(ssh: Ssh, authority: Path, tmp_path: Path) -> None:
    right, other = public(authority), public(authority.with_name("other"))
    with certified(tmp_path, "ed25519", authority, ["-h", "-n", "127.0.0.1"]) as host:
        for lines, fault in (
            ([f"@cert-authority * {other}"], "another authority signed it"),
            ([f"@cert-authority * {right}", f"@revoked * {right}"], "its authority is revoked"),
            ([f"@cert-authority *.example.org {right}"], "its host key is unknown"),
            ([f"[127.0.0.1]:{host.port} {right}"], "its host key has changed"),
        ):
            ssh.known_hosts.write_text("\n".join(lines) + "\n")
            if "changed" not in fault:
                assert_same(ssh, host, fault)
        revoked = f"@cert-authority * {right}\n@revoked * {public(tmp_path / 'own')}\n"
        ssh.known_hosts.write_text(revoked)
        with pytest.raises(Exception, match="its host key is revoked"):
            reached(replace(host.target(host_key=None), host=f"root@{host.address}"))


def test_a_plain_key_still_counts_and_a_key_without_certificate_does_not(
    ssh: Ssh, authority: Path, tmp_path: Path
) -> None:
    own = make_key(tmp_path / "own")
    with server(tmp_path / "sshd", hostkey=own) as host:
        ssh.known_hosts.write_text(f"@cert-authority * {public(authority)}\n")
        assert_same(ssh, host, "it shows a key without one")
        ssh.known_hosts.write_text(f"@cert-authority * {public(authority)}\n[127.0.0.1]:{host.port} {public(own)}\n")
        assert_same(ssh, host, "")


def test_an_alias_is_the_name_that_the_certificate_must_have(ssh: Ssh, authority: Path, tmp_path: Path) -> None:
    with certified(tmp_path, "ed25519", authority, ["-h", "-n", "crm.example.org"]) as host:
        ssh.write("Host 127.0.0.1\n HostKeyAlias crm.example.org")
        ssh.known_hosts.write_text(f"@cert-authority *.example.org {public(authority)}\n")
        assert_same(ssh, host, "")
