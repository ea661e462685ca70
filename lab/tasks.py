"""A lab on loopback: a Storage Box, app hosts with data, an inventory of them. For a demo, rehearsals and the tests."""

from typing import Any

from tasks.cli import task

FOLDER_HELP = "folder of the lab; a folder of your own in the system's temporary folder unless given"


@task(help={"folder": FOLDER_HELP})
def up(_c: Any, folder: str = "") -> None:
    """Start a lab, make its repositories, leave it running, and print the inventory folder for INVOKE_INVENTORY."""
    from lab import rehearsal

    rehearsal.up(folder)


@task(help={"folder": FOLDER_HELP})
def down(_c: Any, folder: str = "") -> None:
    """Stop the lab and remove its data."""
    from lab import rehearsal

    rehearsal.down(folder)


@task(help={"folder": FOLDER_HELP})
def status(_c: Any, folder: str = "") -> None:
    """Show which servers of the lab run."""
    from lab import rehearsal

    rehearsal.status(folder)


@task()
def audit(_c: Any) -> None:
    """Show which pinned Python packages are out of date, or have known vulnerabilities."""
    from lab import audit as auditing

    auditing.run()


@task()
def demo(_c: Any) -> None:
    """Show the whole story on a lab: back up two apps, change them, back up again, restore one, compare, report."""
    from lab import story

    story.run()


@task(
    help={
        "only": "paths below tests/, or options of pytest; repeat it for several; none means all tests and checks",
        "quick": "the linters, the type checker and the unit tests: about a minute, no servers, no package of Debian",
        "images": "build the container images and run tests/images, and nothing else: root, 20 minutes or more, 4 GB",
    },
    iterable=["only"],
)
def test(_c: Any, only: Any = None, quick: bool = False, images: bool = False) -> None:  # noqa: PT028  # a task, not a test
    """Install what the tests need, then run the linters, the type checker and all tests."""
    from lab import suite

    suite.run(only=tuple(only or ()), images=images, quick=quick)
