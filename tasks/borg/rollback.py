"""`borg.rollback` for one app: shown, asked, announced, done, checked, compared with the forecast, recorded.

The order matters, and each step was tried (borg 1.2.4 and 1.4.5): the lock; `index`, `hints` and `integrity`, which
borg rebuilds; the segments after the transaction; the key from escrow, which borg only accepts once it can read the
manifest; the clients' memory of the newer state, or they refuse the older one; a check. Nothing is deleted, and the
same command completes a killed run.
"""

import posixpath
import secrets
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from tasks.borg import guard, transactions
from tasks.borg.anomalies import doubts
from tasks.borg.client.list import archives
from tasks.borg.former_state import condition, known_then, made_usable
from tasks.borg.recorder import Note
from tasks.borg.removal import Target, seen, vouched
from tasks.borg.transactions import ASIDE, BEFORE, TO, UNDID, Point, Undoing
from tasks.errors import AppError, CloudbackupError, RefusedError, UsageError
from tasks.records.chronology import FROM, GENERATION, next_generation, texts
from tasks.records.ledger import ENDS, INTENT, OURS, TOKEN, Ledger, ledger
from tasks.records.record import Record, operator_name
from tasks.remote.files import Files
from tasks.storage import set_aside
from tasks.times import shown

Ask = Callable[[str], bool]
_Told = tuple[Mapping[int, Point], Sequence[Undoing]]  # from the records: points, and rollbacks that can be undone
SHOWN = 40  # points shown


@dataclass(frozen=True)
class RollbackTarget:
    """The target: a transaction's number, or the last one before a time; or undo the last rollback."""

    to: int | None = None
    before: datetime | None = None
    undo: bool = False


@dataclass(frozen=True)
class Move:
    """A planned move: back to `to`, or putting back what a rollback to there set aside (`undid`).

    `aside` is the name of the folder for what is moved away; `foretold` are the ids of the archives that will exist
    afterwards, None if no record says; `before` maps the ids of those that exist now to their names, None if they
    cannot be listed; `seen` are those that records mention at that point or before it, and accepted ones, whose age is
    unknown: one of `seen` that is missing at that point was gone before. `tokens` identify the announcement of this
    move, and those that it ends; `half`: the rollback to undo had not ended, and would have left the archives with the
    ids `ended`; `begun`: this move or that rollback still holds borg's lock from a killed run. `order` says for readers
    of its records when it happened, without clocks.
    """

    to: int
    aside: str
    foretold: tuple[str, ...] | None
    before: dict[str, str] | None
    undid: str = ""
    tokens: tuple[str, ...] = field(default_factory=lambda: (secrets.token_hex(8),))
    half: bool = False
    seen: frozenset[str] = frozenset()
    begun: bool = False
    ended: list[str] | None = None
    order: Mapping[str, int] = field(default_factory=dict)

    @property
    def details(self) -> dict[str, object]:
        """The details of its records, whether it succeeds or fails."""
        undid = {UNDID: self.undid} if self.undid else {}
        before = self.ended if self.before is None else list(self.before)
        return {TO: self.to, ASIDE: self.aside, BEFORE: before, **undid, **self.order}


