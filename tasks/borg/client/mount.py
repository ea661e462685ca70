"""`borg mount`: archives as folders, on the operator's machine.

While mounted, borg holds a shared lock on the repository: a backup waits for it, and gives up after its lock-wait.
"""

from dataclasses import replace

from tasks.borg.client.runner import PLAIN, How, Result, run
from tasks.remote.script import Words
from tasks.storage.repository import Repository

FUSE = {"BORG_FUSE_IMPL": "pyfuse3,llfuse"}  # borg's own default, borg 1.2 and 1.4


def mount_words(mountpoint: str, archive: str | None = None) -> Words:
    """Return borg's arguments for one archive, or for all, each as a folder."""
    return ("mount", f"::{archive}" if archive else "::", mountpoint)


def umount_words(mountpoint: str) -> Words:
    """Return borg's arguments to unmount."""
    return ("umount", mountpoint)


def mount(repository: Repository, mountpoint: str, archive: str | None = None, how: How = PLAIN) -> Result:
    """Mount on an existing folder; borg stays in the background until it is unmounted.

    Raises BorgError, also without FUSE, and what `Host.run` raises.
    """
    how = replace(how, environment={**how.environment, **FUSE})
    return run(repository, mount_words(mountpoint, archive), how)


def umount(repository: Repository, mountpoint: str, how: How = PLAIN) -> Result:
    """Unmount. Raises BorgError and what `Host.run` raises."""
    return run(repository, umount_words(mountpoint), how)
