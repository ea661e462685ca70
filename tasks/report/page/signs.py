"""The sign of each status, for people who do not see its colour."""

from tasks.report.rows import Status

SIGNS: dict[Status, str] = {
    "failed": "✕",
    "missing": "∅",
    "incomplete": "◐",
    "suspect": "!",
    "late": "◷",
    "unknown": "?",
    "paused": "‖",
    "ok": "✓",
}
