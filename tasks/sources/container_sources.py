"""What the app's file says of containers: their databases as sources of their own, all else as files."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.containers import volumes
from tasks.containers.container import Container
from tasks.errors import UsageError
from tasks.inventory.document import Data
from tasks.mariadb import container as mariadb
from tasks.sources.dumps import container as dumps
from tasks.sources.kinds import DUMPS, FILES, MARIADB

PROBE = f"({mariadb.PROBE})\n({dumps.PROBE})\n"


@dataclass(frozen=True)
class FromContainers:
    """The keys of the app's file, lines about what was found, and what is to be known of it."""

    containers: tuple[str, ...]
    values: dict[str, Data]
    said: tuple[str, ...]
    warnings: tuple[str, ...]


def proposed(containers: Sequence[Container], *, binlog: bool = False) -> FromContainers:
    """Return what to save of these containers, which were probed with `PROBE`. Raises UsageError."""
    _refuse_unseen(containers)
    server, dumped = mariadb.found(containers, binlog=binlog), dumps.found(containers)
    apart = [each.folder for each in (server, *dumped) if each and each.folder]
    paths, exclude = volumes.paths(containers, apart)
    files: dict[str, Data] = {"paths": [*paths], **({"exclude": [*exclude]} if exclude else {})}
    values: dict[str, Data] = {
        "container": [each.name for each in containers],
        **({FILES.name: files} if paths else {}),
        **({MARIADB.name: server.values} if server else {}),
        **({DUMPS.name: {each.name: each.values for each in dumped}} if dumped else {}),
    }
    said = [each.said for each in (server, *dumped) if each]
    said += [f"files of {', '.join(each.name for each in containers)}: {', '.join(paths)}"] if paths else []
    warnings = [*(server.warnings if server else ()), *dumps.warnings(containers), *_out_of_reach(containers)]
    return FromContainers(tuple(each.name for each in containers), values, tuple(said), tuple(warnings))


def _refuse_unseen(containers: Sequence[Container]) -> None:
    """Raise UsageError for a stopped container of a database: as files alone, it would be saved while it runs."""
    for each in containers:
        if not each.running and any(volumes.within(mount.destination, volumes.DATABASES) for mount in each.mounts):
            raise UsageError(
                f"the container {each.name} does not run, and its volumes look like a database's",
                "start it: only then can be found which database it is, and how its tools log in",
            )


def _out_of_reach(containers: Sequence[Container]) -> list[str]:
    stopped = ", ".join(each.name for each in containers if not each.running)
    lost = [
        f"{each.name}: the volume {mount.name or mount.source} has no folder on the host and is not saved"
        for each in containers
        for mount in each.mounts
        if mount.kind == "missing"
    ]
    if stopped:
        lost.append(f"{stopped}: stopped, so a database in it was not looked for; start it, and add the app then")
    return lost
