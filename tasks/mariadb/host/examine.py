"""Starts a private server on a restored and prepared data directory and examines it. Runs alone on the host.

    python3 -c "$PROOF" ready JSON      before anything is restored: could a server start at all?
    python3 -c "$PROOF" prove JSON      the examination

JSON: `scratch`, the drill's own directory, whose `data` is the data directory; `verify`, queries that must each return
1; `patience`, seconds for the server to answer; `version` of the saved server, if known beforehand; `began`, when the
restore began, in seconds since 1970; `tables`, those expected in the data (see `tables`), or null; `settings`, `zone`
and `plugins` of the saved server (see `settings`), or null.

It must not serve the live server's files: if the private server holds a file open outside of the drill's directory,
that is a fault.

Standard output is one line of JSON: `fault` and `remedy`, or the findings. Standard library only, Python 3.8 and later,
except `private_server`, `settings`, `tables`, `check_table` and what these import, which are sent along.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.mariadb.host.check_table import NAMED_FAULTS, check_tables, excused, find_lost, last, tell
from tasks.mariadb.host.ordinary_user import (
    ORDINARY,
    DrillFault,
    clean_environment,
    give_away,
    ordinary,
    program,
    series,
)
from tasks.mariadb.host.private_server import ASKER, CLIENT, SERVER, Private
from tasks.mariadb.host.settings import SLAVE_POSITION, begin, furnish, understood, without
from tasks.mariadb.host.tables import absent, parse

if TYPE_CHECKING:
    from tasks.mariadb.host.tables import Known

WALLS = "CLOUDBACKUP_WALLS"  # environment variable with the names of the walls, set by `walls`
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Terminated(BaseException):
    """The operator was lost, or asked for termination."""


def require(data: Path, expected: Known | None) -> None:
    """Raise DrillFault if an expected table is missing. For older backups the expected tables are unknown."""
    gone = absent(data, expected) if expected is not None else []
    if gone:
        more = f"; and {len(gone) - NAMED_FAULTS} more" if len(gone) > NAMED_FAULTS else ""
        raise DrillFault(
            f"tables of the server that was saved are missing: {'; '.join(gone[:NAMED_FAULTS])}{more}",
            "an older backup may have them; `inv app.check` tells what an option file has mariadb-backup leave out",
        )


def verify(server: Private, queries: list[str]) -> None:
    """Run the app's own queries. Raises DrillFault unless each returns 1, in one row of one column."""
    for query in queries:
        tell(f"asks {query}")
        done = server.ask(query, ASKER)
        answer = done.stdout.strip("\n")
        if done.returncode != 0:
            raise DrillFault(f"`{query}` fails on the restored data: {last(done.stderr)}")
        if answer != "1":
            shown = " ".join(answer.split())[:80] or "nothing"
            raise DrillFault(f"`{query}` answers {shown} on the restored data, not 1")


def prove(plan: dict[str, object]) -> dict[str, object]:
    """Examine the restored data and return the findings. Raises DrillFault, OSError, Terminated."""
    server = Private(Path(str(plan["scratch"])), float(str(plan["patience"])))
    missing = furnish(server, plan)
    server.tame = True
    same_series(server.program, made_by(server.data))
    refuse_links(server.data)
    queries = plan["verify"]
    assert isinstance(queries, list)
    tell("starts a server on the restored data")
    try:
        rolled_back = begin(server)
        seconds = time.time() - float(str(plan["began"]))
        size = sum(file.lstat().st_blocks * 512 for file in server.data.rglob("*"))
        position = server.ask(SLAVE_POSITION).stdout.strip()
        server.disarm()
        expected = parse(plan.get("tables"))
        require(server.data, expected)
        find_lost(server, expected.discarded if expected else ())
        with understood(missing):
            tables, remarks = check_tables(server, excused(server, expected))
            remarks += [*rolled_back, *without(missing)]
            verify(server, [str(query) for query in queries])
        refuse_outside(server)
    except DrillFault:
        if server.ended():  # what its clients say then is "lost connection"
            server.refuse_killed()
        raise
    finally:
        server.end()
    walls = json.loads(os.environ.get(WALLS) or "[]")
    found = {"tables": tables, "bytes": size, "remarks": remarks, "walls": walls, "position": position}
    return {"restore_seconds": round(seconds, 1), **found}


def ready(plan: dict[str, object]) -> dict[str, object]:
    """Check beforehand whether a server could start in the drill's directory. Raises DrillFault."""
    scratch = Path(str(plan["scratch"]))
    program(CLIENT, "mariadb-client")
    server = program(SERVER, "mariadb-server")
    if plan.get("version"):
        same_series(server, str(plan["version"]))
    give_away(scratch)
    try:
        subprocess.run(
            (server, "--no-defaults", "--version"), cwd="/", env=clean_environment(), preexec_fn=ordinary(scratch),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
        )  # fmt: skip
    except subprocess.SubprocessError:
        raise DrillFault(
            f"the user {ORDINARY}, as whom the server is to run, cannot work in {scratch.parent}",
            "name a folder that everybody may pass through: --scratch",
        ) from None
    return {}


def refuse_outside(server: Private) -> None:
    """Raise DrillFault if the server has a file open that is not of the restored data."""
    outside = server.opened_outside()
    if outside:
        raise DrillFault(f"the server on the restored data opened {outside[0]}, which is not of the drill")


def refuse_links(data: Path) -> None:
    """Raise DrillFault if a file in the data names one of the live server, which a server would open."""
    links = [str(path.relative_to(data)) for path in data.rglob("*.isl")]
    if links:
        raise DrillFault(f"{links[0]} names a file of the live server: the drill must not go on")


def made_by(data: Path) -> str:
    """Return the version of the saved server, as noted by mariadb-backup."""
    infos = [file for name in ("xtrabackup_info", "mariadb_backup_info") for file in data.glob(name)]
    return str(re.findall(r"^server_version = (.*)$", infos[0].read_text(errors="replace"), re.MULTILINE)[0])


def same_series(server: str, version: str) -> None:
    """Raise DrillFault unless the server program has the release series of a version."""
    said = subprocess.run(
        (server, "--no-defaults", "--version"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True
    ).stdout.decode(errors="replace")
    made = series(version)
    if series(said) != made:
        raise DrillFault(
            f"the backup is of MariaDB {made}, the server program there is of {series(said)}",
            f"drill where MariaDB {made} is installed",
        )


def terminate(*_: object) -> None:
    """Handle a signal: terminate, once."""
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
    raise Terminated("interrupted")


def main() -> int:
    """Run the command in the first argument with the plan in the second; return the exit code."""
    for number in SIGNALS:
        signal.signal(number, terminate)
    plan = json.loads(sys.argv[2])
    try:
        found = ready(plan) if sys.argv[1] == "ready" else prove(plan)
    except DrillFault as fault:
        print(json.dumps({"fault": str(fault), "remedy": fault.remedy}))
        return 1
    except (OSError, subprocess.SubprocessError) as error:
        print(json.dumps({"fault": f"the drill cannot work in {plan['scratch']}: {error}", "remedy": ""}))
        return 1
    if found:
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
