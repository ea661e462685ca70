"""Lists the containers of a host, with their mounts, by the engines' own `ps` and `inspect`. Runs alone on the host.

    python3 -c "$CONTAINERS" JSON

JSON: `names` of containers, or a compose `project`, or neither; and `probe`, a text for `sh` that runs in each of those
that is named and runs. Changes nothing.

Standard output is JSON: `engines`, each with `name` and `fault`, and `containers`. Of the environment of a container
only the names of the variables are printed: among the values are passwords. Standard library only, Python 3.8 and
later, except `unit`, which is sent along.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys

from tasks.containers.host.unit import Values, part, unit

ENGINES = ("docker", "podman", "nerdctl")
PATIENCE = 60  # seconds for one answer
AT_ONCE = 50  # containers in one question
MOST = 5000  # containers of one host
SAID = 65536  # bytes of a probe's answer
PROJECT = ("com.docker.compose.project", "io.podman.compose.project")
LABELS = {
    "service": ("com.docker.compose.service", "io.podman.compose.service"),
    "folder": ("com.docker.compose.project.working_dir",),
    "made_by": ("com.docker.compose.project.config_files",),
}  # what `compose` writes: docs.docker.com/compose


class EngineError(Exception):
    """An engine did not answer; the text is the last line that it printed."""


def answer(words: list[str]) -> str:
    """Return a program's output. Raises EngineError."""
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise EngineError(f"did not answer within {PATIENCE} seconds") from None
    if done.returncode != 0:
        said = [line.strip() for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        raise EngineError(said[-1] if said else f"ended with {done.returncode}")
    return done.stdout.decode(errors="replace")


def inspected(engine: str) -> list[Values]:
    """Return what an engine says of all its containers. Raises EngineError."""
    ids = answer([engine, "ps", "--all", "--quiet", "--no-trunc"]).split()[:MOST]
    found = []
    for first in range(0, len(ids), AT_ONCE):
        some = ids[first : first + AT_ONCE]
        try:
            found += listed(answer([engine, "inspect", *some]))
        except EngineError:  # one has gone meanwhile
            for each in some:
                try:
                    found += listed(answer([engine, "inspect", each]))
                except EngineError:
                    continue
    return found


def listed(text: str) -> list[Values]:
    """Return the objects in an answer. Raises EngineError."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise EngineError("its answer is not JSON") from None
    return [each for each in values if isinstance(each, dict)] if isinstance(values, list) else []


def text(values: Values, name: str) -> str:
    """Return a text within an object; empty if it is not there."""
    found = values.get(name)
    return found if isinstance(found, str) else ""


def described(engine: str, said: Values) -> Values:
    """Return of a container what is needed of it."""
    config, state = part(said, "Config"), part(said, "State")
    labels = part(config, "Labels")
    variables = config.get("Env")
    mounts = said.get("Mounts")
    return {
        "engine": engine,
        "id": text(said, "Id"),
        "name": text(said, "Name").lstrip("/"),
        "image": text(config, "Image") or text(said, "ImageName"),
        "running": state.get("Running") is True,
        "removed": part(said, "HostConfig").get("AutoRemove") is True,
        "variables": [str(each).partition("=")[0] for each in variables] if isinstance(variables, list) else [],
        "project": first(labels, PROJECT),
        **{name: first(labels, names) for name, names in LABELS.items()},
        "unit": unit(said),
        "mounts": [mounted(each) for each in mounts if isinstance(each, dict)] if isinstance(mounts, list) else [],
        "said": "",
    }


def first(labels: Values, names: tuple[str, ...]) -> str:
    """Return the first label that there is; empty if there is none."""
    return next((found for found in (text(labels, name) for name in names) if found), "")


def mounted(said: Values) -> Values:
    """Return of a mount what is needed of it, and what kind of file its source is."""
    source = text(said, "Source")
    return {
        "type": text(said, "Type"),
        "name": text(said, "Name"),
        "source": source,
        "destination": text(said, "Destination"),
        "driver": text(said, "Driver"),
        "writable": said.get("RW") is not False,
        "kind": kind(source),
    }


def kind(path: str) -> str:
    """Return whether a path is a `folder`, a `file`, of another kind, not there, or may not be looked at."""
    try:
        mode = os.stat(path).st_mode if path.startswith("/") else 0
    except PermissionError:
        return "closed"
    except (OSError, ValueError):
        return "missing"
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def beside(container: Values) -> list[str]:
    """Return the files by which compose made a container: they and their `.env` belong to the app."""
    folder = container["folder"]
    files = [os.path.join(folder, each) for each in container["made_by"].split(",") if each]
    named = [*files, os.path.join(folder, ".env")] if folder.startswith("/") else files
    return [path for path in named if kind(path) == "file"]


def chosen(container: Values, plan: Values) -> bool:
    """Return whether a container is named, by its name, its id, or its project."""
    if plan["project"]:
        return bool(container["project"] == plan["project"])
    return any(
        name == container["name"] or (re.fullmatch("[0-9a-f]{12,64}", name) and container["id"].startswith(name))
        for name in plan["names"]
    )


def probed(container: Values, probe: str) -> str:
    """Return what `probe` prints in a container; empty if it cannot run there."""
    words = [container["engine"], "exec", "-i", container["id"], "sh", "-c", probe]
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=PATIENCE,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout[:SAID].decode(errors="replace")


def found(engine: str) -> tuple[str, list[Values]]:
    """Return why an engine did not answer, and its containers."""
    try:
        return "", [described(engine, each) for each in inspected(engine)]
    except FileNotFoundError:
        return "is not installed", []
    except (EngineError, OSError) as error:
        return str(error)[:500], []


def main() -> int:
    """Follow the plan in the first argument; return the exit code."""
    plan = json.loads(sys.argv[1])
    engines = []
    containers: dict[str, Values] = {}
    for engine in ENGINES:
        fault, there = found(engine)
        engines.append({"name": engine, "fault": fault})
        for each in there:
            containers.setdefault(each["id"], each)  # podman-docker: the same ones by two names
    for each in containers.values():
        each["beside"] = beside(each)
        if plan["probe"] and each["running"] and chosen(each, plan):
            each["said"] = probed(each, plan["probe"])
    print(json.dumps({"engines": engines, "containers": list(containers.values())}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
