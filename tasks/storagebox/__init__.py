"""Storage Boxes, and other SSH servers with borg, themselves: keys, folders, space."""

from typing import Any

from tasks.cli import confirm, task

STORAGE_HELP = "name of a storage in the inventory; repeat it for several; none means all storage boxes"


@task(
    help={
        "storage": STORAGE_HELP,
        "fingerprint": "accept a host key with this SHA256 fingerprint (from Hetzner's documentation) without asking",
        "yes": "accept the host key that the box shows, without asking",
    },
    iterable=["storage"],
)
def setup(c: Any, storage: Any = None, fingerprint: str = "", yes: bool = False) -> None:
    """Make a storage ready: pin its host key, install the keys of the operator and of each app's host, make folders.

    May be run again at any time: what is there already stays. Where the operator's key does not log in yet, the
    account's password is asked for (or taken from the environment variable STORAGEBOX_PASSWORD).
    """
    from tasks.storagebox import prepare

    def trusts(host: str, shown: str) -> bool:
        if fingerprint:
            return fingerprint == shown
        return confirm(f"{host} shows the host key {shown}. Is that the right one?", yes=yes)

    prepare.run(c.config.inventory, storage or (), trusts, print)


@task(help={"storage": STORAGE_HELP}, iterable=["storage"])
def usage(c: Any, storage: Any = None) -> None:
    """Show the used and the free space of each storage box."""
    from tasks.storagebox import space

    for line in space.lines(c.config.inventory, storage or ()):
        print(line)
