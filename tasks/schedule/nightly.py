"""`nightly`: does what is due now, by `schedule` and by what the records say was done last.

The order is backup, check, verify, prune: what saves comes first, and space is freed of what was looked at before (a
drill that failed keeps prune from freeing anything). What failed, or was missed, is due until it was done:
another call makes it up. The tasks' notices are joined into one.
"""

import fcntl
import hashlib
import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import tasks.fleet.backup as fleet_backup
import tasks.fleet.check as fleet_check
import tasks.fleet.prune as fleet_prune
import tasks.fleet.verify as fleet_verify
from tasks.errors import AppError, CloudbackupError
from tasks.inventory.inventory import Inventory
from tasks.inventory.models import App
from tasks.json_output import written
from tasks.records.record import UNCHANGED, Record
from tasks.run.notices import Gathered
from tasks.run.parallel import PARALLEL, over_apps
from tasks.run.paused import said
from tasks.run.session import Session
from tasks.run.view import Telling
from tasks.schedule import looked_at
from tasks.schedule.due import apps_due
from tasks.sources.kinds import is_log
from tasks.sources.registry import chosen, names_own
from tasks.storage.registry import load
from tasks.times import shown as shown_time

SLOW = 4  # apps at a time, of tasks that put a heavy load on a storage
AHEAD = timedelta(minutes=10)
HANGING = timedelta(days=1)
SAVES, FREES = "backup", "prune"
READ = 3  # newest records of each kind that are read

Plan = Mapping[str, Sequence[str]]
Turns = Mapping[str, datetime | None]


@dataclass(frozen=True)
class Options:
    """Which apps (none: all), of these the part I/N, how many at a time, whether to show only, how much is printed."""

    apps: Sequence[str] = ()
    part: str | None = None
    parallel: int = PARALLEL
    dry_run: bool = False
    telling: Telling = field(default_factory=Telling)


def run(folder: str, options: Options) -> int:
    """Do what is due and return the exit code: that of the first task, in their order, that was not well.

    While another `nightly` of the same inventory runs on this machine, nothing is done. One that only shows what is due
    takes no turn, or a timer's would pass over the night. Raises UsageError, InterruptedRunError.
    """
    inventory = load(Path(folder))
    with nullcontext(True) if options.dry_run else only_one(inventory) as free:  # noqa: FBT003
        if not free:
            print("another `nightly` of this inventory runs on this machine: nothing was done")
            return 0
        now = datetime.now(UTC)
        if not options.telling.quiet and not options.telling.json:
            for app in _paused(inventory, options, now).values():
                print(f"{said(app)}: passed over")
        plan = planned(inventory, options, now)
        if options.telling.json:
            print(written({"due": plan, "paused": sorted(_paused(inventory, options, now))}))
            return 0
        if options.dry_run or not any(plan.values()):
            for line in shown(plan):
                print(line)
            return 0
        codes = []
        with Gathered(inventory, every=not options.apps and not options.part) as gathered:
            if plan[SAVES]:
                codes.append(_STEPS[SAVES](folder, plan[SAVES], options, gathered))
                plan = planned(inventory, options, now)  # an app that was saved for the first time can be looked at
            codes += [
                _STEPS[task](folder, apps, options, gathered) for task, apps in plan.items() if apps and task != SAVES
            ]
        return next((code for code in codes if code), 0)


def _paused(inventory: Inventory, options: Options, now: datetime) -> dict[str, App]:
    """Return the chosen apps that are paused, by name."""
    return {app.name: app for app in inventory.select(options.apps, options.part) if app.paused_at(now)}


def shown(plan: Plan) -> Iterator[str]:
    """Yield a line for each task: which apps are due."""
    for task, apps in plan.items():
        yield f"{task:7}  {', '.join(apps) or 'nothing is due'}"


def planned(inventory: Inventory, options: Options, now: datetime) -> dict[str, Sequence[str]]:
    """Return the apps that are due for each task, in the order in which they run. Asks the storages for records."""
    with Session(inventory) as session:
        apps = [app for app in inventory.select(options.apps, options.part) if not app.paused_at(now)]
        read = over_apps(session, apps, options.parallel, lambda app: _records(session, app), lambda _, error: error)
    looked = {app: time for app, time in looked_at.read(_file(inventory, "json")).items() if time <= now + AHEAD}
    turns: dict[str, dict[str, datetime | None]] = {task: {} for task, _ in inventory.schedule.tasks()}
    for app, records in zip(apps, read, strict=True):
        for task, own in turns.items():
            turn = _turn(task, app, records)
            if turn is not NOT_ITS_TASK:
                own[app.name] = _earlier(own[app.name], turn) if app.name in own else turn
    pruned = turns[FREES]
    pruned |= {app: max(looked[app], turn or looked[app]) for app, turn in pruned.items() if app in looked}
    return {task: apps_due(when, turns[task], now) for task, when in inventory.schedule.tasks()}


