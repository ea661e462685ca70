"""What the tasks `borg.*` do for one app, as lines for people. Times are UTC, and say so."""

import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import tasks.borg.change_passphrase as borg_change_passphrase
from tasks.borg import removal, renew, rollback
from tasks.borg.announcement import INIT, KEY_EXPORT, REMOVE, announce, unended
from tasks.borg.apps import Opened
from tasks.borg.check import examine, refuse_damaged
from tasks.borg.client import break_lock as lock
from tasks.borg.client.archive_name import ArchiveName
from tasks.borg.client.check import CheckOptions
from tasks.borg.client.create import files_of
from tasks.borg.client.init import Initialised, init
from tasks.borg.client.key_export import Escrow, key_export
from tasks.borg.client.list import archives
from tasks.borg.client.recreate import annotate
from tasks.borg.create import make
from tasks.borg.guard import AT_ONCE, look, may_free
from tasks.borg.others import held, others
from tasks.borg.paths import some
from tasks.borg.recorder import Note, noted
from tasks.borg.renewal_announcement import refuse_other_changes
from tasks.borg.rollback import RollbackTarget
from tasks.errors import AppError, CloudbackupError, UsageError
from tasks.inventory.models import App
from tasks.records.ledger import ADOPTED, ANNOUNCED, ENDS, Ledger, ledger
from tasks.records.record import Record
from tasks.remote.secret import Secret
from tasks.sources.kinds import READ_BY_BORG
from tasks.storage import set_aside
from tasks.storage.repository import Repository
from tasks.units import many, size

MOVING = ("rename", "renew", "move-storage")  # announced changes during which a repository is not at its place
Ask = Callable[[str], bool]
Lines = Iterator[str]


def take_into_use(opened: Opened) -> Initialised:
    """Create the repository if there is none, export its key to escrow, and write its first record.

    This is announced first; an earlier unfinished announcement of the kind ends here, and so does a removal of the app.
    """
    app, storage = opened.app, opened.session.storage_of(opened.app)
    storage.make_directory(app)
    with noted(opened.session, app, INIT) as note:
        records = storage.read_history(app)
        known = ledger(records)
        ends = unended(known, INIT, REMOVE)

        @cache
        def announced() -> None:
            ends.append(announce(storage, app, INIT))

        if not storage.files(app).exists(posixpath.join(storage.path(app), "config")):
            _refuse_moved(app, known)
            announced()
        made = init(opened.repository, opened.session.inventory.escrow, announced=announced)
        note.add({ENDS: ends} if ends else {})
        first = all(record.action in ANNOUNCED or _tried(record) for record in records.all)
        note.wanted = bool(ends) or first
        if first:
            _vouch(opened, note)
    return made


def _refuse_moved(app: App, known: Ledger) -> None:
    """Raise RefusedError where the repository is not there because a change that moves it has not ended."""
    begun = tuple(each for each in known.unfinished if each.details.get("of") in MOVING)
    refuse_other_changes(app, replace(known, unfinished=begun))


def _tried(record: Record) -> bool:
    """Return whether a record tells only that taking the repository into use failed, such as by a wrong passphrase."""
    return record.action == INIT and record.outcome == "failed"


def initialise(opened: Opened) -> Lines:
    """Create the repository and export its key to escrow."""
    made = take_into_use(opened)
    what = "made" if made.created else f"was there already, and opens: {held(opened.app, archives(opened.repository))}"
    yield f"{opened.app.label}: repository {opened.repository.url} {what} ({made.encryption})"
    yield f"{opened.app.label}: key in {made.escrow.key}, to print in {made.escrow.paper}"


def _vouch(opened: Opened, note: Note) -> None:
    """Make the record of a first `init` vouch for the archives that exist."""
    found = look(opened.session, opened.app, opened.repository, patience=AT_ONCE)
    adopted = [archive.id for archive in others(opened.app, found.listing.archives)]
    note.add(removal.seen(found) | removal.vouched(found) | ({ADOPTED: adopted} if adopted else {}))


