"""One verdict per archive: does it contain everything that the inventory names, and does it look like its predecessors?

It is reached at the backup and stored in the backup's record: the record's outcome is the status, its details list what
was left out and what differs. The archive's comment has it too, for a report without records. Exit code, report,
metrics, notifications, prune, guard and drills all use it.

A person may accept an archive despite its verdict: a record of the action `accept`, with who, when and why.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tasks.records.record import Record, Records
from tasks.sources.kinds import READ_BY_BORG

Status = Literal["ok", "incomplete", "suspect"]

SAVING = ("backup", "create")  # actions that make an archive
ACCEPT = "accept"  # the action of a record by which a person accepts an archive as good
LEFT_OUT = "left_out"  # in a record's details: {"count": 3, "first": ["/srv/media: is not there", ...]}
SUSPECT = "suspect"  # in a record's details: ["4 files, under half of the usual 20,000"]
KEPT = 1000  # entries of what was left out that a record keeps
COMMENTED = 3  # and that an archive's comment keeps
PREFIX = "cloudbackup: "
UNLISTED = "saved, but the repository could not be listed afterwards"  # a warning that the next listing resolves
# borg's harmless warnings, which earlier versions recorded with the outcome `warning`.
HARMLESS = ("file changed while we backed it up", UNLISTED)
DRILLS = "drills"  # in an acceptance's details: the failed drills that it settles, by `stamp`
UNHEARD = "what borg had to say of it was not heard"  # of an archive that was adopted: see tasks/borg/create.py


@dataclass(frozen=True)
class Accepted:
    """Who accepted an archive, when (UTC, as in a record's time) and why."""

    record: Record

    @property
    def reason(self) -> str:
        """The reason that was given."""
        return str(self.record.details.get("reason", ""))


@dataclass(frozen=True)
class Verdict:
    """The verdict on one archive.

    `left_out` counts what the inventory names and the archive lacks; `first` are the first of these, each as `path:
    reason`. `suspect` lists, a sentence each, how the archive differs from its predecessors. `accepted` is set if a
    person accepted it.
    """

    left_out: int = 0
    first: tuple[str, ...] = ()
    suspect: tuple[str, ...] = ()
    accepted: Accepted | None = field(default=None, compare=False)

    @property
    def status(self) -> Status:
        """The status, ignoring any acceptance."""
        return "incomplete" if self.left_out else "suspect" if self.suspect else "ok"

    @property
    def good(self) -> bool:
        """Whether the archive counts as good: complete and as usual, or accepted by a person."""
        return self.status == "ok" or self.accepted is not None

    @property
    def details(self) -> dict[str, Any]:
        """The verdict for a record's details; empty if it is ok."""
        left_out = {LEFT_OUT: {"count": self.left_out, "first": list(self.first[:KEPT])}} if self.left_out else {}
        return {**left_out, **({SUSPECT: list(self.suspect)} if self.suspect else {})}

    @property
    def comment(self) -> str:
        """The verdict for an archive's comment, one line; empty if it is ok."""
        if self.left_out:
            return f"{PREFIX}incomplete: {self.left_out} left out: {'; '.join(self.first[:COMMENTED])}"
        return f"{PREFIX}suspect: {'; '.join(self.suspect)}" if self.suspect else ""


def verdict_of(record: Record) -> Verdict:
    """Return the verdict in a backup's record. Details of an unexpected form never improve it beyond ok.

    The outcome `warning` requires a person's attention. Earlier versions also used it for unreadable files: such an
    archive is incomplete.
    """
    left_out, suspect = record.details.get(LEFT_OUT), record.details.get(SUSPECT)
    values = left_out if isinstance(left_out, Mapping) else {}
    count = values.get("count")
    found = Verdict(
        count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else 0,
        _texts(values.get("first")),
        _texts(suspect),
    )
    if record.outcome == "incomplete" and not found.left_out:
        return replace(found, left_out=1)
    if record.outcome == "suspect" and found.status == "ok":
        return replace(found, suspect=("the record does not say why",))
    if record.outcome == "warning" and record.error and found.status == "ok":
        return _warned(record, record.error)
    return found


def _warned(record: Record, error: str) -> Verdict:
    if any(each in error for each in HARMLESS):
        return Verdict()
    if record.source == READ_BY_BORG.name and UNHEARD not in error:
        return Verdict(1, (error,))
    return Verdict(suspect=(error,))


def verdict_of_comment(comment: str | None) -> Verdict:
    """Return the verdict in an archive's comment, for an archive without a known record."""
    text = (comment or "").rpartition(PREFIX)[2] if has_verdict(comment) else ""
    kind, _, rest = text.partition(": ")
    if kind == "incomplete":
        count = rest.partition(" ")[0]
        return Verdict(int(count) if count.isdecimal() and len(count) < 12 else 1, (rest.partition(": ")[2],))
    return Verdict(suspect=(rest,)) if kind == "suspect" else Verdict()


def has_verdict(comment: str | None) -> bool:
    """Return whether an archive's comment contains a verdict, which only those that are not good have."""
    return PREFIX in (comment or "")


def verdicts(records: Records) -> dict[str, Verdict]:
    """Return the verdicts of all archives that a backup's record, or a person's acceptance, names by id."""
    accepted = {
        record.archive_id: Accepted(record)
        for record in records.all
        if record.action == ACCEPT and record.outcome == "ok" and isinstance(record.archive_id, str)
    }
    foreign = {each: Verdict(accepted=by) for each, by in accepted.items()}
    return foreign | {
        record.archive_id: replace(verdict_of(record), accepted=accepted.get(record.archive_id))
        for record in records.all
        if record.action in SAVING and record.outcome != "failed" and isinstance(record.archive_id, str)
    }


def not_good(records: Records) -> frozenset[str]:
    """Return the ids of the archives that are incomplete or suspect and that no person accepted."""
    return frozenset(each for each, verdict in verdicts(records).items() if not verdict.good)


def stamp(drill: Record) -> str:
    """Return what identifies a drill in the details of an acceptance: its time, ISO 8601 with microseconds, UTC."""
    return drill.time.isoformat(timespec="microseconds")


def settles(acceptance: Record, drill: Record) -> bool:
    """Return whether an acceptance covers a failed drill of the archive: it names the drills that its author knew of.

    Clocks are not compared: those of two operators may be minutes apart. Acceptances of earlier versions name none and
    cover what was before them.
    """
    if acceptance.archive_id is None or acceptance.archive_id != drill.archive_id:
        return False
    known = acceptance.details.get(DRILLS)
    return stamp(drill) in known if isinstance(known, list) else acceptance.time >= drill.time


def _texts(value: object) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, Iterable | list) else ()
