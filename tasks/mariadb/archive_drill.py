"""A restore drill of a server's archive: on its host, on this machine, or relayed to another app's host."""

from dataclasses import replace
from datetime import UTC, datetime

from tasks.borg.client.extract import content, size
from tasks.containers.one_off import one_off
from tasks.mariadb import drill, mariadb_source, unpack
from tasks.mariadb.drill import Drilled, DrillOptions
from tasks.mariadb.host import tables
from tasks.remote.relay import relayed
from tasks.remote.script import Stream
from tasks.run.outcome import Outcome
from tasks.sources.base import Drill
from tasks.units import clock, many

PROGRESS = "drill: "  # prefix of lines about the progress of a drill


def drilled(asked: Drill) -> Outcome:
    """Return the outcome of a drill that succeeded. Raises CloudbackupError."""
    session, app, repository = asked.choices.session, asked.choices.app, asked.choices.repository
    assert app.mariadb is not None
    archive = asked.choice.archive
    asked.step(f"restores {archive.name}")
    total, _ = size(repository, archive.name)
    stream = content(repository, archive.name, mariadb_source.STREAM)
    version = mariadb_source.version(repository, archive)
    queries, limit = app.mariadb.verify, repository.time_limit
    details = mariadb_source.remembered(session, app, archive)
    expected = tables.parse(details.get(mariadb_source.TABLES))
    options = DrillOptions(total, queries, asked.folder, version, limit, expected, details, asked.trust)
    try:
        done = _run(asked, stream, options)
    except unpack.ContentError as error:
        raise mariadb_source.unread(app, error) from error
    where = (asked.elsewhere or repository.host).name
    return Outcome(
        app=app.name,
        source=mariadb_source.SOURCE,
        status="ok",
        began=asked.began,
        seconds=(datetime.now(UTC) - asked.began).total_seconds(),
        size=total,
        said=(_told(done, len(options.verify), where), *done.remarks),
        details={
            "where": where,
            "restore_seconds": done.restore_seconds,
            "tables": done.tables,
            "queries": len(options.verify),
            "data_bytes": done.size,
            "version": done.version,
            "walls": list(done.walls),
            "position": f"{done.position.file}:{done.position.offset}" if done.position else None,
            "gtid": done.gtid or None,
            **mariadb_source.standing(done.replica, done.galera),
        },
    )


def _run(asked: Drill, stream: Stream, options: DrillOptions) -> Drilled:
    def step(line: str) -> None:
        if line.startswith(PROGRESS):
            asked.step(line.removeprefix(PROGRESS))

    own = asked.choices.repository.host
    host = asked.elsewhere or own
    if host is own:
        database = asked.choices.app.mariadb
        inside = one_off(host, database.exec) if database else None
        return drill.run(host, stream, replace(options, inside=inside), step)
    with relayed(own, stream, host) as relay:

        def listen(line: str) -> None:
            relay.listen(line)
            step(line)

        try:
            return drill.run(host, relay.taken, options, listen)
        except unpack.ContentError as error:
            relay.end()
            raise unpack.ContentError(error.what, error.code, relay.said or error.said) from error


def _told(done: Drilled, queries: int, where: str) -> str:
    answers = f"{queries} quer{'y' if queries == 1 else 'ies'} answered" if queries else "no `verify` query to ask"
    walls = f"behind walls ({', '.join(done.walls)})" if done.walls else "without walls (--trust-archive)"
    position = f", binary log at {done.position.file}:{done.position.offset}" if done.position else ""
    return (
        f"a MariaDB {done.version} served it on {where} after {clock(done.restore_seconds)}:"
        f" {many(done.tables, 'table')} sound, {answers}{position}, {walls}"
    )
