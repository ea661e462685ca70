"""A repository that a rollback took back to a former state: made usable again, and what is known of its archives."""

import posixpath
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from tasks.borg import escrow, transactions
from tasks.borg.check import refuse_damaged
from tasks.borg.client.check import CheckOptions, check
from tasks.borg.client.key_export import escrow_path, exported
from tasks.borg.client.list import Archive
from tasks.borg.removal import Target
from tasks.errors import CloudbackupError
from tasks.records.chronology import LONGEST
from tasks.records.ledger import FAILED_DRILL, NOT_GOOD, Ledger, ledger
from tasks.remote.files import Files
from tasks.run import client_cache
from tasks.storage.repository import Side

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # no archive is older, whatever its start says


def made_usable(target: Target, files: Files, folder: str) -> Iterator[str]:
    """Make clients forget the other state, restore the key from escrow if it differs, and check."""
    identity = client_cache.repository_id(files.read(posixpath.join(folder, "config")))
    yield from _forgotten(target, identity)
    yield from _key(target, identity)
    refuse_damaged(target.app, check(target.repository, CheckOptions(), target.how))


def _forgotten(target: Target, identity: str) -> Iterator[str]:
    """Make both sides forget the newer state. Yields a message about an unreachable host."""
    client_cache.forget(target.repository, identity)
    try:
        host = target.session.repository(target.app, Side.HOST)
        done = client_cache.forget(host, identity)
    except CloudbackupError:
        done = False
    if not done:
        yield (
            f"{target.app.name}: {target.app.host} could not be reached: before its next backup remove there "
            f"~/.cache/borg/{identity} and ~/.config/borg/security/{identity}/manifest-timestamp"
        )


def _key(target: Target, identity: str) -> Iterator[str]:
    """Restore the key from escrow if the repository's key differs."""
    name, folder = target.app.name, target.session.inventory.escrow
    path = escrow_path(folder, target.repository.storage, name)
    if fault := escrow.fault(folder, target.repository.storage, name, identity, None):
        yield f"{name}: the key in the repository stays: {fault}"
        return
    kept = path.read_bytes()
    try:
        same = exported(target.repository, how=target.how) == kept
    except CloudbackupError:
        same = False
    if not same:
        transactions.key_import(target.repository, kept, target.how)
        yield f"{name}: the key is again the one in {path}"


def known_then(target: Target, there: Sequence[Archive], known: Ledger) -> Ledger:
    """Return what records know of the archives that came back, whose own may be older than what is usually read."""
    back = [each.start for each in there if each.id not in known.ours]
    if not back:
        return known
    since = max(min(back), EARLIEST) - LONGEST
    return ledger(target.session.storage_of(target.app).read_history(target.app, since), since=since)


def condition(there: Sequence[str], *known: Ledger) -> dict[str, list[str]]:
    """Return the condition of the archives for the record's details: once proven, not good, failed in a drill."""
    return {
        name: [each for each in there if any(each in ids for ids in found)]
        for name, found in (
            ("proven_ids", [each.proven for each in known]),
            (NOT_GOOD, [each.not_good for each in known]),
            (FAILED_DRILL, [each.failed_drill for each in known]),
        )
    }
