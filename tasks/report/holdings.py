"""What a repository holds of an app, archive by archive, for those who open its entry on the page."""

from collections.abc import Sequence
from datetime import datetime

from tasks.report.judge import Evidence, listed, sound
from tasks.report.rows import Expected, Holdings
from tasks.sources.registry import continuing

NEWEST = 12  # archives that are named


def holdings(sources: Sequence[Expected], evidence: Evidence, now: datetime) -> Holdings:
    """Return the newest archives of these sources, which are of one app and storage, but for logs."""
    newest = [each for source in sources if source.source != source.logs for each in listed(source, evidence, now)]
    newest.sort(key=lambda each: each.start, reverse=True)
    kind = next((source.logs for source in sources if source.logs), None)
    logs = continuing(kind) if kind else None
    ids = frozenset(archive.id for archive in evidence.archives or ())
    since = logs.begins(sound(evidence.records), ids) if logs else None
    return Holdings(tuple(newest[:NEWEST]), len(newest), since)
