"""An SFTP session that is interrupted is not used again: the next request would read the rest of the last reply."""

from typing import TYPE_CHECKING, cast

import pytest

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
