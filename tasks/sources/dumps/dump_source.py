"""The source that a dump is: what a program writes, saved as the only file of an archive."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial

from tasks.borg.choice import Choices
from tasks.borg.client.create import Created
from tasks.borg.client.runner import ContentError
from tasks.errors import CloudbackupError, UsageError
from tasks.inventory.models import App
from tasks.records.verdict import Verdict
from tasks.run.outcome import Outcome
from tasks.run.session import Session
from tasks.sources.base import Drill, Finding, Part, Planned, Ready, Restorable
from tasks.sources.dumps import dump_backup, dump_check, dump_drill, dump_restore, mysql_part, postgresql_part
from tasks.sources.dumps.mysql import MySQL
from tasks.sources.dumps.postgresql import PostgreSQL
from tasks.sources.dumps.product import Product
from tasks.sources.kinds import DUMPS
from tasks.units import size

Planner = Callable[[Choices, str, str, datetime | None, Part], Planned]
PARTS: Mapping[type[Product], Planner] = {MySQL: mysql_part.plan, PostgreSQL: postgresql_part.plan}
"""Products of which a part can be restored beside the live data."""


class Dumps(Restorable):
    """One of the dumps that the inventory has under `dumps`."""

    kind = DUMPS

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.file = dump_backup.file_of(name)

    def checks(self, session: Session, app: App) -> Iterator[Finding]:
        """Check that the program is there and begins to write a dump."""
        return dump_check.findings(session, app, self.name)

    def content(self, session: Session, app: App, archive: str) -> Ready:
        """Return the program's output."""
        return dump_backup.ready(session, app, self.name, archive)

    def explain(self, app: App, error: ContentError) -> CloudbackupError:
        """Return why the program failed, or why its output is not whole."""
        return dump_backup.explained(app, self.name, error)

    def judge(self, app: App, created: Created) -> Verdict:
        """Return borg's verdict, what the dump lacks, and whether it is smaller than `expect` asks for."""
        dump, verdict = app.dumps[self.name], created.verdict
        if lacks := dump.product.left_out(created.said):
            verdict = replace(verdict, left_out=verdict.left_out + len(lacks), first=(*verdict.first, *lacks))
        least, found = dump.expect.min_size, dump_backup.passed(created.said)
        if least is None or found is None or found.bytes >= least:
            return verdict
        less = f"{size(found.bytes)}, less than the {size(least)} of `expect`"
        return replace(verdict, suspect=(*verdict.suspect, less))

    def require_in_place(self, app: App) -> None:
        """Raise UsageError if there is no command that puts a dump back."""
        dump = app.dumps.get(self.name)
        if dump is None or not dump.product.load():
            more = dump.product.unloaded() if dump else ""
            raise UsageError(
                f"{app.name}: there is no command that puts a dump of {self.name} back",
                f"give --target, a new folder{f', or {more}' if more else ''}",
            )

    def plan(self, choices: Choices, archive: str, at: datetime | None) -> Planned:
        """Plan the restore of an archive; for a moment, of the newest archive before it."""
        choice = choices.choose(self.name, archive, at)
        return Planned(choice.archive, partial(dump_restore.restored, choices, choice, self), choice)

    def plan_part(self, choices: Choices, archive: str, at: datetime | None, part: Part) -> Planned:
        """Plan the restore of a database or table beside the live data, of a product that has some."""
        dump = choices.app.dumps.get(self.name)
        planner = PARTS.get(type(dump.product)) if dump else None
        if planner is None:
            raise UsageError(
                f"{self.name} of {choices.app.name} has no databases or tables that restore can take out of it",
                "leave out --table and --database",
            )
        if part.on is not None:
            raise UsageError(
                f"--to {part.on.name}: {self.name} comes beside the live data of its own server", "leave --to out"
            )
        return planner(choices, self.name, archive, at, part)

    def drill(self, drill: Drill) -> Outcome:
        """Restore the dump beside the live data, and have it judged."""
        return dump_drill.drilled(drill, self.name)
