"""The preconditions of backup and restore of an app: one check each, in the order of their dependence."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from tasks.app.check_result import Check
from tasks.app.programs import programs
from tasks.borg import encryption, guard, lock
from tasks.borg.anomalies import unfinished
from tasks.borg.client.key_export import escrow_path, exported
from tasks.borg.client.list import archives
from tasks.borg.client.runner import BorgError, How
from tasks.borg.escrow import read_copy
from tasks.crash import foreseen
from tasks.errors import AppError, CloudbackupError
from tasks.inventory.models import App
from tasks.records.ledger import ANNOUNCED, ledger
from tasks.remote.facts import Tools
from tasks.remote.script import Script, quote
from tasks.run.session import Session
from tasks.sources.kinds import kind_of
from tasks.sources.registry import named
from tasks.storage.published.host.rclone import NEWER
from tasks.storage.repository import Side
from tasks.times import zone_name
from tasks.units import many, size

MEMORY = 128 * 1000**2  # bytes that should be free on a host; a small app takes 100 MB (docs/hosts.md)
SPARE = 0.1  # free share of a storage below which it gets a warning
QUICK = How(lock_wait=10, timeout=60)


def checks(session: Session, app: App) -> Iterator[Check]:
    """Yield the checks of one app. Raises only InterruptedRunError, changes nothing."""
    try:
        with foreseen(app.name):
            session.passphrase(app)
            session.host(app).facts()
    except CloudbackupError as error:
        yield Check(app.name, "host", "error", error.what, error.remedy)
        yield from _tried(app, "records", lambda: _begun(session, app))
        yield from _tried(app, "storage", lambda: _storage(session, app))
        return
    yield from _tried(app, "host", lambda: host_checks(session, app))
    yield from _tried(app, "records", lambda: _begun(session, app))
    way = list(_tried(app, "storage", lambda: way_to_storage(session, app)))
    there = list(_tried(app, "storage", lambda: _storage(session, app)))
    yield from (*way, *there)
    if all(check.level != "error" for check in (*way, *there)) and not is_set_up(session, app):
        remedy = f"`inv app.add --app {app.name}` makes what is missing, and the first backup"
        yield Check(app.name, "setup", "error", f"is not set up on {app.storage} yet: there is no repository", remedy)
        return
    opened = (
        [] if way else list(_tried(app, "repository", lambda: _repository(session, app, Side.HOST, "from the host")))
    )
    yield from opened
    if any(check.level == "warning" for check in opened):
        return  # another run holds the lock
    yield from _tried(app, "repository", lambda: _repository(session, app, Side.OPERATOR, "from here"))
    yield from _tried(app, "records", lambda: _recorded(session, app))
    yield from _tried(app, "key", lambda: _escrow(session, app))


def _begun(session: Session, app: App) -> Iterator[Check]:
    """Yield changes that were announced and have not ended, even if they have left no other trace yet."""
    with suppress(CloudbackupError):  # an unreachable storage is reported below
        for doubt in unfinished(ledger(session.storage_of(app).read_history(app)), datetime.now(UTC)):
            yield Check(app.name, "records", "error", doubt.text, guard.remedy(app, (doubt,)))


def is_set_up(session: Session, app: App) -> bool:
    """Return whether anything of the app was ever made: its repository, a copy of its key, a record.

    A repository that is gone is a different fault from one that never existed. True if unknown.
    """
    storage = session.storage_of(app)
    if escrow_path(session.inventory.escrow, app.storage, app.name).exists():
        return True
    with suppress(CloudbackupError):
        return storage.files(app).exists(f"{storage.path(app)}/config") or any(
            each.action not in ANNOUNCED for each in storage.read_records(app, 1).all
        )
    return True  # unknown: the other checks report the reason


def way_to_storage(session: Session, app: App) -> Iterator[Check]:
    """Raise an error if the app's host cannot reach its storage over the network; yields nothing."""
    session.storage_of(app).refuse_unreachable(session.host(app))
    yield from ()


def host_checks(session: Session, app: App) -> Iterator[Check]:
    """Yield the checks of an app's host and of the data to save. Raises HostError, InterruptedRunError."""
    facts = session.host(app).facts()
    yield Check(app.name, "host", "ok", f"{app.host} as {facts.user}, bash {facts.bash}")
    yield from _memory(app, facts.memory_available)
    tools = session.host(app).tools()
    storage = session.storage_of(app)
    yield from programs(app, facts, tools, over_ssh=storage.account is not None)
    if storage.rclone is not None:
        yield _rclone(app, tools, storage.rclone)
    own_key = storage.own_key(app, session.host(app))
    if own_key is not None:
        yield _own_key(session, app, *own_key)
    yield from _sources(session, app)
    yield from _gently(app, directory=storage.account is None and storage.rclone is None)


def _memory(app: App, free: int | None) -> Iterator[Check]:
    if free is None:
        return
    text = f"{size(free)} free on {app.host}"
    if free < MEMORY:
        what = f"only {text}: a backup takes some 100 MB, a drill of a database 200 MB"
        remedy = "stop what else takes memory there, or add some or swap; `inv verify --to local` drills here"
        yield Check(app.name, "memory", "warning", what, remedy)
    else:
        yield Check(app.name, "memory", "ok", text)


