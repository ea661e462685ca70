"""`app.find`: the containers of hosts, by what of their volumes no app saves."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from tasks.app.new_app import NewApp
from tasks.app.options import FindOptions
from tasks.containers.container import ASK_AS_ROOT, NoEngineError, survey
from tasks.containers.volumes import Uncovered, uncovered
from tasks.crash import foreseen
from tasks.errors import CloudbackupError
from tasks.inventory.inventory import Inventory
from tasks.inventory.loading import draft
from tasks.inventory.models import App
from tasks.json_output import wants_json, written
from tasks.run.parallel import over_apps
from tasks.run.session import Session
from tasks.storage.registry import load
from tasks.terminal import one_line, own
from tasks.units import many

HEADERS = ("host", "container", "volume", "in the container")
SSH_PORT = 22  # where neither the inventory nor the command line says it
NEW = "cloudbackup-find"  # stands for an app on a host that has none


@dataclass(frozen=True)
class Seen:
    """A host, how many containers it has, and what of them no app saves; or why it could not be asked."""

    host: str
    containers: int = 0
    uncovered: tuple[Uncovered, ...] = ()
    error: str = ""
    remedy: str = ""


def run(folder: str, options: FindOptions) -> int:
    """Print what no app saves; return 0, or 3 if there is any or a host could not be asked. Raises UsageError."""
    as_json = wants_json(options.format)
    with Session(load(Path(folder))) as session:
        asked = _asked(session.inventory, options)
        found = over_apps(session, asked, 8, lambda app: _seen(session, app, options), _fault)
    print(_as_json(found) if as_json else "\n".join(_table(found)), file=own(sys.stdout))
    return 3 if any(each.uncovered or each.error for each in found) else 0


def _asked(inventory: Inventory, options: FindOptions) -> list[App]:
    """Return an app for each host: one that is there, or one that stands for a host without any.

    Several machines may be behind one name, each by a port of its own.
    """
    there = {(app.host, _machine(app)): app for app in reversed(list(inventory.apps.values()))}
    apps = [there[place] for place in sorted(there)]
    if not options.host:
        return apps
    asked = []
    for host in dict.fromkeys(options.host):
        known = [app for app in apps if app.host == host and options.ssh_port in (0, _machine(app)[1])]
        asked += [_becoming(inventory, app, options) for app in known] or [_new(inventory, host, options)]
    return asked


def _machine(app: App) -> tuple[str, int]:
    """Return the name and port under which an app's host is reached, whoever logs in."""
    return app.host.rpartition("@")[2], app.ssh.port or SSH_PORT


def _becoming(inventory: Inventory, app: App, options: FindOptions) -> App:
    """Return the app, with --become where its file does not say it."""
    if app.become is not None or not options.become:
        return app
    return app.model_copy(update={"become": _new(inventory, app.host, options).become})


def _new(inventory: Inventory, host: str, options: FindOptions) -> App:
    storage = next(iter(inventory.storages))  # of its keys only those are used that say how to reach the host
    ssh = (options.ssh_port, options.key)
    new = NewApp(NEW, host, ("/",), storage=storage, ssh_port=ssh[0], key=ssh[1], become=options.become)
    return draft(inventory, NEW, new.values({"env": "NONE"}))


def _seen(session: Session, app: App, options: FindOptions) -> Seen:
    there = [each for each in session.inventory.apps.values() if _machine(each) == _machine(app)]
    try:
        with foreseen(app.host):
            every, silent = survey(session.host(app))
    except NoEngineError:
        return Seen(app.host)
    except CloudbackupError as error:
        return Seen(app.host, error=error.what, remedy=error.remedy)
    found = tuple(uncovered(app.host, every, there, options.ignore))
    return Seen(app.host, len(every), found, silent, ASK_AS_ROOT if silent else "")


def _fault(app: App, error: CloudbackupError) -> Seen:
    return Seen(app.host, error=error.what, remedy=error.remedy)


def _table(found: Sequence[Seen]) -> Iterator[str]:
    rows = [
        (each.host, one.container.name, one.shown, one.mount.destination) for each in found for one in each.uncovered
    ]
    if rows:
        shown = tabulate([[one_line(cell) for cell in row] for row in rows], headers=HEADERS, tablefmt="plain")
        yield from shown.splitlines()
        yield "`inv app.add --host HOST --container NAME` adds an app of it; `--ignore VOLUME` leaves one out"
    for each in found:
        if each.error:
            yield f"{one_line(each.host)}  error  {one_line(each.error)}"
            yield f"      {one_line(each.remedy)}"
    containers = sum(each.containers for each in found)
    hosts = f"{many(containers, 'container')} on {many(len(found), 'host')}"
    yield f"{hosts}, {many(len(rows), 'volume')} that no app saves"


def _as_json(found: Sequence[Seen]) -> str:
    hosts = [
        {
            "host": each.host,
            "containers": None if each.error else each.containers,
            "error": each.error or None,
            "remedy": each.remedy or None,
            "uncovered": [_one(one) for one in each.uncovered],
        }
        for each in found
    ]
    return written({"hosts": hosts})


def _one(found: Uncovered) -> dict[str, object]:
    container, mount = found.container, found.mount
    return {
        "container": container.name,
        "engine": container.engine,
        "image": container.image,
        "running": container.running,
        "project": container.project or None,
        "volume": mount.name or None,
        "path": mount.source,
        "destination": mount.destination,
    }
