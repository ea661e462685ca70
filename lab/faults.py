"""Faults of a box that a test switches while the box runs.

A unix socket in the box's folder takes one line of JSON and answers with one, once the change holds: `{"set": {...}}`
with fields of `FaultState`, `{"drop": true}`, `{"time": "2026-11-23T03:30"}`, `{"recount": true}`, or `{}` to ask.
`Faults` has one function for each.
"""

import json
import socket
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tasks.errors import CloudbackupError


@dataclass
class FaultState:
    """What is wrong with a box at the moment, held by the server; the defaults are a sound box."""

    full: bool = False
    connections: int | None = None
    latency: float = 0.0
    drop_after: int | None = None
    hang: bool = False
    other_host_key: bool = False
    refuse_logins: bool = False
    quota: int | None = None
    readonly: bool = False
    api_busy: int = 0
    deviations: list[str] = field(default_factory=list)


class Faults:
    """The switches of the box whose control socket is given. Each function returns once the change holds."""

    def __init__(self, control: Path) -> None:
        self._control = control

    def full(self, on: bool = True) -> None:
        """Let every write fail with "Disc quota exceeded", new lock files included."""
        self._set(full=on)

    def quota(self, size: int | None) -> None:
        """Set the pool's size in bytes; None restores the one it was started with."""
        self._set(quota=size)

    def readonly(self, on: bool = True) -> None:
        """Let no login from now on write anything, as a sub-account that is read-only."""
        self._set(readonly=on)

    def drop_connections(self) -> int:
        """Cut all open connections at once, without goodbye. Returns how many there were."""
        return int(self._ask({"drop": True})["dropped"])

    def drop_after(self, size: int | None) -> None:
        """Cut each connection when `size` more bytes came from its client; None ends the fault."""
        self._set(drop_after=size)

    def hang(self, on: bool = True) -> None:
        """Let no byte pass in either direction while connections stay open: the box goes on holding its locks."""
        self._set(hang=on)

    def latency(self, seconds: float) -> None:
        """Hold back everything for `seconds` in each direction."""
        self._set(latency=seconds)

    def other_host_key(self, on: bool = True) -> None:
        """Show another host key to new connections."""
        self._set(other_host_key=on)

    def refuse_logins(self, on: bool = True) -> None:
        """Refuse every key and password."""
        self._set(refuse_logins=on)

    def connections(self, limit: int | None) -> None:
        """Allow so many connections at a time; None restores what the box was started with."""
        self._set(connections=limit)

    def api_busy(self, requests: int) -> None:
        """Put the next so many requests to the API off with "rate limit exceeded"."""
        self._set(api_busy=requests)

    def deviate(self, *names: str) -> None:
        """Let new connections find another box than the one that is known; `lab.deviations` explains the names."""
        self._set(deviations=names)

    def time(self, now: datetime) -> str | None:
        """Let that minute (UTC) come for the plan of snapshots; return the name of the one it made, None when not due.

        The box has no other clock for its plan, so that no snapshot comes unasked.
        """
        made = self._ask({"time": now.isoformat()})["snapshot"]
        return None if made is None else str(made)

    def clear(self) -> None:
        """End all faults."""
        self._set(**vars(FaultState()))

    def open_connections(self) -> int:
        """Return how many connections are open."""
        return int(self._ask({})["open"])

    def most_connections(self) -> int:
        """Return how many connections were open at once since this was asked last."""
        return int(self._ask({"recount": True})["most"])

    def running_commands(self) -> int:
        """Return how many programs (such as `borg serve`) the box runs for its clients."""
        return int(self._ask({})["commands"])

    def _set(self, **changes: object) -> None:
        self._ask({"set": changes})

    def _ask(self, question: dict[str, object]) -> dict[str, Any]:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(10)
                connection.connect(str(self._control))
                connection.sendall(json.dumps(question).encode() + b"\n")
                with connection.makefile() as lines:
                    answer: dict[str, Any] = json.loads(lines.readline() or "{}")
        except OSError as error:
            raise CloudbackupError(f"the Storage Box emulator does not answer at {self._control}: {error}") from error
        if answer.get("error") is not None or "open" not in answer:
            raise CloudbackupError(f"the Storage Box emulator refused {question}: {answer.get('error')}")
        return answer
