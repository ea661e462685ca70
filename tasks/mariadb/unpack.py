"""Turns the stream of an archive into a prepared data directory."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks.borg.client.runner import CONTENT_FAILED
from tasks.containers.one_off import OneOff
from tasks.errors import UsageError
from tasks.mariadb import damage, errors
from tasks.mariadb.host import tables
from tasks.mariadb.host.align import PADDING
from tasks.mariadb.server import Position, number
from tasks.remote import walled
from tasks.remote.host import Host
from tasks.remote.output import Output
from tasks.remote.script import Script, Stream, Words, quote, without
from tasks.remote.walled import Walled

OnLine = Callable[[str], None]
UNUSABLE_DIRECTORY = 65  # exit code of the script
BROKEN_PIPE = "BrokenPipeError"  # in borg's message if the program reading from it failed first (borg 1.2.4, 1.4.5)

# Runs where the database tools are; passed as text, in an argument.
SCRIPT = (Path(__file__).parent / "host" / "unpack.sh").read_text(encoding="utf-8")

# The commands for somebody who only has borg and MariaDB's own tools; the README shows them and a test runs them.
STOCK_LINES = f"""\
mkdir "$NEW"
borg extract --stdout "::$ARCHIVE" | mbstream -x -C "$NEW"
rm -f "$NEW/{PADDING.decode()}"
find "$NEW" -name '*.isl' -delete
mariadb-backup --prepare --target-dir="$NEW"
"""


@dataclass(frozen=True)
class Unpacked:
    """A prepared data directory.

    `links` are tables that had files outside of the data directory (DATA DIRECTORY) and now have them inside. `replica`
    and `galera` are mariadb-backup's notes of the server's position at the end of the backup, as a replica in its
    master's binary log and as a Galera node; empty for others. `walls` are those behind which it was unpacked and
    prepared, none for a server behind `exec`, which has its container's. `damaged` are pages, by tablespace name, that
    were damaged on the server and restored as they were. `remarks` are for people; `when` describes the moment of
    `replica` and `galera`. `doubtful`: the position in `replica` could not be checked against the data.
    """

    directory: str
    version: str
    position: Position | None
    gtid: str
    links: tuple[str, ...]
    seconds: float
    replica: str = ""
    galera: str = ""
    walls: tuple[str, ...] = ()
    damaged: Mapping[str, Sequence[int]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    when: str = "the end of the backup"
    doubtful: bool = False

    def harm(self) -> tuple[str, ...]:
        """Describe the damage in it, as lines."""
        return tuple(
            f"{tables.readable(name)}: {damage.shown(pages)} on the server that was saved already; {damage.REMEDY}"
            for name, pages in self.damaged.items()
        )

    def standing(self) -> tuple[str, ...]:
        """Return instructions for making the restored server replicate again."""
        lines = (("a replica", self.replica), ("a Galera node", self.galera))
        stood = tuple(f"the server was {what}, at {self.when} at: {text}" for what, text in lines if text)
        return (*stood, *self.remarks)


class ContentError(errors.DatabaseError):
    """The archive's content could not be read. `code` and `said` are those of the program that should produce it."""

    def __init__(self, what: str, code: int, said: str) -> None:
        super().__init__(what)
        self.code = code
        self.said = said


@dataclass(frozen=True)
class How:
    """How to unpack: `size` is the content's length in bytes, for which there must be room; None if unknown.

    `version` is that of the saved server: tools of another series refuse it at once. `prefix` is the app's `exec`.
    `trust`: run even if no walls can be built.
    """

    size: int | None = None
    version: str = ""
    prefix: Words = ()
    trust: bool = False


def script(content: Stream, directory: str, how: How) -> Script:
    """Return the script that unpacks `content` into `directory`, which is new or empty, and prepares it.

    `directory` is a path where `exec` of `how` leads. With `exec` it runs in the server's own container, otherwise
    behind walls. Its programs do not get the environment of `content`.
    """
    remove = quote((*how.prefix, "rm", "-rf", "--", directory)) + " </dev/null"
    unpacking = quote((*how.prefix, *_words(directory, how, "place", "extract", "prepare")))
    if not how.prefix:
        unpacking = _walled(directory, how)
    body = f"""\
{{ {content.body}
}} | (
{without(content)}
{unpacking}
) || {{
  codes=("${{PIPESTATUS[@]}}")
  case ${{codes[0]}} in 0|141) ;; *) echo "{CONTENT_FAILED} ${{codes[0]}}" >&2 ;; esac
  code=${{codes[1]}}
  [ "$code" != 0 ] || {{ {remove}; code=1; }}
  exit "$code"
}}
"""
    return Script(body, {**content.environment, **walled.PROGRAM.environment})


