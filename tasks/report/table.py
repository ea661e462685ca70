"""The report for people: one line per app and source, with its problems below."""

from collections.abc import Iterator, Sequence

from tasks import units
from tasks.report.forecast import days_left, in_words
from tasks.report.formats import Look
from tasks.report.rows import Report, Row, StorageRow, verdict
from tasks.terminal import one_line
from tasks.times import age, ago, moment

COLOURS = {  # ANSI: red, magenta, yellow, cyan, green
    "failed": 31,
    "missing": 31,
    "incomplete": 31,
    "suspect": 35,
    "late": 33,
    "unknown": 35,
    "paused": 36,
    "ok": 32,
}
HEADERS = ("app", "source", "status", "last saved", "age", "archives", "size", "added", "proven", "recoverable until")
RIGHT = {"archives"}
INDENT = " " * 6
NAMED = 3  # sources named in the last line
LEAST_FIRST = ("added", "archives", "size", "recoverable until")  # what a narrow terminal does without, in this order


def write(report: Report, look: Look) -> str:
    """Format the report as lines for a terminal or a log."""
    storages = (space(row, report) for row in report.storages)
    return "\n".join([*_table(report, look), *storages, summed(report)])


def summed(report: Report) -> str:
    """Return the last line: how many need a look, and which these are."""
    wrong = [f"{row.app} {row.source} {row.status}" for row in report.worst_first if not row.well]
    more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    return f"{verdict(report)}{': ' if wrong else ''}{', '.join(wrong[:NAMED])}{more}"


def _table(report: Report, look: Look) -> Iterator[str]:
    header, *rows = laid_out(*columns(report, look), look)
    yield header.rstrip()
    for row, line in zip(report.worst_first, rows, strict=True):
        yield line.rstrip()
        if row.error:
            yield INDENT + printable(row.error)


def laid_out(
    headers: tuple[str, ...], lines: list[tuple[str, ...]], look: Look, least_first: Sequence[str] = LEAST_FIRST
) -> list[str]:
    """Return the header's line and those of the rows, without the columns for which the terminal is too narrow."""
    for dropped in ("", *least_first):
        kept = [index for index, header in enumerate(headers) if header != dropped]
        headers = tuple(headers[index] for index in kept)
        lines = [tuple(line[index] for index in kept) for line in lines]
        widest = max(len(line.rstrip()) for line in _aligned(headers, lines))
        if not look.width or widest <= look.width:
            break
    return _aligned(headers, [_coloured(line) for line in lines] if look.colour else lines)


def _aligned(headers: tuple[str, ...], lines: list[tuple[str, ...]]) -> list[str]:
    from tabulate import tabulate

    return tabulate(
        lines,
        headers=headers,
        tablefmt="plain",
        disable_numparse=True,
        colalign=["right" if header in RIGHT else "left" for header in headers] if lines else None,
    ).splitlines()


def columns(report: Report, look: Look) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the headers, and one row of texts per source, worst first.

    The last column only appears if an app uses it, and the storage only if an app has several.
    """
    width = len(HEADERS) if any(row.recoverable_until for row in report.apps) else len(HEADERS) - 1
    headers, lines = HEADERS[:width], [_cells(row, report, look)[:width] for row in report.worst_first]
    if not report.with_copies:
        return headers, lines
    named = zip(report.worst_first, lines, strict=True)
    return (*headers[:3], "storage", *headers[3:]), [(*line[:3], row.storage, *line[3:]) for row, line in named]


def _coloured(line: tuple[str, ...]) -> tuple[str, ...]:
    app, source, status, *rest = line
    return (app, source, f"\033[{COLOURS[status]}m{status}\033[0m", *rest)


def _cells(row: Row, report: Report, look: Look) -> tuple[str, ...]:
    now = report.generated
    return (
        row.app,
        row.source,
        row.status,
        moment(row.last, now, look.zone) if row.last else "never" if row.status == "missing" else "",
        age(row.age_seconds) if row.age_seconds is not None else "",
        str(row.archives) if row.archives is not None else "",
        units.size(row.size),
        units.size(row.stored),
        "" if row.status == "unknown" and row.proven is None else ago(row.proven, now),
        moment(row.recoverable_until, now, look.zone) if row.recoverable_until else "",
    )


def space(row: StorageRow, report: Report) -> str:
    """Return the line of a storage: how much is used, and when it will be full if nothing is pruned."""
    if row.used is None:
        return f"{row.storage}: space unknown: {printable(row.error or 'it could not be asked')}"
    text = f"{row.storage}: {units.size(row.used)} used"
    if row.size:
        text = f"{row.storage}: {units.size(row.used)} of {units.size(row.size)} used ({row.used / row.size:.0%})"
    days = days_left(row, report)
    text = text.replace("%", " %") + ("" if days is None else f", {in_words(days)}")
    return text + (f": {printable(row.error)}" if row.error else "")


def printable(text: str) -> str:
    """Return the text as one line without control characters: hosts write it, and terminals would interpret them."""
    return one_line(text)