def save_files(opened: Opened) -> Lines:
    """Save the app's files. Use the host's side."""
    app = opened.app
    options = files_of(app, str(ArchiveName(app.name, READ_BY_BORG.name, datetime.now(UTC))))
    with noted(opened.session, app, "create") as note:
        made = make(opened.session, app, opened.repository, options)
        note.values |= {"source": READ_BY_BORG.name, "archive": made.archive, "archive_id": made.id}
        note.values |= {"size": made.size, "stored": made.stored, "outcome": made.verdict.status}
        note.add(made.verdict.details)
        if made.verdict.status != "ok":
            note.values["archive_id"] = annotate(opened.repository, made.archive, made.verdict)
    if made.met is None:
        files = many(made.files or 0, "file")
        yield f"{made.archive}  {size(made.size)}  +{size(made.stored)}  {files}  {made.seconds:.0f} s"
    yield from (f"warning: {warning}" for warning in made.warnings)
    yield from made.remarks
    if made.verdict.left_out:
        raise AppError(
            f"{app.name}: {made.archive} is incomplete: {made.verdict.left_out} left out", some(made.verdict.first)
        )


def show_check(opened: Opened, options: CheckOptions) -> Lines:
    """Check; a problem raises an error."""
    with noted(opened.session, opened.app, "check") as note:
        done, details = examine(_target(opened), options)
        note.add(details)
        yield from done.problems
        refuse_damaged(opened.app, done)
    yield f"{opened.app.label}: whole, looked at in {done.seconds:.0f} s"


def prune_sources(opened: Opened, *, dry_run: bool, force: bool, ask: Ask) -> Lines:
    """Drop old archives of each of the app's sources."""
    if dry_run:
        shown = removal.intend_prune(_target(opened), force=force, dry=True)
        yield from removal.told(shown)
        if shown.refused is not None:
            raise shown.refused
        return
    with noted(opened.session, opened.app, "prune") as note:
        intention = removal.intend_prune(_target(opened), force=force)
        yield from _carried_out(opened, intention, note, f"Prune these archives of {opened.app.label}?", ask)


def delete_archives(opened: Opened, names: Sequence[str], *, force: bool, ask: Ask) -> Lines:
    """Drop named archives."""
    if not names:
        raise UsageError("--archive is missing", f"`inv borg.list --app {opened.app.name}` shows them")
    with noted(opened.session, opened.app, "delete") as note:
        intention = removal.intend_delete(_target(opened), names, force=force)
        yield from _carried_out(opened, intention, note, f"Delete these archives of {opened.app.label}?", ask)


def free_space(opened: Opened, *, force: bool, ask: Ask) -> Lines:
    """Free the space of pruned and deleted archives."""
    name = opened.app.label
    with noted(opened.session, opened.app, "compact") as note:
        intention = removal.intend_compact(_target(opened), force=force)
        yield from _carried_out(opened, intention, note, f"Free the space of pruned archives of {name} for good?", ask)


def _carried_out(opened: Opened, intention: removal.Intention, note: Note, question: str, ask: Ask) -> Lines:
    yield from removal.told(intention)
    compacting = intention.action == "compact"
    if not (compacting or intention.removed) or not ask(question):
        note.wanted = False
        if intention.reasons and not intention.removed:
            yield removal.not_accepted(opened.app)
        yield f"{opened.app.label}: nothing {'freed' if compacting else 'removed'}"
        return
    note.answered()
    done = removal.carry_out(intention, compacting=compacting)
    note.add(dict(done.details))
    if compacting:
        yield f"{opened.app.label}: {done.space} freed"
    else:
        compact = f"`inv borg.compact --app {opened.app.name}`"
        yield f"{opened.app.label}: {len(done.removed)} removed; {compact} frees their space, for good"


def roll_back(opened: Opened, to: int | None, before: datetime | None, *, undo: bool = False, ask: Ask) -> Lines:
    """Roll the repository back to an earlier transaction, or undo the last rollback."""
    with noted(opened.session, opened.app, "rollback") as note:
        yield from rollback.roll_back(_target(opened), RollbackTarget(to, before, undo), note, ask)


def remove_set_aside(opened: Opened, name: str, storage: str = "", *, force: bool, ask: Ask) -> Lines:
    """Delete a folder that was set aside, for good: what only it holds cannot be brought back any more.

    It lies beside the repository, or in `storage`, which the app has left; the guard looks at the repository in use.
    """
    app = opened.app
    there = app.model_copy(update={"storage": storage or app.storage})
    files, folder = rollback.place(replace(_target(opened), app=there))
    found = {posixpath.basename(path): path for path in set_aside.folders(files, folder)}
    if name not in found:
        raise UsageError(
            f"{app.name}: nothing is set aside as {name}", f"`inv borg.rollback --app {app.name}` shows it"
        )
    with noted(opened.session, app, "remove-set-aside") as note:
        note.add({"aside": name})
        reasons = may_free(look(opened.session, app, opened.repository), force=force)
        note.add({"forced": [each.text for each in reasons]} if reasons else {})
        note.wanted = ask(f"Delete {name} for good? No rollback and no --undo brings back what only it holds.")
        if note.wanted:
            may_free(look(opened.session, app, opened.repository), force=force, told=reasons)
            set_aside.remove(files, found[name])
            renew.remove_records(opened.session, there, name)
        yield f"{app.label}: {name} {'removed' if note.wanted else 'stays'}"


