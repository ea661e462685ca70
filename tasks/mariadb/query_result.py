"""The answer to a query: read as typed values, printed as a table, CSV or JSON."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from tabulate import tabulate

from tasks.errors import AppError
from tasks.mariadb.host.serve import csv_line
from tasks.terminal import printable, whole_line
from tasks.units import many

Value = str | int | float | None
UNREADABLE = "the answer of the private server cannot be read"
FORMATS = ("table", "csv", "json")


@dataclass(frozen=True)
class Result:
    """The names of the columns, none for a statement without a result, and the rows.

    A decimal number is a text, as JSON's numbers are rounded; binary data is 0x and hexadecimal digits.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]

    @classmethod
    def read(cls, text: str) -> "Result":
        """Read the lines of `host/serve.py`. Raises AppError."""
        try:
            found = [json.loads(line, parse_constant=_refuse) for line in text.split("\n") if line]
            columns = [name for name, _kind in found[0]] if found else []
        except (ValueError, TypeError, RecursionError) as error:
            raise AppError(UNREADABLE) from error
        if not all(isinstance(name, str) for name in columns) or not all(_is_row(row, columns) for row in found[1:]):
            raise AppError(UNREADABLE)
        return cls(columns, found[1:])

    def shown(self, how: str) -> str:
        """Return it as one of FORMATS."""
        return {"table": self._table, "csv": self._csv, "json": self._json}[how]()

    def _table(self) -> str:
        if not self.columns:
            return "no result"
        cells = [["NULL" if cell is None else _cell(str(cell)) for cell in row] for row in self.rows]
        names = [_cell(name) for name in self.columns]
        numeric = [all(isinstance(row[at], int | float | None) for row in self.rows) for at in range(len(names))]
        align = ["right" if each else "left" for each in numeric]
        drawn = tabulate(cells, names, tablefmt="simple", disable_numparse=True, colalign=align if cells else None)
        return f"{drawn}\n{many(len(self.rows), 'row')}"

    def _csv(self) -> str:
        return "".join(csv_line(row) for row in (self.columns, *self.rows) if row).removesuffix("\n")

    def _json(self) -> str:
        names = _distinct(self.columns)
        rows = [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in self.rows]
        return "[" + ",".join(f"\n {row}" for row in rows) + "\n]"


def _refuse(word: str) -> NoReturn:
    raise ValueError(word)


def _is_row(values: object, columns: Sequence[str]) -> bool:
    """Return whether these are as many plain values as there are columns."""
    return (
        isinstance(values, list)
        and len(values) == len(columns)
        and all(each is None or isinstance(each, str | int | float) for each in values)
    )


def _cell(text: str) -> str:
    return printable(whole_line(text.replace("\t", "\\t")))


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names of which none is there twice: `id`, `id_2`."""
    seen: Counter[str] = Counter()
    found: list[str] = []
    for name in names:
        seen[name] += 1
        fresh = name if seen[name] == 1 else f"{name}_{seen[name]}"
        while fresh in found:
            fresh += "_"
        found.append(fresh)
    return found
