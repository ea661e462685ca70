"""A session of the mariadb client on a host, at the operator's terminal: a statement at a time, its answer printable.

The client is MariaDB's own; the lines are read here, so that what comes out of an archive never reaches the terminal
as it is, and no pseudo-terminal has to be passed through.
"""

import re
import secrets
import sys
from contextlib import suppress

from tasks.remote.channel import STDERR, Channel
from tasks.remote.host import Host
from tasks.remote.script import Words

CLIENT = ("--table", "--force", "--unbuffered")
LOOK = 0.2  # seconds between two looks whether the client has ended
SETTLE = 0.05  # seconds without output after which an answer's errors are taken as complete
ENDS = ("exit", "quit", "\\q")
# What must not be searched for the end of a statement: quoted texts and names, comments.
_OPAQUE = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`]|``)*`|--\s[^\n]*|\#[^\n]*|/\*.*?\*/""", re.S
)


def complete(text: str) -> bool:
    r"""Return whether lines end a statement: with `;`, `\g` or `\G` outside of quotes and comments."""
    plain = _OPAQUE.sub("", text).strip()
    return plain.endswith((";", "\\g", "\\G")) and not re.search(r"""['"`]|/\*""", plain)


class Console:
    """The session. `client` are the words that run the client on `host`; `name` is shown in the prompt."""

    def __init__(self, host: Host, client: Words, name: str) -> None:
        self._host = host
        self._client = client
        self._prompt = f"{name}> "

    def run(self) -> None:
        """Read and run statements until a person ends the session, or the client ends. Raises HostError."""
        with suppress(ImportError):
            import readline  # noqa: F401 (gives `input` its history)
        channel = self._host.channel((*self._client, *CLIENT))
        print("a statement ends with `;` or `\\G`; `exit` or Ctrl-D ends the server")
        try:
            while (statement := self._read()) and self._answered(channel, statement):
                pass
        finally:
            channel.close()

    def _read(self) -> str:
        """Return the next statement; empty at the end."""
        lines: list[str] = []
        while not lines or not complete("\n".join(lines)):
            try:
                line = input(" " * (len(self._prompt) - 3) + "-> " if lines else self._prompt)
            except EOFError:
                return ""
            if not lines and line.strip().rstrip(";") in ENDS:
                return ""
            if line.strip().lower().startswith("delimiter"):
                print("delimiter: not here")
            elif line.strip() or lines:
                lines.append(line)
        return "\n".join(lines)

    def _answered(self, channel: Channel, statement: str) -> bool:
        """Run a statement and print its answer; return False if the client has ended."""
        mark = secrets.token_hex(16)
        channel.send(f"{statement}\nSELECT '{mark}' AS '{mark}';\n".encode())
        line = b"+" + b"-" * (len(mark) + 2) + b"+\n"
        end = b"".join((line, f"| {mark} |\n".encode(), line, f"| {mark} |\n".encode(), line))
        held = b""
        errors = _Errors()
        while end not in held:
            pieces = channel.receive(LOOK)
            held += errors.printed(pieces)
            shown = held.rfind(b"\n", 0, max(len(held) - len(end), 0)) + 1
            if end not in held and shown:
                sys.stdout.write(held[:shown].decode(errors="replace"))
                held = held[shown:]
            if not pieces and channel.ended:
                errors.close()
                sys.stdout.write(held.decode(errors="replace"))
                return False
        sys.stdout.write(held.partition(end)[0].decode(errors="replace"))
        while pieces := channel.receive(SETTLE):
            errors.printed(pieces)
        errors.close()
        sys.stdout.flush()
        return True


class _Errors:
    """The client's errors, printed by whole lines: it writes one in several pieces."""

    def __init__(self) -> None:
        self._held = b""

    def printed(self, pieces: list[tuple[int, bytes]]) -> bytes:
        """Print the whole lines of errors among the pieces; return what is no error."""
        self._held += b"".join(piece for stream, piece in pieces if stream == STDERR)
        whole, newline, self._held = self._held.rpartition(b"\n")
        if newline:
            self._print(whole)
        return b"".join(piece for stream, piece in pieces if stream != STDERR)

    def close(self) -> None:
        """Print what is left of a line that did not end."""
        if self._held:
            self._print(self._held)
        self._held = b""

    @staticmethod
    def _print(lines: bytes) -> None:
        print(re.sub(r" at line \d+: ", ": ", lines.decode(errors="replace")))  # a line of this session
