"""Dropping archives and freeing their space: planned, guarded, told beforehand, and looked at again before it is final.

look -> plan -> may_free -> (a person says yes) -> look and plan again -> a record of the intent -> delete -> look again
-> compact
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tasks.borg import guard
from tasks.borg.anomalies import Doubt, strangers
from tasks.borg.client.compact import compact
from tasks.borg.client.delete import delete
from tasks.borg.client.list import Archive
from tasks.borg.client.runner import PLAIN, How
from tasks.borg.guard import Patience
from tasks.borg.refusals import FORCE, REFUSALS, Evidence, refusals
from tasks.borg.retention import Plan, plan_by_verdict
from tasks.errors import AppError, RefusedError, UsageError
from tasks.inventory.models import App
from tasks.records.chronology import texts
from tasks.records.ledger import ENDS, FAILED_DRILL, INTENT, NOT_GOOD, REMOVING, TOKEN, UNFINISHED_YET, carrying
from tasks.records.record import Record, operator_name
from tasks.run.session import Session
from tasks.sources.kinds import KINDS
from tasks.storage.repository import Repository

OLD_CHECKPOINT = timedelta(days=1)
Step = Callable[[str], None]
# Of a source of logs, the archives that stay of what it continues, and all of its own: which are needed since a time.
Chain = Callable[[str, Iterable[Archive], Iterable[Archive], datetime | None], Collection[str]]


@dataclass(frozen=True)
class Target:
    """The repository that is worked on, by the operator's side of it."""

    session: Session
    app: App
    repository: Repository
    how: How = PLAIN


@dataclass(frozen=True)
class Choice:
    """What is to go, and of a prune the plan of each source."""

    removed: tuple[Archive, ...] = ()
    plans: Mapping[str, Plan] = field(default_factory=dict)

    @property
    def ids(self) -> frozenset[str]:
        """Return the ids of what is to go."""
        return frozenset(archive.id for archive in self.removed)


@dataclass(frozen=True)
class Intention:
    """What is to go, as it was found and judged.

    `choose` reckons the same from another look; `reasons` are those against it that a person set aside by `force`.
    `token` names the announcement of it. `refused` is why it may not be done, of one that was only to be shown.
    """

    target: Target
    action: str
    found: Evidence
    choose: Callable[[Evidence], Choice]
    choice: Choice
    reasons: tuple[Doubt, ...] = ()
    force: bool = False
    refused: RefusedError | None = None
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def removed(self) -> tuple[Archive, ...]:
        """What is to go."""
        return self.choice.removed

    @property
    def kept(self) -> frozenset[str]:
        """The ids of what is to stay."""
        return self.found.ids - self.choice.ids

    @property
    def unfinished(self) -> tuple[Record, ...]:
        """The removals that somebody announced and nobody ended: whoever frees the space now ends them."""
        every = self.found.known.unfinished
        return tuple(each for each in every if each.details.get("of") in REMOVING and each.details.get(TOKEN))

    @property
    def needed(self) -> bool:
        """Whether there is anything to do: something goes, or a prune that was killed has its space still to free."""
        freeing = any(each.details.get("of") != "delete" for each in self.unfinished)
        return bool(self.removed) or (self.action == "prune" and freeing)


@dataclass(frozen=True)
class Freed:
    """What was done: `space` is borg's own figure, None when nothing was compacted; `details` are for the record."""

    removed: tuple[Archive, ...]
    space: str | None
    details: Mapping[str, Any]


WAITING = Patience(removals=True)


def look(target: Target, patience: Patience | None = None) -> Evidence:
    """Return what is known of the repository. Raises RefusedError, BorgError, HostError."""
    return guard.look(target.session, target.app, target.repository, target.how, patience or WAITING)


def intend_prune(
    target: Target, sources: Sequence[str] = (), *, chain: Chain | None = None, force: bool = False, dry: bool = False
) -> Intention:
    """Return what `keep` lets go of the named sources, all when none is named; `dry` also what is refused.

    Raises UsageError for an app without `keep`, RefusedError, BorgError, HostError.
    """
    if target.app.keep is None:
        name = target.app.name
        raise UsageError(f"{name} has no `keep`", "say in the inventory what stays, for the app or in `defaults`")
    found, choose = look(target), partial(to_prune, sources=sources, chain=chain)
    try:
        return _intended(target, "prune", choose, found, force=force)
    except RefusedError as error:
        if not dry:
            raise
        choice = choose(found)
        reasons = tuple(refusals(found, found.ids - choice.ids))
        return Intention(target, "prune", found, choose, choice, reasons, refused=error)