def contained(unpacking: Script, directory: str, inside: OneOff) -> Script:
    """Return the script that runs `unpacking`, whose prefix leads into `inside`, with that container around it."""
    body = f"""\
unpacked=
cleanup() {{
  code=$?
  trap '' TERM INT HUP
  {inside.end}
  [ "$code" = 0 ] || {discard(directory)}
  exit "$code"
}}
trap cleanup EXIT
{quote(("mkdir", "-p", "-m", "700", "--", directory))}
( {without(Stream(unpacking.body, unpacking.environment))}; {inside.begin((directory,))} )
( {unpacking.body}
)
unpacked=yes
{inside.ownership(directory)}
"""
    return Script(body, unpacking.environment, grace=unpacking.grace)


def discard(directory: str) -> str:
    """Return bash that removes what was unpacked, if `$unpacked`; otherwise the folder alone, if it is empty."""
    whole, empty = quote(("rm", "-rf", "--", directory)), quote(("rmdir", "--", directory))
    return f'if [ -n "$unpacked" ]; then {whole}; else {empty} 2>/dev/null || :; fi'


def _words(directory: str, how: How, *steps: str) -> Words:
    return ("sh", "-c", SCRIPT, "sh", directory, str(how.size or 0), how.version, *steps)


def _walled(directory: str, how: How) -> str:
    """Return bash that creates the directory, and unpacks and prepares behind walls; removes it on failure."""
    extract = Walled(directory, trust=how.trust, owner=True)
    prepare = Walled(directory, trust=how.trust, keys="backup-my.cnf", owner=True)
    return f"""\
{quote(_words(directory, how, "place"))} </dev/null || exit $?
trap 'exit 143' TERM INT HUP
trap {quote((f'code=$?; [ "$code" = 0 ] || {quote(("rm", "-rf", "--", directory))}; exit "$code"',))} EXIT
{quote(extract.words(_words(directory, how, "extract")))} || exit $?
{quote(prepare.words(_words(directory, how, "prepare")))} </dev/null || exit $?"""


def run(host: Host, unpacking: Script, directory: str, on_stderr: OnLine | None = None) -> Unpacked:
    """Run the script of `script` on `host`.

    If it fails, nothing of it is left. Raises RefusedError if no walls can be built, UsageError if the directory is not
    empty, ContentError if the archive could not be read, errors.DatabaseError otherwise; HostError.
    """
    return read(host, host.run(unpacking, on_stderr=on_stderr), directory)


def read(host: Host, output: Output, directory: str) -> Unpacked:
    """Parse the output of a script that began with the one of `script`. Raises as `run`."""
    walled.require(output, f"{host.name}: cannot restore into {directory}")
    if not output.ok:
        raise _error(output, f"{host.name}: cannot restore into {directory}")
    rows = [line.split("\t") for line in output.text.splitlines() if line.startswith("cloudbackup ")]
    position, gtid = _position(output.text)
    damaged: dict[str, list[int]] = {}
    for _, page, name in (row for row in rows if row[0] == "cloudbackup damaged" and len(row) == 3):
        damaged.setdefault(_printable([name]), []).append(int(page[:10]))
    return Unpacked(
        directory=directory,
        version=number(next((row[1] for row in rows if row[0] == "cloudbackup version"), "")),
        position=position,
        gtid=gtid,
        links=tuple(row[1].removeprefix("./") for row in rows if row[0] == "cloudbackup link"),
        seconds=output.seconds,
        replica=_printable(row[1] for row in rows if row[0] == "cloudbackup slave"),
        galera=_printable(row[1] for row in rows if row[0] == "cloudbackup galera"),
        damaged=damaged,
        walls=walled.names(next((row[1] for row in rows if row[0] == "cloudbackup walls"), "")),
    )


def to_directory(
    host: Host, content: Stream, directory: str, size: int | None = None, on_stderr: OnLine | None = None
) -> Unpacked:
    """Restore an archive's database into a new or empty directory of `host`, ready for a server to start on.

    Raises as `run`.
    """
    return run(host, script(content, directory, How(size)), directory, on_stderr)


def _error(output: Output, context: str) -> Exception:
    said = output.error_text
    if output.code == UNUSABLE_DIRECTORY:
        reason = next((line for line in said.splitlines() if line.startswith("cloudbackup: ")), "")
        return UsageError(f"{context}: {reason.removeprefix('cloudbackup: ')}", "name a new directory")
    content = re.search(rf"{CONTENT_FAILED} (\d+)", said)
    if content and BROKEN_PIPE not in said:
        return ContentError(f"{context}: the archive cannot be read", int(content.group(1)), said)
    ours = [line for line in said.splitlines() if line.startswith("cloudbackup: ") and CONTENT_FAILED not in line]
    return errors.error(ours[0] if content and ours else said, context)


def _printable(lines: Iterable[str]) -> str:
    """Return lines as one, without control characters: they come from the archive."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in " ".join(lines))


def _position(text: str) -> tuple[Position | None, str]:
    found = re.search(r"^cloudbackup position\t([^\t\n]+)\t(\d+)(?:\t([^\n]*))?$", text, re.MULTILINE)
    return (Position(found.group(1), int(found.group(2))), found.group(3) or "") if found else (None, "")
