"""`demo`: the whole story on a lab that is thrown away, shown by the commands that a person would type."""

import shutil
import time
from pathlib import Path

from lab import database, mariadb, packages, python_packages, tree
from lab.lab import Lab, scratch_folder
from lab.rehearsal import inv, show
from tasks.errors import CloudbackupError
from tasks.units import clock


def run() -> None:
    """Install what is missing, start a lab, back up, change, back up, restore, compare, report, clean up.

    Raises CloudbackupError when anything is not as it must be; the lab is gone in any case.
    """
    packages.ensure(*packages.LAB, why="the demo")
    python_packages.ensure("lab", why="the demo")
    began = time.monotonic()
    folder = scratch_folder()
    say("A lab on this machine: a Storage Box emulator, two app hosts with files and a MariaDB server each")
    lab = Lab.start(folder, progress=show)
    try:
        tell(lab)
    finally:
        lab.remove()
        shutil.rmtree(folder)
    say(f"The demo took {clock(time.monotonic() - began)} and left nothing running")


def tell(lab: Lab) -> None:
    """Tell the story on a running lab."""
    typed(lab, "storagebox.setup")
    typed(lab, "borg.init")
    typed(lab, "backup")
    say("Files and rows of both apps change")
    for app in lab.apps.values():
        app.change()
    typed(lab, "backup")
    typed(lab, "verify", "--app", "shop")
    restore_and_compare(lab)
    typed(lab, "report")


def restore_and_compare(lab: Lab) -> None:
    """Restore one app elsewhere and compare each file and each row. Raises CloudbackupError on a difference."""
    app = lab.apps["shop"]
    restored = lab.folder / "restored"
    typed(lab, "restore", "--app", app.name, "--source", "files", "--target", str(restored / "files"))
    files = restored / "files" / str(app.files).lstrip("/")
    saved = tree.fingerprint(app.files, excluding_caches=True)  # as borg does: a cache can be made again
    compare("files", saved, tree.fingerprint(files, excluding_caches=True))
    typed(lab, "restore", "--app", app.name, "--source", "mariadb", "--target", str(restored / "mariadb"))
    with mariadb.serving(restored / "mariadb") as server:
        compare("tables and views", database.fingerprint(app.server), database.fingerprint(server, app.name))


def compare(what: str, saved: dict[str, str], restored: dict[str, str]) -> None:
    """Print that both are the same. Raises CloudbackupError that names what is not."""
    different = tree.differences(saved, restored)
    if different:
        raise CloudbackupError(f"the restored {what} differ: " + "; ".join(different[:5]))
    say(f"Restored and compared: {len(saved)} {what}, all equal")


def typed(lab: Lab, *words: str) -> None:
    """Show a command as a person would type it, and run it."""
    shown = [word if not word.startswith("/") else f"/.../{Path(word).name}" for word in words]
    print(f"\n$ ./inv {' '.join(shown)}", flush=True)
    inv(lab, *words)


def say(text: str) -> None:
    """Print a line of the story."""
    print(f"\n=== {text}", flush=True)
