"""Logging in to a box: with which key or password, on which of its two ports, and what a session then is.

Port 23 is the extended SSH service, port 22 is for SFTP and scp alone. What else port 22 takes, reports disagree on, so
everything else is refused there, as https://gist.github.com/mildsunrise/743b17d376c4d416aee238034edbbe36 saw it.
"""

from typing import TYPE_CHECKING, Any

import asyncssh

from lab import accounts, commands
from lab.accounts import SFTP_PORT, Account, Admission
from lab.sftp import BoxSftp

if TYPE_CHECKING:
    from lab.box import Box

NO_SHELL = (
    "\r\n+" + "-" * 57 + "+\r\n| This Storage Box does not support interactive logins.   |\r\n+" + "-" * 57 + "+\r\n"
)
FILES_ONLY = b"This service allows sftp connections only.\n"  # as OpenSSH's internal-sftp says it
NO_SHELL_STATUS = 1


class Login(asyncssh.SSHServer):
    """One connection: who it is, and what its key is forced to."""

    def __init__(self, box: "Box", port: int) -> None:
        self._box = box
        self._port = port
        self._counted = ""
        self._connection: asyncssh.SSHServerConnection | None = None
        self._admission = Admission(None)
        self._account: Account | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Keep the connection, to end it after a login too many."""
        self._connection = conn

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncssh's signature)
        """Count the connection no more."""
        self._box.logged_in[self._counted] -= 1

    def begin_auth(self, username: str) -> bool:
        """Look the account up; one without SSH support gets in on port 22 alone, and there with the password alone."""
        account = self._box.accounts.get(username)
        self._account = account if account is not None and (account.ssh_enabled or self._files_only) else None
        return True

    @property
    def _files_only(self) -> bool:
        return self._port == SFTP_PORT

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
        if self._account is None or not self._account.ssh_enabled or self._box.faults.refuse_logins:
            return False
        admission = accounts.admit(self._box.home(self._account), key, self._port)
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
        assert self._account is not None
        self._counted = self._account.name
        self._box.logged_in[self._counted] += 1
        if not self._box.early and self._box.crowded_for(self._counted) and self._connection is not None:
            self._connection.disconnect(asyncssh.DISC_TOO_MANY_CONNECTIONS, "Too many connections")

    def session_requested(self) -> Any:
        """Open a session: SFTP and scp for free keys, commands through the restricted shell for all.

        On port 22 there is SFTP alone, which is what scp speaks by default.
        """
        assert self._account is not None
        seat = self._box.seat(self._account)
        free = self._admission.command is None

        def files(channel: Any) -> BoxSftp:
            return BoxSftp(channel, seat.jail, seat.pool, seat.account.readonly, "replace" not in seat.deviations)

        async def command(client: asyncssh.SSHServerProcess[bytes]) -> None:
            client.exit(await self._run(client, seat))

        return asyncssh.SSHServerProcess(command, files if free else None, 3, free and not self._files_only)

    async def _run(self, client: asyncssh.SSHServerProcess[bytes], seat: commands.Seat) -> int:
        if self._files_only:
            client.stdout.write(FILES_ONLY)
            return NO_SHELL_STATUS
        asked = client.command or ""
        line = asked if self._admission.command is None else self._admission.command
        if not line:
            client.stdout.write(NO_SHELL.encode())
            return NO_SHELL_STATUS
        return await commands.run_line(line, asked, seat, client)