def change_passphrase(opened: Opened, new: Secret, *, ask: Ask) -> Lines:
    """Change the passphrase of the repository's key, and export the key's new form to escrow.

    A change that was begun and has not ended is continued where it stopped.
    """
    app, storage = opened.app, opened.session.storage_of(opened.app)
    if not ask(f"Change the passphrase of {app.label}? The old one opens the repository no more."):
        yield f"{app.label}: nothing was changed"
        return
    with noted(opened.session, app, borg_change_passphrase.ACTION) as note:
        known = ledger(storage.read_history(app))
        ends = unended(known, borg_change_passphrase.ACTION)
        if borg_change_passphrase.was_changed(opened.repository, new, known, storage.state(app)):
            changed = borg_change_passphrase.with_passphrase(opened.repository, new)
            yield f"{app.label}: the passphrase was changed already; what is left of it is done now"
        else:
            look(opened.session, app, opened.repository)
            if not ends:
                borg_change_passphrase.refuse_changed_key(app, known, storage.state(app))
            ends.append(announce(storage, app, borg_change_passphrase.ACTION))
            changed = borg_change_passphrase.change(opened.repository, new)
        escrow = _escrowed(opened, changed)
        found = look(opened.session, app, changed)
        note.add(removal.seen(found))  # the key is ours from now on, whatever else looks wrong
        if all(doubt.kind in ("unfinished", "key") for doubt in found.doubts):  # both caused by this change
            note.add(removal.vouched(found))
        note.add({ENDS: ends})
    yield f"{app.label}: the passphrase is changed; name the new one in apps/{app.name}.yml"
    kept = f"; the former one is kept in {escrow.kept}" if escrow.kept else ""
    yield f"{app.label}: key in {escrow.key}, to print in {escrow.paper}{kept}"


def _escrowed(opened: Opened, changed: Repository) -> Escrow:
    """Export the changed key. A failure raises AppError, which says that the passphrase is already changed."""
    try:
        return key_export(changed, opened.session.inventory.escrow, replace=True)
    except CloudbackupError as error:
        raise AppError(
            f"{opened.app.label}: the passphrase is changed, and the key is not in escrow yet: {error.what}",
            f"name the new passphrase in apps/{opened.app.name}.yml and run the same command again: it ends this",
            transient=error.transient,
        ) from error


def _target(opened: Opened) -> removal.Target:
    return removal.Target(opened.session, opened.app, opened.repository)


def export_key(opened: Opened, *, replace: bool) -> Lines:
    """Export the repository's key to the escrow folder; announced first if that changes anything there."""
    app, storage = opened.app, opened.session.storage_of(opened.app)
    with noted(opened.session, app, KEY_EXPORT) as note:
        ends = unended(ledger(storage.read_history(app)), KEY_EXPORT)

        def announced() -> None:
            ends.append(announce(storage, app, KEY_EXPORT))

        escrow = key_export(opened.repository, opened.session.inventory.escrow, replace=replace, announced=announced)
        note.add({ENDS: ends})
        note.wanted = bool(ends)
    yield f"{opened.app.label}: key in {escrow.key}, to print in {escrow.paper}"
    if escrow.kept:
        yield f"{opened.app.label}: the former, different key is kept in {escrow.kept}"


def remove_lock(opened: Opened, *, ask: Ask) -> Lines:
    """Say who holds the repository, and break the lock if requested."""
    app, repository = opened.app, opened.repository
    storage = opened.session.storage_of(app)
    found = lock.holders(*storage.lock_place(app))
    if not found:
        yield f"{app.label}: nobody holds the repository"
    yield from (f"{app.label}: locked by {holder.told(repository.url)}" for holder in found)
    lock.refuse_rollback(app.name, found)
    lock.refuse_alive(repository, found)
    if not ask(f"Break the lock of {app.label}? If a backup is running, it can destroy the repository."):
        yield f"{app.label}: the lock stays"
        return
    lock.break_lock(repository)
    yield f"{app.label}: lock removed"
