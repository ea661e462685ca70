"""Damaged pages of InnoDB that came into an archive: `mariadb.damaged: save` in the inventory.

With `--log-innodb-page-corruption`, mariadb-backup copies a page whose checksum is wrong as it is, and lists it in the
file LIST of the archive: a line with the name and number of the tablespace, then one with its pages. `--prepare` of
such an archive applies the redo log to all other pages and ends with exit code 1 ("can not be fixed"); run once more
without the list, it ends with `completed OK!`, and a server reads every other table, and of this one what it can
(tried, 10.11.19, 11.8.9). A tablespace without a database's name is the system's, which every table needs: no server
starts on it.

A part of the stream filter, which runs alone on a host: of the standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Pages = Mapping[str, Sequence[int]]  # of each damaged tablespace, by its name on disk: shop/orders, shop/o#P#p0

LIST = "innodb_corrupted_pages"
TOLD = "cloudbackup damaged "
MOST = 1000  # tablespaces: with more of them damaged, there is nothing that is worth an archive
NAMED = 20  # pages of each
_PARTITION = re.compile(r"#p#", re.IGNORECASE)


REMEDY = "what can be read of it is there: dump it, drop the table and load it again"


class DamageError(Exception):
    """There is too much damage for an archive."""


def told(text: str) -> str:
    """Return the line in which the filter tells of damage, from mariadb-backup's list. Raises DamageError."""
    lines = text.splitlines()
    found = {}
    for number in range(0, len(lines) - 1, 2):
        name = lines[number].rpartition(" ")[0]
        numbers = [int(each) for each in lines[number + 1].split()[:NAMED]]
        if "/" not in name:
            raise DamageError(f"{name} on the server ({shown(numbers)}), a file that every table needs")
        found[name] = numbers
    if not found:
        raise DamageError("damaged pages were found, and mariadb-backup does not say which")
    if len(found) > MOST:
        raise DamageError(f"{len(found)} tables are damaged on the server")
    return f"{TOLD}{json.dumps(found).encode().hex()}\n"


def heard(said: Iterable[str]) -> dict[str, list[int]]:
    """Return the damaged pages of which the filter told; empty when it told of none. Raises ValueError."""
    line = next((line for line in said if line.startswith(TOLD)), None)
    if line is None:
        return {}
    found = parse(json.loads(bytes.fromhex(line[len(TOLD) :])))
    if not found:
        raise ValueError("no list of damaged pages")
    return found


def parse(values: object) -> dict[str, list[int]]:
    """Return the damaged pages in a record; what is of another form is left out: a record is not trusted."""
    if not isinstance(values, Mapping) or len(values) > MOST:
        return {}
    return {
        name: [page for page in pages[:NAMED] if isinstance(page, int)]
        for name, pages in values.items()
        if isinstance(name, str) and "/" in name and isinstance(pages, list)
    }


def table(name: str) -> str:
    """Return the table of a tablespace: without its partition."""
    return _PARTITION.split(name)[0]


def shown(pages: Sequence[int]) -> str:
    """Return what pages suffered, for a person."""
    numbers = ", ".join(map(str, pages[:NAMED]))
    return f"page {numbers} was damaged" if len(pages) == 1 else f"pages {numbers} were damaged"
