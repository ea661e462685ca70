"""A repository at a new address, or put back to a former state: compared with the records, then confirmed to borg.

Borg remembers the address of each repository that a machine has seen, and refuses one that moved (BORG_BASE_DIR,
`security/<id>/location`), or that is older than it was (`manifest-timestamp`): somebody may have replaced it. So a borg
without memory lists it first, and it is confirmed on both sides only if its archives are the recorded ones.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from tasks.borg import guard
from tasks.borg.client.list import Listing, archives
from tasks.borg.client.runner import BorgError, How
from tasks.errors import RefusedError
from tasks.inventory.models import App
from tasks.run import client_cache
from tasks.run.session import Session
from tasks.storage.repository import Repository, Side

Ask = Callable[[str], bool]
ASKED = "BORG_RELOCATED_REPO_ACCESS_IS_OK"
OLDER = "Cache.RepositoryReplay"  # borg's msgid for a repository that is older than this machine saw it
QUICK = How(lock_wait=30, timeout=300)
# A temporary folder instead of the one in which borg remembers addresses, on whichever machine it runs.
FORGETFUL = replace(
    QUICK, first="BORG_BASE_DIR=$(mktemp -d); export BORG_BASE_DIR; trap 'rm -rf \"$BORG_BASE_DIR\"' EXIT"
)
CONFIRMING = replace(QUICK, environment={ASKED: "yes"})


def confirm_address(session: Session, app: App, ask: Ask) -> Iterator[str]:
    """Compare the repository at the inventory's address with the records, ask, and confirm it on both sides.

    A side that saw the repository in a newer state forgets that. Yields messages for people. Raises RefusedError if the
    records do not match or there are none, or if the person declines; BorgError, HostError, FilesError.
    """
    repository = session.repository(app, Side.OPERATOR)
    found = guard.look(session, app, repository, FORGETFUL, patience=guard.AT_ONCE)
    if not found.records.all:
        raise RefusedError(
            f"{app.name}: no record lies beside {repository.url}, so nothing tells whether it is the same repository",
            "move the folder `records` together with the repositories, or correct `directory` of the storage",
        )
    if found.doubts:
        doubts = "; ".join(doubt.text for doubt in found.doubts)
        remedy = (
            f"look at it before anything is confirmed: `inv borg.rollback --app {app.name}` shows what was done to it; "
            "if you put it back to a former state, put the folder `records` beside it back to the same time, too"
        )
        raise RefusedError(f"{app.name}: {repository.url} is not as the records tell: {doubts}", remedy)
    newest = found.listing.archives[-1].name if found.listing.archives else "none"
    yield f"{app.name}: {repository.url}"
    count = len(found.listing.archives)
    yield f"  repository {found.listing.repository_id}, archives: {count}, as recorded; the newest: {newest}"
    if not ask(f"Does {app.name}'s repository lie there now?"):
        raise RefusedError(f"{app.name}: nothing was confirmed")
    for side in (Side.OPERATOR, Side.HOST):
        own = session.repository(app, side)
        listed = _confirmed(own, found.listing.repository_id)
        if listed.repository_id != found.listing.repository_id:
            raise RefusedError(f"{app.name}: {own.host.name} sees another repository ({listed.repository_id})")
        yield f"  confirmed on {'this machine' if own.host is session.operator else own.host.name}"


def _confirmed(repository: Repository, identity: str) -> Listing:
    """List the archives at the new address. A newer state that is remembered is forgotten, and borg's cache with it."""
    try:
        return archives(repository, how=CONFIRMING)
    except BorgError as error:
        if error.msgid != OLDER:
            raise
    client_cache.forget(repository, identity)
    return archives(repository, how=CONFIRMING)
