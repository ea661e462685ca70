"""From the stream of an archive to a prepared data directory."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tasks.errors import UsageError
from tasks.mariadb import failures
from tasks.mariadb.access import BACKUP
from tasks.mariadb.align import PADDING
from tasks.mariadb.dump import NOT_COMPLETED
from tasks.mariadb.server import Position, number
from tasks.remote import walled
from tasks.remote.host import Host
from tasks.remote.output import Output
from tasks.remote.script import Script, Stream, Words, quote
from tasks.remote.walled import Walled
from tasks.remote.walls import NAME as WALLS

OnLine = Callable[[str], None]
UNUSABLE_DIRECTORY = 65  # exit codes of the script below
CONTENT_FAILED = "cloudbackup: the content ended with exit code"
KINDS = (  # of files in the folder of a database
    "ibd", "ibd.new", "isl", "link", "frm", "frm.new", "MYD", "MYI", "MAD", "MAI", "MRG", "TRG", "TRN", "ARM", "ARZ",
    "CSM", "CSV", "opt", "par", "new", "ren", "del", "crt",
)  # fmt: skip
BROKEN_PIPE = "BrokenPipeError"  # what borg says when whoever reads from it failed first (borg 1.2.4, 1.4.5)

# mariadb-backup --prepare takes the option file that comes in the archive for its own: it loads any plugin that stands
# there, from any directory, and follows any path (tried, 10.11.19: a program out of the archive ran as root). So only
# what the data needs is left of it, and plugins are known ones, from where programs are installed.
_OPTIONS = r"""
own=backup-my.cnf
written() { sed -n "s/^$1=//p" "$own" | tail -n 1; }
for plugin in $(written plugin_load | tr ';' ' '); do
  name=${plugin%%=*} library=${plugin#*=}
  [ "$name" = "${library%.so}" ] || name="$name from $library"
  case $name in
    provider_bzip2|provider_lz4|provider_lzma|provider_lzo|provider_snappy) ;;
    file_key_management)
      [ -r "$(written file_key_management_filename)" ] ||
        fail "the data is encrypted with the keys in $(written file_key_management_filename), which cannot be read" ;;
    *) fail "the data needs the server's plugin $name, which is not loaded because an archive says so" ;;
  esac
done
library=$(written plugin_dir | tr -d '"')
case $library/ in "$directory"/*|*..*) library= ;; /usr/*|/opt/*) ;; *) library= ;; esac
case $(written innodb_data_file_path) in
  */*) fail "the system tablespace lies outside of the data directory: $(written innodb_data_file_path)" ;;
esac
sed -n -e '/\.\./d' -e '/^\[mysqld\]$/p' -e '/^innodb_[a-z_]*=\(\.\/\)\{0,1\}[^/]*$/p' -e '/^plugin_load=/p' \
  -e '/^file_key_management_[a-z_]*=/p' "$own" >cloudbackup_options && cat cloudbackup_options >"$own" ||
  fail "cannot read the archive's $own"
rm -f cloudbackup_options
[ -z "$(written plugin_load)" ] || echo "plugin_dir=${library:-/usr/lib/mysql/plugin}" >>"$own"
"""

# POSIX shell: it runs where the database tools live, which may be a small container. $1 is the directory, $2 the
# bytes that must be free, $3 the version of the server that was saved, where it is known beforehand.
_HEAD = rf"""
directory=$1 needed=$2 made=$3
fail() {{ echo "cloudbackup: $1" >&2; exit "${{2:-1}}"; }}
say() {{ printf 'cloudbackup %s\t%s\n' "$1" "$2"; }}
for tool in {quote(BACKUP)}; do command -v "$tool" >/dev/null && break; done
command -v "$tool" >/dev/null || fail "$tool: not found"
command -v mbstream >/dev/null || fail "mbstream: not found"
have=$("$tool" --no-defaults --version 2>&1 | sed -n 's/.*based on MariaDB server //p')
series() {{ printf '%s' "$1" | sed 's/^\([0-9]*\.[0-9]*\)\..*/\1/'; }}
same_series() {{
  [ "$(series "$made")" = "$(series "$have")" ] ||
    fail "the backup is of MariaDB $(series "$made"), mariadb-backup is of $(series "$have")"
}}
umask 007
ulimit -n "$(ulimit -H -n)" 2>/dev/null
"""

# Before anything is unpacked, with the rights of whoever restores.
_PLACE = rf"""
if [ -e "$directory" ] || [ -L "$directory" ]; then
  [ -d "$directory" ] || fail "$directory is no directory" {UNUSABLE_DIRECTORY}
  [ -z "$(ls -A "$directory")" ] || fail "$directory is not empty" {UNUSABLE_DIRECTORY}