def roll_back(target: Target, wanted: RollbackTarget, note: Note, ask: Ask) -> Iterator[str]:
    """Roll an app's repository back, and yield messages for people. Raises UsageError if the target does not exist.

    Raises RefusedError if the repository is in use, AppError, BorgError, HostError; nothing is lost then.
    """
    note.wanted = False
    name, storage = target.app.name, target.session.storage_of(target.app)
    files, folder = place(target)
    records, now = storage.read_history(target.app), datetime.now(UTC)
    known = ledger(records, now)
    aside = set_aside.folders(files, folder)
    told, undoable = transactions.past(records, now, {posixpath.basename(each) for each in aside})
    if wanted.to is None and wanted.before is None and not wanted.undo:
        yield from set_aside.told(aside, name)
    before = yield from _listed(target)
    stands = _stands(target, files, folder)
    if wanted.undo:
        move = _undone(target, (told, undoable), before, known)
        yield from _foretold(target, move, known)
        question = f"Undo the rollback of {name} to transaction {move.to}?"
    else:
        there = set_aside.segments(files, folder)
        logged = set_aside.logged(set_aside.read_text(files, posixpath.join(folder, "transactions")))
        found = transactions.points(logged, told, there, transactions.freed_at(records))
        if wanted.to is None and wanted.before is None:
            yield from (_line(point) for point in found[-SHOWN:])
        point = transactions.choose(found, name, wanted.to, wanted.before)
        yield f"{name}: back to transaction {point.transaction}, of {shown(point.time)}"
        seen_then = transactions.seen_by(told, point.transaction) | known.accepted
        move = replace(_back(target, point, before, known), seen=seen_then)
        yield from _foretold(target, move, known)
        question = f"Take the repository of {name} back to transaction {point.transaction}?"
    if move.begun:
        yield from (f"{name}: {each}" for each in _at_it(known))
    if not ask(question):
        yield f"{name}: nothing was changed"
        return
    if _stands(target, files, folder) != stands:
        raise RefusedError(
            f"{name}: somebody changed the repository while the question waited, so nothing is taken back",
            "run the same command again: it shows what would go now",
        )
    note.answered()
    note.wanted = True
    newest = max(set_aside.segments(files, folder), default=0)
    move = replace(move, order={FROM: newest, GENERATION: next_generation(records)})
    note.add(move.details)
    _announce(target, move)
    yield from _moved(files, folder, move, name)
    yield from made_usable(target, files, folder)
    note.add({ENDS: list(move.tokens)})
    note.add(_details(target, move, known))
    how = "is as it was, and whole"
    if move.foretold is None:
        how = f"is whole; what it should hold was not recorded, so compare it with `inv borg.list --app {name}`"
    yield f"{name}: {how}; change the passphrase and the host's key if the host was not yours"


def place(target: Target) -> tuple[Files, str]:
    """Return the files and the folder of a repository to roll back. Raises RefusedError for a published copy."""
    storage = target.session.storage_of(target.app)
    if target.repository.publication is not None:
        raise RefusedError(
            f"{target.app.name}: a storage of kind {storage.kind} has no rollback: its repositories are copies",
            "bring an older state back by the versions that the storage keeps, where it keeps any",
        )
    return storage.lock_place(target.app)


def _stands(target: Target, files: Files, folder: str) -> object:
    """Return a value that changes if the repository is changed, anything is set aside, or an announced change ends."""
    storage = target.session.storage_of(target.app)
    mark = storage.marks((target.app,))[0]
    begun = ledger(storage.read_history(target.app), datetime.now(UTC)).unfinished
    return (
        mark,
        tuple(str(each.details.get(TOKEN)) for each in begun),
        frozenset(set_aside.segments(files, folder)),
        tuple(set_aside.folders(files, folder)),
    )


def _line(point: Point) -> str:
    return f"  {point.transaction:>6}  {shown(point.time)}  {point.what}"


def _listed(target: Target) -> Generator[str, None, dict[str, str] | None]:
    """Return the current archives, id to name; if they cannot be listed, yield a message and return None."""
    try:
        return {each.id: each.name for each in archives(target.repository, how=target.how).archives}
    except CloudbackupError as error:
        name = target.app.name
        yield f"{name}: now nothing can be listed: {error.what.removeprefix(f'{name}: ')}"
        return None


def _at_it(known: Ledger) -> Iterator[str]:
    """Yield who began the rollback to be continued: only a person knows whether that run is gone."""
    for each in known.unfinished:
        if each.details.get("of") == "rollback":
            yield f"{each.operator or 'somebody'} began it at {each.time:%Y-%m-%d %H:%M} UTC; go on if that run is gone"


def _begun(known: Ledger) -> Record | None:
    """Return the announcement of a rollback that has not ended."""
    return next((each for each in reversed(known.unfinished) if each.details.get("of") == "rollback"), None)


