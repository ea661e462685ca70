"""The containers of a host: asks `host/containers.py`, and reads its answer into typed values.

The answer comes from a host, so nothing in it is trusted: a name or path that no engine would give refuses it as a
whole, since it would become a word of a command or a path to back up.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import Field

from tasks.answers import Answer, AnswerError, Text, last_line
from tasks.containers.host import containers
from tasks.containers.host import unit as systemd
from tasks.errors import AppError
from tasks.inventory.errors import nearest
from tasks.inventory.values import CONTAINER, read_host_path
from tasks.remote.host import Host
from tasks.remote.program import Program
from tasks.remote.script import Script, quote

PROGRAM = Program(containers, (systemd,))
ABSENT = "is not installed"  # in place of a fault
# In what docker and nerdctl say where no daemon runs.
STOPPED = "daemon (is )?running|not running|connection refused|no such file or directory"
ASK_AS_ROOT = "`--become sudo` asks as root; or let the login use it (for docker: the group docker)"
PATIENCE = 600  # seconds for all engines together
DATA = ("volume", "bind")  # types of mounts whose data stays; others are tmpfs, npipe, an image, devices
# What programs of the system lie in, and what no file of an app is: containers that watch a host mount these.
OWN = "/usr/local"  # the one folder below /usr that is not the system's
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/boot", "/dev", "/proc", "/sys", "/run", "/var/run")
EXACTLY = (
    "/",
    *(f"/{name}" for name in ("etc", "tmp", "var", "var/lib", "var/lib/docker", "var/lib/containers")),
    *(f"/etc/{name}" for name in ["localtime", "timezone", "hosts", "resolv.conf", "passwd", "group", "machine-id"]),
)


class _Engine(Answer):
    name: Text
    fault: Text


class _Mount(Answer):
    type: Text
    name: Text
    source: Text
    destination: Text
    driver: Text
    writable: bool
    kind: Text


class _Container(Answer):
    engine: Text
    id: Text
    name: Text
    image: Text
    running: bool
    removed: bool
    variables: list[Text] = Field(max_length=10_000)
    project: Text
    service: Text
    unit: Text
    mounts: list[_Mount] = Field(max_length=1_000)
    beside: list[Text] = Field(max_length=1_000)
    said: Text


class _Reply(Answer):
    engines: list[_Engine] = Field(max_length=10)
    containers: list[_Container] = Field(max_length=5_000)


class NoEngineError(AppError):
    """The host has no engine, so no containers."""


@dataclass(frozen=True)
class Mount:
    """A volume or a folder of the host that a container sees at `destination`. `source` is its path on the host.

    `name` is a volume's, empty for a folder. `kind` is folder, file, other, missing or closed.
    """

    source: str
    destination: str
    name: str = ""
    driver: str = ""
    writable: bool = True
    kind: str = "folder"

    @property
    def anonymous(self) -> bool:
        """Return whether it is a volume that nobody gave a name."""
        return re.fullmatch("[0-9a-f]{64}", self.name) is not None

    @property
    def data(self) -> bool:
        """Return whether it can hold data of an app, rather than programs or sockets of the host."""
        if self.kind in ("other", "missing") or self.source in EXACTLY:
            return False
        if self.source.startswith(f"{OWN}/"):
            return True
        return not any(self.source == each or self.source.startswith(f"{each}/") for each in SYSTEM)

    def path_of(self, inside: str) -> str | None:
        """Return the host's path of a path in the container; None if it is not in this mount, or leads out by `..`."""
        if ".." in inside.split("/"):
            return None
        if inside == self.destination:
            return self.source
        rest = inside.removeprefix(self.destination.rstrip("/") + "/")
        return None if rest == inside else f"{self.source.rstrip('/')}/{rest}"


@dataclass(frozen=True)
class Container:
    """A container. `beside` are the files by which compose made it; `said` is what a probe printed in it.

    `removed`: it is gone once it stops. `unit` is the systemd unit that runs it, as systemd says too, if
    Podman's Quadlet made it.
    """

    name: str
    image: str
    engine: str
    running: bool = True
    removed: bool = False
    variables: frozenset[str] = frozenset()
    project: str = ""
    service: str = ""
    unit: str = ""
    mounts: tuple[Mount, ...] = ()
    beside: tuple[str, ...] = ()
    said: str = field(default="", compare=False)
    id: str = ""

    @property
    def exec(self) -> list[str]:
        """Return the words that run a command in it, with standard input."""
        return [self.engine, "exec", "-i", self.name]

    def exec_with(self, variable: str, names: Sequence[str]) -> list[str]:
        """Return the words that run a command in it with a password of its own environment in `variable`.

        The password is that of the first of `names` that is set, or in the file that NAME_FILE names, as images of
        databases have it. It never leaves the container.
        """
        text, file = "-", "-"
        for name in reversed(names):
            text, file = f"-${{{name}{text}}}", f"-${{{name}_FILE{file}}}"
        steps = (
            f"{variable}={text[1:]}; file={file[1:]}",
            f'[ -n "${variable}" ] || [ -z "$file" ] || {variable}=$(cat "$file")',
            f'export {variable}; exec "$@"',
        )
        return [*self.exec, "sh", "-c", "; ".join(steps), "sh"]

    def command(self, verb: str) -> list[str]:
        """Return the words that `stop` or `start` it."""
        return ["systemctl", verb, self.unit] if self.unit else [self.engine, verb, self.name]

    def mount_of(self, inside: str) -> tuple[Mount, str] | None:
        """Return the mount that holds a path of the container, and the path on the host; None if none does."""
        found = [(each, path) for each in self.mounts if (path := each.path_of(inside)) is not None]
        return max(found, key=lambda each: len(each[0].destination), default=None)

    def details(self, kind: str) -> dict[str, str]:
        """Return what its probe said of a kind of server: lines `cloudbackup KIND KEY VALUE`."""
        rows = (line.split(" ", 3) for line in self.said.splitlines())
        return {row[2]: _plain(row[3], 4096) for row in rows if len(row) == 4 and row[:2] == ["cloudbackup", kind]}


