"""The agent that serves one key: what it answers to ssh, and to what an attacker on the host may ask."""

import stat
from pathlib import Path

import paramiko
import pytest

from tasks.remote.agent import FAILURE, IDENTITIES_ANSWER, SIGN_RESPONSE, KeyAgent, load_key, make_key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make_key(tmp_path / "keys" / "shop")
    return tmp_path / "keys" / "shop"


def signing(key: paramiko.PKey, data: bytes) -> bytes:
    request = paramiko.Message()
    request.add_string(key.asbytes())
    request.add_string(data)
    request.add_int(0)
    return bytes([13]) + request.asbytes()


def test_a_key_is_made_once_for_its_owner_alone(path: Path) -> None:
    before = path.read_bytes()
    assert not make_key(path)
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_names_its_key_and_signs_with_it(path: Path) -> None:
    agent, key = KeyAgent(path), load_key(path)
    listed = paramiko.Message(agent.answer(bytes([11])))
    assert (listed.get_byte(), listed.get_int(), listed.get_string()) == (bytes([IDENTITIES_ANSWER]), 1, key.asbytes())
    signed = paramiko.Message(agent.answer(signing(key, b"challenge")))
    assert signed.get_byte() == bytes([SIGN_RESPONSE])
    public = paramiko.Ed25519Key(data=key.asbytes())
    assert public.verify_ssh_sig(b"challenge", paramiko.Message(signed.get_string()))


@pytest.mark.parametrize("number", [0, 1, 9, 17, 18, 19, 20, 22, 25, 26, 27, 255])
def test_everything_else_fails(path: Path, number: int) -> None:
    assert KeyAgent(path).answer(bytes([number]) + b"anything") == bytes([FAILURE])


@pytest.mark.parametrize("body", [b"", b"\0", b"\xff\xff\xff\xff", b"\0\0\0\4junk"])
def test_a_broken_request_to_sign_fails(path: Path, body: bytes) -> None:
    assert KeyAgent(path).answer(bytes([13]) + body) == bytes([FAILURE])


def test_another_key_is_not_signed_with(path: Path, tmp_path: Path) -> None:
    make_key(tmp_path / "other")
    assert KeyAgent(path).answer(signing(load_key(tmp_path / "other"), b"x")) == bytes([FAILURE])
    nothing = KeyAgent(tmp_path / "none")
    assert nothing.answer(bytes([11])) == bytes([IDENTITIES_ANSWER, 0, 0, 0, 0])
    assert nothing.answer(signing(load_key(path), b"x")) == bytes([FAILURE])
