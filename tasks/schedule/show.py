"""`schedule.show`: what is due when, in this machine's zone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tasks.inventory.inventory import Inventory
from tasks.json_output import written
from tasks.schedule.due import newest, upcoming
from tasks.sources.kinds import is_log
from tasks.storage.registry import load
from tasks.times import moment, utc

HEADERS = ("task", "schedule", "was due", "is due next")


def run(folder: str, *, as_json: bool = False) -> str:
    """Return the table, or the JSON for programs. Contacts nothing. Raises UsageError."""
    inventory = load(Path(folder))
    now = datetime.now(UTC)
    return document(inventory, now) if as_json else "\n".join(table(inventory, now))


def table(inventory: Inventory, now: datetime) -> Iterator[str]:
    """Yield the lines of a table, tasks in the order in which `nightly` runs them."""
    from tabulate import tabulate

    rows = []
    for task, when in inventory.schedule.tasks():
        before, after = newest(when, now), upcoming(when, now)
        rows.append((task, when.text, *(moment(each, now) if each else "never" for each in (before, after))))
    every = inventory.schedule.binlog
    if every is not None and has_logs(inventory):
        rows.append(("mariadb.binlog", f"every {spelled(every)}", "", ""))
    yield from tabulate(rows, headers=HEADERS, tablefmt="plain", disable_numparse=True).splitlines()
    if inventory.schedule.spread:
        yield f"each machine begins up to {spelled(inventory.schedule.spread)} later"


def document(inventory: Inventory, now: datetime) -> str:
    """Return the schedule as JSON: version, now, and of each task its schedule and two times in UTC, null for never."""
    tasks = [
        {
            "task": task,
            "schedule": when.text,
            "was_due": utc(before) if (before := newest(when, now)) else None,
            "due_next": utc(after) if (after := upcoming(when, now)) else None,
        }
        for task, when in inventory.schedule.tasks()
    ]
    every, jitter = inventory.schedule.binlog, inventory.schedule.spread
    said = {
        "now": utc(now),
        "tasks": tasks,
        "binlog_seconds": int(every.total_seconds()) if every and has_logs(inventory) else None,
        "jitter_seconds": int(jitter.total_seconds()),
    }
    return written(said)


def has_logs(inventory: Inventory) -> bool:
    """Whether an app has a source of logs, such as binary logs."""
    return any(is_log(source) for app in inventory.apps.values() for source in app.sources)


def spelled(span: timedelta) -> str:
    """Return a duration in the largest unit that divides it: `5 min`, `1 h`."""
    seconds = int(span.total_seconds())
    for length, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds % length == 0 and seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
