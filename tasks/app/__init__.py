"""The inventory as a person sees it: which apps there are, and whether all that they need is in place."""

from typing import Any

from invoke.exceptions import Exit

from tasks.cli import APP_HELP, task


@task(name="list", help={"app": APP_HELP}, iterable=["app"])
def list_apps(c: Any, app: Any = None) -> None:
    """List the apps of the inventory: host, storage, what is backed up."""
    from tasks.app import listing

    print(listing.table(c.config.inventory, tuple(app or ())))


@task(name="check", help={"app": APP_HELP}, iterable=["app"])
def check_apps(c: Any, app: Any = None) -> None:
    """Test that each app's host, server, storage and repository are reachable and ready. Changes nothing."""
    from tasks.app import checking

    code = checking.run(c.config.inventory, tuple(app or ()))
    if code:
        raise Exit(code=code)
