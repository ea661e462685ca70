"""The report for Prometheus, in its text format; docs/report.md explains each metric.

Unknown values are left out, so that no alert rule reads them as 0.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from prometheus_client.core import GaugeMetricFamily, StateSetMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from tasks.report.formats import Look
from tasks.report.rows import WORST_FIRST, Report, Row, StorageRow
from tasks.report.run_metrics import of_runs
from tasks.version import VERSION

PREFIX = "cloudbackup"
SOURCE = ("app", "source", "storage")
Value = float | None

OF_ROWS: tuple[tuple[str, str, Callable[[Row], Value]], ...] = (
    (
        "last_success_timestamp_seconds",
        "When the newest good archive was begun, in seconds since 1970",
        lambda row: _seconds(row.last_good),
    ),
    (
        "left_out_files",
        "How much that the inventory names the newest archive lacks",
        lambda row: row.incomplete.count if row.incomplete else None,
    ),
    (
        "verdict_accepted",
        "Whether a person took the newest archive as right in spite of its verdict",
        lambda row: int(row.verdict_accepted is not None) if row.incomplete else None,
    ),
    ("archives", "Whole archives of the source", lambda row: row.archives),
    ("size_bytes", "What the newest archive holds", lambda row: row.size),
    ("stored_bytes", "What the newest archive added to the repository", lambda row: row.stored),
    ("duration_seconds", "How long the newest backup took", lambda row: row.duration_seconds),
    (
        "last_proof_timestamp_seconds",
        "When a restore drill last succeeded, in seconds since 1970; no sample when none ever did",
        lambda row: _seconds(row.proven),
    ),
    (
        "recoverable_until_timestamp_seconds",
        "Up to when a database can be recovered from its binary logs, in seconds since 1970",
        lambda row: _seconds(row.recoverable_until),
    ),
)
OF_STORAGES: tuple[tuple[str, str, Callable[[StorageRow], Value]], ...] = (
    ("storage_used_bytes", "Used space of the storage, whoever fills it", lambda row: row.used),
    ("storage_size_bytes", "Whole space of the storage", lambda row: row.size),
    ("storage_up", "Whether the storage answered", lambda row: int(row.used is not None)),
)


def write(report: Report, _look: Look) -> str:
    """Return all metrics as text for the node exporter's textfile collector."""
    from prometheus_client import generate_latest

    registry = CollectorRegistry()
    registry.register(ReportCollector(lambda: report, lambda: report.generated))
    return generate_latest(registry).decode().rstrip("\n")


class ReportCollector(Collector):
    """Metrics of the report that `current` returns, with ages as of `clock`; no metrics before the first report."""

    def __init__(
        self, current: Callable[[], Report | None], clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._current = current
        self._clock = clock

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return nothing: metrics are computed at scrape time only."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily | StateSetMetricFamily]:
        """Yield every metric."""
        yield _gauge("build_info", "Which version made this", ("version",), [((VERSION,), 1)])
        report = self._current()
        if report is None:
            return
        yield _gauge("report_timestamp_seconds", "When the report was made", (), [((), _seconds(report.generated))])
        yield from _of_inventory(report)
        yield _states(report)
        for name, text, value in OF_ROWS:
            yield _gauge(name, text, SOURCE, [(_labels(row), value(row)) for row in report.apps])
        now = self._clock()
        ages = [(_labels(row), _age(row, now)) for row in report.apps]
        yield _gauge("age_seconds", "How old the newest good archive is", SOURCE, ages)
        for metric, labels, samples in of_runs(report):
            yield _gauge(metric.name, metric.text, labels, samples)
        for name, text, of in OF_STORAGES:
            spaces = [((row.storage, row.kind), of(row)) for row in report.storages]
            yield _gauge(name, text, ("storage", "kind"), spaces)


def _of_inventory(report: Report) -> Iterator[GaugeMetricFamily]:
    configured = [((each.app, each.source, each.storage), each) for each in report.configured]
    text = "1 for each source of each app in the inventory, whether it was ever backed up or not"
    yield _gauge("configured", text, SOURCE, [(labels, 1) for labels, _ in configured])
    ages = [(labels, each.max_age.total_seconds()) for labels, each in configured]
    yield _gauge("max_age_seconds", "From which age on the source counts as late", SOURCE, ages)
    text = "Whether a good copy of the repository's key lies in the escrow folder of the machine that made the report"
    keys = [((app, storage), int(escrowed)) for (storage, app), escrowed in sorted(report.escrowed.items())]
    yield _gauge("key_escrowed", text, ("app", "storage"), keys)


def _states(report: Report) -> StateSetMetricFamily:
    family = StateSetMetricFamily(f"{PREFIX}_status", "State of the source as the report shows it", labels=SOURCE)
    for row in report.apps:
        family.add_metric(_labels(row), {state: state == row.status for state in WORST_FIRST})
    return family


def _gauge(
    name: str, text: str, labels: tuple[str, ...], samples: Iterable[tuple[tuple[str, ...], Value]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for values, sample in samples:
        if sample is not None:
            family.add_metric(values, sample)
    return family


def _labels(row: Row) -> tuple[str, ...]:
    return (row.app, row.source, row.storage)


def _seconds(when: datetime | None) -> Value:
    return when.timestamp() if when else None


def _age(row: Row, now: datetime) -> Value:
    return (now - row.last_good).total_seconds() if row.last_good else None
