"""A repository on the lab's box with three archives, from all sides."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.lab import Lab
from tasks.borg import removal
from tasks.borg.apps import Opened
from tasks.borg.client.list import archives
from tasks.borg.client.runner import How, environment, run
from tasks.remote.script import Script, quote
from tasks.report.gather import gather
from tasks.report.rows import Row
from tasks.run.session import Session
from tasks.storage.repository import Repository, Side
from tests.fault.killed import content

LONG = pytest.mark.timeout(1800)  # seconds: each step is a try of its own, on whatever machine
EVERY = os.environ.get("CLOUDBACKUP_KILLS") == "every"  # the long form: also just after each program was sent off
# What holds no promise: records are looked at as such, locks and unfinished files are of nobody who lives.
BESIDE = ("/.shop.yml.", "/records/", ".part", ".new", "lock.", ".cloudbackup-lock", "/cache/", "nonce")
QUICK = How(lock_wait=60, timeout=120)
RAW = """
import os, sys
sys.argv[0] = "borg"
from argparse import Namespace
from borg.helpers import Location
from borg.logger import setup_logging
from borg.remote import RemoteRepository
args = Namespace(rsh=None, remote_path=None, umask=0o077, upload_ratelimit=None, remote_ratelimit=None,
                 upload_buffer=None, remote_buffer=None, log_json=False, debug_topics=[], progress=False, info=False,
                 debug_profile=None, log_level="warning", consider_part_files=False, iec=False)
setup_logging()
with RemoteRepository(Location(os.environ["BORG_REPO"]), args=args, exclusive=True) as repository:
    exec(os.environ["ATTACK"])
"""


@contextmanager
def put_back(places: Sequence[Path], folder: Path) -> Iterator[None]:
    """Keep copies of some directories in `folder`, and put them back at the end."""
    for number, place in enumerate(places):
        shutil.copytree(place, folder / f"before-{number}")
    yield
    for number, place in enumerate(places):
        shutil.rmtree(place)
        shutil.copytree(folder / f"before-{number}", place)


@dataclass
class Scene:
    """A repository with three archives, all well, as it was before each attack.

    `content` is what the first of them has of the file `new`.
    """

    lab: Lab
    session: Session
    before: dict[str, str]
    transaction: int
    content: bytes = b""

    @property
    def new(self) -> str:
        return str(self.lab.apps["shop"].files / "new")

    @property
    def opened(self) -> Opened:
        app = self.session.inventory.app("shop")
        return Opened(self.session, app, self.session.repository(app, Side.OPERATOR))

    @property
    def host(self) -> Repository:
        return self.session.repository(self.session.inventory.app("shop"), Side.HOST)

    @property
    def target(self) -> removal.Target:
        return removal.Target(self.session, self.opened.app, self.opened.repository, QUICK)

    def listed(self) -> dict[str, str]:
        return {each.name: each.id for each in archives(self.opened.repository, how=QUICK).archives}

    def row(self) -> Row:
        return gather(self.session, [self.opened.app]).apps[0]

    def raw(self, attack: str) -> None:
        """Speak borg's own protocol, past borg's client."""
        program = Path(shutil.which("borg") or "").read_text().splitlines()[0].removeprefix("#!").split()
        given = {**environment(self.host), "ATTACK": attack}
        output = self.host.host.run(Script(quote((*program, "-c", RAW)), given), timeout=60)
        assert output.ok, output.error_text

    def forge(self, name: str, timestamp: str) -> None:
        files = str(self.lab.apps["shop"].files)
        run(self.host, ("create", f"--timestamp={timestamp}", f"::{name}", "--", files), QUICK)


@dataclass
class Place:
    """A scene, and all that a person's commands may change of it, which is put back before each try."""

    scene: Scene
    folder: Path

    @property
    def places(self) -> list[Path]:
        lab = self.scene.lab
        operator = [lab.folder / "operator" / name for name in ("secrets", "escrow")]
        home = lab.box.home()
        return [*operator, lab.apps["shop"].home / ".ssh", home / ".ssh", lab.inventory, home / "cloudbackup"]

    def keep(self) -> None:
        for number, place in enumerate(self.places):
            shutil.copytree(place, self.folder / str(number), symlinks=True)

    def restore(self) -> None:
        for number, place in enumerate(self.places):
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(self.folder / str(number), place, symlinks=True)
        shutil.rmtree(self.scene.session.inventory.cache, ignore_errors=True)
        for rest in (".cache/borg", ".config/borg/security"):
            shutil.rmtree(self.scene.lab.apps["shop"].home / rest, ignore_errors=True)

    def content(self) -> dict[str, bytes]:
        return content(self.places, BESIDE)
