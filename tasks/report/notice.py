"""The report's summary for the recipients in the inventory: what is wrong, and how full the storages are."""

from collections import Counter
from collections.abc import Collection

from tasks.inventory.inventory import Inventory
from tasks.notify.messages import Circle, News
from tasks.report.rows import Report, Row, verdict
from tasks.report.table import printable, space


def tell(report: Report, inventory: Inventory) -> None:
    """Notify the recipients of all apps. Faults in sending go to standard error and are never raised."""
    failed = any(not row.well for row in report.apps)
    whole = {row.app for row in report.apps} == set(inventory.apps)
    news = News("report", f"report: {verdict(report)}", _body(report), failed, whole)
    Circle("all apps", inventory.notify).ended(news)


def _label(row: Row, several: Collection[tuple[str, str]]) -> str:
    """Return the app's name, followed by the storage if it has several."""
    return f"{row.app} on {row.storage}" if (row.app, row.source) in several else row.app


def _body(report: Report) -> str:
    wrong = [row for row in report.worst_first if row.status != "ok" or row.error]
    several = {app for app, count in Counter((row.app, row.source) for row in report.apps).items() if count > 1}
    lines = [
        f"{_label(row, several)}  {row.source}  {row.status}  {printable(row.error or '')}".rstrip() for row in wrong
    ]
    return "\n".join([*lines, *([""] if lines else []), *(space(row, report) for row in report.storages)])
