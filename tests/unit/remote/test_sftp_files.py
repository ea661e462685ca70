"""SFTP: an interrupted session is not used again, as the rest of the last reply is in it; what is written is on the disk."""

import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from tasks.remote import pipelined
from tasks.remote.sftp_files import SftpFiles

if TYPE_CHECKING:
    import paramiko


class Interrupted:
    """A client and its channel, on which Ctrl-C arrives while a reply is awaited."""

    closed = False

    def get_channel(self) -> "Interrupted":
        return self

    def settimeout(self, seconds: float) -> None:
        """Take it."""

    def sendall(self, data: bytes) -> None:
        """Take it."""

    def recv(self, size: int) -> bytes:  # noqa: ARG002
        raise KeyboardInterrupt

    def close(self) -> None:
        self.closed = True


def test_an_interrupted_session_is_closed() -> None:
    files = SftpFiles(cast("paramiko.SFTPClient", Interrupted()), "box")
    with pytest.raises(KeyboardInterrupt):
        files.read("x")
    assert files.closed


SERVER = "/usr/lib/openssh/sftp-server"  # Debian's path


class Piped:
    """A channel to OpenSSH's own SFTP server on this machine, which logs what it is asked."""

    def __init__(self, log: Path, *words: str) -> None:
        with log.open("wb") as told:
            self._server = subprocess.Popen(
                (SERVER, "-e", "-l", "DEBUG1", *words),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=told, bufsize=0,
            )  # fmt: skip
        self.sendall(struct.pack(">IBI", 5, 1, 3))
        assert self.recv(1 << 16)[4] == 2

    def sendall(self, data: bytes) -> None:
        assert self._server.stdin
        self._server.stdin.write(data)

    def recv(self, size: int) -> bytes:
        assert self._server.stdout
        return self._server.stdout.read(size)

    def end(self) -> None:
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.close()
        self._server.wait(30)
        self._server.stdout.close()


@pytest.mark.needs(SERVER)
@pytest.mark.parametrize("words", [(), ("-P", "fsync")], ids=["offered", "refused"])
def test_a_file_is_on_the_servers_disk_before_it_gets_its_name(tmp_path: Path, words: tuple[str, ...]) -> None:
    log, path = tmp_path / "log", str(tmp_path / "written")
    channel = Piped(log, *words)
    session = pipelined.Session(cast("paramiko.Channel", channel))
    for how, data in ((pipelined.FOR_WRITING_ANEW, b"x" * 100_000), (pipelined.FOR_WRITING_OVER, b"shorter")):
        assert session.run({path: pipelined.writing(path, data, 0o600, how)}) == {path: None}
        assert Path(path).read_bytes() == data
    refused = session.run({path: pipelined.writing(path, b"over", 0o600)})[path]
    channel.end()
    assert isinstance(refused, OSError)
    assert Path(path).read_bytes() == b"shorter"
    assert log.read_text().count('\nfsync "') == (0 if words else 2), log.read_text()
