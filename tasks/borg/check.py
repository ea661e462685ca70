"""`borg check`, together with a comparison of the repository with the records."""

from typing import Any

from tasks.borg import guard
from tasks.borg.client.check import Checked, CheckOptions, check
from tasks.borg.removal import Target, seen, vouched
from tasks.errors import AppError
from tasks.inventory.models import App


def examine(target: Target, options: CheckOptions) -> tuple[Checked, dict[str, Any]]:
    """Check; return borg's findings, and details for the record: other anomalies are in `doubts`.

    If there is no anomaly, the record vouches for the repository. If every object was read and found correct, rewritten
    objects have lost nothing. Raises RefusedError, BorgError, HostError.
    """
    done = check(target.repository, options, target.how)
    if done.problems:
        return done, {}
    found = guard.look(target.session, target.app, target.repository, target.how)
    details = seen(found)
    if found.doubts:
        details["doubts"] = [doubt.text for doubt in found.doubts]
    else:
        details |= vouched(found)
    if options.verify_data:
        details["recount"] = True
    return done, details


def refuse_damaged(app: App, done: Checked) -> None:
    """Raise AppError if borg found a problem."""
    if done.problems:
        raise AppError(
            f"{app.name}: the repository is damaged: {done.problems[0]}",
            "keep a copy of it before anything else, then see borg's documentation of `check --repair`",
        )
