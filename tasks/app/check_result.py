"""A line of `app.check`."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Check:
    """What was checked, its level, what was found, and the remedy if something is wrong."""

    app: str
    name: str
    level: Level
    text: str
    remedy: str = ""
