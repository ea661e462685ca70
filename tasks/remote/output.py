"""The output of a script or command."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Output:
    """Exit code, both streams as bytes, and the duration in seconds."""

    code: int
    stdout: bytes
    stderr: bytes
    seconds: float

    @property
    def ok(self) -> bool:
        """Return whether it succeeded."""
        return self.code == 0

    @property
    def text(self) -> str:
        """Return standard output as text; bytes that are not UTF-8 become replacement characters."""
        return self.stdout.decode(errors="replace")

    @property
    def error_text(self) -> str:
        """Return standard error as text."""
        return self.stderr.decode(errors="replace")
