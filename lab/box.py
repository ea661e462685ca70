"""The Storage Box emulator's server process: `python -m lab.box FOLDER`, where FOLDER holds `settings.json`.

It listens on loopback only, where each account has an address of its own, needs no root, and ends with all that it
started on SIGTERM. What it follows and why stands beside each part: `login` (who), `shell` and `rsync` (which
commands), `jail` and `sftp` (which files), `accounts` (which keys), `quota` (how much), `snapshots`, `network` and
`faults` (what goes wrong).
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections import Counter
from dataclasses import fields, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh

from lab import api, commands, settings
from lab.accounts import SFTP_PORT, SHELL_PORT, Account
from lab.borg_child import BorgParents
from lab.estate import Estate
from lab.faults import FaultState
from lab.jail import Jail
from lab.login import Login
from lab.network import Network
from lab.quota.storage_pool import Pool
from lab.settings import BoxPaths


class Box:
    """State that all connections share."""

    def __init__(self, folder: Path) -> None:
        self.paths = BoxPaths(folder)
        self.settings = settings.load(self.paths.settings)
        self.accounts = {account.name: account for account in self.settings.accounts}
        self.faults = FaultState()
        self.early = self.settings.refusal == "before-banner" and self.settings.scope == "box"
        self.network = Network(self.faults, self.settings.connections, self.early)
        self.logged_in: Counter[str] = Counter()
        self.children: set[int] = set()
        self.borgs = BorgParents(commands.plain_environment())
        self.estate = Estate(self.paths.pool, self.paths.snapshots, self.accounts, lambda: self.quota, self.changed)

    @property
    def quota(self) -> int:
        """Size of the pool in bytes as it is now."""
        return self.settings.quota if self.faults.quota is None else self.faults.quota

    def changed(self) -> None:
        """Let what the API changed hold: reachability, and the room that snapshots leave."""
        self.network.reachable = self.estate.reachable
        self.write_limits()

    def api_is_busy(self) -> bool:
        """Tell whether a request to the API is to be put off, and count it."""
        left = self.faults.api_busy
        self.faults.api_busy = max(0, left - 1)
        return left > 0

    def crowded_for(self, name: str) -> bool:
        """Tell whether one more connection is open than the box, or the account of that name, may have."""
        if self.settings.scope == "box":
            return self.network.crowded
        return self.logged_in[name] > self.network.limit

    def home(self, account: Account) -> Path:
        """Return an account's home."""
        return self.paths.pool / account.directory

    def seat(self, account: Account) -> commands.Seat:
        """Return what a session of that account works with."""
        pool = Pool(str(self.paths.pool), str(self.paths.limits))
        account = replace(account, readonly=account.readonly or self.faults.readonly)
        return commands.Seat(
            account,
            Jail(self.home(account), self.estate.snapshots.view(account.directory)),
            pool,
            self.paths,
            self.settings.borg,
            lambda: self.quota,
            self.children,
            self.borgs,
            self.faults.deviations,
        )

    def write_limits(self) -> None:
        """Tell the pool's size to all that write, replacing the file at once."""
        new = self.paths.limits.with_suffix(".new")
        left = self.quota - self.estate.pinned()
        new.write_text(json.dumps({"quota": left, "full": self.faults.full}))
        new.replace(self.paths.limits)

    async def serve(self, connection: socket.socket, port: int) -> None:
        """Speak SSH on one connection until it ends, as on port 22 or 23."""
        key = self.paths.other_host_key if self.faults.other_host_key else self.paths.host_key
        try:
            served = await asyncssh.run_server(
                connection,
                server_factory=lambda: Login(self, port),
                server_host_keys=[str(key)],
                encoding=None,
                allow_pty=False,
                agent_forwarding=False,
                compression_algs=None,
            )
            await served.wait_closed()
        except (OSError, asyncssh.Error):
            connection.close()

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one question of `faults.Faults`."""
        answer: dict[str, Any] = {}
        try:
            question = json.loads(await reader.readline())
            self.change(question.get("set", {}))
            if question.get("drop"):
                answer["dropped"] = self.network.drop()
            if question.get("time"):
                answer["snapshot"] = self.estate.snapshots.come(datetime.fromisoformat(question["time"]))
            if question.get("recount"):
                answer["most"] = self.network.recount()
        except (ValueError, AttributeError) as error:
            answer["error"] = str(error)
        answer |= {"open": len(self.network.links), "commands": len(self.children)}
        writer.write(json.dumps(answer).encode() + b"\n")
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    def change(self, values: dict[str, Any]) -> None:
        """Switch faults. Raises ValueError for one that there is not."""
        unknown = set(values) - {field.name for field in fields(FaultState)}
        if unknown:
            raise ValueError(f"no such fault: {', '.join(sorted(unknown))}")
        for name, value in values.items():
            setattr(self.faults, name, value)
        self.write_limits()
        self.network.apply()


async def run(folder: Path) -> None:
    """Serve until SIGTERM or SIGINT."""
    os.umask(0o022)  # not the one of whoever started the lab
    box = Box(folder)
    for account in box.settings.accounts:
        box.home(account).mkdir(mode=0o755, parents=True, exist_ok=True)
    box.paths.temporary.mkdir(exist_ok=True)
    box.paths.snapshots.mkdir(mode=0o700, exist_ok=True)
    box.write_limits()
    box.paths.control.unlink(missing_ok=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for kind in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(kind, stop.set)
    control = await asyncio.start_unix_server(box.control, str(box.paths.control))
    web = api.serve(api.Api(box.estate, box.settings.api_token, box.api_is_busy), box.settings.api_port)
    shell = await box.network.listen(box.settings.port, partial(box.serve, port=SHELL_PORT))
    files = await box.network.listen(box.settings.sftp_port, partial(box.serve, port=SFTP_PORT))
    try:
        await stop.wait()
    finally:
        for server in (shell, files, control):
            server.close()
        web.shutdown()
        for pid in box.children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        box.paths.control.unlink(missing_ok=True)


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
