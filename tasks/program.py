"""Invoke's own program with one difference: wrong usage exits 2, where Invoke exits 1.

`./inv` runs this file; a bare `inv` works as well, but for that one code. It imports nothing of this project.
"""

from invoke.exceptions import Exit, ParseError
from invoke.program import Program


class Inv(Program):  # type: ignore[misc]  # Invoke ships no types
    """`inv`, with usage errors told apart from failures."""

    def parse_core(self, argv: list[str] | None) -> None:
        """Read the options that stand before the first task."""
        try:
            super().parse_core(argv)
        except ParseError as error:
            raise Exit(str(error), code=2) from error

    def parse_tasks(self) -> None:
        """Read the tasks and their options."""
        try:
            super().parse_tasks()
        except ParseError as error:
            raise Exit(str(error), code=2) from error


if __name__ == "__main__":
    Inv(name="cloudbackup", binary="inv").run()
