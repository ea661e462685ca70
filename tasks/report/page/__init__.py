"""The report as an HTML page: one file without network access or JavaScript, for any screen width and for paper.

Text from hosts and storages appears as text, never as markup: Jinja2 escapes every value, and the page's
Content-Security-Policy only allows its own style and script, named by their hashes.
"""

import base64
import hashlib
from pathlib import Path

from markupsafe import Markup

from tasks import units
from tasks.report.formats import Look
from tasks.report.page.view import view
from tasks.report.rows import Report
from tasks.report.table import printable
from tasks.version import VERSION

FOLDER = Path(__file__).parent
# frame-ancestors is missing because a page cannot set it for itself: `report.serve` sends it as a header.
POLICY = (
    "default-src 'none'; style-src {style}; script-src {script}; img-src data:; base-uri 'none'; form-action 'none'"
)


def write(report: Report, look: Look) -> str:
    """Return the page as HTML. Times are in `look.zone`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters["bytes"] = units.size
    style, script = _own("style.css"), _own("script.js")
    policy = POLICY.format(style=_hash(style), script=_hash(script))
    text = environment.get_template("page.html").render(
        view=view(report, look), style=style, script=script, policy=policy, version=VERSION
    )
    return text.rstrip("\n")


def _own(name: str) -> Markup:
    """Return a file of this package, which needs no escaping."""
    return Markup("\n" + (FOLDER / name).read_text(encoding="utf-8"))  # noqa: S704


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _printable(value: object) -> object:
    """Return texts without characters that control their display, such as bidirectional marks."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
