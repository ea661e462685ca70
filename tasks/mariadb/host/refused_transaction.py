"""Which transaction a server refused: the client reports its input line, and `mariadb-binlog` prints the input again.

Part of the program `replay`, which runs alone on a host: standard library only, Python 3.8 and later, except
`recovery_point` and its imports, which are sent along.
"""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from tasks.mariadb.host.ordinary_user import ordinary
from tasks.mariadb.host.recovery_point import gtid, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.mariadb.host.recovery_point import Cut

LINE = re.compile(r"^ERROR \d+ \(\w+\) at line (\d+)", re.MULTILINE)
NO_TABLE = "ERROR 1146 "
PLACE = re.compile(rb"^# at (\d+)$")
GTID = re.compile(rb"^#[^'\"`]*\tGTID (\d+-\d+-\d+)\b")
HANDED = 2  # lines that a replay adds after a piece


def blamed(words: Sequence[str], environment: Mapping[str, str], todo: Cut, refusal: str) -> str:
    """Describe the refused transaction: its GTID, binary log, position and time.

    `words` are those of `mariadb-binlog`, `refusal` is the client's message. If unknown: "a transaction".
    """
    line = LINE.search(refusal)
    found = _found(words, environment, todo, int(line[1])) if line else None
    if found is None:
        return "a transaction"
    name, place = found
    for log, index in todo.numbers():
        if log.offsets[index] == place and gtid(log, index) == name:
            return f"the transaction {name} ({log.name}:{place}, of {shown(log.times[index])})"
    return f"the transaction {name}"


def _found(words: Sequence[str], environment: Mapping[str, str], todo: Cut, line: int) -> tuple[str, int] | None:
    found, place, count = None, 0, 0
    for piece in todo.segments():
        with subprocess.Popen(
            [*words, *piece.words()], cwd="/", env=environment, preexec_fn=ordinary(),  # noqa: PLW1509 (no threads)
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as reader:  # fmt: skip
            assert reader.stdout is not None
            for text in reader.stdout:
                count += 1
                if count > line:
                    reader.kill()
                    return found
                at, begun = PLACE.match(text), GTID.match(text)
                place = int(at[1]) if at else place
                found = (begun[1].decode(), place) if begun else found
        count += HANDED if piece.maker else 0
    return found


def remedy(refusal: str, older: str) -> str:
    """Return the remedy; `older` is the archive of the previous full backup, empty if there is none."""
    begin = f"begin with the backup before: --archive {older}" if older else "there is no older backup to begin with"
    if NO_TABLE in refusal:
        return (
            "its session may have made a temporary table before the backup began, which statements in the binary log"
            f" use (binlog_format STATEMENT or MIXED): {begin}"
        )
    return f"a moment before it can be restored; or {begin}" if older else "a moment before it can be restored"
