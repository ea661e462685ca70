"""Has a server start on a restored replica's data, and tells where that stands. Runs alone on the host.

    python3 -c "$REPLICA" JSON

JSON: `data`, the prepared data directory; `scratch`, a directory of our own; `known`, whether the server that was saved
is known to have replicated; `settings`, `zone` and `plugins`, as `settings` has them; `patience`, seconds for the
server to answer. Where nothing tells of a replica, nothing is done.

A replica that applies in parallel may be copied with transactions that are prepared and not committed: no server
starts on these, so they are rolled back. What mariadb-backup notes of its position may then be of other transactions
than the data has (MDEV-23586, MDEV-36025): the data itself is asked.

Standard output is one line of JSON: `fault`, or `position`, the data's own gtid_slave_pos, and `said`, for a person. Of
the standard library only, Python 3.8 and later; but for `private`, `settings`, `tables` and `proof`, which come along.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tasks.mariadb.host.examine import SIGNALS, made_by, same_series, terminate
from tasks.mariadb.host.ordinary_user import DrillFault
from tasks.mariadb.host.private_server import Private
from tasks.mariadb.host.settings import SLAVE_POSITION, begin, furnish, shut

INFOS = ("xtrabackup_slave_info", "mariadb_backup_slave_info")


def stand(plan: dict[str, object]) -> dict[str, object]:
    """Return where the data of a replica stands; nothing for another server's. Raises DrillFault, OSError."""
    data, scratch = Path(str(plan["data"])), Path(str(plan["scratch"]))
    if not plan["known"] and not any((data / name).is_file() for name in INFOS):
        return {}
    server = Private(scratch, float(str(plan["patience"])), data=data)
    furnish(server, plan)
    same_series(server.program, made_by(data))
    owner = data.stat()
    try:
        said = begin(server)
        position = server.ask(SLAVE_POSITION).stdout.strip()
        shut(server, [f"DROP USER {server.account}@localhost"])
    finally:
        server.end()
        for path in (data, *data.rglob("*")):
            os.chown(str(path), owner.st_uid, owner.st_gid, follow_symlinks=False)
    return {"position": position, "said": said}


def main() -> int:
    """Do it; the exit code."""
    for each in SIGNALS:
        signal.signal(each, terminate)
    try:
        found = stand(json.loads(sys.argv[1]))
    except DrillFault as fault:
        found = {"fault": str(fault)}
    except (OSError, subprocess.SubprocessError) as error:
        found = {"fault": f"no server can work on the restored data: {error}"}
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
