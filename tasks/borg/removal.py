"""Dropping archives and freeing their space: planned, guarded, announced, and checked again before it is final.

look -> plan -> may_free -> (a person says yes) -> look and plan again -> a record of the intent -> delete -> look again
-> compact
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tasks.borg import guard, others
from tasks.borg.anomalies import Doubt, unrecorded
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
from tasks.records.ledger import (
    ADOPTED,
    ENDS,
    FAILED_DRILL,
    INTENT,
    NAMES,
    NOT_GOOD,
    REMOVING,
    STARTS,
    TOKEN,
    UNFINISHED_YET,
    carrying,
)
from tasks.records.record import Record, operator_name
from tasks.run.session import Session
from tasks.sources.kinds import is_of, kind_of
from tasks.storage.repository import Repository
from tasks.units import many

OLD_CHECKPOINT = timedelta(days=1)
Step = Callable[[str], None]
# Arguments: the name of a source of logs, the kept archives of the source that it continues, all archives of the logs,
# and a time. Returns the names of the logs that are needed since then.
Chain = Callable[[str, Iterable[Archive], Iterable[Archive], datetime | None], Collection[str]]


@dataclass(frozen=True)
class Target:
    """The repository to work on, through the operator's side of it."""

    session: Session
    app: App
    repository: Repository
    how: How = PLAIN


@dataclass(frozen=True)
class Choice:
    """The archives to remove, and for a prune the plan of each source."""

    removed: tuple[Archive, ...] = ()
    plans: Mapping[str, Plan] = field(default_factory=dict)

    @property
    def ids(self) -> frozenset[str]:
        """Return the ids of the archives to remove."""
        return frozenset(archive.id for archive in self.removed)


@dataclass(frozen=True)
class Intention:
    """A planned removal, with the evidence and the guard's judgement.

    `choose` computes the choice again from new evidence; `reasons` are the objections that a person overrode by
    `force`. `token` identifies the announcement. `refused` is why it must not be done, for a plan that is only shown.
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
        """The archives to remove."""
        return self.choice.removed

    @property
    def kept(self) -> frozenset[str]:
        """The ids of the archives to keep."""
        return self.found.ids - self.choice.ids

    @property
    def unfinished(self) -> tuple[Record, ...]:
        """Announced removals that have not ended: freeing the space now ends them."""
        every = self.found.known.unfinished
        return tuple(each for each in every if each.details.get("of") in REMOVING and each.details.get(TOKEN))

    @property
    def needed(self) -> bool:
        """Whether there is anything to do: archives to remove, or space still to free after a killed prune."""
        freeing = any(each.details.get("of") != "delete" for each in self.unfinished)
        return bool(self.removed) or (self.action == "prune" and freeing)


@dataclass(frozen=True)
class Freed:
    """The result: `space` is borg's own figure, None if nothing was compacted; `details` are for the record."""

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
    """Plan what `keep` drops of the named sources, all if none is named; with `dry` a refused plan is returned too.

    Raises UsageError for an app without `keep`, RefusedError, BorgError, HostError.
    """
    if not target.app.prunable:
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
    """Return what `keep` drops of the named sources, all if none is named.

    Also kept: the newest good archive, the newest one proven by a drill, an archive whose backup has not written its
    record yet (it reads the archive back first), and the logs that kept backups need according to `chain`; without
    `chain` no logs are dropped. Of archives of other names, `keep.other` drops some of those that were adopted.
    """
    plans: dict[str, Plan] = {}
    for source in found.app.sources:
        rules = found.app.keep_of(source)
        base = kind_of(source).continues
        if rules is None or not is_of(source, sources) or (base and chain is None):
            continue
        own = found.of(source)
        spared = _last_proven(own, found) | _unrecorded(own, found)
        plans[source] = plan_by_verdict(own, rules, found.now, found.good, spared)
        if base and chain:
            bases = plans[base].kept if base in plans else found.of(base)
            plans[source] = _with_needed(
                plans[source], chain(source, bases, own, found.now - rules.within if rules.within else None)
            )
    if not sources:
        plans |= others.plans(found)
    removed = [archive for each in plans.values() for archive in each.removed]
    removed += [each for each in found.listing.checkpoints if _forgotten(each, found)]
    return Choice(tuple(removed), plans)


def _with_needed(plan: Plan, needed: Collection[str]) -> Plan:
    """Return the plan of logs, keeping those that a kept archive of the continued source needs to move forward."""
    spared = [archive for archive in plan.removed if archive.name in needed]
    return Plan(
        kept=tuple(sorted((*plan.kept, *spared), key=lambda archive: archive.start)),
        removed=tuple(archive for archive in plan.removed if archive not in spared),
        rules={**plan.rules, **{archive.id: "chain" for archive in spared}},
    )


def intend_delete(target: Target, names: Sequence[str], *, force: bool = False) -> Intention:
    """Plan the deletion of the named archives. Raises AppError for an unknown name, otherwise as `intend_prune`."""
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
    """Plan freeing the space of what is already dropped. Raises as `intend_prune`."""
    return _intended(target, "compact", lambda _: Choice(), look(target), force=force)


def _intended(
    target: Target, action: str, choose: Callable[[Evidence], Choice], found: Evidence, *, force: bool
) -> Intention:
    choice = choose(found)
    reasons = guard.may_free(found, found.ids - choice.ids, force=force)
    return Intention(target, action, found, choose, choice, reasons, force)


