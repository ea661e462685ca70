"""What a source says before and after its archive is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.borg.client.create import Created, Options


@dataclass(frozen=True)
class Learnt:
    """What only a finished archive tells: `details` for its record, `warnings` for a person."""

    details: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ready:
    """What borg is to save, and how to learn from what was said meanwhile."""

    options: Options
    learn: Callable[[Created], Learnt] = lambda _: Learnt()


@dataclass(frozen=True)
class Unchanged:
    """There is nothing new to save; `details` are for the record that says so."""

    details: Mapping[str, Any]
