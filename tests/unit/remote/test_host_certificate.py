"""A certificate of a host is what an attacker between machines would forge: read bounded, and checked whole."""

import base64
import subprocess
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.remote.host_certificate import CertificateError, judge, read
from tasks.remote.known_hosts import Known, read_line

NAME = "crm.example.org"
pytestmark = pytest.mark.needs("ssh-keygen")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Known]:
    """A certificate, and the line of the authority that signed it."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ca", "own"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    words = [
        "ssh-keygen",
        "-q",
        "-s",
        f"{folder}/ca",
        "-I",
        "x",
        "-h",
        "-n",
        NAME,
        "-V",
        "-1h:+1h",
        f"{folder}/own.pub",
    ]
    subprocess.run(words, check=True, capture_output=True)
    line = read_line(f"@cert-authority * {(folder / 'ca.pub').read_text()}")
    assert line is not None
    return base64.b64decode((folder / "own-cert.pub").read_text().split()[1]), line


def test_every_changed_byte_is_seen(made: tuple[bytes, Known]) -> None:
    blob, line = made
    assert judge([line], NAME, NAME, blob) == ""
    for at in range(len(blob)):
        changed = blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]
        assert judge([line], NAME, NAME, changed), at
    for cut in range(len(blob)):
        assert judge([line], NAME, NAME, blob[:cut]), cut
    assert judge([line], NAME, NAME, blob + b"\0")


def test_time_is_looked_at_to_the_second(made: tuple[bytes, Known]) -> None:
    blob, line = made
    certificate = read(blob)
    certificate.require([line], NAME, NAME, certificate.since)
    for moment in (certificate.since - 1, certificate.until, time.time() + 10**6):
        with pytest.raises(CertificateError):
            certificate.require([line], NAME, NAME, moment)
    with pytest.raises(CertificateError, match="signature"):
        replace(certificate, signature=b"\0\0\0\x07ssh-rsa").require([line], NAME, NAME, certificate.since)


@given(st.binary(max_size=400))
def test_no_bytes_are_a_traceback(blob: bytes) -> None:
    kind = b"ssh-ed25519-cert-v01@openssh.com"
    for each in (blob, len(kind).to_bytes(4, "big") + kind + blob):
        assert judge([], NAME, NAME, each)