def renewed(intention: Intention, found: Evidence) -> Choice:
    """Return what may still be removed after another look: what was planned, still exists, and would be chosen again.

    Raises RefusedError if an archive to be kept is gone, or if there are other objections than those that a person was
    shown.
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
    """Carry out a plan; `step` receives a description of each step.

    First the repository is examined again, since a person may have taken their time to say yes. The intent is recorded,
    so that other operators do not take the removed archives for stolen, and before anything is final the repository is
    examined once more. Raises RefusedError, BorgError, HostError, AppError if no record can be written.
    """
    target = intention.target
    if not intention.needed and not compacting:
        return Freed((), None, _details(intention, intention.found))
    after = look(target, guard.PATIENT if intention.unfinished else None)  # their records were waited for earlier
    choice = renewed(intention, after)
    _announce(intention, after, choice)
    if choice.removed:
        step(f"removes {many(len(choice.removed), 'archive')}")
        delete(target.repository, [archive.name for archive in choice.removed], target.how)
        after = look(target, guard.PATIENT)
        _as_intended(intention, choice, after)
    space = None
    if compacting:
        step("frees their space")
        space = compact(target.repository, target.how).freed or "nothing"
        after = replace(after, state=target.session.storage_of(target.app).state(target.app))
    gone = tuple(archive for archive in intention.removed if archive.id not in after.ids)
    freed = {} if space is None else {"space": space}  # marks older points of the repository as gone
    return Freed(gone, space, _details(intention, after, gone) | freed)


def told(intention: Intention, *, quiet: bool = False) -> Iterator[str]:
    """Yield the archives to remove, one line each, and the objections; `quiet` only the objections."""
    name = intention.target.app.label
    if not quiet:
        for source, each in intention.choice.plans.items():
            yield f"{name} {source}: {many(len(each.kept), 'archive')} kept, {len(each.removed)} to remove"
        yield from (f"  {archive.name}" for archive in intention.removed)
    for intent in intention.unfinished:
        of, who = intent.details.get("of"), intent.operator or "somebody"
        yield f"{name}: the {of} by {who}, begun {intent.time:%Y-%m-%d %H:%M} UTC, has not ended: this run ends it"
    for reason in intention.reasons:
        how = "only with --force" if FORCE in REFUSALS[reason.kind].ways else "refused"
        yield f"{name}: {how}, because {reason.text}"


def not_accepted(app: App) -> str:
    """Return the message for `--force` with nothing to remove: the objections are not settled."""
    return (
        f"{app.label}: nothing was to go, so nothing was done, and what looks wrong still does; "
        f'`inv report.accept --app {app.name} --reason "..."` takes an archive as right'
    )


def seen(found: Evidence) -> dict[str, Any]:
    """Return the part of the evidence that a record keeps."""
    state = found.state
    return {
        "archive_ids": tuple(archive.id for archive in found.listing.archives),
        "config_sha256": state.config_sha256,
        "transaction": state.transaction,
        "objects": state.objects,
    }


def vouched(found: Evidence, without: Collection[str] = ()) -> dict[str, Any]:
    """Return what makes a record a milestone: all archives that should exist, and what is known of each.

    An archive whose backup wrote no record by its id, as its operator was killed before that, is not good: nobody knows
    what was left out. If no archive has a record, they are all that is known.
    """
    every, known = [archive for archive in found.listing.archives if archive.id not in without], found.known
    ids = [archive.id for archive in every]
    untold = {each for each in ids if each not in known.made} if known.ours else set()
    return {
        "known_ids": ids,
        NAMES: [known.names.get(each.id, each.name) for each in every],
        STARTS: [known.starts.get(each.id, each.start.timestamp()) for each in every],
        "proven_ids": [each for each in ids if each in known.proven],
        NOT_GOOD: [each for each in ids if each in known.not_good or each in untold],
        FAILED_DRILL: [each for each in ids if each in known.failed_drill],
        **({ADOPTED: [each for each in ids if each in known.adopted]} if known.adopted else {}),
        **({UNFINISHED_YET: carrying(known.unfinished)} if known.unfinished else {}),
    }


def _details(intention: Intention, after: Evidence, gone: Sequence[Archive] = ()) -> dict[str, Any]:
    """Return the record's details. What a person forced becomes the new baseline.

    Except for archives without a record: only `report.accept` makes those good, or a forged one could replace our own.
    If no archive has a record, as after the loss of all records, they are all that is known.
    """
    found, removed = intention.found, {archive.id for archive in gone}
    for each in intention.unfinished:  # what the removals that end here removed
        removed |= set(texts(each.details.get("removing_ids"))) - after.ids
    strange = {each.id for each in unrecorded(after.listing.archives, found.known)} if found.known.ours else set()
    details = seen(after) | vouched(replace(found, listing=after.listing), removed | strange) | {"recount": True}
    if intention.reasons:
        kept = set(details["known_ids"])
        left = [each for each in after.listing.archives if each.id in kept]
        details |= {NAMES: [each.name for each in left], STARTS: [each.start.timestamp() for each in left]}
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
    """Raise RefusedError unless exactly the planned archives are gone: nothing is final yet."""
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
    """Return whether no run will continue from a checkpoint. One with an archive's id is an archive that was
    renamed.
    """
    return found.now - checkpoint.start > OLD_CHECKPOINT and checkpoint.id not in found.known.expected
