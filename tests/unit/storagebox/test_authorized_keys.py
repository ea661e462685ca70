"""The keys file of an account: a mistake here locks everybody out, or lets a host in too far."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.storagebox.authorized_keys import (
    PublicKey,
    accesses_lost,
    entries,
    forced,
    with_forced_command,
    with_full_access,
    with_key,
    without_forced_command,
    without_key,
)

OPERATOR = PublicKey(
    "ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIMMqoyAABz7k3ydFc5vZQ1vFW1XE0Hu53H7GC" + "/LAAb/d", "operator@laptop"
)
HOST = PublicKey(
    "ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIH8mJ7o2l1Vn2o7p3l0Jq3nM3tq1b2c3d4e5f6g7h8i9", "cloudbackup shop"
)
COMMAND = "borg-1.4 serve --append-only --restrict-to-repository cloudbackup/shop"


def test_both_forms_of_the_operators_key_are_written_once() -> None:
    once = with_full_access("", OPERATOR, both_ports=True)
    assert OPERATOR.openssh() in once.splitlines()
    assert once.count("BEGIN SSH2 PUBLIC KEY") == 1
    assert once.endswith("\n")
    assert with_full_access(once, OPERATOR, both_ports=True) == once


@pytest.mark.needs("ssh-keygen")
def test_the_rfc4716_form_is_one_that_ssh_keygen_reads(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    key = PublicKey.parse((tmp_path / "key.pub").read_text())
    (tmp_path / "rfc").write_text(key.rfc4716() + "\n")
    words = ["ssh-keygen", "-i", "-f", str(tmp_path / "rfc")]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.split() == [key.kind, key.blob]


def test_a_hosts_key_is_forced_to_its_repository() -> None:
    text = with_forced_command(with_full_access("", OPERATOR, both_ports=True), HOST, COMMAND)
    assert f'command="{COMMAND}",restrict {HOST.openssh()}' in text.splitlines()
    assert OPERATOR.openssh() in text.splitlines()
    assert with_forced_command(text, HOST, COMMAND) == text


def test_setup_of_several_apps_may_be_repeated() -> None:
    another = PublicKey("ssh-ed25519", HOST.blob.replace("i9", "jA"), "cloudbackup blog")
    text = with_full_access(with_full_access("", OPERATOR, both_ports=True), another, both_ports=True)
    text = with_forced_command(with_forced_command(text, HOST, COMMAND), another, COMMAND)
    assert with_forced_command(with_forced_command(text, HOST, COMMAND), another, COMMAND) == text
    assert text.count("END SSH2 PUBLIC KEY") == 2


def test_another_command_replaces_the_older_one() -> None:
    text = with_forced_command(with_forced_command("", HOST, "borg serve"), HOST, COMMAND)
    assert text.count(HOST.blob) == 1
    assert "--append-only" in text


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029", codec="utf-8")), max_size=5
    )
)
def test_the_lines_of_others_stay(lines: list[str]) -> None:
    before = "".join(f"# {line}\n" for line in lines)
    after = with_forced_command(with_full_access(before, OPERATOR, both_ports=True), HOST, COMMAND)
    assert after.startswith(before)


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-ed25519 not-base64!"])
def test_what_is_no_key_is_refused(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        PublicKey.parse(line)


def test_every_key_is_listed_with_its_port_and_what_it_may_do() -> None:
    junk = "no key\nssh-ed25519 AAA\n---- BEGIN SSH2 PUBLIC KEY ----\nAAA\n---- END SSH2 PUBLIC KEY ----\n"
    text = with_forced_command(with_full_access(f"# mine\n{junk}", OPERATOR, both_ports=True), HOST, 'say "hi"')
    text += f'from="10.0.0.1",no-pty {HOST.openssh()}\n'
    found = [(entry.port, entry.command, entry.key.comment) for entry in entries(text)]
    assert found == [
        ("23", None, "operator@laptop"),
        ("23", 'say "hi"', "cloudbackup shop"),
        ("23", 'from="10.0.0.1",no-pty', "cloudbackup shop"),
        ("22", None, "operator@laptop"),
    ]
    assert {entry.key.blob for entry in entries(text)} == {OPERATOR.blob, HOST.blob}


@pytest.mark.needs("ssh-keygen")
def test_a_fingerprint_is_that_of_ssh_keygen(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(OPERATOR.openssh() + "\n")
    words = ["ssh-keygen", "-l", "-f", str(tmp_path / "key.pub")]
    assert OPERATOR.fingerprint in subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("port", ["22", "23", "both"])
def test_a_key_that_is_taken_away_leaves_the_rest(port: str) -> None:
    before = with_forced_command("# mine\n", HOST, COMMAND)
    after = with_key(before, OPERATOR, port)
    assert with_key(after, OPERATOR, port) == after
    assert {entry.port for entry in entries(after) if entry.key.blob == OPERATOR.blob} == (
        {"22", "23"} if port == "both" else {port}
    )
    assert without_key(after, OPERATOR) == before


def test_an_apps_keys_are_taken_away_by_their_command_alone() -> None:
    text = with_forced_command(with_full_access("", OPERATOR, both_ports=True), HOST, COMMAND)
    longer = with_forced_command(text, HOST, COMMAND + "-2")
    assert without_forced_command(longer, COMMAND) == longer
    assert without_forced_command(text, COMMAND, "another comment") == text
    noted = "".join(f"# {line}\n" for line in text.splitlines() if line.startswith("command="))
    assert without_forced_command(noted, COMMAND) == noted
    assert HOST.blob not in without_forced_command(text, COMMAND, "cloudbackup shop")


@pytest.mark.parametrize(
    ("there", "lost"),
    [
        (COMMAND, []),
        (COMMAND.replace("borg-1.4", "borg-1.2"), []),
        (COMMAND + "-staging", [COMMAND + "-staging"]),
        (COMMAND.replace(" --append-only", ""), [COMMAND.replace(" --append-only", "")]),
        ("rsync --server 'an open quote", ["rsync --server 'an open quote"]),
    ],
)
def test_what_a_key_may_no_longer_do_is_known_before_it_is_forced(there: str, lost: list[str]) -> None:
    text = f"{forced(OPERATOR, 'of another key')}\n{forced(HOST, there)}\n"
    assert accesses_lost(text, HOST, COMMAND) == lost
    assert accesses_lost(f"{HOST.openssh()}\n", HOST, COMMAND) == ["everything"]
    assert accesses_lost("", HOST, COMMAND) == []
