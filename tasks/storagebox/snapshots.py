"""`storagebox.snapshots`: copies of a whole box that SSH keys cannot change."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hcloud.storage_boxes import StorageBoxSnapshotPlan

from tasks.errors import AppError, CloudbackupError, UsageError
from tasks.run.client_cache import forgotten
from tasks.run.session import Session
from tasks.storage.registry import load
from tasks.storagebox.box import Box, opened
from tasks.storagebox.choose import apps_of, one
from tasks.storagebox.document import as_lines, list_alone
from tasks.units import size

if TYPE_CHECKING:
    from hcloud.storage_boxes import BoundStorageBoxSnapshot

Ask = Callable[[str], bool]
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SHOWN = 5  # archives listed in a question


@dataclass(frozen=True)
class Change:
    """The change to make, all empty for none; `plan` is a UTC time of day such as 03:30, `keep` how many it keeps.

    `as_json` lists them as JSON.
    """

    create: bool = False
    description: str = ""
    delete: str = ""
    rollback: str = ""
    plan: str = ""
    keep: int = 0
    weekday: int = 0
    no_plan: bool = False
    as_json: bool = False


def run(folder: str, storage: str, change: Change, ask: Ask) -> Iterator[str]:
    """Make the change, or list the snapshots, a line each. Raises UsageError, AppError."""
    changes = sum(map(bool, (change.create, change.delete, change.rollback, change.plan, change.no_plan)))
    if changes > 1:
        raise UsageError("one thing at a time: --create, --delete, --rollback, --plan or --no-plan")
    list_alone(bool(changes), as_json=change.as_json)
    plan = _plan(change) if change.plan else None
    with Session(load(Path(folder))) as session, opened(session.inventory, one(session.inventory, storage)) as box:
        if plan is not None:
            box.bound.enable_snapshot_plan(plan).wait_until_finished()
            yield f"{box.name}: a snapshot {_when(plan)}, the newest {plan.max_snapshots} are kept"
            return
        yield from _done(session, box, change, ask)


def _done(session: Session, box: Box, change: Change, ask: Ask) -> Iterator[str]:
    if change.create:
        yield _create(box, change.description)
    elif change.delete:
        yield from _delete(box, change.delete, ask)
    elif change.rollback:
        yield from _roll_back(session, box, change.rollback, ask)
    elif change.no_plan:
        box.bound.disable_snapshot_plan().wait_until_finished()
        yield f"{box.name}: no more automatic snapshots; those there are stay"
    elif change.as_json:
        yield from as_lines(_document(box))
    else:
        yield from _list(box)


def _plan(change: Change) -> StorageBoxSnapshotPlan:
    hour, colon, minute = change.plan.partition(":")
    if not colon or not (hour.isdigit() and minute.isdigit() and int(hour) < 24 and int(minute) < 60):
        raise UsageError(f"--plan {change.plan} is no time of day", "write it as 03:30, in UTC")
    if change.keep < 1:
        raise UsageError("--keep is missing", "it says how many automatic snapshots stay, such as --keep 7")
    if not 0 <= change.weekday <= 7:
        raise UsageError(f"--weekday {change.weekday} is none", "1 is Monday, 7 is Sunday")
    return StorageBoxSnapshotPlan(change.keep, int(hour), int(minute), change.weekday or None)


def _when(plan: StorageBoxSnapshotPlan) -> str:
    day = f"every {DAYS[plan.day_of_week - 1]}" if plan.day_of_week else "every day"
    if plan.day_of_month:
        day = f"on day {plan.day_of_month} of every month"
    return f"{day} at {plan.hour:02d}:{plan.minute:02d} UTC"


def _list(box: Box) -> Iterator[str]:
    for each in _newest_last(box):
        how = "automatic" if each.is_automatic else "manual"
        held = each.stats.size if each.stats else None
        yield f"{each.name}  {how:9}  {size(held):>7}  {each.description or ''}".rstrip()
    plan = box.bound.snapshot_plan
    yield (
        f"{box.name}: a snapshot {_when(plan)}, the newest {plan.max_snapshots} are kept"
        if plan
        else (f"{box.name}: no automatic snapshots (`--plan 03:30 --keep 7` begins them)")
    )


def _document(box: Box) -> Mapping[str, Any]:
    snapshots = [
        {
            "name": each.name,
            "created": each.created,
            "automatic": each.is_automatic,
            "size": each.stats.size if each.stats else None,
            "description": each.description or None,
        }
        for each in _newest_last(box)
    ]
    plan = box.bound.snapshot_plan
    planned = plan and {"when": _when(plan), "kept": plan.max_snapshots}
    return {"storage": box.name, "snapshots": snapshots, "plan": planned or None}


def _newest_last(box: Box) -> "list[BoundStorageBoxSnapshot]":
    return sorted(box.bound.get_snapshot_all(), key=_created)


def _created(snapshot: "BoundStorageBoxSnapshot") -> datetime:
    return snapshot.created or datetime.min.replace(tzinfo=UTC)


def _create(box: Box, description: str) -> str:
    made = box.bound.create_snapshot(description=description or None)
    made.action.wait_until_finished()
    made.snapshot.reload()  # the create response contains only a part of it
    return f"{box.name}: snapshot {made.snapshot.name} made"


def _found(box: Box, name: str) -> "BoundStorageBoxSnapshot":
    found = next((each for each in box.bound.get_snapshot_all() if each.name == name), None)
    if found is None:
        raise AppError(f"{box.name}: there is no snapshot {name}", "`inv storagebox.snapshots` lists them")
    return found


def _delete(box: Box, name: str, ask: Ask) -> Iterator[str]:
    snapshot = _found(box, name)
    if not ask(f"Delete the snapshot {name} of {box.name} for good?"):
        yield f"{box.name}: nothing deleted"
        return
    snapshot.delete().action.wait_until_finished()
    yield f"{box.name}: snapshot {name} deleted"


def _roll_back(session: Session, box: Box, name: str, ask: Ask) -> Iterator[str]:
    """Roll the whole box back, after showing what will be lost: newer snapshots, and all archives and files since."""
    snapshot = _found(box, name)
    newer = [each.name or "" for each in _newest_last(box) if _created(each) > _created(snapshot)]
    lost, unknown = _archives_since(session, box.name, _created(snapshot))
    yield f"{box.name}: everything on the box goes back to {_created(snapshot):%Y-%m-%d %H:%M:%S} UTC. Lost will be:"
    yield f"  snapshots: {', '.join(newer) or 'none'}"
    yield f"  archives: {_some(lost)}"
    if unknown:
        yield f"  archives of {', '.join(unknown)}: unknown, their records cannot be read"
    yield "  and every other file written since, of all accounts, records and keys too"
    if not ask(f"Roll {box.name} back to {name} and lose all that?"):
        yield f"{box.name}: nothing changed"
        return
    box.bound.rollback_snapshot(snapshot).wait_until_finished()
    yield f"{box.name}: rolled back to {name}"
    faults = [fault for app in apps_of(session.inventory, box.name) for fault in forgotten(session, app)]
    yield from (f"  {fault}" for fault in faults)
    if faults:
        yield "  borg refuses there what is older than it knew, and says what to do"
    yield "  `inv storagebox.setup` brings back keys made since; `inv report` shows what there is now"


def _archives_since(session: Session, storage: str, time: datetime) -> tuple[list[str], list[str]]:
    names: list[str] = []
    unknown: list[str] = []
    for app in apps_of(session.inventory, storage):
        try:
            records = session.storage(storage).read_records(app).all
        except CloudbackupError:
            unknown.append(app.name)
            continue
        # Records have whole seconds: one from the snapshot's own second may be newer than it.
        second = time.replace(microsecond=0)
        names += [each.archive for each in records if each.action == "backup" and each.archive and each.time >= second]
    return names, unknown


def _some(names: list[str]) -> str:
    if not names:
        return "none that a record tells of"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)}: {', '.join(names[-SHOWN:])}{more}"
