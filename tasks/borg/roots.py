"""An archive's entries for an app's paths: a path that was a link is stored as the links and what they lead to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.answers import Answer, AnswerError, Name, Text, read
from tasks.borg.client.runner import PLAIN, BorgError, How, run
from tasks.borg.host.links import HOPS
from tasks.remote.script import Words
from tasks.storage.repository import Repository


class _Entry(Answer):
    type: Text
    path: Name
    linktarget: Text = ""


def entry_words(archive: str, paths: Sequence[str]) -> Words:
    """Return borg's arguments for listing exactly these entries of an archive."""
    return ("list", "--json-lines", f"::{archive}", "--", *(f"pf:{path.lstrip('/')}" for path in paths))


def roots(
    repository: Repository, archive: str, paths: Sequence[str], optional: Sequence[str] = (), how: How = PLAIN
) -> tuple[str, ...]:
    """Return what to restore for an app's paths: the paths, the links on the way, and their targets.

    An optional path is left out if the archive does not hold it. Raises BorgError, and what `Host.run` raises.
    """
    every = [*paths, *optional]
    known = _known(repository, archive, every, how)
    found: dict[str, None] = {}
    for path in every:
        way = [step for step in _way(path, known) if step in known]
        mine = [step for step in way if known[step] is not None or step == _way(path, known)[-1]]
        found |= dict.fromkeys(mine or ([] if path in optional else [path]))
    return tuple(found)


@dataclass(frozen=True)
class Located:
    """Where an archive has a path: `place` without links on the way; `held` are it, if it is there, and, where it is a
    link itself, the links and what they lead to.
    """

    place: str
    held: tuple[str, ...]


def located(repository: Repository, archive: str, paths: Sequence[str]) -> dict[str, Located]:
    """Return where an archive has each of the paths, which are absolute and clean. Raises as `roots`."""
    known = _known(repository, archive, paths, PLAIN)
    return {path: _located(path, known) for path in paths}


def _located(path: str, known: Mapping[str, str | None]) -> Located:
    above, _, name = path.rpartition("/")
    place = f"{_end(above, known)}/{name}"
    way = _way(place, known)
    held = [step for step in way if step in known and (known[step] is not None or step == way[-1])]
    return Located(place, tuple(dict.fromkeys(held)))


def _end(path: str, known: Mapping[str, str | None]) -> str:
    """Return the real location of a path; empty for the root."""
    return next(reversed(_way(path, known)), "")


def _known(repository: Repository, archive: str, paths: Sequence[str], how: How) -> dict[str, str | None]:
    """Return the entries on the way to the paths: absolute path to the target of a link, None if it is not a link."""
    known: dict[str, str | None] = {}
    asked: set[str] = set()
    for _ in range(HOPS):
        steps = {step for path in paths for step in _way(path, known)}
        if not steps - asked:
            break
        known |= _entries(repository, archive, sorted(steps - asked), how)
        asked |= steps
    return known


def _way(path: str, known: Mapping[str, str | None]) -> list[str]:
    """Return every folder and link on the way to a path, and finally its real location, as far as known."""
    way: list[str] = []
    place, todo, hops = "", path.split("/"), 0
    while todo:
        name = todo.pop(0)
        if name in ("", "."):
            continue
        if name == "..":
            place = place.rpartition("/")[0]
            continue
        step = f"{place}/{name}"
        way.append(step)
        target = known.get(step)
        if target is None:
            place = step
            continue
        hops += 1
        if hops > HOPS:
            break
        place = "" if target.startswith("/") else place
        todo = [*target.split("/"), *todo]
    return way


def _entries(repository: Repository, archive: str, paths: Sequence[str], how: How) -> dict[str, str | None]:
    result = run(repository, entry_words(archive, paths), how)
    try:
        entries = [read(_Entry, line) for line in result.stdout.splitlines()]
    except AnswerError as error:
        raise BorgError(f"{repository.app}: borg gave a listing of an unknown form: {error}", "", result) from error
    return {f"/{entry.path}": entry.linktarget if entry.type == "l" else None for entry in entries}
