"""Borg's output of one JSON object per line, of any length: kept in a file without a name, not in memory.

It is read to its end before the first line is handed out: whoever reads slowly, such as a pager, must not hold borg and
its lock on the repository.
"""

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import IO, TypeVar

from tasks.answers import AnswerError, read
from tasks.borg.client.runner import PLAIN, How, run
from tasks.errors import AppError
from tasks.remote.script import Words
from tasks.storage.repository import Repository

LINE = 1 << 20  # bytes of one line, which is held in memory
LONGEST = 4 << 30  # bytes of such an output, at some 300 for each file of an archive
Form = TypeVar("Form")


def each(repository: Repository, form: type[Form], words: Words, how: How = PLAIN) -> Iterator[Form]:
    """Run borg and yield each line of its standard output, typed as `form`.

    Raises BorgError, what `Host.run` raises, and AppError if there is no room for the file.
    """
    with tempfile.TemporaryFile() as file:
        spool = _Spool(file)
        result = run(repository, words, replace(how, on_stdout=spool.take))
        spool.rewind(repository.app)
        for line in iter(lambda: file.readline(LINE + 1), b""):
            try:
                yield read(form, line, LINE)
            except AnswerError as error:
                raise result.unknown(repository.app, error) from error


class _Spool:
    """A file that is filled by another thread, which must not meet an error."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._taken = 0
        self._fault = ""

    def take(self, piece: bytes) -> None:
        self._taken += len(piece)
        if self._taken > LONGEST:
            self._fault = f"it is longer than {LONGEST >> 30} GiB"
        if self._fault:
            return
        try:
            self._file.write(piece)
        except OSError as error:
            self._fault = str(error.strerror)

    def rewind(self, app: str) -> None:
        try:
            self._file.seek(0)
        except OSError as error:
            self._fault = str(error.strerror)
        if self._fault:
            with suppress(OSError):  # what could not be written would be tried again at its end
                self._file.close()
            what = f"{app}: cannot keep borg's list in {tempfile.gettempdir()}: {self._fault}"
            raise AppError(what, "make room there, or name another directory in TMPDIR")