def to_prune(found: Evidence, sources: Sequence[str] = (), chain: Chain | None = None) -> Choice:
    """Return what `keep` lets go of the named sources, all when none is named.

    What stays besides: the newest good archive, the newest that a drill proved, one that a backup made whose own record
    is still to come (it reads it back first), and what `chain` says that kept backups need of the logs that continue
    them; without it nothing of those goes.
    """
    plans: dict[str, Plan] = {}
    for source in found.app.sources:
        rules = found.app.keep.of(source) if found.app.keep else None
        base = KINDS[source].continues
        if rules is None or (sources and source not in sources) or (base and chain is None):
            continue
        own = found.of(source)
        spared = _last_proven(own, found) | _unrecorded(own, found)
        plans[source] = plan_by_verdict(own, rules, found.now, found.good, spared)
        if base and chain:
            bases = plans[base].kept if base in plans else found.of(base)
            plans[source] = _with_needed(
                plans[source], chain(source, bases, own, found.now - rules.within if rules.within else None)
            )
    removed = [archive for each in plans.values() for archive in each.removed]
    removed += [each for each in found.listing.checkpoints if _forgotten(each, found)]
    return Choice(tuple(removed), plans)


def _with_needed(plan: Plan, needed: Collection[str]) -> Plan:
    """Return the plan of logs without those that a kept archive of what they continue needs to go forward from."""
    spared = [archive for archive in plan.removed if archive.name in needed]
    return Plan(
        kept=tuple(sorted((*plan.kept, *spared), key=lambda archive: archive.start)),
        removed=tuple(archive for archive in plan.removed if archive not in spared),
        rules={**plan.rules, **{archive.id: "chain" for archive in spared}},
    )


def intend_delete(target: Target, names: Sequence[str], *, force: bool = False) -> Intention:
    """Return what deleting the named archives would do. Raises AppError for a name that is not there, and as above."""
    found = look(target)
    by_name = {archive.name: archive for archive in (*found.listing.archives, *found.listing.checkpoints)}
    for name in names:
        if name not in by_name:
            raise AppError(
                f"{target.app.name}: there is no archive {name}", f"`inv borg.list --app {target.app.name}` shows them"
            )
    named = Choice(tuple(by_name[name] for name in dict.fromkeys(names)))
    return _intended(target, "delete", lambda _: named, found, force=force)


def intend_compact(target: Target, *, force: bool = False) -> Intention:
    """Return what freeing the space of what is gone already would do. Raises as above."""
    return _intended(target, "compact", lambda _: Choice(), look(target), force=force)


def _intended(
    target: Target, action: str, choose: Callable[[Evidence], Choice], found: Evidence, *, force: bool
) -> Intention:
    choice = choose(found)
    reasons = guard.may_free(found, found.ids - choice.ids, force=force)
    return Intention(target, action, found, choose, choice, reasons, force)


def renewed(intention: Intention, found: Evidence) -> Choice:
    """Return what may still go after another look: what was intended, is there, and would be chosen now as well.

    Raises RefusedError when something that was to stay is gone, or when there are other reasons against it than those
    that a person was told.
    """
    if missing := sorted(intention.kept - found.ids):
        raise RefusedError(
            f"{found.app.name}: nothing is removed: {_named(intention, missing)} should stay, and is gone",
            f"whoever removed it did so just now: `inv report --app {found.app.name}`, then try again",
        )
    there = {archive.id for archive in (*found.listing.archives, *found.listing.checkpoints)}
    now = intention.choose(found)
    removed = tuple(each for each in intention.removed if each.id in there and each.id in now.ids)
    guard.may_free(found, found.ids - {each.id for each in removed}, force=intention.force, told=intention.reasons)
    return replace(now, removed=removed)


def carry_out(intention: Intention, *, compacting: bool, step: Step = lambda _: None) -> Freed:
    """Do what was intended; `step` hears what is being done.

    The repository is looked at again first: a person may have taken their time to say yes. The intent is recorded, so
    that no other operator takes what is gone for stolen, and before anything is final there is one more look. Raises
    RefusedError, BorgError, HostError, AppError when no record can be written.
    """
    target = intention.target
    if not intention.needed and not compacting:
        return Freed((), None, _details(intention, intention.found))
    after = look(target, guard.PATIENT if intention.unfinished else None)  # those were waited for
    choice = renewed(intention, after)
    _announce(intention, after, choice)
    if choice.removed:
        step(f"removes {len(choice.removed)} archives")
        delete(target.repository, [archive.name for archive in choice.removed], target.how)
        after = look(target, guard.PATIENT)
        _as_intended(intention, choice, after)
    space = None
    if compacting:
        step("frees their space")
        space = compact(target.repository, target.how).freed or "nothing"
        after = replace(after, state=target.session.storage_of(target.app).state(target.app))
    gone = tuple(archive for archive in intention.removed if archive.id not in after.ids)
    freed = {} if space is None else {"space": space}  # tells that older points of the repository are gone
    return Freed(gone, space, _details(intention, after, gone) | freed)


