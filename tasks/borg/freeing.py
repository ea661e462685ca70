"""Dropping archives and freeing their space: planned, guarded, told beforehand, and looked at again before it is final.

look -> plan -> may_free -> (a person says yes) -> a record of the intent -> delete -> look again -> compact
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.borg import guard
from tasks.borg.compact import compact
from tasks.borg.delete import delete
from tasks.borg.guard import Evidence
from tasks.borg.list import Archive
from tasks.borg.prune import Plan, plan
from tasks.borg.runner import PLAIN, How
from tasks.errors import AppError, RefusedError, UsageError
from tasks.inventory.models import App, Source
from tasks.storage.ledger import INTENT
from tasks.storage.records import Record, operator_name
from tasks.storage.repository import Repository
from tasks.storage.session import Session

OLD_CHECKPOINT = timedelta(days=1)
FRESH = timedelta(seconds=30)  # how long a look at the repository holds
Step = Callable[[str], None]
# Of the backups that stay and all archives of binary logs: the names of those that are needed, since a time or ever.
Chain = Callable[[Iterable[Archive], Iterable[Archive], datetime | None], Collection[str]]


@dataclass(frozen=True)
class Target:
    """The repository that is worked on, by the operator's side of it."""

    session: Session
    app: App
    repository: Repository
    how: How = PLAIN


