"""The meaning of borg's warnings in a backup: was a file left out of the archive, or is it harmless?

One table for both series. In 1.4 each warning about a file has a msgid, a class name from its `helpers/errors.py`; 1.2
has none, so its texts are matched: they come from `print_warning` in its `archiver.py`, from `stat_update_check` in
`archive.py`, and from OSError. A test makes both borgs print each of them.

    what happened                         msgid in 1.4                  text in 1.2.4                        meaning
    changed while it was read             FileChangedWarning            X: file changed while we backed it   harmless
    vanished before it was read           BackupFileNotFoundError       X: stat|open|...: [Errno 2] ...      harmless
    may not be read                       BackupPermissionError         X: open|scandir|...: [Errno 13] ...  left out
    cannot be read (EIO)                  BackupIOError                 X: read|...: [Errno 5] ...           left out
    cannot be read (ESTALE and others)    BackupOSError                 X: ...: [Errno N] ...                left out
    replaced between look and open        BackupRaceConditionError      X: file type|inode changed (race...  left out
    another fault of one file             BackupError                   X: ...                               left out
    of a type that borg does not know     none: Unknown file type: X    the same                             left out

A path of the inventory itself that vanished is left out, not harmless. Any other warning needs a person's attention.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tasks.borg.client.messages import Message

Meaning = Literal["harmless", "left out"]


@dataclass(frozen=True)
class Row:
    """A warning of borg's, by msgid, or by its full text if it has none; the group `path` is the file."""

    msgid: str
    pattern: str
    meaning: Meaning


VANISHED = "BackupFileNotFoundError"
# The system call that failed, from `backup_io` in borg's archive.py and archiver.py.
_ABOUT = r"(?:(?:open_root|dir_open|open|fstat2?|stat|extended stat(?: \(\w+\))?|flags|scandir|readlink|link|read): )"
_REFUSED = rf"(?P<path>/.*?): {_ABOUT}?\[Errno {{}}\] (?P<reason>[^:]*).*"
_ANY = _REFUSED.format(r"\d+")
ROWS = (
    Row("FileChangedWarning", r"(?P<path>/.*): (?P<reason>file changed while we backed it up)", "harmless"),
    # Only if nothing else matches: a file's name might contain such words.
    Row(VANISHED, rf"(?!.*\[Errno .*\[Errno ){_REFUSED.format(2)}", "harmless"),
    Row("BackupPermissionError", _ANY, "left out"),
    Row("BackupIOError", _ANY, "left out"),
    Row("BackupOSError", _ANY, "left out"),
    Row("BackupRaceConditionError", r"(?P<path>/.*): (?P<reason>file (?:type|inode).* changed .*race.*)", "left out"),
    Row("BackupError", r"(?P<path>/.*): (?P<reason>backup error|Size inconsistency.*|File has damaged.*)", "left out"),
    Row("", r"(?P<reason>Unknown file type): (?P<path>/.*)", "left out"),
)


@dataclass(frozen=True)
class Skipped:
    """The meaning of a run's warnings. `left_out` and `harmless` are (path, reason), `other` are unknown texts."""

    left_out: dict[str, str]
    harmless: dict[str, str]
    other: tuple[str, ...]


def sort(messages: Iterable[Message], paths: Iterable[str]) -> Skipped:
    """Classify the warnings and errors of a run that made an archive; `paths` are those passed to borg."""
    given = frozenset(paths)
    left_out: dict[str, str] = {}
    harmless: dict[str, str] = {}
    other: dict[str, None] = {}
    for message in messages:
        row, path, reason = read(message)
        if row is None:
            other[message.text] = None
        elif row.meaning == "harmless" and not (row.msgid == VANISHED and path in given):
            harmless[path] = reason
        else:
            left_out.setdefault(path, reason)
    return Skipped(left_out, harmless, tuple(other))


def read(message: Message) -> tuple[Row | None, str, str]:
    """Return the warning's row, the file and the reason; None if it is in no row."""
    for row in ROWS:
        if message.msgid in ("", row.msgid) and (found := re.fullmatch(row.pattern, message.text, re.DOTALL)):
            return row, found["path"], found["reason"].strip()
    return None, "", ""
