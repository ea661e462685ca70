"""Options that several rooms' tasks share. Each is declared once, and becomes a part of a task's command line."""

from dataclasses import dataclass

from tasks.cli import APP_HELP, flag, option
from tasks.inventory.tag import Tag

FOLDER = "/var/tmp"  # noqa: S108 (where what is drilled lies meanwhile: in a directory of its own that nobody else may enter)
PARALLEL_HELP = "how many apps are worked on at a time; of one Storage Box never more than 8"
FORCE_HELP = "go on although something looks wrong; the record says so, and what is there then counts as right"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A task that reads, and shows what it found."""

    format: str = option("table, or json for programs (docs/json.md)", "table")

    @property
    def as_json(self) -> bool:
        """Whether to print JSON. Raises UsageError for another format than these two."""
        from tasks.json_output import wants_json

        return wants_json(self.format)


@dataclass(frozen=True, kw_only=True)
class OneApp:
    """A task on one app."""

    app: str = option("name of the app in the inventory")


@dataclass(frozen=True, kw_only=True)
class Apps:
    """A task on apps: those named, those with a tag, or all."""

    app: tuple[str, ...] = option(APP_HELP, ())
    tag: tuple[str, ...] = option("the apps that have this tag; repeat it for several; adds to those named", ())

    @property
    def chosen(self) -> tuple[str, ...]:
        """What `Inventory.select` takes: the names, and the tags as `Tag`; nothing means all apps."""
        return (*self.app, *map(Tag, self.tag))


@dataclass(frozen=True, kw_only=True)
class ShownApps(Apps, Shown):
    """A task that reads something of apps."""


@dataclass(frozen=True, kw_only=True)
class Fleet(Apps):
    """A task over all apps, several at a time."""

    part: str = option(
        "I/N: only every N-th of these apps, beginning with the I-th, to spread a fleet over jobs or days", ""
    )
    parallel: int = option(PARALLEL_HELP, 8)
    quiet: bool = flag("print only what is not well")
    verbose: bool = flag("print each step as it begins")


@dataclass(frozen=True, kw_only=True)
class Checks:
    """How deep a check of a repository goes."""

    verify_data: bool = flag("read and decrypt all data as well: as slow as a full restore")
    max_duration: int = option("seconds after which a check of the segments stops; the next one goes on from there", 0)


@dataclass(frozen=True, kw_only=True)
class Prune:
    """Dropping archives that `keep` does not keep."""

    dry_run: bool = flag("show what would go and change nothing")
    yes: bool = flag("prune without being asked")
    force: bool = flag(FORCE_HELP)