def _back(target: Target, point: Point, before: dict[str, str] | None, known: Ledger) -> Move:
    """Return the move to a point; an unfinished one is continued. Raises RefusedError while another move is unfinished.

    If the unfinished one had moved everything and somebody has written since, those segments go into a new folder. If
    it has moved nothing yet, what exists now is what goes.
    """
    begun, (files, folder) = _begun(known), place(target)
    own = Move(point.transaction, posixpath.basename(set_aside.new_name(folder, datetime.now(UTC))), None, None)
    own = replace(own, foretold=point.archive_ids, before=before, tokens=(*own.tokens, *_tokens(known)))
    if begun is None:
        return own
    if begun.details.get(UNDID) or begun.details.get(TO) != point.transaction:
        raise _not_ended(target, begun)
    aside = str(begun.details[ASIDE])
    path = posixpath.join(posixpath.dirname(folder), aside)
    if not files.exists(path):
        return replace(own, before=_ids_before(begun) if before is None else before, begun=True)
    all_moved = set_aside.is_complete(files, path)
    if all_moved and max(set_aside.segments(files, folder), default=0) > point.transaction:
        return own
    return replace(own, aside=aside, before=_ids_before(begun), begun=True)


def _undone(target: Target, told: _Told, before: dict[str, str] | None, known: Ledger) -> Move:
    """Return the move that undoes the last rollback. Raises UsageError if there is none, RefusedError as `_back`."""
    begun, (points, undoable) = _begun(known), told
    if begun is not None and begun.details.get(UNDID):
        ids = begun.details.get("foretold_ids")
        return Move(
            int(begun.details[TO]),
            str(begun.details[ASIDE]),
            tuple(ids) if ids is not None else None,
            _ids_before(begun),
            str(begun.details[UNDID]),
            (secrets.token_hex(8), *_tokens(known)),
            bool(_half(known, begun.details[UNDID])),
            transactions.seen_by(points) | known.accepted,
            begun=True,
        )
    if begun is not None and begun.details.get(ASIDE) not in {each.aside for each in undoable}:
        raise _not_ended(target, begun)  # it has moved nothing yet
    files, folder = place(target)
    if not undoable or (begun is None and not set_aside.fits(files, folder, undoable[-1].aside)):
        raise UsageError(
            f"{target.app.name}: there is no rollback that can be undone",
            "what it set aside was removed, or space was freed since; without --undo all points are shown",
        )
    last = undoable[-1]
    aside = posixpath.basename(set_aside.new_name(place(target)[1], datetime.now(UTC)))
    own = Move(last.to, aside, last.archive_ids, before, last.aside, seen=last.seen | known.accepted)
    own = replace(own, tokens=(*own.tokens, *_tokens(known)))
    return own if begun is None else replace(own, half=True, begun=True, ended=begun.details.get("foretold_ids"))


def _half(known: Ledger, aside: object) -> list[Record]:
    """Return the announcement of the rollback into a folder, if it has not ended."""
    return [each for each in known.unfinished if each.details.get(ASIDE) == aside]


def _ids_before(begun: Record) -> dict[str, str] | None:
    ids = begun.details.get(BEFORE)
    return dict.fromkeys(map(str, ids), "") if ids is not None else None


def _tokens(known: Ledger) -> tuple[str, ...]:
    """Return the tokens of all unfinished rollbacks, newest first: the end of one ends all."""
    begun = (each for each in reversed(known.unfinished) if each.details.get("of") == "rollback")
    return tuple(str(each.details[TOKEN]) for each in begun if TOKEN in each.details)


def _not_ended(target: Target, begun: Record) -> RefusedError:
    name, undo = target.app.name, bool(begun.details.get(UNDID))
    again = f"`inv borg.rollback --app {name} {'--undo' if undo else '--to ' + str(begun.details.get(TO))}`"
    what = "the undoing of a rollback" if undo else f"a rollback to transaction {begun.details.get(TO)}"
    other = "" if undo else f"; `inv borg.rollback --app {name} --undo` takes it back"
    return RefusedError(f"{name}: {what} was begun and has not ended", f"{again} ends it{other}")


