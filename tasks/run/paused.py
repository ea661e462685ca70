"""Passing over apps that are paused, which is said of each, so that nobody takes a run for one over all apps."""

from collections.abc import Sequence
from datetime import UTC, datetime

from tasks.errors import UsageError
from tasks.inventory.inventory import Inventory
from tasks.inventory.models import App
from tasks.inventory.tag import Tag
from tasks.times import paused_until


def awake(inventory: Inventory, names: Sequence[str], part: str | None = None, *, quiet: bool = False) -> list[App]:
    """Return the chosen apps (see `Inventory.select`) without those that are paused, and print which these are.

    Raises UsageError if nothing is left of apps that were named: a script must not take that for a backup.
    """
    chosen, now = inventory.select(names, part), datetime.now(UTC)
    left = [app for app in chosen if not app.paused_at(now)]
    if chosen and not left and names and not any(isinstance(name, Tag) for name in names):
        raise UsageError(
            "; ".join(said(app) for app in _once(chosen)),
            "nothing was done: take `paused` out of the app's file to go on now (a restore works all the same)",
        )
    if not quiet:
        for app in _once([app for app in chosen if app not in left]):
            print(f"{said(app)}: passed over", flush=True)
    return left


def said(app: App) -> str:
    """Return `shop is paused until 24 Dec 2026`, of an app that has such a day."""
    assert app.paused is not None, app.name
    return f"{app.name} is {paused_until(app.paused)}"


def _once(apps: Sequence[App]) -> list[App]:
    """Return the first copy of each app."""
    return list({app.name: app for app in reversed(apps)}.values())[::-1]
