"""The report's summary for the recipients in the inventory: what is wrong, and how full the storages are."""

from collections import Counter
from collections.abc import Collection

from tasks.inventory.inventory import Inventory
from tasks.notify.messages import Circle, News
from tasks.report.digest import Digest
from tasks.report.digest_formats import message, title
from tasks.report.rows import Report, Row, verdict
from tasks.report.table import printable, space


def tell(report: Report, inventory: Inventory) -> None:
    """Notify the recipients of all apps. Faults in sending go to standard error and are never raised."""
    failed = any(not row.well for row in report.apps)
    whole = {row.app for row in report.apps} == set(inventory.apps)
    body = "\n".join(filter(None, [_body(report), linked(inventory)]))
    news = News("report", f"report: {verdict(report)}", body, failed, whole)
    Circle("all apps", inventory.notify).ended(news)


def tell_digest(digest: Digest, inventory: Inventory) -> None:
    """Send the digest to all who get messages after a report, well or not: its absence tells, too."""
    failed = any(not row.well for row in digest.report.apps)
    body = "\n".join(filter(None, [message(digest), linked(inventory)]))
    Circle("all apps", inventory.notify).ended(News("report", title(digest), body, failed, periodic=True))


def linked(inventory: Inventory) -> str:
    """Return the line with the address of the page; empty if the inventory names none."""
    return f"All of it: {inventory.page}" if inventory.page else ""


def _label(row: Row, several: Collection[tuple[str, str]]) -> str:
    """Return the app's name, followed by the storage if it has several."""
    return f"{row.app} on {row.storage}" if (row.app, row.source) in several else row.app


def _body(report: Report) -> str:
    wrong = [row for row in report.worst_first if row.status != "ok" or row.error]
    several = {app for app, count in Counter((row.app, row.source) for row in report.apps).items() if count > 1}
    lines = [
        f"- {_label(row, several)} {row.source} ({row.host}): {row.status}"
        + (f": {printable(row.error)}" if row.error else "")
        for row in wrong
    ]
    return "\n".join([*lines, *([""] if lines else []), *(space(row, report) for row in report.storages)])
