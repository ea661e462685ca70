"""SFTP of a box: jailed in the account's home, which it shows as /home, and bound by quota and read-only."""

import errno
import os
import posixpath
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh

from lab.jail import SNAPSHOTS, VISIBLE_HOME, Jail
from lab.quota.storage_pool import Pool

if TYPE_CHECKING:
    from asyncssh import SFTPAttrs, SSHServerChannel

_WRITES = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_TRUNC | asyncssh.FXF_APPEND


class BoxSftp(asyncssh.SFTPServer):
    """asyncssh's own file operations behind the jail's mapping of paths."""

    def __init__(
        self, channel: "SSHServerChannel[Any]", jail: Jail, pool: Pool, readonly: bool, replaces: bool = True
    ) -> None:
        super().__init__(channel)
        self._jail = jail
        self._pool = pool
        self._readonly = readonly
        self._replaces = replaces

    def exit(self) -> None:
        """End well, as OpenSSH's server does: scp takes the session's exit status for its own."""
        self.channel.exit(0)

    def map_path(self, path: bytes) -> bytes:
        """Return the place of a path; asyncssh calls it before every operation."""
        return os.fsencode(self._jail.locate(os.fsdecode(path)))

    def reverse_map_path(self, path: bytes) -> bytes:
        """Return the account's name of a place."""
        return os.fsencode(self._jail.show(Path(os.fsdecode(path))))

    def realpath(self, path: bytes) -> bytes:
        """Return the account's absolute name; a name above the home is the one that it would have."""
        return self.reverse_map_path(os.fsencode(self._jail.locate(os.fsdecode(path))))

    def open(self, path: bytes, pflags: int, attrs: "SFTPAttrs") -> object:
        """Open a file; one for writing is judged first."""
        if pflags & _WRITES:
            self._change(path, new=not self._jail.locate(os.fsdecode(path)).exists())
        return super().open(path, pflags, attrs)

    def write(self, file_obj: object, offset: int, data: bytes) -> Any:
        """Write within the quota."""
        self._pool.claim(len(data))
        return super().write(file_obj, offset, data)

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        """List a folder; the snapshots are a folder and no link."""
        async for entry in super().scandir(path):
            if entry.filename == os.fsencode(SNAPSHOTS):
                entry.attrs = asyncssh.SFTPAttrs.from_local(self.lstat(posixpath.join(path, entry.filename)))
            yield entry

    def lstat(self, path: bytes) -> Any:
        """Tell about a name itself, also of a link that leads outside; what is above the home looks like the home."""
        visible = posixpath.normpath(posixpath.join(VISIBLE_HOME, os.fsdecode(path)))
        if visible == "/":
            return os.lstat(self._jail.home)
        if visible == f"{VISIBLE_HOME}/{SNAPSHOTS}":
            return self._jail.locate(visible).stat()
        return os.lstat(self._jail.locate(os.fsdecode(path), follow=False))

    def readlink(self, path: bytes) -> bytes:
        """Return what a link says, as it says it."""
        return os.fsencode(self._jail.locate(os.fsdecode(path), follow=False).readlink())

    def remove(self, path: bytes) -> None:
        """Remove a file or a link."""
        self._change(path, follow=False)
        self._jail.locate(os.fsdecode(path), follow=False).unlink()

    def mkdir(self, path: bytes, attrs: "SFTPAttrs") -> Any:
        """Make a folder."""
        self._change(path, new=True)
        return super().mkdir(path, attrs)

    def rmdir(self, path: bytes) -> Any:
        """Remove an empty folder."""
        self._change(path)
        return super().rmdir(path)

    def setstat(self, path: bytes, attrs: "SFTPAttrs") -> Any:
        """Change mode, owner or times."""
        self._change(path)
        return super().setstat(path, attrs)

    def lsetstat(self, path: bytes, attrs: "SFTPAttrs") -> Any:
        """Change a link's own attributes."""
        self._change(path, follow=False)
        return super().lsetstat(path, attrs)

    def fsetstat(self, file_obj: object, attrs: "SFTPAttrs") -> Any:
        """Change an open file's attributes."""
        self._refuse_readonly()
        return super().fsetstat(file_obj, attrs)

    def rename(self, oldpath: bytes, newpath: bytes) -> Any:
        """Rename, never over an existing name."""
        if self._renamable(oldpath, newpath).exists():
            raise asyncssh.SFTPFileAlreadyExists("File already exists")
        return self.posix_rename(oldpath, newpath)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Rename, replacing what is there."""
        if not self._replaces and self._renamable(oldpath, newpath).exists():
            raise asyncssh.SFTPFailure("Failure")
        old = self._jail.locate(os.fsdecode(oldpath), follow=False)
        old.replace(self._renamable(oldpath, newpath))

    def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        """Make a link; one that would lead outside is refused."""
        self._change(newpath, new=True)
        target, place = os.fsdecode(oldpath), os.fsdecode(newpath)
        if target.startswith("/"):
            self._jail.locate(target)
            target = posixpath.relpath(self._jail.relative(target), posixpath.dirname(self._jail.relative(place)))
        else:
            self._jail.locate(posixpath.join(posixpath.dirname(place), target))
        self._jail.locate_new(place).symlink_to(target)

    def link(self, oldpath: bytes, newpath: bytes) -> Any:
        """Make a hard link; none to a snapshot's file, which is on another file system for a box."""
        self._change(oldpath)
        self._change(newpath, new=True)
        return super().link(oldpath, newpath)

    def _renamable(self, oldpath: bytes, newpath: bytes) -> Path:
        self._change(oldpath, follow=False)
        return self._jail.locate_new(os.fsdecode(newpath))

    def _change(self, path: bytes, new: bool = False, follow: bool = True) -> None:
        """Judge a change of a name before it is made. Raises OSError."""
        self._refuse_readonly()
        if not new:
            self._jail.locate_changed(os.fsdecode(path), follow)
        else:
            self._jail.locate_new(os.fsdecode(path))
            self._pool.claim(0, path)

    def _refuse_readonly(self) -> None:
        if self._readonly:
            raise OSError(errno.EROFS, "Read-only file system")
