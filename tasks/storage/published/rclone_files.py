"""Files accessed with rclone, for the records of storages without a shell or an SFTP session of ours."""

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from tasks.answers import Answer, AnswerError, Count, Name, read
from tasks.remote.files import ALL, FilesError, unfinished
from tasks.remote.output import Output
from tasks.remote.running import ScriptTimeoutError
from tasks.remote.script import Script, quote
from tasks.storage.published.host.rclone import ASKING, LISTING, RCLONE, SENDING, Sizes, reason, transient
from tasks.storage.published.publication import Way

TIMEOUT = 300.0  # seconds
NOT_THERE = ("directory not found", "object not found", "doesn't exist")

SHOW = """import json, pathlib, sys
top = pathlib.Path(sys.argv[1])
found = {str(file.relative_to(top)): file.read_bytes().hex() for file in top.rglob("*") if file.is_file()}
print(json.dumps(found))"""


Form = TypeVar("Form")


class _Object(Answer):
    """One object in the output of `rclone lsjson`."""

    Path: Name
    Size: Count


class _Dated(Answer):
    """An object's modification time; the time zone is the asking machine's."""

    ModTime: Name


class RcloneFiles:
    """Files below an rclone remote. Only files exist: object storage has no folders."""

    def __init__(self, way: Way, name: str) -> None:
        self._way = way
        self._name = name

    def read(self, path: str, most: int | None = None) -> bytes:
        """Return a file's bytes. Empty means missing: rclone does not distinguish them, and no file here is empty."""
        first = () if most is None else (f"--count={most}",)
        found = self._run("read", path, ("cat", *ASKING, *first, self._at(path))).stdout
        if not found:
            raise FilesError(f"{self._name}: cannot read {path}: it is not there", missing=True)
        return found

    def write_new(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a new file. Fails if it exists."""
        if self.exists(path):
            raise FilesError(f"{self._name}: cannot write {path}: it is there already")
        self.replace(path, data, mode)

    def replace(self, path: str, data: bytes, mode: int = 0o600) -> None:  # noqa: ARG002  # no modes there
        """Write a file completely, replacing an older one of that name."""
        # DATA is unset before rclone starts: a single environment variable is limited to 128 KiB.
        body = 'data="$DATA"; unset DATA; printf %s "$data" | ' + quote(self._words(("rcat", *SENDING, self._at(path))))
        self._explained("write", path, self._script(body, DATA=data.decode()))

    def names(self, path: str) -> list[str]:
        """Return the names in a directory, sorted; a missing directory may look like an empty one."""
        lines = self._run("list", path, ("lsf", *ASKING, self._at(path))).text.splitlines()
        return sorted(line.rstrip("/") for line in lines if line)

    def exists(self, path: str) -> bool:
        """Return whether the path exists."""
        try:
            return posixpath.basename(path.rstrip("/")) in self.names(posixpath.dirname(path.rstrip("/")))
        except FilesError as error:
            if error.missing:
                return False
            raise

    def clock(self, folder: str) -> float | None:
        """Return the time of a file that is made and removed, by the server's clock if it sets the times of files."""
        path = unfinished(posixpath.join(folder, "clock"))
        self.replace(path, b"now")
        try:
            found = self.answer(list[_Dated], ("lsjson", *ASKING, self._at(path)))
        finally:
            self.remove(path)
        try:
            return datetime.fromisoformat(found[0].ModTime).timestamp()
        except (IndexError, ValueError, OverflowError):
            return None

    def rename(self, path: str, new: str) -> None:
        """Rename a file."""
        self._run("rename", path, ("moveto", *SENDING, self._at(path), self._at(new)))

    def make_directory(self, path: str, mode: int = 0o700) -> None:  # noqa: ARG002
        """Make a directory, on storages that have directories."""
        self._run("make", path, ("mkdir", *ASKING, self._at(path)))

    def remove(self, path: str) -> None:
        """Remove a file or an empty directory."""
        self._run("remove", path, ("deletefile", *SENDING, self._at(path)))

    def read_each(self, paths: Iterable[str], most: Mapping[str, int] = ALL) -> Mapping[str, bytes | FilesError]:
        """Return each file's bytes, or a FilesError if it is missing, over one connection; at most those in `most`."""
        asked = list(paths)
        found = self.read_all("", asked) if asked else {}
        missing = FilesError(f"{self._name}: a file is not there", missing=True)
        return {path: found[path][: most.get(path)] if path in found else missing for path in asked}

    def names_each(self, paths: Iterable[str]) -> Mapping[str, list[str] | FilesError]:
        """Return the sorted names in each directory, or its FilesError."""
        return {path: self._names_or_fault(path) for path in paths}

    def _names_or_fault(self, path: str) -> list[str] | FilesError:
        try:
            return self.names(path)
        except FilesError as error:
            return error

    def tree(self, path: str) -> Sizes:
        """Return the sizes of all files at and below a directory, by relative path; empty if it is missing."""
        try:
            listed = self.answer(list[_Object], (*LISTING, *ASKING, self._at(path)))
        except FilesError as error:
            if error.missing:
                return {}
            raise
        return {each.Path: each.Size for each in listed}

    def read_all(self, folder: str, names: Sequence[str]) -> dict[str, bytes]:
        """Return the bytes of those of several files below a folder that exist, by path, over one connection."""
        listed = quote(("printf", "%s\\n", *names))
        copy = quote(self._words(("copy", "--no-traverse", "--files-from-raw=-", *SENDING, self._at(folder))))
        body = f"""
into=$(mktemp -d); trap 'rm -rf "$into"' EXIT
{listed} | {copy} "$into"
python3 -I -S -c {quote((SHOW,))} "$into"
"""
        output = self._explained("read", folder, self._script(body))
        try:
            return {name: bytes.fromhex(text) for name, text in read(dict[str, str], output.stdout).items()}
        except ValueError as error:
            raise FilesError(f"{self._name}: what was read of {folder or 'it'} has an unknown form: {error}") from error

    def command(self, words: Sequence[str]) -> Output:
        """Return the output of any other rclone command."""
        return self._run(words[0], words[-1], words)

    def answer(self, form: type[Form], words: Sequence[str]) -> Form:
        """Return the JSON output of an rclone command, parsed as `form`. Raises FilesError if it has another form."""
        said = self._run(words[0], words[-1], words).stdout
        try:
            return read(form, said.strip() or b"[]")
        except AnswerError as error:
            what = f"{self._name}: rclone's answer to {words[0]} has an unknown form: {error}"
            raise FilesError(what) from error

    def _run(self, verb: str, path: str, words: Sequence[str]) -> Output:
        return self._explained(verb, path, self._script(quote(self._words(words))))

    def _script(self, body: str, **added: str) -> Output:
        whole = "\n".join(filter(None, (self._way.first, body)))
        try:
            return self._way.host.run(Script(whole, {**self._way.environment, **added}), TIMEOUT)
        except ScriptTimeoutError as error:  # rclone waits forever on an SFTP session that died
            raise FilesError(f"{self._name}: {error.what}", transient=True) from error

    def _explained(self, verb: str, path: str, output: Output) -> Output:
        if output.ok:
            return output
        said = reason(output.stderr)
        missing = any(sign in output.error_text for sign in NOT_THERE)
        if output.code == 127:
            said = "rclone is not installed"
        what = f"{self._name}: cannot {verb} {path}: {said}"
        raise FilesError(what, missing=missing, transient=transient(output.stderr))

    def _words(self, words: Sequence[str]) -> tuple[str, ...]:
        return (*RCLONE, *words)

    def _at(self, path: str) -> str:
        remote, _, root = self._way.address.partition(":")
        return f"{remote}:{posixpath.join(root, path) if path else root}"
