"""The report for spreadsheets: CSV (RFC 4180) of all apps; the columns are the fields of the JSON report."""

import csv
import io
from dataclasses import fields
from datetime import UTC, datetime

from tasks.report.formats import Look
from tasks.report.rows import Acceptance, LeftOut, Report, Row
from tasks.report.table import printable

# Spreadsheets take a cell that begins with one of these as a formula, quoted or not; an apostrophe makes it text
# (https://owasp.org/www-community/attacks/CSV_Injection). The full-width ones are typed on East Asian keyboards.
FORMULA = (
    *"=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}",
    "\t",
    "\r",
)


def write(report: Report, _look: Look) -> str:
    """Return a header and one row per app and source. Times are UTC, sizes bytes, unknown values empty.

    `incomplete` is the number of paths left out; `verdict_accepted` is one text with who, when and why.
    """
    names = [field.name for field in fields(Row)]
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(names)
    lines.writerows([_cell(getattr(row, name)) for name in names] for row in report.apps)
    return text.getvalue().rstrip("\n")


def _cell(value: object) -> object:
    if isinstance(value, LeftOut):
        return value.count
    if isinstance(value, Acceptance):
        value = f"{value.by or 'unknown'}, {_time(value.time)}: {value.reason}"
    if isinstance(value, datetime):
        return _time(value)
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _time(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}"  # spreadsheets recognize this format as a time
