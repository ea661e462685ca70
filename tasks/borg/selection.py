"""What a person's `--path` means in an archive: a file, a folder with all below it, or a pattern.

A path is as on the host. A link on the way to it is followed as the archive has it, and stays as it is on the host: to
put back one file below `current` must not turn back the release that `current` leads to.
"""

import posixpath
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from re import escape

from tasks.borg import globs
from tasks.borg.client.list import inside, matching
from tasks.borg.paths import some
from tasks.borg.restore import outermost
from tasks.borg.roots import Located, located
from tasks.errors import UsageError
from tasks.storage.repository import Repository
from tasks.terminal import printable, whole_line

MOST = 500  # paths; their names are sent in one variable of the environment, of at most 128 KiB
LONGEST = 60_000  # bytes of these names
NEAR = 4  # names that an error offers


@dataclass(frozen=True)
class Selected:
    """The paths to restore, absolute and none below another, and remarks for people.

    `asked` is what a person named: paths, and the folders at the beginning of patterns.
    """

    paths: tuple[str, ...]
    said: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()


def selected(repository: Repository, archive: str, named: Sequence[str]) -> Selected:
    """Return what `named` names in an archive. Raises UsageError for a path of which it holds nothing, BorgError."""
    paths = [_clean(path) for path in named]
    if "/" in paths:
        raise UsageError("--path / is everything", "leave --path out; an app's paths come back as a whole")
    fixed = {path: _fixed(path) for path in paths}
    places = located(repository, archive, [*paths, *(each for each in fixed.values() if each != "/")])
    found: list[str] = []
    said: list[str] = []
    for path in paths:
        place = places[path]
        held = place.held or tuple(_matches(repository, archive, path, fixed[path], places))
        if not held:
            raise _absent(repository, archive, path, place)
        if place.held and place.place != path:
            said.append(f"{path} is {place.place} there: a folder on the way was a link")
        if not place.held and not globs.special(path):
            said.append(f"of {path} the archive holds {some(held)}")
        found += held
    chosen = outermost(found)
    if len(chosen) > MOST or sum(len(path.encode()) for path in chosen) > LONGEST:
        raise UsageError(f"--path matches {len(chosen):,} files and folders", "name the folder that they are in")
    return Selected(chosen, tuple(said), tuple(fixed[path] if globs.special(path) else path for path in paths))


def _clean(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/"):
        raise UsageError(f"--path {path} is not a path on the host", "write it as it is there: it begins with /")
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def _fixed(path: str) -> str:
    """Return the folders at the beginning of a path that no pattern is in; `/` if there are none."""
    parts = path.split("/")[1:-1]
    wild = next((number for number, part in enumerate(parts) if globs.special(part)), len(parts))
    return "/" + "/".join(parts[:wild])


def _matches(repository: Repository, archive: str, path: str, fixed: str, places: dict[str, Located]) -> Iterator[str]:
    """Yield what matches a pattern, or, of a path that is no entry itself, the outermost of what lies below it."""
    if not globs.special(path):
        top = ""
        for entry in matching(repository, archive, (inside(path),)):
            if not top or not entry.path.startswith(f"{top}/"):
                top = entry.path
                yield f"/{top}"
        return
    start = places[fixed].place if fixed != "/" else ""
    rest = path.removeprefix(fixed).lstrip("/")
    pattern = f"re:^{escape(start.lstrip('/'))}{'/' if start else ''}{globs.expression(rest)}$"
    yield from (f"/{entry.path}" for entry in matching(repository, archive, (pattern,)))


def _absent(repository: Repository, archive: str, path: str, place: Located) -> UsageError:
    """Return the error for a path of which the archive holds nothing, with the names that come nearest."""
    name = posixpath.basename(path)
    inside_of = posixpath.dirname(place.place.lstrip("/"))
    beside = f"re:^{escape(inside_of)}{'/' if inside_of else ''}[^/]+$"
    alike = "" if globs.special(name) else f"re:(^|/){escape(name)}$"
    names = [f"/{entry.path}" for entry in matching(repository, archive, tuple(filter(None, (beside, alike))))]
    same = [each for each in names if posixpath.basename(each) == name]
    near = get_close_matches(path, [each for each in names if each not in same], NEAR)
    listed = ", ".join(whole_line(printable(each)) for each in (*same, *near)[:NEAR])
    offered = f"; did you mean {listed}?" if listed else ""
    return UsageError(
        f"{repository.app}: {archive} holds nothing of {path}{offered}",
        f"`inv find {shlex.quote(name)} --app {repository.app}` looks through all archives",
    )