fi
[ -z "$made" ] || same_series
mkdir -p -- "$directory" && chmod 700 -- "$directory" || fail "cannot make $directory"
trap 'exit 143' TERM INT HUP
trap 'code=$?; [ "$code" = 0 ] || rm -rf -- "$directory"; exit "$code"' EXIT
cd -- "$directory" || fail "cannot enter $directory"
free=$(stat -f -c '%a * %S' .) && free=$(($free)) || free=$needed
[ "$free" -ge "$needed" ] || fail "no room in $directory: $needed bytes are needed, $free are free"
"""

# mbstream leaves out a name with `..` or a leading slash, says so and ends with 0 (tried, 10.11.19). mariadb-backup
# copies files of known kinds only (ext_list of its backup_copy.cc); MyRocks has a folder of its own. A copy of a table
# with DATA DIRECTORY brings a file *.isl that names the live server's file, and a server started on the copy would open
# that one (tried, 10.11.19): none may be left, nor an option file.
_EXTRACT = rf"""
mbstream -x 2>cloudbackup_said && code=0 || code=$?
cat cloudbackup_said >&2
[ "$code" = 0 ] || fail "mbstream cannot unpack the archive"
! grep -q 'invalid filename' cloudbackup_said || fail "the archive holds a file whose name leads out of the directory"
rm -f -- cloudbackup_said {PADDING.decode()}
odd() {{ find . "$@" -print | head -n 1 | tr -c '[:alnum:]_./#@\n-' '?'; }}
name=$(odd ! -type f ! -type d)
[ -z "$name" ] || fail "the archive holds $name, which is no plain file"
name=$(odd -mindepth 3)
[ -z "$name" ] || fail "the archive holds $name, which is deeper than any table"
name=$(odd -mindepth 2 -type f {" ".join(f"! -name '*.{kind}'" for kind in KINDS)} ! -path './#rocksdb/*')
[ -z "$name" ] || fail "the archive holds $name, which is no file of a table"
find . -mindepth 1 -maxdepth 1 -type f \( -name '*.cnf' -o -name '*.ini' -o -name '.*' \) ! -name backup-my.cnf \
  -exec rm -f -- {{}} +
for name in checkpoints info; do
  [ -f xtrabackup_$name ] || [ -f mariadb_backup_$name ] || fail "the archive is no whole backup: *_$name is missing"
done
made=$(sed -n 's/^server_version = //p' xtrabackup_info mariadb_backup_info 2>/dev/null)
same_series
say version "$made"
say position "$(cat xtrabackup_binlog_info mariadb_backup_binlog_info 2>/dev/null)"
for name in slave galera; do
  grep -h . "xtrabackup_${{name}}_info" "mariadb_backup_${{name}}_info" 2>/dev/null | head -n 20 |
    while IFS= read -r line; do say $name "$line"; done
done
"""

_PREPARE = rf"""
{_OPTIONS}
find . \( -name '*.isl' -o -name '*.link' \) | while IFS= read -r file; do
  case $file in *.isl) say link "$file" ;; esac
  rm -f -- "$file"
done
"$tool" --prepare --target-dir="$directory" >cloudbackup_prepare 2>&1 && code=0 || code=$?
cat cloudbackup_prepare >&2
case $(tail -n 1 cloudbackup_prepare) in *'completed OK!') ;; *) code=1; echo '{NOT_COMPLETED}' >&2 ;; esac
rm -f cloudbackup_prepare
say walls "${{{WALLS}:-}}"
exit "$code"
"""

# What a person types who has borg and MariaDB's own tools only; the README shows these lines and a test runs them.
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

    `links` are tables that had files outside of the data directory (DATA DIRECTORY) and now have them inside.
    `replica` and `galera` are the texts in which mariadb-backup wrote down where the server stood at the end of its
    backup, as a replica in its master's binary log and as a node of a Galera cluster; empty for others. `walls` are
    those behind which it was unpacked and prepared, none on a server behind `exec`, which has its container's.
    `remarks` are for a person.
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
    remarks: tuple[str, ...] = ()

    def standing(self) -> tuple[str, ...]:
        """Return lines for a person who is to have the restored server replicate again."""
        lines = (("a replica", self.replica), ("a Galera node", self.galera))
        stood = tuple(f"the server was {what}, at the end of the backup at: {text}" for what, text in lines if text)
        return (*stood, *self.remarks)


class ContentError(failures.DatabaseError):
    """The archive's content could not be had. `code` and `said` are those of the program that was to give it."""

    def __init__(self, what: str, code: int, said: str) -> None:
        super().__init__(what)
        self.code = code
        self.said = said


