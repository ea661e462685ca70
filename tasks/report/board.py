"""The newest report that `report.serve` shows: written by the thread that gathers, read by those that answer."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from tasks.report import formats
from tasks.report.metrics import PREFIX, ReportCollector
from tasks.report.rows import Report

PAGE = "html"
ROUNDS = 3  # intervals after which a report is too old
HANGING = 3600.0  # seconds beyond these within which a round must have ended, however slow the storages are


@dataclass(frozen=True)
class _Notice:
    """The current state of the board. Immutable, so that a reader always sees one consistent state.

    `made` and `ended` are seconds of the monotonic clock: when the report was made, and when a round last ended.
    """

    report: Report | None = None
    page: bytes = b""
    seconds: float = 0.0
    fault: str = "the first report is being made"
    made: float = 0.0
    ended: float = 0.0


class Board:
    """The newest report. `interval` is the number of seconds between two; `clock` is monotonic, in seconds."""

    def __init__(self, interval: float = 300.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._patience = ROUNDS * interval
        self._reload = max(round(interval), 1)
        self._notice = _Notice(made=clock(), ended=clock())
        self.registry = CollectorRegistry()
        self.registry.register(ReportCollector(lambda: self._notice.report))
        self.registry.register(_Gathering(lambda: self._notice))

    def put(self, report: Report, seconds: float) -> None:
        """Publish a new report that took `seconds` to make."""
        now = self._clock()
        self._notice = _Notice(report, self._written(report, "", seconds), seconds, "", now, now)

    def failed(self, fault: str) -> None:
        """Note that making a new report failed. The old one stays, and the page says why, in one line."""
        old = self._notice
        page = self._written(old.report, fault, old.seconds) if old.report else b""
        self._notice = replace(old, page=page, fault=fault, ended=self._clock())

    def _written(self, report: Report, fault: str, seconds: float) -> bytes:
        lifetime = timedelta(seconds=self._patience + ROUNDS * seconds)
        return formats.write(report, PAGE, formats.Look(lifetime=lifetime, reload=self._reload, fault=fault)).encode()

    @property
    def page(self) -> bytes | None:
        """The report as an HTML page; None before the first one."""
        return self._notice.page if self._notice.report else None

    @property
    def fault(self) -> str:
        """Why the last round made no report, in one line; empty if it did."""
        return self._notice.fault

    @property
    def fresh(self) -> bool:
        """Whether the newest report is at most three rounds old."""
        notice = self._notice
        return notice.report is not None and self._clock() - notice.made <= self._patience + ROUNDS * notice.seconds

    @property
    def lives(self) -> bool:
        """Whether a round has ended, with or without a report, in a time that even slow storages do not need."""
        return self._clock() - self._notice.ended <= self._patience + HANGING


class _Gathering(Collector):
    """Metrics about the making of reports."""

    def __init__(self, notice: Callable[[], _Notice]) -> None:
        self._notice = notice

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        notice = self._notice()
        yield GaugeMetricFamily(f"{PREFIX}_gather_success", "Whether the last report could be made", not notice.fault)
        text = "How long the report took to make"
        yield GaugeMetricFamily(f"{PREFIX}_gather_duration_seconds", text, notice.seconds)
