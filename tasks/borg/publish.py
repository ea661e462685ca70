"""`borg.publish`: makes a published copy that lost objects complete again, from the repository on its host.

It is announced first, and running it again completes what was begun.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from tasks.borg.announcement import announce, unended
from tasks.borg.apps import Opened
from tasks.borg.client.list import archives
from tasks.borg.client.runner import checked
from tasks.borg.recorder import noted
from tasks.errors import RefusedError, UsageError
from tasks.records.ledger import ENDS, Ledger, ledger
from tasks.storage.published.publication import Loss
from tasks.storage.repository import Repository, Side
from tasks.units import size

ACTION = "publish"
NAMED = 3


def publish(opened: Opened, *, dry_run: bool, ask: Callable[[str], bool]) -> Iterator[str]:
    """Publish what the copy lost, and whatever is new; print what was published.

    The host's repository must be at least as new as what was published, hold all recorded archives, and pass a check.
    Raises UsageError for a storage that borg writes to directly, RefusedError, AppError, BorgError, HostError.
    """
    app, publication = opened.app, opened.repository.publication
    if publication is None:
        raise UsageError(f"{app.label}: nothing is published: borg itself writes to its storage")
    loss = publication.examine()
    yield f"{app.label}: {_told(loss)}"
    if dry_run:
        return
    if not ask(f"Publish {app.label} again from {opened.repository.url} on {opened.repository.host.name}?"):
        yield f"{app.label}: nothing was published"
        return
    storage, here = opened.session.storage_of(app), replace(opened.repository, side=Side.HOST)
    with noted(opened.session, app, ACTION) as note:
        known = ledger(storage.read_history(app))
        _refuse_less(here, known)
        checked(here, f"the repository in {here.url}")
        token = announce(storage, app, ACTION)
        published = publication.republish()
        note.values["transaction"] = published
        note.add({ENDS: [token, *unended(known, ACTION)]})
        note.add({"missing": loss.missing, "changed": list(loss.changed), "size": loss.size})
    yield f"{app.label}: published, up to transaction {published}; `inv backup --app {app.name}` goes on from there"


def _told(loss: Loss) -> str:
    if not (loss.missing or loss.changed or loss.size):
        return "the published copy is whole, and there is nothing new"
    changed = f", {len(loss.changed)} not as they were published ({', '.join(loss.changed[:NAMED])})"
    return f"{loss.missing} objects are missing{changed if loss.changed else ''}; {size(loss.size)} are to be sent"


def _refuse_less(here: Repository, known: Ledger) -> None:
    """Raise RefusedError if recorded archives are missing from the repository to be published."""
    missing = sorted(known.expected - {archive.id for archive in archives(here).archives})
    if missing:
        names = [known.made.get(each) or f"one of id {each[:12]}" for each in missing]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise RefusedError(
            f"{here.app}: nothing is published: {', '.join(names[:NAMED])}{more} should be in {here.url}, and is not",
            f"look who removed it: `inv report --app {here.app}`; the copy may still hold it",
        )