@dataclass(frozen=True)
class Intention:
    """What is to go, as it was found and judged: `reasons` are those against it that a person set aside."""

    target: Target
    action: str
    found: Evidence
    plans: Mapping[Source, Plan] = field(default_factory=dict)
    removed: tuple[Archive, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def ids(self) -> set[str]:
        """Return the ids of what is to go."""
        return {archive.id for archive in self.removed}


@dataclass(frozen=True)
class Freed:
    """What was done: `space` is borg's own figure, None when nothing was compacted; `details` are for the record."""

    removed: tuple[Archive, ...]
    space: str | None
    details: Mapping[str, Any]


def look(target: Target) -> Evidence:
    """Return what is known of the repository. Raises RefusedError, BorgError, HostError."""
    return guard.look(target.session, target.app, target.repository, target.how)


def intend_prune(
    target: Target, sources: Sequence[str] = (), *, chain: Chain | None = None, force: bool = False
) -> Intention:
    """Return what `keep` lets go of the named sources, all when none is named.

    What stays besides: the newest archive that a drill proved, one that a backup made whose own record is still to come
    (it reads it back first), and what `chain` says that kept backups need of the binary logs; without it nothing of
    them goes. Raises UsageError for an app without `keep`, RefusedError, BorgError, HostError.
    """
    app = target.app
    if app.keep is None:
        raise UsageError(f"{app.name} has no `keep`", "say in the inventory what stays, for the app or in `defaults`")
    found = look(target)
    plans: dict[Source, Plan] = {}
    for source in app.sources:
        rules = app.keep.of(source)
        if rules is not None and (not sources or source in sources):
            own = found.listing.of(app.name, source)
            plans[source] = plan(own, rules, found.now, _last_proven(own, found) | _unrecorded(own, found))
    plans = _chain_kept(found, plans, chain)
    removed = [archive for each in plans.values() for archive in each.removed]
    removed += [each for each in found.listing.checkpoints if _forgotten(each, found)]
    left = {archive.id for archive in found.listing.archives} - {archive.id for archive in removed}
    reasons = guard.may_free(found, left, force=force)
    return Intention(target, "prune", found, plans, tuple(removed), reasons)


def _chain_kept(found: Evidence, plans: dict[Source, Plan], chain: Chain | None) -> dict[Source, Plan]:
    """Return the plans without those binary logs that a kept backup of the server needs to go forward from."""
    binlog = plans.get("binlog")
    if binlog is None or chain is None:
        return {source: each for source, each in plans.items() if source != "binlog"}
    bases = plans["mariadb"].kept if "mariadb" in plans else found.listing.of(found.app.name, "mariadb")
    rules = found.app.keep.of("binlog") if found.app.keep else None
    since = found.now - rules.within if rules and rules.within else None
    names = chain(bases, (*binlog.kept, *binlog.removed), since)
    needed = [archive for archive in binlog.removed if archive.name in names]
    return plans | {
        "binlog": Plan(
            kept=tuple(sorted((*binlog.kept, *needed), key=lambda archive: archive.start)),
            removed=tuple(archive for archive in binlog.removed if archive not in needed),
            rules={**binlog.rules, **{archive.id: "chain" for archive in needed}},
        )
    }


def intend_delete(target: Target, names: Sequence[str], *, force: bool = False) -> Intention:
    """Return what deleting the named archives would do. Raises AppError for a name that is not there, and as above."""
    found = look(target)
    by_name = {archive.name: archive for archive in (*found.listing.archives, *found.listing.checkpoints)}
    for name in names:
        if name not in by_name:
            raise AppError(
                f"{target.app.name}: there is no archive {name}", f"`inv borg.list --app {target.app.name}` shows them"
            )
    removed = tuple(by_name[name] for name in dict.fromkeys(names))
    left = {archive.id for archive in found.listing.archives} - {archive.id for archive in removed}
    return Intention(target, "delete", found, removed=removed, reasons=guard.may_free(found, left, force=force))


def intend_compact(target: Target, *, force: bool = False) -> Intention:
    """Return what freeing the space of what is gone already would do. Raises as above."""
    found = look(target)
    return Intention(target, "compact", found, reasons=guard.may_free(found, force=force))


def carry_out(intention: Intention, *, compacting: bool, step: Step = lambda _: None) -> Freed:
    """Do what was intended; `step` hears what is being done.

    The intent is recorded first, so that no other operator takes what is gone for stolen. Before anything is final the
    repository is looked at again. Raises RefusedError, BorgError, HostError, AppError when no record can be written.
    """
    target, found = intention.target, intention.found
    if not intention.removed and not compacting:
        return Freed((), None, _details(intention, found))
    if datetime.now(UTC) - found.now > FRESH:  # a person took their time to say yes
        left = {archive.id for archive in found.listing.archives} - intention.ids
        guard.may_free(look(target), left, force=bool(intention.reasons))
    _announce(intention)
    after = found
    if intention.removed:
        step(f"removes {len(intention.removed)} archives")
        delete(target.repository, [archive.name for archive in intention.removed], target.how)
        after = look(target)
        _as_intended(intention, after)
    space = None
    if compacting:
        step("frees their space")
        space = compact(target.repository, target.how).freed or "nothing"
        after = replace(after, state=target.session.storage_of(target.app).state(target.app))
    return Freed(intention.removed, space, _details(intention, after))


def told(intention: Intention, *, quiet: bool = False) -> Iterator[str]:
    """Yield what is to go, a line each, and what speaks against it; `quiet` leaves out what is well."""
    name = intention.target.app.label
    if not quiet:
        for source, each in intention.plans.items():
            yield f"{name} {source}: {len(each.kept)} stay, {len(each.removed)} go"
        yield from (f"  {archive.name}" for archive in intention.removed)
    yield from (f"{name}: only with --force, because {reason}" for reason in intention.reasons)


def seen(found: Evidence) -> dict[str, Any]:
    """Return what a record keeps of a look at the repository."""
    state = found.state
    return {
        "archive_ids": tuple(archive.id for archive in found.listing.archives),
        "config_sha256": state.config_sha256,
        "transaction": state.transaction,
        "objects": state.objects,
    }


def vouched(found: Evidence, without: Collection[str] = ()) -> dict[str, Any]:
    """Return what makes a record a milestone: all archives that should be there, and which of them are proven."""
    ids = [archive.id for archive in found.listing.archives if archive.id not in without]
    return {"known_ids": ids, "proven_ids": [each for each in ids if each in found.known.proven]}


def _details(intention: Intention, after: Evidence) -> dict[str, Any]:
    """Return the record's details. What a person forced through is from now on how it should be."""
    found = intention.found
    removed = set(intention.ids)
    details = seen(after) | vouched(found, removed) | {"recount": True}
    if intention.reasons:
        removed |= found.known.expected - {archive.id for archive in found.listing.archives}
        details |= {"forced": list(intention.reasons), "ignored_records": list(found.records.broken)}
    return details | {"removed_ids": sorted(removed)}


def _announce(intention: Intention) -> None:
    target = intention.target
    record = Record(
        app=target.app.name,
        action=INTENT,
        time=datetime.now(UTC),
        outcome="ok",
        transaction=intention.found.state.transaction,
        operator=operator_name(),
        details={"of": intention.action, "removing_ids": sorted(intention.ids), "recount": True},
    )
    target.session.storage_of(target.app).write_record(target.app, record)


def _as_intended(intention: Intention, after: Evidence) -> None:
    """Raise RefusedError unless exactly what should go is gone: nothing is final yet."""
    there = {archive.id for archive in after.listing.archives}
    wrong = [doubt.text for doubt in after.doubts]
    if intention.reasons:  # those doubts a person knows of
        before = {archive.id for archive in intention.found.listing.archives}
        wrong = ["other archives are gone than should go"] if (before & after.known.expected) - there else []
    if intention.ids & there:
        wrong.append("archives that should go are still there")
    if wrong:
        name = intention.target.app.name
        raise RefusedError(
            f"{name}: archives were removed, and no space is freed: {'; '.join(wrong)}",
            f"`inv borg.rollback --app {name}` brings everything back",
        )


def _last_proven(own: Sequence[Archive], found: Evidence) -> set[str]:
    proven = [archive for archive in own if archive.id in found.known.proven]
    return {max(proven, key=lambda archive: archive.start).id} if proven else set()


def _unrecorded(own: Sequence[Archive], found: Evidence) -> set[str]:
    return {archive.id for archive in own if archive.name in found.known.begun}


def _forgotten(checkpoint: Archive, found: Evidence) -> bool:
    """Tell whether no run will go on from a checkpoint; one whose id is an archive's was renamed by somebody."""
    return found.now - checkpoint.start > OLD_CHECKPOINT and checkpoint.id not in found.known.expected
