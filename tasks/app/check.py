"""`app.check`: several apps at a time, one line per check."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tasks.app.check_result import Check
from tasks.app.checks import checks
from tasks.errors import CloudbackupError
from tasks.inventory.models import App
from tasks.json_output import written
from tasks.run.parallel import over_apps
from tasks.run.paused import awake
from tasks.run.session import Session
from tasks.storage.registry import load
from tasks.terminal import one_line, own
from tasks.units import many, wants_colour

COLOURS = {"ok": 32, "warning": 33, "error": 31}


def run(folder: str, names: Sequence[str], *, as_json: bool = False) -> int:
    """Print all checks; return 0, 3 if some apps have an error, 4 if all have. Raises UsageError."""
    with Session(load(Path(folder))) as session:
        apps = awake(session.inventory, names, quiet=as_json)
        found = over_apps(session, apps, 4, lambda app: list(checks(session, app)), _unforeseen)
    bad = sum(any(check.level == "error" for check in each) for each in found)
    if as_json:
        copies = zip(apps, found, strict=True)
        every = [{**asdict(check), "storage": app.storage} for app, each in copies for check in each]
        print(written({"checks": every, "apps": len(found), "ready": len(found) - bad}))
    else:
        _show_all(apps, found, bad)
    return 0 if not bad else 4 if bad == len(found) else 3


def _show_all(apps: Sequence[App], found: Sequence[Sequence[Check]], bad: int) -> None:
    for app, each in zip(apps, found, strict=True):
        for check in each:
            _show(app.label, check)
    warnings = sum(check.level == "warning" for each in found for check in each)
    print(
        f"{len(found) - bad} of {many(len(found), 'app')} ready"
        + (f", {many(warnings, 'warning')}" if warnings else "")
    )


def _unforeseen(app: App, error: CloudbackupError) -> list[Check]:
    return [Check(app.name, "check", "error", error.what.removeprefix(f"{app.name}: "), error.remedy)]


def _show(label: str, check: Check) -> None:
    level = f"{check.level:7}"
    if wants_colour(sys.stdout):
        level = f"\033[{COLOURS[check.level]}m{level}\033[0m"
    print(f"{label}  {level}  {check.name:10}  {one_line(check.text)}", file=own(sys.stdout))
    if check.remedy and check.level != "ok":
        print(f"      {one_line(check.remedy)}", file=own(sys.stdout))
