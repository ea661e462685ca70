"""One line of `app.check`."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Check:
    """What was looked at, how it is, what was found, and what to do where it is not well."""

    app: str
    name: str
    level: Level
    text: str
    remedy: str = ""