def _foretold(target: Target, move: Move, known: Ledger) -> Iterator[str]:
    """Yield which archives will disappear and which will come back, as far as the records say."""
    name, now = target.app.name, move.before or {}
    if move.foretold is None:
        yield f"{name}: which archives that changes is not recorded; nothing is deleted"
        return
    yield from (f"  goes: {each or key[:12]}" for key, each in now.items() if key not in move.foretold)
    back = [key for key in move.foretold if key not in now]
    yield from (f"  comes back: {known.made.get(key) or key[:12]}" for key in back)
    for key in sorted(known.expected - set(now) - set(move.foretold), key=lambda key: known.made.get(key, "")):
        why = "gone before that, and still missed" if key in move.seen else "made later"
        yield f"  stays away: {known.made.get(key) or key[:12]}, which was {why}"


def _announce(target: Target, move: Move) -> None:
    """Record what will be moved where, so that an unfinished move can be completed by anybody."""
    foretold = None if move.foretold is None else list(move.foretold)
    details = {**move.details, "of": "rollback", "foretold_ids": foretold, TOKEN: move.tokens[0]}
    record = Record(target.app.name, INTENT, datetime.now(UTC), "ok", operator=operator_name(), details=details)
    target.session.storage_of(target.app).write_record(target.app, record)


def _moved(files: Files, folder: str, move: Move, name: str) -> Iterator[str]:
    aside = posixpath.join(posixpath.dirname(folder), move.aside)
    if not move.undid:
        with transactions.locked(files, folder, begun=move.begun):
            count = set_aside.take(files, folder, move.to, aside)
        yield f"{name}: {count} segments moved to {aside}; --undo brings them back, --remove deletes them for good"
        return
    undid = posixpath.join(posixpath.dirname(folder), move.undid)
    with transactions.locked(files, folder, begun=move.begun):
        if move.half:
            set_aside.take_rest(files, folder, move.to, undid, aside)
        count = set_aside.bring_back(files, folder, move.to, undid, aside)
    yield f"{name}: {count} segments brought back from {undid}; what was there instead is in {aside}"


def _details(target: Target, move: Move, known: Ledger) -> dict[str, object]:
    """Return the record's details. It vouches for the archives only if they are the expected ones.

    Archives whose disappearance was announced to a person count as removed by us; what was gone before and has not come
    back is still missing. Raises AppError if the archives are not the expected ones.
    """
    found = guard.look(target.session, target.app, target.repository, target.how, patience=guard.AT_ONCE)
    there = [archive.id for archive in found.listing.archives]
    name = target.app.name
    if move.foretold is not None and (wrong := transactions.unlike(move.foretold, there, known)):
        raise AppError(
            f"{name}: the repository is whole, and not what was foretold: {'; '.join(wrong)}",
            f"nothing of it counts as right; `inv borg.rollback --app {name} --undo` takes it back, "
            "and without --undo all points are shown",
        )
    gone = known.expected - set(there)
    removed = gone & set(move.before or ()) | (gone - move.seen if move.foretold is not None else set())
    leaving = {each for begun in known.unfinished for each in texts(begun.details.get("removing_ids"))}
    removed |= leaving - set(there)  # no later run ends those announcements: what they removed stays away
    then = known_then(target, found.listing.archives, known)
    ours = transactions.known_after(there, then)
    vouches = gone == removed and (move.foretold is not None or len(ours) == len(there))
    kept = {number: count for number, count in known.counts.items() if number <= move.to}
    earlier = replace(known, counts=known.former_counts.get(move.undid, kept))
    vouches = vouches and not any(each.kind == "objects" for each in doubts([], found.state, earlier, found.now))
    return (
        seen(found)
        | (vouched(found, without=set(there) - set(ours)) if vouches else {OURS: ours})
        | condition(there, found.known, then)
        | {"removed_ids": sorted(removed), "recount": True}
    )