@dataclass(frozen=True)
class How:
    """How to unpack: `size` is the content's length in bytes, for which there must be room, None where unknown.

    `version` is that of the server that was saved: tools of another series refuse it before they begin. `prefix` is the
    app's `exec`. `trust`: also where no walls can be built.
    """

    size: int | None = None
    version: str = ""
    prefix: Words = ()
    trust: bool = False


def script(content: Stream, directory: str, how: How) -> Script:
    """Return the script that unpacks `content` into `directory`, which is new or empty, and prepares it.

    `directory` is a path where the `exec` of `how` leads. There it runs in the server's own container, and otherwise
    behind walls. Whatever it runs does not get the environment of `content`.
    """
    arguments = ("sh", directory, str(how.size or 0), how.version)
    remove = quote((*how.prefix, "rm", "-rf", "--", directory)) + " </dev/null"
    unpacking = quote((*how.prefix, "sh", "-c", f"{_HEAD}{_PLACE}{_EXTRACT}{_PREPARE}", *arguments))
    if not how.prefix:
        unpacking = _walled(directory, arguments, trust=how.trust)
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


def _walled(directory: str, arguments: Words, *, trust: bool) -> str:
    """Return bash that makes the directory, and unpacks and prepares behind walls; without success it is gone."""
    extract = Walled(directory, trust=trust, owner=True)
    prepare = Walled(directory, trust=trust, keys="backup-my.cnf", owner=True)
    return f"""\
{quote(("sh", "-c", f"{_HEAD}{_PLACE}", *arguments))} </dev/null || exit $?
trap 'exit 143' TERM INT HUP
trap {quote((f'code=$?; [ "$code" = 0 ] || {quote(("rm", "-rf", "--", directory))}; exit "$code"',))} EXIT
{quote(extract.words(("sh", "-c", f"{_HEAD}{_EXTRACT}", *arguments)))} || exit $?
{quote(prepare.words(("sh", "-c", f"{_HEAD}{_PREPARE}", *arguments)))} </dev/null || exit $?"""


def without(content: Stream) -> str:
    """Return bash that takes from the environment what only the program that gives `content` may know."""
    return quote(("unset", *content.environment)) if content.environment else ":"


def run(host: Host, unpacking: Script, directory: str, on_stderr: OnLine | None = None) -> Unpacked:
    """Run the script of `script` on `host`.

    When it fails, nothing of it is left. Raises RefusedError where no walls can be built, UsageError when the directory
    is not empty, ContentError when the archive could not be read, failures.DatabaseError otherwise; HostError.
    """
    return read(host, host.run(unpacking, on_stderr=on_stderr), directory)


def read(host: Host, output: Output, directory: str) -> Unpacked:
    """Return what a script told that began with the one of `script`. Raises as `run`."""
    walled.require(output, f"{host.name}: cannot restore into {directory}")
    if not output.ok:
        raise _error(output, f"{host.name}: cannot restore into {directory}")
    rows = [line.split("\t") for line in output.text.splitlines() if line.startswith("cloudbackup ")]
    position, gtid = _position(output.text)
    return Unpacked(
        directory=directory,
        version=number(next((row[1] for row in rows if row[0] == "cloudbackup version"), "")),
        position=position,
        gtid=gtid,
        links=tuple(row[1].removeprefix("./") for row in rows if row[0] == "cloudbackup link"),
        seconds=output.seconds,
        replica=_printable(row[1] for row in rows if row[0] == "cloudbackup slave"),
        galera=_printable(row[1] for row in rows if row[0] == "cloudbackup galera"),
        walls=walled.names(next((row[1] for row in rows if row[0] == "cloudbackup walls"), "")),
    )


def to_directory(
    host: Host, content: Stream, directory: str, size: int | None = None, on_stderr: OnLine | None = None
) -> Unpacked:
    """Restore an archive's database into a new or empty directory of `host`, prepared: a server can start on it.

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
    return failures.error(ours[0] if content and ours else said, context)


def _printable(lines: Iterable[str]) -> str:
    """Return lines as one, without what a terminal would obey: they come out of the archive."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in " ".join(lines))


def _position(text: str) -> tuple[Position | None, str]:
    found = re.search(r"^cloudbackup position\t([^\t\n]+)\t(\d+)(?:\t([^\n]*))?$", text, re.MULTILINE)
    return (Position(found.group(1), int(found.group(2))), found.group(3) or "") if found else (None, "")
