"""Which archives of a source `keep` drops: borg's own rules, applied here to the listing.

`borg prune --dry-run` would read every archive's metadata first (30 MB for 20 archives of 1 GB, borg 1.4.5). The rules
are those of borg's `prune_within` and `prune_split` (1.2.4 and 1.4.5, `helpers/misc.py`), in UTC.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tasks.borg.client.list import Archive
from tasks.inventory.models import KeepRules

# borg's names of the rules, in its order, with the time format that identifies the period
PERIODS = {
    "last": "%Y-%m-%d %H:%M:%S",
    "hourly": "%Y-%m-%d %H",
    "daily": "%Y-%m-%d",
    "weekly": "%G-%V",
    "monthly": "%Y-%m",
    "yearly": "%Y",
}


@dataclass(frozen=True)
class Plan:
    """The archives of one source to keep, with the rule that keeps each, by id, and those to drop; oldest first."""

    kept: tuple[Archive, ...] = ()
    removed: tuple[Archive, ...] = ()
    rules: Mapping[str, str] = field(default_factory=dict)


def plan(archives: Sequence[Archive], keep: KeepRules, now: datetime, spared: Collection[str] = ()) -> Plan:
    """Return what is kept and dropped of one source's archives at `now`.

    `spared` are ids that are kept although no rule keeps them; they do not count for any rule.
    """
    newest_first = sorted(archives, key=lambda archive: (archive.start, archive.name), reverse=True)  # whole seconds
    rules: dict[str, str] = {}
    if keep.within is not None:
        begin = now - _whole_hours(keep.within)
        rules |= {archive.id: "within" for archive in newest_first if archive.start > begin}
    for rule, pattern in PERIODS.items():
        _split(newest_first, rule, pattern, getattr(keep, rule), rules)
    rules |= {each: "spared" for each in spared if each not in rules}
    ordered = newest_first[::-1]
    kept = tuple(archive for archive in ordered if archive.id in rules)
    removed = tuple(archive for archive in ordered if archive.id not in rules)
    return Plan(kept, removed, {archive.id: rules[archive.id] for archive in kept})


def plan_by_verdict(
    archives: Sequence[Archive], keep: KeepRules, now: datetime, good: Collection[str], spared: Collection[str] = ()
) -> Plan:
    """Return what is kept and dropped if only the archives in `good` count.

    The others do not count for any rule. They are dropped once they are older than the newest good archive, which is
    always kept, and once the rules would drop them if they were good.
    """
    counted = [archive for archive in archives if archive.id in good]
    newest = max(counted, key=lambda archive: (archive.start, archive.name), default=None)
    own = plan(counted, keep, now, {*spared, newest.id} if newest else spared)
    every = plan(archives, keep, now, spared)
    rules = dict(own.rules)
    for archive in archives:
        if archive.id in good:
            continue
        if newest is None or archive.start >= newest.start:
            rules[archive.id] = "no newer good one"
        elif archive.id in every.rules:
            rules[archive.id] = every.rules[archive.id]
    ordered = sorted(archives, key=lambda archive: (archive.start, archive.name))
    kept = tuple(archive for archive in ordered if archive.id in rules)
    return Plan(kept, tuple(archive for archive in ordered if archive.id not in rules), rules)


def _split(newest_first: Sequence[Archive], rule: str, pattern: str, count: int, rules: dict[str, str]) -> None:
    """Keep the newest archive of each of `count` periods; archives that are kept already do not count."""
    if not count or not newest_first:
        return
    period, kept = "", 0
    for archive in newest_first:
        if (this := archive.start.strftime(pattern)) == period:
            continue
        period = this
        if archive.id not in rules:
            kept += 1
            rules[archive.id] = rule
            if kept == count:
                return
    rules.setdefault(newest_first[-1].id, f"{rule} (oldest)")  # as borg does until the rule has all its periods


def _whole_hours(span: timedelta) -> timedelta:
    return timedelta(hours=span // timedelta(hours=1))
