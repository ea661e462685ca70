"""Stops the containers that have a path mounted while it is replaced: part of the restore of files, sent with it.

A container goes on with the folder that it was started with, also when another has come in its place: it would not see
what was restored, and write into what was moved aside. Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import json
import re
import subprocess

from tasks.containers.host.unit import Values, part, unit

ENGINES = ("docker", "podman", "nerdctl")
UNKNOWN = "no such (container|object)"
# What docker and nerdctl say where no daemon runs, and so none of its containers.
IDLE = "daemon (is )?running|not running|connection refused|no such file or directory"
PATIENCE = 300  # seconds for a container to stop or start


class Stands(Exception):  # noqa: N818  # an answer rather than an error
    """A container could not be stopped; the text says which and why."""


class Standstill:
    """The containers of an app, by name, and those of them that are stopped meanwhile."""

    def __init__(self, names: list[str], paths: list[str]) -> None:
        self.names = names
        self.paths = paths
        self.starts: list[list[str]] = []  # commands that start what is stopped
        self.remarks: list[str] = []

    def begin(self) -> None:
        """Stop those that run and have one of the paths, or a folder in one, mounted. Raises Stands."""
        for engine, container in (found for name in self.names for found in self.running(name)):
            own = unit(container)  # asked while it runs: of one that is stopped, systemd knows nothing
            if part(container, "HostConfig").get("AutoRemove") is True and not own:
                self.remarks.append(f"restart the container {named(container)}: it would be gone once stopped")
                continue
            self.starts.append(command(engine, "start", container, own))
            fault = done(command(engine, "stop", container, own))
            if fault:
                self.end()
                raise Stands(f"the container {named(container)} could not be stopped: {fault}")

    def end(self) -> None:
        """Start again what was stopped."""
        while self.starts:
            words = self.starts.pop()
            fault = done(words)
            if fault:
                self.remarks.append(f"`{' '.join(words)}` failed: {fault}")

    def running(self, name: str) -> list[tuple[str, Values]]:
        """Return a container of this name that runs and has one of the paths mounted, with its engine."""
        known, faults = False, []
        for engine in ENGINES:
            found, fault = inspected(engine, name)
            known = known or bool(found)
            faults += [f"`{engine} inspect`: {fault}"] if fault else []
            for container in found:
                sources = [
                    str(each.get("Source", "")) for each in container.get("Mounts") or [] if isinstance(each, dict)
                ]
                if part(container, "State").get("Running") is True and any(map(self.replaced, sources)):
                    return [(engine, container)]
        if faults and not known:
            self.remarks.append(f"restart the container {name} if it runs, which is not known: {'; '.join(faults)}")
        return []

    def replaced(self, source: str) -> bool:
        """Return whether a folder that is mounted is one of the paths, or in one."""
        return any(source == path or source.startswith(path.rstrip("/") + "/") for path in self.paths)


def inspected(engine: str, name: str) -> tuple[list[Values], str]:
    """Return what an engine says of a container, empty if it knows none of that name, and why it did not answer."""
    try:
        said = subprocess.run(
            [engine, "inspect", "--type=container", name],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        return [], ""
    except (OSError, subprocess.SubprocessError) as error:
        return [], str(error)[:300]
    lines = said.stderr.decode(errors="replace").strip().splitlines()
    if said.returncode != 0:
        harmless = UNKNOWN if engine == "podman" else f"{UNKNOWN}|{IDLE}"
        if any(re.search(harmless, each, re.IGNORECASE) for each in lines):
            return [], ""
        return [], lines[-1][:300] if lines else f"it ended with {said.returncode}"
    try:
        found = json.loads(said.stdout)
    except (ValueError, RecursionError):
        return [], "its answer is not JSON"
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else [], ""


def named(container: Values) -> str:
    """Return a container's name."""
    return str(container.get("Name", "")).lstrip("/")


def command(engine: str, verb: str, container: Values, own: str) -> list[str]:
    """Return the words that stop or start a container, which the unit `own` runs, or none."""
    return ["systemctl", verb, own] if own else [engine, verb, named(container)]


def done(words: list[str]) -> str:
    """Run a command; return why it failed, or nothing."""
    try:
        end = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    said = end.stderr.decode(errors="replace").strip().splitlines()
    return "" if end.returncode == 0 else (said[-1] if said else f"it ended with {end.returncode}")