def look(host: Host, names: Sequence[str] = (), project: str = "", probe: str = "") -> tuple[Container, ...]:
    """Return all containers of a host, sorted by name; those of `names` or `project` were probed.

    Raises NoEngineError if none is installed, AppError if none answers, or gives an answer that is not one.
    """
    return survey(host, names, project, probe)[0]


def survey(
    host: Host, names: Sequence[str] = (), project: str = "", probe: str = ""
) -> tuple[tuple[Container, ...], str]:
    """Return what `look` does, and why engines that are installed there did not answer; empty if all did."""
    plan = {"names": list(names), "project": project, "probe": probe}
    script = Script(quote((*PROGRAM.words, json.dumps(plan))), PROGRAM.environment)
    output = host.run(script, timeout=PATIENCE)
    try:
        reply = last_line(_Reply, output.text)
        found = tuple(sorted(map(_container, reply.containers), key=lambda each: each.name))
    except (AnswerError, ValueError) as error:
        said = output.error_text.strip().splitlines()[-1:]
        why = said[0] if said and not output.ok else f"the answer about its containers is not one: {error}"
        raise AppError(f"{host.name}: {why}", "does `docker inspect` or `podman inspect` answer there?") from None
    if not found:
        _require_engine(host, reply.engines)
    return found, _silent(reply.engines)


def chosen(host: Host, every: Sequence[Container], names: Sequence[str], project: str) -> tuple[Container, ...]:
    """Return the containers of these names or ids, or of a compose project. Raises AppError if there are none."""
    if project:
        found = tuple(each for each in every if each.project == project)
        if not found:
            known = sorted({each.project for each in every if each.project})
            raise AppError(f"{host.name}: there is no project `{project}`{nearest(project, known)}", _listed(known))
        return found
    return tuple(_named(host, every, name) for name in dict.fromkeys(names))


def _named(host: Host, every: Sequence[Container], name: str) -> Container:
    by_id = re.fullmatch("[0-9a-f]{12,64}", name) is not None
    found = [each for each in every if name == each.name or (by_id and each.id.startswith(name))]
    if not found:
        known = [each.name for each in every]
        raise AppError(f"{host.name}: there is no container `{name}`{nearest(name, known)}", _listed(known))
    if len(found) > 1:
        engines = " and ".join(each.engine for each in found)
        raise AppError(f"{host.name}: {engines} each have a container `{name}`", "name it by its id")
    return found[0]


def _listed(known: Sequence[str]) -> str:
    return f"it has {', '.join(known[:20])}" if known else "it has none"


def _require_engine(host: Host, engines: Sequence[_Engine]) -> None:
    """Raise AppError if no engine answered, or one that runs did not: it may have the containers."""
    installed = [each for each in engines if each.fault != ABSENT]
    if not installed:
        raise NoEngineError(f"{host.name}: neither docker nor podman is installed there", "name paths by --files")
    answered = any(not each.fault for each in installed)
    if wrong := _silent(engines) if answered else _faults(installed):
        raise AppError(f"{host.name}: {wrong}", ASK_AS_ROOT)


def _silent(engines: Sequence[_Engine]) -> str:
    """Return the faults of engines but those whose daemon does not run: often the client alone is installed."""
    idle = [each for each in engines if each.name != "podman" and re.search(STOPPED, each.fault)]
    return _faults([each for each in engines if each.fault != ABSENT and each not in idle])


def _faults(engines: Sequence[_Engine]) -> str:
    return "; ".join(f"`{each.name} ps`: {each.fault}" for each in engines if each.fault)


def _container(said: _Container) -> Container:
    """Return a container. Raises ValueError for what no engine would say."""
    for value, pattern in (
        (said.name, CONTAINER),
        (said.engine, "[a-z]{1,20}"),
        (said.unit or "a.service", systemd.NAME),
    ):
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError("the name of a container cannot be one")
    return Container(
        name=said.name,
        image=_plain(said.image),
        engine=said.engine,
        running=said.running,
        removed=said.removed,
        variables=frozenset(said.variables),
        project=_plain(said.project),
        service=_plain(said.service),
        unit=said.unit,
        mounts=tuple(_mount(each) for each in said.mounts if each.type in DATA and each.source),
        beside=tuple(map(read_host_path, said.beside)),
        said=said.said,
        id=said.id,
    )


def _mount(said: _Mount) -> Mount:
    source, destination = read_host_path(said.source), read_host_path(said.destination)
    name, driver = _plain(said.name), _plain(said.driver)
    return Mount(source, destination, name if said.type == "volume" else "", driver, said.writable, said.kind)


def _plain(text: str, longest: int = 255) -> str:
    return "".join(each for each in text if each.isprintable())[:longest]
