"""The keys of an app's file that say what is backed up of it: one for each source, with the source's own model."""

from typing import Self

from pydantic import ConfigDict, Field, model_validator

from tasks.inventory.files import Files
from tasks.inventory.frozen import Frozen
from tasks.inventory.keep import KeepRules, something_kept
from tasks.inventory.secrets import Strict
from tasks.mariadb.config import MariaDB
from tasks.sources.dumps.config import Dumps
from tasks.sources.kinds import BINLOG, FILES, KINDS, MARIADB, is_log, kind_of


class SourceKeys(Strict):
    """An app's sources."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": [key]} for key in KINDS if not is_log(key)]})

    files: Files | None = Field(None, description="files to back up")
    mariadb: MariaDB | None = Field(None, description="the MariaDB server to back up")
    dumps: Dumps = Field(
        default_factory=lambda: Frozen({}),
        description="what programs write to standard output: of each a source, by its own name",
    )

    @model_validator(mode="after")
    def _something_to_back_up(self) -> Self:
        if not self.files and not self.mariadb and not self.dumps:
            raise ValueError("has nothing to back up: give `files`, `mariadb` or `dumps`")
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """What is backed up of this app, in the order in which it is done."""
        mariadb = self.mariadb
        present_keys: dict[str, bool] = {
            FILES.name: self.files is not None,
            MARIADB.name: mariadb is not None,
            BINLOG.name: mariadb is not None and mariadb.binlog,
        }
        return (*(source for source, present in present_keys.items() if present), *self.dumps)


class Keep(KeepRules):
    """How many archives of each source stay; a source may have rules of its own in place of the others."""

    model_config = ConfigDict(json_schema_extra=something_kept(*KINDS, "other"))

    files: KeepRules | None = Field(None, description="rules for the files alone")
    mariadb: KeepRules | None = Field(None, description="rules for the MariaDB server alone")
    binlog: KeepRules | None = Field(None, description="rules for the binary logs alone")
    dumps: KeepRules | None = Field(None, description="rules for each of the dumps")
    other: KeepRules | None = Field(
        None,
        description="rules for archives of other names that were in the repository when it was taken into use, for "
        "each series of names; without them, all of those stay",
    )

    def of(self, source: str) -> KeepRules | None:
        """Return the rules for a source; None when nothing is said of it, so that nothing of it is ever pruned."""
        own: KeepRules | None = getattr(self, kind_of(source).name)
        return own or (self if self.keeps_something else None)

    def _enough(self) -> bool:
        return self.keeps_something or any(getattr(self, source) for source in (*KINDS, "other"))
