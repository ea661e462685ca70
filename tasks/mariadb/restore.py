"""Replaces a server's data by a backup: everything is checked first, old data is kept, any failure is undone."""

import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from tasks.answers import Answer, AnswerError, Text, last_line
from tasks.containers.one_off import OneOff
from tasks.errors import RefusedError, UsageError
from tasks.mariadb import errors, point_in_time, replica_position, server, unpack
from tasks.mariadb.access import CLIENT, PASSWORD, Access
from tasks.mariadb.host import datadir, service, swap_datadir, tables
from tasks.mariadb.host.tables import LISTING, Known
from tasks.mariadb.point_in_time import Moment, Recovered
from tasks.mariadb.server import Server
from tasks.mariadb.unpack import OnLine, Unpacked
from tasks.remote.host import Host
from tasks.remote.program import Program
from tasks.remote.script import Script, Stream, Words, quote
from tasks.units import size

SWAP = Program(swap_datadir, (service,))
SERVICE = Program(service)
DATADIR = Program(datadir)
DEFAULT_DATADIR = "/var/lib/mysql"
NAMED = 5  # tables named in a message
PATIENCE = 300  # seconds for the server to stop and to answer: both may involve much I/O


@dataclass(frozen=True)
class Place:
    """The paths of a restore, as the host sees them; `staging_for_tools` is `staging` as the database tools see it.

    `server` is None if it is not running.
    """

    datadir: str
    staging: str
    staging_for_tools: str
    old: str
    server: Server | None


@dataclass(frozen=True)
class Placed:
    """A restore in place that succeeded.

    `old` is the directory with the previous data, including its binary logs: the restored server starts new ones under
    the same names, so a new backup should follow at once. `remarks` are for people.
    """

    unpacked: Unpacked
    old: str
    remarks: tuple[str, ...]
    seconds: float
    recovered: Recovered | None = None


@dataclass(frozen=True)
class RestoreRequest:
    """What to restore: `content` produces the archive's stream of `size` bytes; `moment` is a later moment, or None.

    `version` is that of the saved server, `tables` are those expected in the archive, `server` is what the backup's
    record has of the server, if known. `trust`: if no walls can be built, what comes out of the archive may run with
    the rights of the user who restores. `partial`: the content is not all of the archive.
    """

    content: Stream
    size: int | None = None
    moment: Moment | None = None
    version: str = ""
    tables: Known | None = None
    trust: bool = False
    server: Mapping[str, Any] = field(default_factory=dict)
    inside: OneOff | None = None  # the container in which it is unpacked, in place of walls
    partial: bool = False

    @property
    def read(self) -> str:
        """Say how much of the archive is read, for a part of it."""
        part = f"only what it needs is read of the archive: {size(self.size or 0)}"
        return part if self.partial else "the whole archive is read"

    def unpacking(self, directory: str, prefix: Words = ()) -> Script:
        """Return the script that unpacks it; `prefix` is the app's `exec`."""
        prefix = prefix or (self.inside.exec() if self.inside else ())
        return unpack.script(self.content, directory, unpack.How(self.size, self.version, prefix, self.trust))


def in_place(host: Host, access: Access, request: RestoreRequest, on_stderr: OnLine | None = None) -> Placed:
    """Replace the app's database by that of an archive. The server runs until the new data is ready.

    Raises RefusedError before anything changed if this server cannot be restored in place; what `unpack.run` raises;
    errors.DatabaseError, which says where the old data is.
    """
    if request.moment is not None and access.database.exec and request.inside is None:
        raise RefusedError(
            f"{host.name}: a server behind `exec` cannot be brought to a moment in place, unless that is `docker exec`"
            " or `podman exec` into a container that is there",
            "restore to a directory (--target, with --to local where MariaDB is not installed on the host)",
        )
    place = look(host, access, datetime.now(UTC))
    _require_same_series(host, place, request.version)
    unpacked, recovered = _unpacked(host, access, request, place, on_stderr)
    try:
        _require_same_series(host, place, unpacked.version)
    except RefusedError:
        host.run(Script(quote(("rm", "-rf", "--", place.staging))))
        raise
    placed = replace(_swap(host, access, place, unpacked, on_stderr), recovered=recovered)
    if access.database.exec:
        return replace(placed, unpacked=replica_position.answered(host, access, unpacked, request.server))
    return placed


