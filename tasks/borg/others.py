"""Archives of other names in an app's repository: what another tool, or an app of another name, made.

Those that were there when the repository was taken into use are recorded then, by their ids (`adopted`). They stay,
unless `keep.other` says what of them stays; nothing else is ever pruned. Another tool's new ones are accepted by their
series (`report.accept --series`), and none of these is ever the newest, or good.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from tasks.borg.client import archive_name
from tasks.borg.client.list import Archive, Listing
from tasks.borg.client.list import held as list_held
from tasks.borg.refusals import Evidence
from tasks.borg.retention import Plan, plan_by_verdict
from tasks.inventory.models import App
from tasks.units import many

SHOWN = 4  # series named in one sentence
# A date with or without a time, in the forms in which borg's {now} and people write it.
_DATE = re.compile(r"(?<!\d)\d{4}([-_.]?)\d\d\1\d\d(?:[T _.-]?\d\d([:_.-]?)\d\d(?:\2\d\d(?:\.\d+)?)?)?(?!\d)")


def others(app: App, archives: Iterable[Archive]) -> tuple[Archive, ...]:
    """Return the archives that belong to none of an app's sources."""
    named = ((archive, archive_name.parse(archive.name)) for archive in archives)
    return tuple(each for each, name in named if not (name and name.app in app.names and name.source in app.sources))


def series(name: str) -> str:
    """Return what an archive's name has in common with the others of its series: the name, `*` in place of its date.

    A name without a date is a series of its own.
    """
    return _DATE.sub("*", name)


def by_series(archives: Iterable[Archive]) -> Mapping[str, list[Archive]]:
    """Return archives by their series, the largest first, each oldest first."""
    found: dict[str, list[Archive]] = {}
    for archive in sorted(archives, key=lambda each: (each.start, each.name)):
        found.setdefault(series(archive.name), []).append(archive)
    return dict(sorted(found.items(), key=lambda each: -len(each[1])))


def held(app: App, listing: Listing) -> str:
    """Describe what a repository holds when it is taken into use: our archives, and the series of the others."""
    rest = others(app, listing.archives)
    mine = [archive for archive in listing.archives if archive not in rest]
    if not rest:
        return list_held(listing)
    ours = f"{many(len(mine), 'archive')} of this app, and " if mine else ""
    return f"{ours}{many(len(rest), 'archive')} of other names: {described(rest)}"


def described(archives: Sequence[Archive]) -> str:
    """Return in words what series archives are of, with their days (UTC); empty for none."""
    found = by_series(archives)
    parts = [f"{name} ({_span(own)})" for name, own in list(found.items())[:SHOWN]]
    more = [f"and {many(len(found) - SHOWN, 'other')}"] if len(found) > SHOWN else []
    return ", ".join([*parts, *more])


def _span(own: Sequence[Archive]) -> str:
    first, last = f"{own[0].start:%Y-%m-%d}", f"{own[-1].start:%Y-%m-%d}"
    return f"{len(own)} of {first}" if first == last else f"{len(own)}, {first} to {last}"


def plans(found: Evidence) -> dict[str, Plan]:
    """Return what `keep.other` keeps and drops of each series; nothing without that rule.

    Only archives that were there at the adoption are dropped. The newest of each series that a drill has proven stays.
    """
    rules = found.app.keep.other if found.app.keep else None
    if rules is None:
        return {}
    known = found.known
    adopted = [each for each in others(found.app, found.listing.archives) if each.id in known.adopted]
    planned = {}
    for name, own in by_series(adopted).items():
        proven = [each.id for each in own if each.id in known.proven][-1:]
        good = {each.id for each in own} - known.failed_drill
        planned[f"other {name}"] = plan_by_verdict(own, rules, found.now, good, proven)
    return planned
