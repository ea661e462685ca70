"""What `app.add` says of a repository that another tool made: what becomes of its archives, and of its key."""

from collections.abc import Iterator

from tasks.borg.client.list import Listing
from tasks.borg.others import others
from tasks.inventory.models import App
from tasks.storage.repository import Repository

KEY_FILE = "keyfile"  # how borg's names of such modes begin


def remarks(app: App, repository: Repository, listing: Listing) -> Iterator[str]:
    """Yield what a person should know of a repository that was there before the app."""
    if others(app, listing.archives):
        yield (
            "these stay as they are: they are restored, found and drilled by name, and pruned by "
            "`keep: {other: ...}` alone"
        )
        yield (
            "whoever else goes on writing there raises the alarm: accept it by "
            f"`inv report.accept --app {app.name} --series WHICH --reason WHY`, or end it"
        )
    if listing.encryption.startswith(KEY_FILE):
        yield (
            "its key is in a key file, not in the repository: whoever restores needs that file, or its copy in escrow, "
            f"and so does each host that saves ({repository.host.name}: in ~/.config/borg/keys of who runs borg)"
        )
