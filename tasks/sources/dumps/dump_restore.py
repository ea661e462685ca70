"""Restores a dump: as a file into a folder, or by the command that puts it back.

The command starts only once the whole dump lies on the host: one that read a stream cut short would take that for all.
"""

import posixpath
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tasks.borg.choice import Choice, Choices
from tasks.borg.client.extract import content, size
from tasks.borg.client.runner import UNLIMITED
from tasks.borg.known import UNKNOWN
from tasks.borg.restore import Trust, restore_to
from tasks.errors import AppError, RefusedError
from tasks.inventory.models import App
from tasks.inventory.values import Words
from tasks.options import FOLDER
from tasks.remote.script import Script, Stream, quote, without
from tasks.sources.base import Destination, Restored
from tasks.sources.dumps.dump_backup import OURS, file_of, guarded, product_of, secrets_of
from tasks.sources.dumps.product import running
from tasks.storage.repository import Side

NAME = "cloudbackup-dump-"  # prefix of the folders' names
FILE = "dump"
WARNING = "warning: "  # before what a person must see to, in what `load` says
UNREADABLE = 67  # exit code of the script: the dump could not be read from the archive
NO_ROOM = 68  # and: there is no room for it
GRACE = 120.0  # seconds to remove a large dump


class Named(Protocol):
    """A source whose archives hold one file."""

    name: str
    file: str | None


def restored(choices: Choices, choice: Choice, source: Named, to: Destination) -> Restored:
    """Restore an archive of a dump to its destination. Raises CloudbackupError."""
    if to.target is None:
        return loaded(choices, choice, source.name, Load(product_of(choices.app, source.name).load()), to)
    repository = choices.repository
    own = repository.side is Side.HOST and choice.known
    private = repository.side is Side.OPERATOR
    trust = Trust(trusted=own or to.trusted, private=private, partial=True, known=choice.known)
    done = restore_to(repository, choice.archive.name, to.target, trust=trust)
    said = (f"in {to.target}/{source.file}", *done.remarks, *done.doubts)
    walls = ("Landlock",) if done.walled else ()
    return Restored(done.size, said, "warning" if done.doubts else "ok", walls)


@dataclass(frozen=True)
class Load:
    """A command that reads a dump and puts it back, or a part of it; `twice` as `running` has it."""

    words: Words
    twice: bool = False


def loaded(choices: Choices, choice: Choice, name: str, load: Load, to: Destination) -> Restored:
    """Have the dump read by a command. Raises RefusedError if no record knows the archive, CloudbackupError."""
    app, repository = choices.app, choices.repository
    _require_known(app, choice, name, to)
    product, archive = product_of(app, name), choice.archive.name
    total, _ = size(repository, archive)
    folder = posixpath.join(FOLDER, NAME + secrets.token_hex(8))
    spooled = spool(content(repository, archive, file_of(name)), folder, {"bytes": total})
    file = posixpath.join(folder, FILE)
    loading = running(product.load_exec, load.words, secrets_of(app, name), file, twice=load.twice)
    body = f"{spooled.body}\n{loading.body} >&2\n"
    to.step(f"has {archive} put back")
    output = repository.host.run(Script(body, {**spooled.environment, **loading.environment}, grace=GRACE), UNLIMITED)
    require_spooled(output.code, output.error_text, f"{app.name}: nothing was restored of {name}", total)
    lines = [line.strip() for line in output.error_text.splitlines() if line.strip()]
    if not output.ok:
        said = lines[-1] if lines else "it does not say why"
        what = "" if product.tells else f"`{product.loads()}` ended with {output.code}: "
        done = "" if product.tells else "what it had done by then stays done; "
        raise AppError(
            f"{app.name}: {name} was not restored: {what}{said}",
            f"{done}`inv restore --app {app.name} --source {name} --target FOLDER` gives the dump as a file",
        )
    if not product.tells or not lines:
        return Restored(total, (f"`{product.loads()}` read all of it",), "ok", ())
    warnings = [line.removeprefix(WARNING) for line in lines if line.startswith(WARNING)]
    return Restored(total, (lines[-1], *warnings), "warning" if warnings else "ok", ())


def _require_known(app: App, choice: Choice, name: str, to: Destination) -> None:
    """Raise RefusedError for an archive without a record: the server would do what is in it, with no wall around it."""
    if choice.known or to.trusted:
        return
    where = f"inv restore --app {app.name} --source {name} --archive {choice.archive.name} --target FOLDER"
    raise RefusedError(
        f"{app.name}: nothing was restored of {name}: {choice.archive.name}: {UNKNOWN}, and what it holds would run on"
        " the live server",
        f'look into it: `{where}`; `inv report.accept --app {app.name} --reason "..."` makes it known, --trust-archive '
        "takes it as it is",
    )


def spool(stream: Stream, folder: str, expected: Mapping[str, object], undo: str = ":") -> Stream:
    """Return bash that puts all of a stream into the file FILE of a new private folder, which ends with the script.

    `expected` is what the guard must find, of it `bytes` at least. `undo` is bash that runs if the script fails. After
    it the environment has nothing that only the stream may know.
    """
    size = int(str(expected["bytes"]))
    checked = guarded(stream, expected)
    place = quote((folder,))
    body = f"""\
cleanup() {{
  code=$?
  trap '' TERM INT HUP
  [ "$code" = 0 ] || {{ {undo}
  }} >&2 || :
  chmod -R u+rwX -- {place} 2>/dev/null
  rm -rf -- {place}
  exit "$code"
}}
trap cleanup EXIT
mkdir -m 700 -- {place}
room=$(df -PB1 -- {place} | awk 'NR == 2 {{ print $4 }}')
[ "${{room:-{size}}}" -ge {size} ] || {{ echo "{OURS}$room bytes are free" >&2; exit {NO_ROOM}; }}
{{ {checked.body}
}} >{quote((posixpath.join(folder, FILE),))} || exit {UNREADABLE}
{without(stream)}"""
    return Stream(body, checked.environment)


def require_spooled(code: int, said: str, context: str, size: int, place: str = FOLDER) -> None:
    """Raise AppError if a script ended because the dump could not be put into its file, in `place`."""
    lines = [line for line in said.splitlines() if line.strip()]
    if code == NO_ROOM:
        free = next((line.removeprefix(OURS) for line in lines if line.startswith(OURS)), "")
        raise AppError(f"{context}: the dump has {size} bytes, and {free}", f"make room in {place}")
    if code == UNREADABLE:
        ours = [line.removeprefix(OURS) for line in lines if line.startswith(OURS)]
        theirs = [line for line in lines if not line.startswith(OURS)]
        why = next(iter(theirs[-1:] or ours[-1:]), "it does not say why")
        raise AppError(f"{context}: the archive cannot be read: {why}")
