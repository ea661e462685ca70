"""Borg through a Storage Box: a host's key that may only append, the tasks, and a box that fails."""

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import tree
from lab.lab import Lab, scratch_folder
from lab.plan import AppPlan
from tasks.borg.client import break_lock
from tasks.borg.client.compact import compact
from tasks.borg.client.create import FilesOptions, StreamOptions, create
from tasks.borg.client.delete import delete
from tasks.borg.client.list import archives
from tasks.borg.client.runner import BorgError, How
from tasks.errors import CloudbackupError
from tasks.remote.script import Stream
from tasks.run.session import Session
from tasks.storage import ssh
from tasks.storage.registry import load
from tasks.storage.repository import Repository, Side
from tests.integration.fleet.support import Operator
from tests.integration.remote.support import eventually

QUICK = How(lock_wait=5)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    folder = scratch_folder()
    lab = Lab.start(folder, (AppPlan("shop", mariadb=False, files_megabytes=1),))
    try:
        inv(lab, "storagebox.setup")
        assert "made (repokey-blake2)" in inv(lab, "borg.init")
        settings = lab.inventory / "cloudbackup.yml"
        settings.write_text(re.sub(r"keep:(\n    .*)+", "keep: {daily: 1}", settings.read_text()))
        yield lab
    finally:
        lab.remove()
        folder.rmdir()


@pytest.fixture
def session(lab: Lab) -> Iterator[Session]:
    with Session(load(lab.inventory)) as session:
        yield session
        lab.box.faults.clear()
        lab.box.faults.drop_connections()


@pytest.fixture
def host(session: Session) -> Repository:
    return session.repository(session.inventory.app("shop"), Side.HOST)


@pytest.fixture
def operator(session: Session) -> Repository:
    return session.repository(session.inventory.app("shop"), Side.OPERATOR)


def inv(lab: Lab, *words: str, code: int = 0) -> str:
    """Run a task that must end with `code`; return all that it said, which holds no passphrase whatever the task."""
    done = Operator(lab.inventory).inv(*words)
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    secrets = [file.read_text().strip() for file in (lab.folder / "operator/secrets").iterdir()]
    assert secrets
    assert not [secret for secret in secrets if secret in said]
    return said


def archive(session: Session, name: str) -> FilesOptions:
    files = session.inventory.app("shop").files
    assert files is not None
    return FilesOptions(name, files.paths)


def test_the_hosts_key_adds_and_frees_nothing(
    session: Session, host: Repository, operator: Repository, lab: Lab
) -> None:
    create(host, archive(session, "one"))
    create(host, StreamOptions("two", Stream("head -c 3000000 /dev/urandom"), "x"))
    assert [each.name for each in archives(operator).archives][-2:] == ["one", "two"]
    before = used(lab)
    delete(host, ("two",))
    compact(host)
    assert used(lab) >= before
    compact(operator)
    assert used(lab) < before - 2_900_000
    delete(operator, ("one",))  # no record tells of it: whoever prunes later would refuse


def used(lab: Lab) -> int:
    return sum(path.stat().st_size for path in lab.box.home().rglob("data/*/*") if path.is_file())


@pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="this kernel has no FUSE")
def test_the_tasks_work_on_an_app(lab: Lab, tmp_path: Path) -> None:
    assert "was there already" in inv(lab, "borg.init", "--app", "shop")
    made = inv(lab, "borg.create", "--app", "shop").split()[0]
    assert made.startswith("shop-files-")
    assert made in inv(lab, "borg.list", "--app", "shop")
    assert str(lab.apps["shop"].files) in inv(lab, "borg.list", "--app", "shop", "--archive", "latest")
    assert "stored" in inv(lab, "borg.info", "--app", "shop")
    assert made in inv(lab, "borg.info", "--app", "shop", "--archive", made)
    assert "hold the same" in inv(lab, "borg.diff", "--app", "shop", "--first", made)
    assert "whole" in inv(lab, "borg.check", "--app", "shop")
    assert "key in" in inv(lab, "borg.key-export", "--app", "shop")
    inv(lab, "borg.extract", "--app", "shop", "--target", str(tmp_path / "new"))
    assert any((tmp_path / "new").iterdir())
    assert "is not empty" in inv(lab, "borg.extract", "--app", "shop", "--target", str(tmp_path), code=2)
    (tmp_path / "mounted").mkdir()
    folder = ("--app", "shop", "--folder", str(tmp_path / "mounted"))
    inv(lab, "borg.mount", *folder)
    try:
        inside = tmp_path / "mounted" / made / str(lab.apps["shop"].files).lstrip("/")
        saved = tree.fingerprint(lab.apps["shop"].files, excluding_caches=True)
        assert tree.differences(saved, tree.fingerprint(inside, excluding_caches=True)) == []
    finally:
        inv(lab, "borg.umount", *folder)
    assert list((tmp_path / "mounted").iterdir()) == []
    assert "no archive nothing" in inv(lab, "borg.info", "--app", "shop", "--archive", "nothing", code=2)
    assert "no app" in inv(lab, "borg.list", "--app", "shopp", code=2)


