"""Errors of sudo and doas: what each of their refusals means, and the line that would let the login in.

Their words are those of the C locale, in which they are asked: sudo 1.8 and 1.9 (src, plugins/sudoers), OpenDoas 6.8.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.remote.running import HostError

MOST = 300  # characters shown of what they say
FOUND_NOTHING = 127  # exit code of a shell that did not find the program
ASKS = "a password is required|no password was provided|Authentication required|a tty is required"


class BecomeError(HostError):
    """A login may not become another user. `asks` is True if a password was asked for, and none is configured."""

    def __init__(self, what: str, remedy: str, *, asks: bool = False) -> None:
        super().__init__(what, remedy)
        self.asks = asks


@dataclass(frozen=True)
class Attempt:
    """Who tries to become whom: `place` is the host in messages, `login` who logs in, `program` sudo or doas."""

    place: str
    login: str
    program: str
    user: str

    @property
    def rule(self) -> str:
        """Return the remedy that names the line which lets the login in."""
        if self.program == "doas":
            return f"put `permit nopass {self.login} as {self.user} cmd bash` into /etc/doas.conf there"
        line = f"{self.login} ALL=({self.user}) NOPASSWD: /usr/bin/bash"
        return f"there, `visudo -f /etc/sudoers.d/cloudbackup` with the line `{line}`"

    def error(self, what: str, remedy: str, *, asks: bool = False) -> BecomeError:
        """Return an error with the host's name."""
        return BecomeError(f"{self.place}: {what}", remedy, asks=asks)

    def refused(self, said: str, code: int) -> BecomeError:
        """Return the error for what was said on standard error; `code` is the exit code, -1 if there is none."""
        last = _last(said) or (f"exit code {code}" if code >= 0 else "nothing")
        for pattern, what, remedy in self._causes(last):
            if re.search(pattern, said):
                return self.error(what, remedy, asks=re.search(ASKS, said) is not None)
        if code == FOUND_NOTHING:
            return self.error(*self._missing)
        return self.error(f"{self.program} let {self.login} not become {self.user}: {last}", self.rule)

    @property
    def _missing(self) -> tuple[str, str]:
        package = "sudo" if self.program == "sudo" else "opendoas"
        return f"{self.program} is not installed there", f"install the package {package}, or take `become` out"

    @property
    def _not_its(self) -> tuple[str, str]:
        what = f"{self.login} may not run the program {self.program} itself"
        return what, f"`ls -l $(command -v {self.program})` there shows which group may: add {self.login} to it"

    @property
    def _no_bash(self) -> tuple[str, str]:
        remedy = f"install bash; {self.program} looks for it on the PATH that it sets (`secure_path` in sudoers)"
        return f"{self.program} finds no bash there", remedy

    def _causes(self, last: str) -> Iterator[tuple[str, str, str]]:
        """Yield what may be said, as a pattern, with the sentence and the remedy."""
        bash = f"{self.login} may use {self.program}, but not to run bash as {self.user}"
        named = "name the login's password as `become: {sudo: {password: {command: ...}}}`"
        asked = f"{self.program} asks {self.login} for a password"
        mounted = "the file system or the container there forbids set-user-ID programs; log in as root, or allow them"
        yield r"must have a tty|no tty present", "sudo there wants a terminal (requiretty)", self._without_tty
        yield "is not allowed to execute", bash, self.rule
        yield "(sudo|doas): ((command )?not found|No such file)", *self._missing
        yield f"sh: .*{self.program}: (Permission denied|Operation not permitted)", *self._not_its
        yield "bash: (command not found|No such file)", *self._no_bash
        yield "unknown user", f"there is no user {self.user} there", "correct `user` under `become`"
        yield (
            "not in the sudoers file|may not run sudo|not allowed to run sudo",
            f"{self.login} may not use sudo",
            self.rule,
        )
        yield "no new privileges|effective uid is not 0|setuid|owned by uid 0", f"sudo cannot work: {last}", mounted
        yield "no valid sudoers|syntax error|parse error", "its sudoers cannot be read", "`visudo -c` there says where"
        yield "[Aa]ccount|expired", f"sudo refuses {self.login}: {last}", f"look at `chage -l {self.login}` there"
        yield "doas is not enabled", "there is no /etc/doas.conf", self.rule
        yield "doas: Operation not permitted", f"{self.login} may not run bash as {self.user} by doas", self.rule
        yield ASKS, asked, self.rule if self.program == "doas" else f"{named}; or {self.rule}"

    @property
    def _without_tty(self) -> str:
        return f"there, `visudo -f /etc/sudoers.d/cloudbackup` with the line `Defaults:{self.login} !requiretty`"

    def wrong_password(self) -> BecomeError:
        """Return the error for a password that was sent and asked for again."""
        return self.error(f"sudo does not take the password of {self.login}", "correct `password` under `become`")

    def silent(self, said: str) -> BecomeError:
        """Return the error for a sudo that waits for something other than the password."""
        what = f"sudo waits for an answer: {_last(said) or 'it asks nothing'}"
        return self.error(what, f"it must ask for the password alone, or for nothing: {self.rule}")

    def recorded(self) -> BecomeError:
        """Return the error for a sudo that records what passes through it."""
        what = "sudo there records what it passes on (log_input, log_output): the passphrase would stand in its log"
        tags = "NOLOG_INPUT: NOLOG_OUTPUT:"  # they count more than Defaults do
        return self.error(what, f"there, put `{tags}` before the command in the rule for {self.login} (`visudo`)")

    def narrow(self, rights: list[str]) -> BecomeError:
        """Return the error for a login that may run `rights` without a password, as `sudo -l` writes them."""
        if any(re.search(rf"\((?:ALL|{re.escape(self.user)})\b.*(?:/bash|: ALL)$", each) for each in rights):
            return self.error(*self._no_bash)
        what = f"{self.login} may not run bash as {self.user} without a password, only {', '.join(rights)}"
        return self.error(what[:MOST], self.rule)


def _last(said: str) -> str:
    lines = ["".join(sign for sign in line if sign.isprintable()).strip() for line in said.splitlines()]
    return next((line for line in reversed(lines) if line), "")[:MOST]
