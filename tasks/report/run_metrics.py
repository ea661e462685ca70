"""Metrics of the newest runs that the records tell of: attempts, failures, restore drills, checks and prunes."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tasks.records.chronology import AHEAD
from tasks.records.record import UNCHANGED, Record
from tasks.report.rows import Report, Row

Sample = tuple[tuple[str, ...], float | None]
Filter = Callable[[Record], bool]


class Metric(NamedTuple):
    """A metric: its name, its explanation, which runs it is about, and its value for the newest of them."""

    name: str
    text: str
    chosen: Filter
    value: Callable[[Record], float | None]


class Samples(NamedTuple):
    """A metric's samples: the names of their labels, then for each the labels' values and its own (None: unknown)."""

    metric: Metric
    labels: tuple[str, ...]
    samples: list[Sample]


def _time(run: Record) -> float:
    return run.time.timestamp()


def _success(run: Record) -> float:
    return int(run.outcome != "failed")


def _is(*actions: str) -> Filter:
    return lambda run: run.action in actions


def _failed(run: Record) -> bool:
    return run.action == "backup" and run.outcome == "failed"


OF_SOURCES = (
    Metric(
        "last_attempt_timestamp_seconds",
        "When a backup was last tried, in seconds since 1970",
        _is("backup", UNCHANGED),
        _time,
    ),
    Metric("last_failure_timestamp_seconds", "When a backup last failed, in seconds since 1970", _failed, _time),
    Metric("last_drill_timestamp_seconds", "When the last drill was, in seconds since 1970", _is("verify"), _time),
    Metric("last_drill_success", "Whether the last restore drill succeeded", _is("verify"), _success),
    Metric(
        "last_drill_duration_seconds",
        "How long the last restore drill took",
        _is("verify"),
        lambda run: run.duration_seconds,
    ),
)
OF_REPOSITORIES = (
    Metric(
        "last_check_timestamp_seconds",
        "When the repository was last checked, in seconds since 1970",
        _is("check"),
        _time,
    ),
    Metric("last_check_success", "Whether the last check found the repository whole", _is("check"), _success),
    Metric(
        "last_prune_timestamp_seconds",
        "When the repository was last pruned, in seconds since 1970",
        _is("prune"),
        _time,
    ),
)


def of_runs(report: Report) -> Iterator[Samples]:
    """Yield the samples of each metric; what the records that were read do not tell of has none."""
    sources = [((row.app, row.source, row.storage), _of_source(report, row)) for row in report.apps]
    for metric in OF_SOURCES:
        yield Samples(metric, ("app", "source", "storage"), _newest(metric, sources))
    repositories = [
        ((app, storage), _past(report, app, storage))
        for app, storage in dict.fromkeys((row.app, row.storage) for row in report.apps)
    ]
    for metric in OF_REPOSITORIES:
        yield Samples(metric, ("app", "storage"), _newest(metric, repositories))


def _of_source(report: Report, row: Row) -> list[Record]:
    return [run for run in _past(report, row.app, row.storage) if run.source == row.source]


def _past(report: Report, app: str, storage: str) -> list[Record]:
    """Return a repository's records without those of the future, which a wrong clock or a thief wrote."""
    return [run for run in report.records.get((storage, app), ()) if run.time <= report.generated + AHEAD]


def _newest(metric: Metric, own: Sequence[tuple[tuple[str, ...], list[Record]]]) -> list[Sample]:
    chosen = ((labels, [run for run in runs if metric.chosen(run)]) for labels, runs in own)
    return [(labels, metric.value(max(runs, key=_time))) for labels, runs in chosen if runs]
