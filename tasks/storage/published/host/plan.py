"""The request to a run of `publishing`, what it remembers of the copy, and its lock.

Runs on a host as a part of the program `publishing`. Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator  # Python 3.8 syntax

from tasks.storage.published.host.rclone import STATE, Remote, Stopped
from tasks.storage.published.host.segments import Look

GOES_ON = "the next backup goes on from the published copy"


class Plan:
    """What to do, and where.

    `values` is the JSON object of CLOUDBACKUP_PLAN, `repository` the local repository, `keep` the folder for what is
    remembered (the file `memory`).
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        self.remote = Remote(values["remote"])
        self.repository = Path(values["repository"])
        self.keep = Path(values["keep"])
        self.memory = self.keep / STATE

    def known(self) -> dict[str, Any]:
        """Return what this side remembers: the copy's state, all `objects` there, and the run that it `intends`."""
        try:
            return dict(json.loads(self.memory.read_text()))
        except FileNotFoundError:
            return {"state": None, "objects": {}, "intends": None}
        except (ValueError, TypeError):
            raise Stopped(f"{self.memory} is not to be understood", f"move {self.repository} away: {GOES_ON}") from None

    def remember(self, values: dict[str, Any]) -> None:
        """Write what `known` returns, durably: by fsync and rename."""
        fresh = self.memory.with_suffix(".new")
        with fresh.open("w") as file:
            file.write(json.dumps(values))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.memory)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock that allows one publishing at a time; it is released when the process ends."""
        self.keep.mkdir(0o700, parents=True, exist_ok=True)
        with (self.keep / "lock").open("w") as file:
            until = time.monotonic() + self.values.get("wait", 0)
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() > until:
                        raise Stopped("another run publishes this repository", "wait for it to end") from None
                    time.sleep(0.5)
            yield

    def settled(self) -> Look:
        """Return the repository as a finished transaction left it; waits for a running borg."""
        until = time.monotonic() + self.values.get("wait", 0)
        while True:
            look = Look(self.repository)
            if look.settled or time.monotonic() > until:
                return look
            time.sleep(0.5)
