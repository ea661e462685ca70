"""The error answer of Hetzner's API."""

from typing import Any

Values = dict[str, Any]


class Refusal(Exception):  # noqa: N818  # an answer, not a fault
    """What is refused: HTTP status, code, message."""

    def __init__(self, status: int, code: str, message: str, details: Values | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details = details or {}


def limit_exceeded(what: str, name: str) -> Refusal:
    """Return the refusal of one more than the box's type allows; `name` is the limit's name."""
    return Refusal(403, "resource_limit_exceeded", f"{what} limit exceeded", {"limits": [{"name": name}]})
