"""The report as a page: one file that needs no network and no JavaScript, for screens of any width and for paper.

What hosts and storages wrote stands in it as text, never as markup: Jinja2 escapes every value, and the page's own
policy lets no style and no script run but the two that stand in it, named by their hashes.
"""

import base64
import hashlib
from pathlib import Path

from markupsafe import Markup

from tasks.report.formats import Look
from tasks.report.page.view import view
from tasks.report.rows import Report
from tasks.report.table import printable
from tasks.version import VERSION

FOLDER = Path(__file__).parent
# frame-ancestors would belong here, but a page cannot say that of itself: `report.serve` sends it as a header.
POLICY = (
    "default-src 'none'; style-src {style}; script-src {script}; img-src data:; base-uri 'none'; form-action 'none'"
)


def write(report: Report, look: Look) -> str:
    """Return the page. Times are in `look.zone`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    style, script = _own("style.css"), _own("script.js")
    policy = POLICY.format(style=_hash(style), script=_hash(script))
    text = environment.get_template("page.html").render(
        view=view(report, look), style=style, script=script, policy=policy, version=VERSION
    )
    return text.rstrip("\n")


def _own(name: str) -> Markup:
    """Return a file of ours, which may stand in the page as it is."""
    return Markup("\n" + (FOLDER / name).read_text(encoding="utf-8"))  # noqa: S704


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _printable(value: object) -> object:
    """Return texts without what steers their display, such as marks that turn the direction of writing."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