@pytest.mark.parametrize("task", ["borg.prune", "borg.compact", "borg.break-lock"])
def test_without_a_terminal_nothing_waits_for_an_answer(
    lab: Lab, session: Session, host: Repository, task: str
) -> None:
    assert session
    while len(archives(host).of(("shop",), "files")) < 2:  # one of them goes: only then is there something to ask
        inv(lab, "borg.create", "--app", "shop")
    assert "--yes" in inv(lab, task, "--app", "shop", code=2)


def test_prune_and_compact_with_yes(lab: Lab) -> None:
    inv(lab, "borg.create", "--app", "shop")
    assert re.search(r"shop files: 1 archive kept, \d+ to remove", inv(lab, "borg.prune", "--app", "shop", "--dry-run"))
    assert "removed;" in inv(lab, "borg.prune", "--app", "shop", "--yes")
    assert "freed" in inv(lab, "borg.compact", "--app", "shop", "--yes")


def test_a_lock_on_the_box_is_named_and_broken(lab: Lab, session: Session) -> None:
    app = session.inventory.app("shop")
    storage = session.storage_of(app)
    folder = lab.box.home() / storage.path(app)
    (folder / "lock.exclusive").mkdir()
    (folder / "lock.exclusive" / "box@1.99999-0").touch()
    assert break_lock.holders(storage.files(app), storage.path(app)) == (break_lock.Holder("box@1", 99999),)
    said = inv(lab, "borg.break-lock", "--app", "shop", "--yes")
    assert "locked by process 99999 on box@1" in said
    assert "lock removed" in said
    assert not (folder / "lock.exclusive").exists()


@pytest.mark.parametrize(
    "case",
    [
        ("full", "the storage is full"),
        ("refuse_logins", "refuses the key"),
        ("other_host_key", "host key is not the pinned one"),
    ],
)
def test_a_box_that_fails_is_told_and_nothing_is_listed(
    lab: Lab, session: Session, host: Repository, operator: Repository, case: tuple[str, str]
) -> None:
    fault, told = case
    before = archives(operator).archives
    getattr(lab.box.faults, fault)()
    with pytest.raises(BorgError, match=told):
        create(host, archive(session, f"with-{fault}"), QUICK)
    lab.box.faults.clear()
    assert archives(operator).archives == before


def broken(host: Repository, lab: Lab, fault: Callable[[], object]) -> CloudbackupError:
    """Return how a create ends whose connection to the box meets a fault."""
    errors: list[CloudbackupError] = []

    def run() -> None:
        try:
            create(
                host, StreamOptions("cut", Stream("while head -c 100000 /dev/urandom; do sleep 0.1; done"), "x"), QUICK
            )
        except CloudbackupError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert eventually(lambda: any(lab.box.home().rglob("lock.exclusive")), 30)
    assert eventually(lambda: lab.box.faults.running_commands() > 0, 30)
    fault()
    thread.join(60)
    assert not thread.is_alive()
    return errors[0]


def test_a_cut_connection_leaves_no_archive_and_no_lock(lab: Lab, host: Repository, operator: Repository) -> None:
    before = archives(operator).archives
    error = broken(host, lab, lambda: eventually(lambda: lab.box.faults.drop_connections() > 0, 30))
    assert "connection to the storage was lost" in str(error)
    assert archives(operator, how=QUICK).archives == before
    assert create(host, StreamOptions("after", Stream("echo x"), "x"), QUICK).archive == "after"


def test_a_box_that_falls_silent_is_given_up(
    lab: Lab, session: Session, operator: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = archives(operator).archives
    for name in ("CONNECT_TIMEOUT", "ALIVE_INTERVAL", "ALIVE_COUNT"):
        monkeypatch.setattr(ssh, name, 2)
    host = session.repository(session.inventory.app("shop"), Side.HOST)
    error = broken(host, lab, lab.box.faults.hang)
    assert "the storage does not answer" in error.what
    assert error.transient
    lab.box.faults.clear()
    assert archives(operator, how=QUICK).archives == before
    assert create(host, StreamOptions("again", Stream("echo x"), "x"), QUICK).archive == "again"
