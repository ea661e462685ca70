"""The source `files`: paths on the app's host, which borg reads itself."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath

from tasks.borg.choice import Choice, Choices
from tasks.borg.client.create import Created, files_of
from tasks.borg.known import UNKNOWN
from tasks.borg.paths import some
from tasks.borg.restore import Mounted, Restored, Trust, restore_in_place, restore_to
from tasks.borg.roots import roots
from tasks.borg.selection import Selected, selected
from tasks.errors import RefusedError
from tasks.inventory.models import App
from tasks.records.verdict import Verdict
from tasks.run.outcome import Outcome, Status
from tasks.run.session import Session
from tasks.sources import base, files_check, files_drill
from tasks.sources.base import Destination, Drill, Finding, Planned, Ready, Restorable
from tasks.sources.kinds import FILES
from tasks.storage.repository import Side
from tasks.terminal import printable, whole_line
from tasks.units import entries, size


class Files(Restorable):
    """What the inventory has under `files`."""

    kind = FILES

    def checks(self, session: Session, app: App) -> Iterator[Finding]:
        """Check the paths as the user that reads them."""
        if session.host(app).tools().python3 is not None:
            yield from files_check.findings(session, app)

    def content(self, session: Session, app: App, archive: str) -> Ready:  # noqa: ARG002
        """Return the paths; the script that starts borg examines them."""
        return Ready(files_of(app, archive))

    def judge(self, app: App, created: Created) -> Verdict:
        """Return borg's verdict, and whether the archive holds less than `expect` asks for."""
        assert app.files is not None
        expect, less = app.files.expect, []
        if expect.min_size is not None and created.size is not None and created.size < expect.min_size:
            less.append(f"{size(created.size)}, less than the {size(expect.min_size)} of `files.expect`")
        if expect.min_files is not None and created.files is not None and created.files < expect.min_files:
            less.append(f"{created.files:,} files, fewer than the {expect.min_files:,} of `files.expect`")
        return replace(created.verdict, suspect=(*created.verdict.suspect, *less))

    def plan(self, choices: Choices, archive: str, at: datetime | None) -> Planned:
        """Plan the restore of an archive; for a moment, of the newest archive before it."""
        choice = choices.choose(self.kind.name, archive, at)
        return Planned(choice.archive, partial(_restored, choices, choice), choice)

    def plan_paths(self, choices: Choices, archive: str, at: datetime | None, paths: Sequence[str]) -> Planned:
        """Plan the restore of some paths, after a look into the archive whether it has them."""
        choice = choices.choose(self.kind.name, archive, at)
        chosen = selected(choices.repository, choice.archive.name, paths)
        return Planned(choice.archive, partial(_some_restored, choices, choice, chosen), choice, paths=chosen.paths)

    def drill(self, drill: Drill) -> Outcome:
        """Read a sample back, and run the checks of `files.verify` in the inventory."""
        return files_drill.drill(drill)


def _restored(choices: Choices, choice: Choice, to: Destination) -> base.Restored:
    repository, archive = choices.repository, choice.archive.name
    if to.target is not None:
        return _told(restore_to(repository, archive, to.target, trust=_trust(choices, choice, to)), to)
    files = choices.app.files
    assert files is not None
    paths = roots(repository, archive, files.paths, files.optional)
    _require_own(choices, choice, to, paths)
    mounted = Mounted(paths, choices.app.container)
    return _told(restore_in_place(repository, archive, mounted, to.began, _trust(choices, choice, to)), to)


def _some_restored(choices: Choices, choice: Choice, chosen: Selected, to: Destination) -> base.Restored:
    repository, archive, trust = choices.repository, choice.archive.name, _trust(choices, choice, to)
    if to.target is not None:
        done = restore_to(repository, archive, to.target, chosen.paths, trust)
    else:
        _require_own(choices, choice, to, chosen.paths, chosen.asked)
        done = restore_in_place(repository, archive, Mounted(chosen.paths, choices.app.container), to.began, trust)
    restored = _told(done, to)
    return replace(restored, said=(f"{entries(done.files)}, {size(done.size)}", *chosen.said, *restored.said))


def _require_own(
    choices: Choices, choice: Choice, to: Destination, paths: Sequence[str], asked: Sequence[str] = ()
) -> None:
    """Raise RefusedError if links of an archive without a record lead to what neither inventory nor person names.

    Who made it would choose what is replaced: a link to /root/.ssh brings another /root/.ssh.
    """
    files = choices.app.files
    assert files is not None
    if choice.known or to.trusted:
        return
    own = [PurePosixPath(path) for path in (*files.paths, *files.optional, *asked)]
    away = [path for path in paths if not any(PurePosixPath(path).is_relative_to(each) for each in own)]
    if away:
        raise RefusedError(
            f"{choices.app.name}: nothing was restored: {choice.archive.name}: {UNKNOWN}, and links in it lead to"
            f" {whole_line(printable(some(away)))}, which the inventory does not name",
            "restore it to a folder (--target) and look; --trust-archive follows its links",
        )


def _trust(choices: Choices, choice: Choice, to: Destination) -> Trust:
    side = choices.repository.side
    own = side is Side.HOST and choice.known
    return Trust(trusted=own or to.trusted, private=side is Side.OPERATOR, partial=True, known=choice.known)


def _told(done: Restored, to: Destination) -> base.Restored:
    said = (f"in {to.target}",) if to.target is not None else tuple(_kept(done))
    absent = tuple(f"the archive holds nothing of {path}: it is as it was" for path in done.absent)
    status: Status = "incomplete" if absent else "warning" if done.doubts else "ok"
    walls = ("Landlock",) if done.walled else ()
    return base.Restored(done.size, (*said, *absent, *done.remarks, *done.doubts), status, walls)


def _kept(done: Restored) -> list[str]:
    return [f"{path} is back; what was there is in {aside}" for path, aside in done.moved.items()]