def _gently(app: App, *, directory: bool) -> Iterator[Check]:
    """Yield what holds now of `upload` and `nice`; a `directory` as storage takes no limit."""
    if app.upload is not None and directory:
        what = f"`upload` limits nothing: {app.storage} is a directory of the host"
        yield Check(app.name, "upload", "warning", what, "take `upload` out of the app's file, or set it to none there")
    elif app.upload is not None:
        now = datetime.now().astimezone()
        rate, hours = app.upload.at(now.time()), app.upload.part(now.time())
        limit = "no limit" if rate is None else f"at most {size(rate)}/s"
        yield Check(
            app.name, "upload", "ok", f"{limit} at {now:%H:%M} {zone_name(now)}{f' ({hours})' if hours else ''}"
        )
    if app.nice:
        yield Check(app.name, "nice", "ok", "borg and the dump run at low CPU and I/O priority")


def _tried(app: App, name: str, check: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        with foreseen(app.name):
            yield from check()
    except CloudbackupError as error:
        yield Check(app.name, name, "error", error.what.removeprefix(f"{app.name}: "), error.remedy)


def _rclone(app: App, tools: Tools, oldest: tuple[int, int]) -> Check:
    least = ".".join(map(str, oldest))
    if tools.rclone is None:
        remedy = f"install rclone {least} or later: it brings to the storage what is saved"
        return Check(app.name, "rclone", "error", f"is not installed on {app.host}", remedy)
    if tuple(int(part) for part in tools.rclone.split(".")[:2]) < oldest:
        remedy = f"install rclone {least} or later, e.g. {NEWER}"
        return Check(app.name, "rclone", "error", f"rclone {tools.rclone} on {app.host} is too old", remedy)
    return Check(app.name, "rclone", "ok", f"rclone {tools.rclone}")


def _own_key(session: Session, app: App, path: str, account: str) -> Check:
    """Check the key with which the host logs in to a storage that only a person can authorize it on."""
    if session.host(app).run(Script(quote(("test", "-f", path))), timeout=60).ok:
        return Check(app.name, "key", "ok", path)
    remedy = f"make it there, `ssh-keygen -t ed25519 -N '' -f {quote((path,))}`, and let {path}.pub log in to {account}"
    return Check(app.name, "key", "error", f"{app.host} has no key {path}", remedy)


def _sources(session: Session, app: App) -> Iterator[Check]:
    """Run each source's checks; for logs, none if what they continue has an error, which is reported already."""
    wrong: set[str | None] = set()
    for name in app.sources:
        if kind_of(name).continues in wrong:
            continue
        found = list(_tried(app, name, partial(_source, session, app, name)))
        if any(check.level == "error" for check in found):
            wrong.add(name)
        yield from found


def _source(session: Session, app: App, name: str) -> Iterator[Check]:
    yield from (Check(app.name, name, *found) for found in named(name).checks(session, app))


def _storage(session: Session, app: App) -> Iterator[Check]:
    storage = session.storage_of(app)
    usage = storage.usage((app,))
    if remark := storage.remark():
        yield Check(app.name, "storage", "warning", f"{app.storage}: {remark}", "docs/storage.md tells what helps")
    if usage.free is None or usage.size is None:
        yield Check(app.name, "storage", "ok", f"{app.storage}: {size(usage.used)} used")
        return
    text = f"{app.storage}: {size(usage.free)} of {size(usage.size)} free"
    if usage.free < SPARE * usage.size:
        remedy = "prune and compact, or take a larger one: a full storage can not even be pruned"
        yield Check(app.name, "storage", "warning", text, remedy)
    else:
        yield Check(app.name, "storage", "ok", text)


def _repository(session: Session, app: App, side: Side, from_where: str) -> Iterator[Check]:
    try:
        listing = archives(session.repository(app, side), how=QUICK)
    except BorgError as error:
        if not lock.is_locked(error):
            raise
        told = lock.named(session, app, error)
        what = told.what.removeprefix(f"{app.name}: ")
        yield Check(app.name, "repository", "warning", f"{what}: not looked into", told.remedy)
        return
    if not encryption.is_encrypted(listing.encryption):
        what = encryption.fault(app.name, listing.encryption).removeprefix(f"{app.name}: ")
        yield Check(app.name, "repository", "error", what, encryption.remedy(app.name))
        return
    yield Check(app.name, "repository", "ok", f"opens {from_where}, {many(len(listing.archives), 'archive')}")


def _recorded(session: Session, app: App) -> Iterator[Check]:
    """Compare the repository with the records."""
    found = guard.look(session, app, session.repository(app, Side.OPERATOR), QUICK, patience=guard.AT_ONCE)
    for doubt in found.doubts if found.records.all else ():
        if doubt.kind not in ("unfinished", "removal"):  # these are reported already
            remedy = f"`inv borg.rollback --app {app.name}` undoes what was done to the repository"
            yield Check(app.name, "records", "error", doubt.text, remedy)
    if not found.doubts:
        yield Check(app.name, "records", "ok", f"{many(len(found.listing.archives), 'archive')}, all recorded")
    for name in app.sources:
        yield from (Check(app.name, name, *each) for each in named(name).recorded(app, found.records.all))


def _escrow(session: Session, app: App) -> Iterator[Check]:
    repository = session.repository(app, Side.OPERATOR)
    path = escrow_path(session.inventory.escrow, app.storage, app.name)
    copy = read_copy(path)
    if copy is None:
        raise AppError(f"no copy of the repository's key in {path}", f"`inv borg.key-export --app {app.name}`")
    if copy != exported(repository, how=QUICK):
        raise AppError(
            f"the repository's key is not the one in {path}",
            "unless you changed the passphrase, somebody replaced the key: the copy is the good one",
        )
    yield Check(app.name, "key", "ok", f"is the one in {path}")
