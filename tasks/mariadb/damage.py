"""Damaged InnoDB pages in an archive: `mariadb.damaged: save` in the inventory.

With `--log-innodb-page-corruption`, mariadb-backup copies a page with a wrong checksum as it is, and lists it in the
archive's file LIST: a line with the name and number of the tablespace, then one with its pages. `--prepare` of such an
archive applies the redo log to all other pages and ends with exit code 1 ("can not be fixed"); run again without the
list, it ends with `completed OK!`, and a server reads every other table, and as much as it can of this one (tried,
10.11.19, 11.8.9). A tablespace without a database's name is the system tablespace, which every table needs: no server
starts on it.

Part of the stream filter, which runs alone on a host: standard library only, Python 3.8 and later.
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
MOST = 1000  # tablespaces: with more of them damaged, an archive is useless
NAMED = 20  # pages of each that are named
_PARTITION = re.compile(r"#p#", re.IGNORECASE)


REMEDY = "what can be read of it is there: dump it, drop the table and load it again"


class DamageError(Exception):
    """There is too much damage for an archive."""


def told(text: str) -> str:
    """Return the filter's report line about damage, from mariadb-backup's list. Raises DamageError."""
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
    """Parse the filter's report of damaged pages; empty if there is none. Raises ValueError."""
    line = next((line for line in said if line.startswith(TOLD)), None)
    if line is None:
        return {}
    try:
        found = parse(json.loads(bytes.fromhex(line[len(TOLD) :])))
    except RecursionError:
        found = {}
    if not found:
        raise ValueError("no list of damaged pages")
    return found


def parse(values: object) -> dict[str, list[int]]:
    """Return the damaged pages in a record; invalid values are left out, as a record is not trusted."""
    if not isinstance(values, Mapping) or len(values) > MOST:
        return {}
    return {
        name: [page for page in pages[:NAMED] if isinstance(page, int)]
        for name, pages in values.items()
        if isinstance(name, str) and "/" in name and isinstance(pages, list)
    }


def table(name: str) -> str:
    """Return the table of a tablespace, without the partition."""
    return _PARTITION.split(name)[0]


def shown(pages: Sequence[int]) -> str:
    """Describe the damaged pages."""
    numbers = ", ".join(map(str, pages[:NAMED]))
    return f"page {numbers} was damaged" if len(pages) == 1 else f"pages {numbers} were damaged"
