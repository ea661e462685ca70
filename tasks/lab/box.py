"""The Storage Box emulator's server process: `python -m tasks.lab.box FOLDER`, where FOLDER holds `settings.json`.

It listens on 127.0.0.1 only, needs no root, and ends with all that it started on SIGTERM. What it follows and why is
told beside each part: `shell` (which commands), `jail` and `sftp` (which files), `accounts` (which keys), `quota` (how
much), `network` and `faults` (what goes wrong).
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import asyncssh

from tasks.lab import accounts, api, commands, settings
from tasks.lab.accounts import Account, Admission
from tasks.lab.estate import Estate
from tasks.lab.faults import FaultState
from tasks.lab.jail import Jail
from tasks.lab.network import Network
from tasks.lab.quota.storage_pool import Pool
from tasks.lab.settings import BoxPaths
from tasks.lab.sftp import BoxSftp

NO_SHELL = (
    "\r\n+" + "-" * 57 + "+\r\n| This Storage Box does not support interactive logins.   |\r\n+" + "-" * 57 + "+\r\n"
)
INTERACTIVE_STATUS = 1


class Box:
    """State that all connections share."""

    def __init__(self, folder: Path) -> None:
        self.paths = BoxPaths(folder)
        self.settings = settings.load(self.paths.settings)
        self.accounts = {account.name: account for account in self.settings.accounts}
        self.faults = FaultState()
        self.early = self.settings.refusal == "before-banner"
        self.network = Network(self.faults, self.settings.connections, self.early)
        self.children: set[int] = set()
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

    def home(self, account: Account) -> Path:
        """Return an account's home."""
        return self.paths.pool / account.directory

    def seat(self, account: Account) -> commands.Seat:
        """Return what a session of that account works with."""
        pool = Pool(str(self.paths.pool), str(self.paths.limits))
        account = replace(account, readonly=account.readonly or self.faults.readonly)
        return commands.Seat(
            account,
            Jail(self.home(account)),
            pool,
            self.paths,
            self.settings.borg,
            lambda: self.quota,
            self.children,
        )

    def write_limits(self) -> None:
        """Tell the pool's size to all that write, replacing the file at once."""
        new = self.paths.limits.with_suffix(".new")
        left = self.quota - self.estate.pinned()
        new.write_text(json.dumps({"quota": left, "full": self.faults.full}))
        new.replace(self.paths.limits)

    async def serve(self, connection: socket.socket) -> None:
        """Speak SSH on one connection until it ends."""
        key = self.paths.other_host_key if self.faults.other_host_key else self.paths.host_key
        try:
            served = await asyncssh.run_server(
                connection,
                server_factory=lambda: Login(self),
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


class Login(asyncssh.SSHServer):
    """One connection: who it is, and what its key is forced to."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._connection: asyncssh.SSHServerConnection | None = None
        self._admission = Admission(None)
        self._account: Account | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Keep the connection, to end it after a login too many."""
        self._connection = conn

    def begin_auth(self, username: str) -> bool:
        """Look the account up; one without SSH support gets in by no means."""
        account = self._box.accounts.get(username)
        self._account = account if account is not None and account.ssh_enabled else None
        return True

    def public_key_auth_supported(self) -> bool:
        """Keys are always taken."""
        return True

    def password_auth_supported(self) -> bool:
        """Passwords cannot be switched off on a box."""
        return True

    def kbdint_auth_supported(self) -> bool:
        """Keyboard-interactive login is not offered."""
        return False

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002 (asyncssh's signature)
        """Judge a key by the account's own authorized_keys; the last key judged is the one that logs in."""
        if self._account is None or self._box.faults.refuse_logins:
            return False
        admission = accounts.admit(self._box.home(self._account), key)
        self._admission = admission or Admission(None)
        return admission is not None

    def validate_password(self, username: str, password: str) -> bool:  # noqa: ARG002 (asyncssh's signature)
        """Judge a password; whoever has it is forced to nothing."""
        self._admission = Admission(None)
        return (
            self._account is not None
            and not self._box.faults.refuse_logins
            and password.encode() == self._account.password.encode()
        )

    def auth_completed(self) -> None:
        """End a login too many, where the box is set to refuse only then."""
        if not self._box.early and self._box.network.crowded and self._connection is not None:
            self._connection.disconnect(asyncssh.DISC_TOO_MANY_CONNECTIONS, "Too many connections")

    def session_requested(self) -> Any:
        """Open a session: SFTP and scp for free keys, commands through the restricted shell for all."""
        assert self._account is not None
        seat = self._box.seat(self._account)
        free = self._admission.command is None

        def files(channel: Any) -> BoxSftp:
            return BoxSftp(channel, seat.jail, seat.pool, seat.account.readonly)

        async def command(client: asyncssh.SSHServerProcess[bytes]) -> None:
            client.exit(await self._run(client, seat))

        return asyncssh.SSHServerProcess(command, files if free else None, 3, free)

    async def _run(self, client: asyncssh.SSHServerProcess[bytes], seat: commands.Seat) -> int:
        asked = client.command or ""
        line = asked if self._admission.command is None else self._admission.command
        if not line:
            client.stdout.write(NO_SHELL.encode())
            return INTERACTIVE_STATUS
        return await commands.run_line(line, asked, seat, client)


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
    server = await box.network.listen(box.settings.port, box.serve)
    try:
        await stop.wait()
    finally:
        server.close()
        control.close()
        web.shutdown()
        for pid in box.children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        box.paths.control.unlink(missing_ok=True)


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
