"""What a replay may leave in a data directory: nothing that the next server on it obeys.

Binary logs are not trusted, and a replay runs them with every right: whoever may replay GRANT ALL has to have all. A
forged one can make the server follow another master, and have it write its own logs over any name in the directory; the
next server that starts on the data follows such files (`master.info`, `*.isl`; tried, 10.11.19). No statement that a
server logs leaves one, so one that is there was forged.

Part of replays, which run alone on a host: standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from tasks.mariadb.host.ordinary_user import DrillFault

if TYPE_CHECKING:
    from pathlib import Path

# What a server of its own makes beside the folders of databases, 10.5 to 11.8.
SERVERS = re.compile(
    r"aria_log\.[0-9]{8}|aria_log_control|ib_logfile[0-9]+|ibdata[0-9]+|ibtmp[0-9]+|undo[0-9]{3}|ib_buffer_pool"
    r"|multi-master\.info|tc\.log|mariadb_upgrade_info|mysql_upgrade_info"
)
LEADING = (".isl", ".link")  # in the folder of a database: the path of another file, that a table then is
REMEDY = "somebody forged the binary logs: restore a moment before that, or the backup without them"


def names(data: Path) -> set[str]:
    """Return the names in a data directory."""
    return set(os.listdir(str(data)))  # of any bytes


def require_known(data: Path, before: set[str], binlog: str) -> None:
    """Raise DrillFault for a file that the next server on the data would obey.

    `before` are the names that the backup had, `binlog` the base name of the binary logs that the server wrote here,
    or empty.
    """
    for name in sorted(names(data)):
        path = data / name
        if path.is_dir() and not path.is_symlink():
            found = sorted(each for each in names(path) if each.endswith(LEADING))
            if found:
                raise DrillFault(f"the replay left {f'{name}/{found[0]}'!a}, which leads to another file", REMEDY)
        elif name not in before and not SERVERS.fullmatch(name) and not own_log(name, binlog):
            raise DrillFault(f"the replay left {name!a}, which a server of its own does not make", REMEDY)
    replicas = data / "multi-master.info"
    if replicas.exists() and replicas.stat().st_size:
        raise DrillFault("the replay made the server a replica of another one", REMEDY)


def own_log(name: str, binlog: str) -> bool:
    """Return whether a name is that of a binary log, of its index, of their list or of their state."""
    bases = {binlog, binlog.rpartition(".")[0]} - {""}
    return any(re.fullmatch(rf"{re.escape(base)}\.(?:[0-9]{{1,9}}(?:\.idx)?|index|state)", name) for base in bases)
