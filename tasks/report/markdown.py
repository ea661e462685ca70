"""The report for job summaries, merge requests and wikis: Markdown as GitHub and GitLab render it (GFM)."""

import re
from collections.abc import Iterator

from tasks.report.formats import Look
from tasks.report.rows import Report
from tasks.report.table import RIGHT, columns, printable, space

# Characters with an inline meaning, which GFM takes literally after a backslash (section 2.4), in table cells too. Also
# $ (formulas), @ (mentions) and :// (links), which GitHub and GitLab interpret.
ACTIVE = re.compile(r"([\\`*_\[\]<>|~&#$@]|:(?=//))")


def write(report: Report, look: Look) -> str:
    """Return the problems with their reasons, then the table, then the storages."""
    return "\n".join([*_wrong(report), *_table(report, look), *_storages(report)]).strip("\n")


def _wrong(report: Report) -> Iterator[str]:
    wrong = [row for row in report.worst_first if row.status != "ok" or row.error]
    for row in wrong:
        reason = f": {escaped(row.error)}" if row.error else ""
        yield f"- **{row.status}** {escaped(row.app)} {row.source}{reason}"
    if wrong:
        yield ""


def _table(report: Report, look: Look) -> Iterator[str]:
    headers, lines = columns(report, look)
    yield _line(headers)
    yield _line(tuple("--:" if header in RIGHT else "---" for header in headers))
    yield from (_line(tuple(escaped(cell) for cell in line)) for line in lines)


def _storages(report: Report) -> Iterator[str]:
    if report.storages:
        yield ""
    yield from (f"- {escaped(space(row, report))}" for row in report.storages)


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def escaped(text: str) -> str:
    """Return text that Markdown shows literally, on one line."""
    return ACTIVE.sub(r"\\\1", printable(text))
