"""The report's summary for those whom the inventory names: what is wrong, and how full the storages are."""

from tasks.inventory.inventory import Inventory
from tasks.notify.telling import Circle, News
from tasks.report.rows import Report, verdict
from tasks.report.table import printable, space


def tell(report: Report, inventory: Inventory) -> None:
    """Tell those of all apps. What went wrong with that is said on standard error, never raised."""
    failed = any(row.status != "ok" for row in report.apps)
    whole = {row.app for row in report.apps} == set(inventory.apps)
    news = News("report", f"report: {verdict(report)}", _body(report), failed, whole)
    Circle("all apps", inventory.notify).ended(news)


def _body(report: Report) -> str:
    wrong = [row for row in report.apps if row.status != "ok" or row.error]
    lines = [f"{row.app}  {row.source}  {row.status}  {printable(row.error or '')}".rstrip() for row in wrong]
    return "\n".join([*lines, *([""] if lines else []), *(space(row, report) for row in report.storages)])
