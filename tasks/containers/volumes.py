"""What of containers' volumes an app saves as files, and which volumes of a host no app saves."""

import fnmatch
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tasks.containers.container import Container, Mount
from tasks.inventory.models import App

# Where the usual images of databases have their data: what a dump saves of such a container.
DATABASES = ("/var/lib/mysql", "/var/lib/postgresql", "/bitnami", "/data/db")


@dataclass(frozen=True)
class Uncovered:
    """A mount of a container that no app saves."""

    host: str
    container: Container
    mount: Mount

    @property
    def shown(self) -> str:
        """Return the volume's name, or the path."""
        if self.mount.anonymous:
            return f"{self.mount.name[:12]} (without a name)"
        return self.mount.name or self.mount.source


def within(path: str, folders: Iterable[str]) -> bool:
    """Return whether a path is one of these, or in one of them."""
    return any(path == each or path.startswith(f"{each.rstrip('/')}/") for each in folders)


def paths(containers: Sequence[Container], apart: Collection[str]) -> tuple[list[str], list[str]]:
    """Return what to save of containers as files, and what to leave out of it.

    `apart` are folders that another source saves. A path in another one is not named again.
    """
    every = [path for each in containers for path in each.beside]
    every += sorted(mount.source for each in containers for mount in each.mounts if mount.data)
    outside = [path for path in dict.fromkeys(every) if not within(path, apart)]
    kept = [path for path in outside if not within(path, (other for other in outside if other != path))]
    return kept, [f"pp:{path}" for path in sorted(set(apart)) if within(path, kept)]


def uncovered(
    host: str, containers: Sequence[Container], apps: Sequence[App], ignored: Sequence[str]
) -> Iterator[Uncovered]:
    """Yield the mounts with data that none of the apps on this host saves, each once.

    `ignored` are patterns of names, of volumes or containers, and of paths that need not be saved.
    """
    seen: set[str] = set()
    for container in containers:
        for mount in container.mounts:
            names = (mount.source, mount.name, container.name)
            lost = mount.kind == "missing" and bool(mount.name)  # a volume whose driver has no folder on the host
            if not (mount.data or lost) or mount.source in seen or any(_matches(each, ignored) for each in names):
                continue
            if not any(_saves(app, container, mount) for app in apps):
                seen.add(mount.source)
                yield Uncovered(host, container, mount)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return bool(name) and any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _saves(app: App, container: Container, mount: Mount) -> bool:
    if app.files and within(mount.source, (*app.files.paths, *app.files.optional)):
        return True
    if app.mariadb and app.mariadb.datadir and within(app.mariadb.datadir, (mount.source,)):
        return True
    asked = [app.mariadb.exec if app.mariadb else (), *(dump.product.exec for dump in app.dumps.values())]
    return any(container.name in words for words in asked) and within(mount.destination, DATABASES)