def to_directory(
    host: Host, request: RestoreRequest, directory: str, on_stderr: OnLine | None = None
) -> tuple[Unpacked, Recovered | None]:
    """Restore into a new or empty directory of `host`, prepared, so that a server can start on it.

    Raises as `unpack.run` and `point_in_time.read`.
    """
    if request.moment is None:
        unpacking = request.unpacking(directory)
        if request.inside is not None:
            unpacking = unpack.contained(unpacking, directory, request.inside)
        unpacked = unpack.run(host, unpacking, directory, on_stderr)
        _require_all(host, request, (), directory)
        if request.inside is not None and not unpacked.replica:
            return unpacked, None
        return replica_position.asked(host, unpacked, request.server, trust=request.trust, on_stderr=on_stderr), None
    moment = replace(request.moment, trust=request.trust, inside=request.inside)
    todo = point_in_time.script(request.unpacking(directory), moment, directory, expected=request.tables)
    return point_in_time.read(host, host.run(todo, on_stderr=on_stderr), directory)


def _unpacked(
    host: Host, access: Access, request: RestoreRequest, place: Place, on_stderr: OnLine | None
) -> tuple[Unpacked, Recovered | None]:
    if request.moment is None:
        unpacking = request.unpacking(place.staging_for_tools, access.database.exec)
        unpacked = unpack.run(host, unpacking, place.staging, on_stderr)
        _require_all(host, request, access.database.exec, place.staging_for_tools)
        if access.database.exec:
            return replace(unpacked, walls=("the server's container",)), None
        return replica_position.asked(host, unpacked, request.server, trust=request.trust, on_stderr=on_stderr), None
    log = place.server.variables.get("log_bin_basename", "") if place.server else ""
    name = posixpath.basename(log) or None
    unpacking = request.unpacking(place.staging)
    moment = replace(request.moment, trust=request.trust, inside=request.inside)
    todo = point_in_time.script(unpacking, moment, place.staging, name, request.tables)
    return point_in_time.read(host, host.run(todo, on_stderr=on_stderr), place.staging)


def _require_all(host: Host, request: RestoreRequest, prefix: Words, directory: str) -> None:
    """Raise errors.DatabaseError, and remove what was restored, if expected tables are missing."""
    if request.tables is None:
        return
    output = host.run(Script(quote((*prefix, "sh", "-c", LISTING, "sh", directory))), timeout=600)
    gone = tables.lacking(request.tables, tables.tables(tables.listed(output.text)))
    if gone:
        host.run(Script(quote((*prefix, "rm", "-rf", "--", directory))))
        raise errors.DatabaseError(
            f"{host.name}: {len(gone)} tables of the server that was saved are missing: {', '.join(gone[:NAMED])}",
            "nothing was put in place; an older backup may have them: --archive",
        )


def look(host: Host, access: Access, now: datetime) -> Place:
    """Find out where the restored data goes. Changes nothing. Raises RefusedError, UsageError, DatabaseError."""
    running, variables = _asked(host, access)
    _require_one_directory(host, access, variables)
    theirs = variables.get("datadir", DEFAULT_DATADIR).rstrip("/")
    folder = access.database.datadir or theirs
    if not access.database.exec and running and posixpath.normpath(folder) != posixpath.normpath(theirs):
        raise RefusedError(
            f"{host.name}: the server's data directory is {theirs}, the inventory says {folder}",
            "correct `datadir` of the app, or leave it out",
        )
    require_own(host, access, folder)
    time = now.strftime("%Y-%m-%dT%H-%M-%S")
    probe = Script(quote((*DATADIR.words, folder, f".cloudbackup-{time}")), DATADIR.environment)
    output = host.run(probe, timeout=60)
    if not output.ok:
        raise errors.error(output.error_text, f"{host.name}: cannot restore in place")
    if access.database.exec or output.text.strip() == "within":
        within = f".restoring-{time}"
        return Place(folder, f"{folder}/{within}", f"{theirs}/{within}", f"{folder}/.before-restore-{time}", running)
    staging = f"{folder}.restoring-{time}"
    return Place(folder, staging, staging, f"{folder}.before-restore-{time}", running)


def require_own(host: Host, access: Access, folder: str) -> None:
    """Raise RefusedError if `stop` would stop another server than the one on a data directory, or none."""
    plan = {"datadir": folder, "stop": list(access.database.stop)}
    script = Script(quote((*SERVICE.words, json.dumps(plan))), SERVICE.environment)
    try:
        found = last_line(_Service, host.run(script, timeout=120).text)
    except AnswerError:
        return  # no valid answer; what `stop` stopped is also checked afterwards
    if found.fault:
        raise RefusedError(f"{host.name}: {found.fault}", found.remedy)


