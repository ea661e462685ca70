"""Reading a repository: what the tasks `borg.list`, `info`, `diff`, `extract` and `mount` do, as lines for people.

Times are of this machine's zone, and say so. An archive is given by its name, as `latest`, or as a moment
(tasks/borg/choice.py).
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tasks.borg.apps import Opened
from tasks.borg.choice import Choice, Choices
from tasks.borg.client.archive_name import parse
from tasks.borg.client.diff import diff
from tasks.borg.client.info import archive_info, repository_info
from tasks.borg.client.list import Archive, Entry, archives, contents
from tasks.borg.client.mount import mount, umount
from tasks.borg.restore import Trust, restore_to
from tasks.borg.verbs import Lines
from tasks.terminal import whole_line
from tasks.times import shown
from tasks.units import entries, many, size


def show_list(opened: Opened, archive: str = "", paths: Sequence[str] = ()) -> Lines:
    """List archives, or the contents of one."""
    if archive:
        chosen = _archive(opened, archive)
        yield from map(_entry, contents(opened.repository, chosen.name, paths))
        return
    if opened.app.label != opened.app.name:
        yield f"{opened.app.label}:"
    found = archives(opened.repository).archives
    width = max((len(each.name) for each in found), default=0)
    yield from (f"{each.name:{width}}  {_time(each.start)}  {each.id[:12]}" for each in found)
    if not found:
        yield f"{opened.app.label}: no archives"


def read_list(opened: Opened, archive: str = "", paths: Sequence[str] = ()) -> Mapping[str, Any]:
    """Return the archives, oldest first, or the contents of one, as JSON has them."""
    if not archive:
        found = archives(opened.repository).archives
        return {"archives": [{"name": each.name, "id": each.id, "start": each.start} for each in found]}
    chosen = _archive(opened, archive)
    entries = [
        {"path": f"/{each.path}", "type": each.type, "size": each.size}
        for each in contents(opened.repository, chosen.name, paths)
    ]
    return {"archive": chosen.name, "entries": entries}


def show_info(opened: Opened, archive: str = "") -> Lines:
    """Show sizes of the repository or of one archive."""
    if not archive:
        info = repository_info(opened.repository)
        yield f"{opened.app.label}: {info.location} ({info.encryption}), last changed {_time(info.changed)}"
        yield f"{opened.app.label}: {size(info.size)} in all archives, {size(info.stored)} stored"
        return
    one = archive_info(opened.repository, _archive(opened, archive).name)
    yield f"{one.name}: {_time(one.start)} to {_time(one.end)}, on {one.host}, id {one.id}"
    yield f"{one.name}: {size(one.size)} in {many(one.files, 'file')}, {size(one.unique)} used by no other archive"
    if one.comment:
        yield f"{one.name}: {one.comment}"


def read_info(opened: Opened, archive: str = "") -> Mapping[str, Any]:
    """Return what is known of the repository, or of one archive, as JSON has it."""
    if archive:
        return {"archive": archive_info(opened.repository, _archive(opened, archive).name)}
    return {"repository": repository_info(opened.repository)}


def show_diff(opened: Opened, first: str, second: str, paths: Sequence[str] = ()) -> Lines:
    """Show the differences between two archives of one source; without `first`, from the last good one before it."""
    earlier, later = _both(opened, first, second)
    yield f"from {earlier.name} to {later.name}:"
    alike = True
    for change in diff(opened.repository, earlier.name, later.name, paths):
        alike = False
        yield f"{', '.join(change.changes)}  /{_printable(change.path)}"
    if alike:
        yield f"{earlier.name} and {later.name} hold the same"


def read_diff(opened: Opened, first: str, second: str, paths: Sequence[str] = ()) -> Mapping[str, Any]:
    """Return the differences between two archives, chosen as `show_diff` does, as JSON has them."""
    earlier, later = _both(opened, first, second)
    changes = [
        {"path": f"/{each.path}", "changes": each.changes}
        for each in diff(opened.repository, earlier.name, later.name, paths)
    ]
    return {"first": earlier.name, "second": later.name, "changes": changes}


def _both(opened: Opened, first: str, second: str) -> tuple[Archive, Archive]:
    """Return the earlier and the later of two archives of one source."""
    choices, source = _choices(opened), opened.app.sources[0]
    named = parse(first) or parse(second)
    source = named.source if named else source
    later = _said(choices.choose(source, second)).archive
    earlier = _said(choices.choose(source, first) if first else choices.previous(later, source)).archive
    return earlier, later


def extract_to(opened: Opened, archive: str, target: str, paths: Sequence[str] = (), *, trusted: bool = False) -> Lines:
    """Extract into a new or empty folder on the machine where the operator's side runs borg.

    Devices, setuid bits and capabilities are only restored from a `trusted` archive.
    """
    chosen = _chosen(opened, archive)
    name, trust = chosen.archive.name, Trust(trusted=trusted, private=True, known=chosen.known)
    done = restore_to(opened.repository, name, target, paths, trust)
    yield f"{name}: {size(done.size)} in {entries(done.files)}, to {target} in {done.seconds:.0f} s"
    yield from done.remarks
    yield from (f"warning: {doubt}" for doubt in (*chosen.said, *done.doubts))


def mount_on(opened: Opened, folder: str, archive: str = "") -> Lines:
    """Mount archives on a folder of this machine."""
    place = Path(folder).expanduser().absolute()
    place.mkdir(parents=True, exist_ok=True)
    mount(opened.repository, str(place), _archive(opened, archive).name if archive else None)
    yield f"{opened.app.label}: mounted on {place}. Backups of {opened.app.name} wait until you unmount it:"
    of = f" --storage {opened.app.storage}" if opened.app.label != opened.app.name else ""
    yield f"  inv borg.umount --app {opened.app.name}{of} --folder {place}"


def umount_from(opened: Opened, folder: str) -> Lines:
    """Unmount again."""
    place = Path(folder).expanduser().absolute()
    umount(opened.repository, str(place))
    yield f"{opened.app.label}: unmounted from {place}"


def _archive(opened: Opened, name: str) -> Archive:
    """Return an archive; remarks go to standard error."""
    return _said(_chosen(opened, name)).archive


def _said(choice: Choice) -> Choice:
    for line in choice.said:
        print(whole_line(f"warning: {line}"), file=sys.stderr)
    return choice


def _chosen(opened: Opened, name: str) -> Choice:
    """Return the archive that a name, `latest` or a moment means; without a name, of the app's first source."""
    return _choices(opened).choose(opened.app.sources[0], name)


def _choices(opened: Opened) -> Choices:
    return Choices(opened.session, opened.app, opened.repository)


def _time(time: datetime) -> str:
    return shown(time)


def _entry(entry: Entry) -> str:
    return f"{entry.type} {size(entry.size):>9}  /{_printable(entry.path)}"


def _printable(text: str) -> str:
    """Return a path without characters that move a terminal's cursor or break the line."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
