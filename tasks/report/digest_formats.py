"""The digest as a table for a terminal, as a message, as Markdown, and as JSON."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any

from tasks import units, version
from tasks.errors import UsageError
from tasks.inventory.errors import nearest
from tasks.report.digest import DRILL, Digest, Runs, Source, Space
from tasks.report.formats import Look
from tasks.report.markdown import escaped
from tasks.report.rows import Row, verdict
from tasks.report.table import laid_out, printable, space
from tasks.times import ago, day, utc
from tasks.units import many

VERSION = 1
NOUNS = {"backup": "backup", "verify": "drill", "check": "check", "prune": "prune", "restore": "restore"}
HEADERS = ("app", "source", "status", "backups", "failed", "drills", "proven", "added", "size")
LEAST_FIRST = ("drills", "size", "added")  # what a narrow terminal does without, in this order
NAMED = 12  # sources named in one line


def require(name: str) -> None:
    """Raise UsageError if the digest does not have this format."""
    if name not in WRITERS:
        raise UsageError(f"a digest has no format `{name}`{nearest(name, WRITERS)}")


def write(digest: Digest, name: str, look: Look) -> str:
    """Return the digest in the named format, without a trailing newline. Raises UsageError for an unknown format."""
    require(name)
    return WRITERS[name](digest, look)


def title(digest: Digest, zone: tzinfo | None = None) -> str:
    """Return the digest in one line: `2 of 9 need a look: backups from 15 Nov to 22 Nov`."""
    since, until = (day(moment.astimezone(zone), digest.until) for moment in (digest.since, digest.until))
    return f"{verdict(digest.report)}: backups from {since} to {until}"


def message(digest: Digest) -> str:
    """Return the digest for mail and chat: sentences and lists, which no proportional font disarranges."""
    lines = [*_attention(digest), *_summary(digest), "", *(f"- {_sentence(each, digest)}" for each in digest.sources)]
    return "\n".join(lines)


def _attention(digest: Digest) -> Iterator[str]:
    for each in digest.wrong:
        yield f"- {_label(each.row, digest)}: {each.row.status}{_reason(each.row)}"
    if digest.wrong:
        yield ""


def _summary(digest: Digest) -> Iterator[str]:
    yield f"Runs: {told_runs(digest.runs)}."
    if digest.unproven:
        yield f"No drill in this time: {_names(digest.unproven)}."
    for each in digest.spaces:
        yield f"Storage {space(each.row, digest.report)}{_growth(each)}."


def told_runs(runs: Mapping[str, Runs]) -> str:
    """Return `14 backups (1 failed), 2 drills, 1 check`; `none` if there were none."""
    return ", ".join(_count(each, NOUNS[action]) for action, each in runs.items() if each.done) or "none"


def _count(runs: Runs, noun: str) -> str:
    failed = f" ({runs.failed} failed)" if runs.failed else ""
    return f"{'at least ' if runs.more else ''}{many(runs.done, noun)}{failed}"


def _sentence(source: Source, digest: Digest) -> str:
    """Return what one source did: `shop files: ok, 7 backups, 118 MB added, holds 12.4 GB, proven 2 days ago`."""
    row = source.row
    parts = [row.status, _count(source.backups, "backup")]
    if source.drills.failed:
        parts.append(_count(source.drills, NOUNS[DRILL]))
    if source.added is not None:
        parts.append(f"{units.size(source.added)} added")
    if row.size is not None:
        parts.append(f"holds {units.size(row.size)}")
    parts.append("never proven" if row.proven is None else f"proven {ago(row.proven, digest.until)}")
    return f"{_label(row, digest)}: {', '.join(parts)}"


def _label(row: Row, digest: Digest) -> str:
    return f"{row.app} {row.source}" + (f" on {row.storage}" if digest.report.with_copies else "")


def _reason(row: Row) -> str:
    return f": {printable(row.error)}" if row.error else ""


def _names(sources: list[Source]) -> str:
    """Return the first of the sources by name, and how many more there are."""
    names = list(dict.fromkeys(f"{each.row.app} {each.row.source}" for each in sources))
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _growth(each: Space) -> str:
    return f", {units.size(each.growth)} added a day" if each.growth is not None else ""


def _table(digest: Digest, look: Look) -> str:
    rows = [_cells(each, digest) for each in digest.sources]
    lines = [
        title(digest, look.zone),
        *_attention(digest),
        *(line.rstrip() for line in laid_out(HEADERS, rows, look, LEAST_FIRST)),
        "",
        *_summary(digest),
    ]
    return "\n".join(lines)


def _cells(source: Source, digest: Digest) -> tuple[str, ...]:
    row = source.row
    return (
        row.app,
        f"{row.source} on {row.storage}" if digest.report.with_copies else row.source,
        row.status,
        f"{source.backups.done}{'+' if source.backups.more else ''}",
        str(source.backups.failed or ""),
        str(source.drills.done or ""),
        ago(row.proven, digest.until),
        units.size(source.added),
        units.size(row.size),
    )


def _markdown(digest: Digest, look: Look) -> str:
    lines = [f"**{title(digest, look.zone)}**", ""]
    lines += [
        f"- **{each.row.status}** {escaped(_label(each.row, digest))}{escaped(_reason(each.row))}"
        for each in digest.wrong
    ]
    lines += [""] if digest.wrong else []
    lines += [f"| {' | '.join(HEADERS)} |", f"|{'---|' * len(HEADERS)}"]
    lines += [f"| {' | '.join(map(escaped, _cells(each, digest)))} |" for each in digest.sources]
    lines += ["", *(f"- {escaped(line)}" for line in _summary(digest))]
    return "\n".join(lines)


def _json(digest: Digest, _look: Look) -> str:
    values = {
        "version": VERSION,
        "tool": version.VERSION,
        "since": utc(digest.since),
        "until": utc(digest.until),
        "runs": {action: _plain_runs(each) for action, each in digest.runs.items()},
        "sources": [_plain(each) for each in digest.sources],
        "storages": [
            {
                "storage": each.row.storage,
                "kind": each.row.kind,
                "used": each.row.used,
                "size": each.row.size,
                "added_per_day": each.growth,
                "full_in_days": each.days_left,
                "error": each.row.error,
            }
            for each in digest.spaces
        ],
    }
    return json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)


def _plain_runs(runs: Runs) -> dict[str, Any]:
    return {"done": runs.done, "failed": runs.failed, "more": runs.more}


def _plain(source: Source) -> dict[str, Any]:
    row = source.row
    return {
        "app": row.app,
        "host": row.host,
        "storage": row.storage,
        "source": row.source,
        "status": row.status,
        "backups": _plain_runs(source.backups),
        "drills": _plain_runs(source.drills),
        "added": source.added,
        "size": row.size,
        "grown": source.grown,
        "proven": _time(row.proven),
        "last_good": _time(row.last_good),
        "error": row.error,
    }


def _time(when: datetime | None) -> str | None:
    return utc(when) if when else None


WRITERS: Mapping[str, Callable[[Digest, Look], str]] = {"table": _table, "markdown": _markdown, "json": _json}
