"""Starts a server on a restored replica's data, and reports its position. Runs alone on the host.

    python3 -c "$REPLICA" JSON

JSON: `data`, the prepared data directory; `scratch`, a directory of our own; `known`, whether the saved server is known
to have replicated; `settings`, `zone` and `plugins` (see `settings`); `patience`, seconds for the server to answer. If
nothing indicates a replica, nothing is done.

A replica that applies in parallel may be copied with transactions that are prepared and not committed: no server starts
on these, so they are rolled back. mariadb-backup's note of its position may then describe other transactions than the
data has (MDEV-23586, MDEV-36025), so the data itself is queried.

Standard output is one line of JSON: `fault`, or `position`, the data's own gtid_slave_pos, and `said`, for people.
Standard library only, Python 3.8 and later, except `private_server`, `settings`, `tables` and `examine` with their
imports, which are sent along.
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
    """Return the position in a replica's data; nothing for any other server. Raises DrillFault, OSError."""
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
    """Run the plan in the first argument; return the exit code."""
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
