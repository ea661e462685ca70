"""Invoke's own program with one difference: wrong usage exits 2, where Invoke exits 1.

`./inv` runs this file; a bare `inv` works as well, but for that one code. It imports nothing of this project.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from invoke.exceptions import Exit, ParseError
from invoke.program import Program


@contextmanager
def wrong_usage() -> Iterator[None]:
    """End the program with 2 when the block finds the command line wrong."""
    try:
        yield
    except ParseError as error:
        raise Exit(str(error), code=2) from error


class Inv(Program):
    """`inv`, with usage errors told apart from failures."""

    def parse_core(self, argv: list[str] | None) -> None:
        """Read the options that stand before the first task."""
        with wrong_usage():
            super().parse_core(argv)

    def parse_tasks(self) -> None:
        """Read the tasks and their options."""
        with wrong_usage():
            super().parse_tasks()

    def parse_cleanup(self) -> None:
        """Answer what is no task: help, lists."""
        with wrong_usage():
            super().parse_cleanup()


if __name__ == "__main__":
    Inv(name="cloudbackup", binary="inv", binary_names=["inv"]).run()
