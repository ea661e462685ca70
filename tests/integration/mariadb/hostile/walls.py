"""Hosts as different people have them, for what must hold behind walls whoever runs it."""

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasks.remote.channel import Channel
from tasks.remote.host import LocalHost
from tasks.remote.script import Words

SOMEBODY = 4242  # an ordinary user of this machine, with a home
WITHOUT = ("unshare", "--mount", "sh", "-c", 'mount --rbind / "$0" && exec chroot "$0" "$@"')

NAMESPACES = ("mount namespace", "network namespace", "process namespace")
WALLS = {"root": ("user nobody", *NAMESPACES), "ordinary": ("user namespace", *NAMESPACES)}
PEOPLE = pytest.mark.parametrize("who", ["root", "ordinary"])


class HostOf(LocalHost):
    """This machine as an ordinary user has it, or, with `forbidden`, where nobody can make namespaces (a chroot)."""

    def __init__(self, home: Path, *, user: int | None = None, forbidden: Path | None = None) -> None:
        super().__init__()
        self._prefix: list[str] = []
        if forbidden is not None:
            self._prefix += [*WITHOUT, str(forbidden)]
            if user is None:
                self._prefix += ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
        if user is not None and os.geteuid() == 0:
            self._prefix += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        self._prefix += ["env", f"HOME={home}"]

    def _open(self, words: Words) -> Channel:
        return super()._open((*self._prefix, *words))


@contextmanager
def person(folder: Path, who: str, forbidden: Path | None = None) -> Iterator[tuple[HostOf, Path]]:
    """Give the host of `root` or of an `ordinary` user, and a home with what a thief would like."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    (home / ".bashrc").write_text("# mine\n")
    (home / ".ssh").mkdir()
    (home / ".ssh" / "id_ed25519").write_text("a key\n")
    user = SOMEBODY if who == "ordinary" else None
    if user is not None and os.geteuid() == 0:
        for path in (home, *home.rglob("*")):
            os.chown(path, user, user)
    yield HostOf(home, user=user, forbidden=forbidden), home
    assert {path.name for path in home.iterdir()} == {".bashrc", ".ssh"}
    assert (home / ".bashrc").read_text() == "# mine\n"
    assert [path.name for path in (home / ".ssh").iterdir()] == ["id_ed25519"]


def chunk(name: str, data: bytes) -> bytes:
    """Return a file as mbstream packs it (extra/mariabackup/xbstream_write.cc)."""
    path = name.encode()
    head = b"XBSTCK01\0"
    start = len(path).to_bytes(4, "little") + path
    sizes = len(data).to_bytes(8, "little") + bytes(8) + zlib.crc32(data).to_bytes(4, "little")
    return head + b"P" + start + sizes + data + head + b"E" + start
