"""The report for machines: JSON, version 1. Times are UTC, sizes bytes, unknown values null."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from tasks import version
from tasks.report.formats import Look
from tasks.report.rows import Report
from tasks.times import utc

VERSION = 1


def write(report: Report, _look: Look) -> str:
    """Return the report as JSON, independent of the reader's zone and colours."""
    values = {
        "version": VERSION,
        "tool": version.VERSION,
        "generated": utc(report.generated),
        "apps": [_plain(asdict(row)) for row in report.apps],
        "storages": [_plain(asdict(row)) for row in report.storages],
    }
    return json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: utc(value) if isinstance(value, datetime) else _plain(value) if isinstance(value, dict) else value
        for key, value in values.items()
    }