def told(intention: Intention, *, quiet: bool = False) -> Iterator[str]:
    """Yield what is to go, a line each, and what speaks against it; `quiet` leaves out what is well."""
    name = intention.target.app.label
    if not quiet:
        for source, each in intention.choice.plans.items():
            yield f"{name} {source}: {len(each.kept)} stay, {len(each.removed)} go"
        yield from (f"  {archive.name}" for archive in intention.removed)
    for intent in intention.unfinished:
        of, who = intent.details.get("of"), intent.operator or "somebody"
        yield f"{name}: the {of} by {who}, begun {intent.time:%Y-%m-%d %H:%M} UTC, has not ended: this run ends it"
    for reason in intention.reasons:
        how = "only with --force" if FORCE in REFUSALS[reason.kind].ways else "refused"
        yield f"{name}: {how}, because {reason.text}"


def not_accepted(app: App) -> str:
    """Return what a person must know who forced something where nothing was to go: that settled nothing."""
    return (
        f"{app.label}: nothing was to go, so nothing was done, and what looks wrong still does; "
        f'`inv report.accept --app {app.name} --reason "..."` takes an archive as right'
    )


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
    """Return what makes a record a milestone: all archives that should be there, and what is known of each."""
    ids, known = [archive.id for archive in found.listing.archives if archive.id not in without], found.known
    return {
        "known_ids": ids,
        "proven_ids": [each for each in ids if each in known.proven],
        NOT_GOOD: [each for each in ids if each in known.not_good],
        FAILED_DRILL: [each for each in ids if each in known.failed_drill],
        **({UNFINISHED_YET: carrying(known.unfinished)} if known.unfinished else {}),
    }


def _details(intention: Intention, after: Evidence, gone: Sequence[Archive] = ()) -> dict[str, Any]:
    """Return the record's details. What a person forced through is from now on how it should be.

    But for archives that no record tells of: those become good by `report.accept` alone, or a forged one would let our
    own go. Where no record tells of any, as after a loss of all records, they are all that is known.
    """
    found, removed = intention.found, {archive.id for archive in gone}
    for each in intention.unfinished:  # what those removed whose end is this
        removed |= set(texts(each.details.get("removing_ids"))) - after.ids
    strange = {each.id for each in strangers(after.listing.archives, found.known)} if found.known.ours else set()
    details = seen(after) | vouched(replace(found, listing=after.listing), removed | strange) | {"recount": True}
    if intention.reasons:
        removed |= found.known.expected - found.ids
        details |= {"forced": [each.text for each in intention.reasons], "ignored_records": list(found.records.broken)}
    ends = [intention.token, *(str(each.details[TOKEN]) for each in intention.unfinished)]
    return details | {"removed_ids": sorted(removed), ENDS: ends}


def _announce(intention: Intention, found: Evidence, choice: Choice) -> None:
    target = intention.target
    record = Record(
        app=target.app.name,
        action=INTENT,
        time=datetime.now(UTC),
        outcome="ok",
        transaction=found.state.transaction,
        operator=operator_name(),
        details={
            "of": intention.action,
            "removing_ids": sorted(choice.ids),
            "recount": True,
            TOKEN: intention.token,
        },
    )
    target.session.storage_of(target.app).write_record(target.app, record)


def _as_intended(intention: Intention, choice: Choice, after: Evidence) -> None:
    """Raise RefusedError unless exactly what should go is gone: nothing is final yet."""
    there = {archive.id for archive in (*after.listing.archives, *after.listing.checkpoints)}
    wrong = []
    if missing := sorted(intention.kept - there):
        wrong.append(f"{_named(intention, missing)} should stay, and is gone as well")
    if choice.ids & there:
        wrong.append("archives that should go are still there")
    try:
        guard.may_free(after, force=intention.force, told=intention.reasons)
    except RefusedError as error:
        wrong.append(error.what.partition("nothing is freed: ")[2])
    if wrong:
        name = intention.target.app.name
        raise RefusedError(
            f"{name}: archives were removed, and no space is freed: {'; '.join(wrong)}",
            f"`inv borg.rollback --app {name}` brings everything back",
        )


def _named(intention: Intention, ids: Sequence[str]) -> str:
    names = {archive.id: archive.name for archive in intention.found.listing.archives}
    more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
    return f"{names[ids[0]]}{more}"


def _last_proven(own: Sequence[Archive], found: Evidence) -> set[str]:
    proven = [archive for archive in own if archive.id in found.known.proven]
    return {max(proven, key=lambda archive: archive.start).id} if proven else set()


def _unrecorded(own: Sequence[Archive], found: Evidence) -> set[str]:
    return {archive.id for archive in own if archive.name in found.known.begun}


def _forgotten(checkpoint: Archive, found: Evidence) -> bool:
    """Tell whether no run will go on from a checkpoint; one whose id is an archive's was renamed by somebody."""
    return found.now - checkpoint.start > OLD_CHECKPOINT and checkpoint.id not in found.known.expected