class _Service(Answer):
    """The answer of `host/service.py`."""

    fault: Text
    remedy: Text


def swap_script(access: Access, place: Place) -> Script:
    """Return one script that stops the server, replaces the data and starts it, or undoes everything."""
    database = access.database
    plan = {
        "datadir": place.datadir,
        "new": place.staging,
        "old": place.old,
        "stop": list(database.stop),
        "start": list(database.start),
        "ask": access.command(CLIENT, ("--connect-timeout=5", "--execute=SELECT 1")),
        "private": [PASSWORD, *SWAP.environment],
        "answers": place.server is not None,
        "patience": PATIENCE,
    }
    body = quote((*SWAP.words, json.dumps(plan)))
    # Undoing takes a stop and a start: if the operator is lost, the script needs that much time.
    return Script(body, {**access.environment, **SWAP.environment}, grace=3 * PATIENCE, leaves=True)


def _asked(host: Host, access: Access) -> tuple[Server | None, dict[str, str]]:
    """Return the server, None if it is down or refuses us, and its variables or those of its option files."""
    try:
        asked = server.ask(host, access)
    except errors.DatabaseError as error:
        if access.database.exec:
            remedy = "start it: the tools that unpack the backup run there. Or restore to a directory"
            raise errors.DatabaseError(error.what, remedy) from error
        return None, _from_option_files(host)
    if access.database.exec and access.database.datadir is None:
        raise UsageError(
            f"{host.name}: where the host has the data directory of a server behind `exec` must be said",
            "set `datadir` of the app to the path of the volume on the host",
        )
    return asked, dict(asked.variables)


def _from_option_files(host: Host) -> dict[str, str]:
    """Return the variables set by option files on the host."""
    output = host.run(
        Script("if command -v my_print_defaults >/dev/null; then my_print_defaults --mysqld; fi"), timeout=60
    )
    options = (line.removeprefix("--").partition("=") for line in output.text.splitlines())
    found = {name.replace("-", "_"): value for name, _, value in options}
    log = found.get("log_bin", "")
    if "/" in log:
        found["log_bin_basename"] = log
    return found


def _require_one_directory(host: Host, access: Access, variables: dict[str, str]) -> None:
    datadir = variables.get("datadir") or access.database.datadir or DEFAULT_DATADIR
    elsewhere = server.elsewhere({**variables, "datadir": datadir})
    if elsewhere:
        named = ", ".join(f"{name} is {path}" for name, path in sorted(elsewhere.items()))
        raise RefusedError(
            f"{host.name}: the server keeps data outside of its data directory {datadir}: {named}",
            "restore to a directory (--target) and put its parts where they belong by hand",
        )


def _require_same_series(host: Host, place: Place, version: str) -> None:
    if place.server is None or not version:
        return
    theirs, ours = server.series(place.server.version), server.series(version)
    if theirs != ours:
        raise RefusedError(
            f"{host.name}: the backup is of MariaDB {ours}, the server of {theirs}",
            errors.UPGRADED.format(ours),
        )


class _End(Answer):
    """The answer of `host/swap_datadir.py`; the states are those of `_WHAT_NOW`, and `placed`."""

    state: Literal["placed", "back", "down", "apart"]
    why: Text


def _swap(host: Host, access: Access, place: Place, unpacked: Unpacked, on_stderr: OnLine | None) -> Placed:
    output = host.run(swap_script(access, place), on_stderr=on_stderr)
    try:
        end = last_line(_End, output.text)
        state, why = str(end.state), end.why
    except AnswerError:
        state, why = "unknown", output.error_text.strip() or f"exit code {output.code}"
    if state != "placed":
        raise errors.DatabaseError(f"{host.name}: the restore failed: {why}", _WHAT_NOW[state].format(place=place))
    remarks = [why] if why else []
    if posixpath.dirname(place.old) == place.datadir:
        remarks.append(f"until {place.old} is removed, the server lists it as a database; backups leave it out")
    remarks += [
        f"{name.removesuffix('.isl')} had its file elsewhere; it is in the data directory now"
        for name in unpacked.links
    ]
    return Placed(unpacked, place.old, tuple(remarks), unpacked.seconds + output.seconds)


_WHAT_NOW = {
    "back": "nothing has changed: the old data is in place and the server is as it was",
    "down": "the old data is in place, but the server does not answer: look into its error log",
    "apart": "the server is stopped; move what is in {place.old} back into {place.datadir}, then start it",
    "unknown": "look at the host: what was in {place.datadir} is there or in {place.old}",
}
