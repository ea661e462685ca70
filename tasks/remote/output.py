"""What a script or command gave back."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Output:
    """Exit code, both streams as bytes, and the time it took in seconds."""

    code: int
    stdout: bytes
    stderr: bytes
    seconds: float

    @property
    def ok(self) -> bool:
        """Tell whether it succeeded."""
        return self.code == 0

    @property
    def text(self) -> str:
        """Return standard output as text; bytes that are no UTF-8 show as replacement characters."""
        return self.stdout.decode(errors="replace")

    @property
    def error_text(self) -> str:
        """Return standard error as text."""
        return self.stderr.decode(errors="replace")