NOT_ITS_TASK = datetime.max.replace(tzinfo=UTC)


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the earlier turn of two copies of an app; None, never, is the earliest."""
    return None if one is None or other is None else min(one, other)


def _turn(task: str, app: App, records: Sequence[Record] | CloudbackupError) -> datetime | None:
    """Return when an app last had its turn with success, None for never; NOT_ITS_TASK if it has nothing to do there.

    Of an app that was never saved, or whose records cannot be read, only the backup is due: it says why.
    """
    if isinstance(records, CloudbackupError):
        return None if task == SAVES else NOT_ITS_TASK
    if task != SAVES and not any(record.action == SAVES and record.outcome != "failed" for record in records):
        return NOT_ITS_TASK
    if task == FREES and not app.prunable:
        return NOT_ITS_TASK
    wanted: Sequence[str | None] = (None,)
    if task == SAVES:
        wanted = [source for source in app.sources if not is_log(source)]
    elif task == "verify":
        wanted = chosen(app, (), alone=True)
    latest = datetime.now(UTC) + AHEAD  # a record of a clock that is far ahead says nothing
    turns = [
        max(
            (
                record.time
                for record in records
                if record.action in (task, UNCHANGED if task == SAVES else task)
                and (source is None or names_own(record, source))
                and record.outcome != "failed"
                and record.time <= latest
            ),
            default=None,
        )
        for source in wanted
    ]
    if not turns:
        return NOT_ITS_TASK
    known = [turn for turn in turns if turn is not None]
    return min(known) if len(known) == len(turns) else None


def _records(session: Session, app: App) -> Sequence[Record] | CloudbackupError:
    try:
        return session.storage_of(app).read_records(app, newest=READ).all
    except CloudbackupError as error:
        return error


def _file(inventory: Inventory, ending: str) -> Path:
    """Return a file of this inventory's in the cache of this machine."""
    mark = hashlib.sha256(str(inventory.folder.resolve()).encode()).hexdigest()[:16]
    return inventory.cache / f"nightly-{mark}.{ending}"


@contextmanager
def only_one(inventory: Inventory) -> Iterator[bool]:
    """Yield whether this is the only process in here, of this inventory on this machine. Raises AppError."""
    file = _file(inventory, "lock")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as opened:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _refuse_hanging(file)
                yield False
                return
            os.utime(file)  # since when it runs
            yield True
    except OSError as error:
        if error.filename != str(file) and error.filename != str(file.parent):
            raise
        raise AppError(
            f"cannot write {file}: {error.strerror}", "`cache` in cloudbackup.yml names another folder"
        ) from error


def _refuse_hanging(file: Path) -> None:
    """Raise AppError if the other `nightly` that holds the lock has run for a day: no later one does anything."""
    since = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    if datetime.now(UTC) - since > HANGING:
        raise AppError(
            f"another `nightly` of this inventory runs on this machine since {shown_time(since)}: nothing is saved",
            f"look what it waits for, or end it (`fuser {shlex.quote(str(file))}` names its process)",
        )


def _backup(folder: str, apps: Sequence[str], options: Options, gathered: Gathered) -> int:
    chosen = fleet_backup.Options(apps, (), None, options.parallel, options.telling)
    return fleet_backup.run(folder, chosen, gathered)


def _prune(folder: str, apps: Sequence[str], options: Options, gathered: Gathered) -> int:
    chosen = fleet_prune.Options(apps, parallel=min(options.parallel, SLOW), telling=options.telling)
    now = datetime.now(UTC)
    code = fleet_prune.run(folder, chosen, lambda _question: True, gathered)
    if code == 0:
        looked_at.write(_file(load(Path(folder)), "json"), apps, now)
    return code


def _check(folder: str, apps: Sequence[str], options: Options, gathered: Gathered) -> int:
    chosen = fleet_check.Options(apps, parallel=min(options.parallel, SLOW), telling=options.telling)
    return fleet_check.run(folder, chosen, gathered)


def _verify(folder: str, apps: Sequence[str], options: Options, gathered: Gathered) -> int:
    chosen = fleet_verify.Options(apps=apps, parallel=options.parallel, telling=options.telling)
    return fleet_verify.run(folder, chosen, gathered)


_STEPS: Mapping[str, Callable[[str, Sequence[str], Options, Gathered], int]] = {
    SAVES: _backup,
    "check": _check,
    "verify": _verify,
    FREES: _prune,
}
