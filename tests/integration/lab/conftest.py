"""One box for all tests of it; its accounts are made anew for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import accounts, keys
from lab.accounts import Account
from lab.lab import Lab, LabBox, scratch_folder
from lab.plan import MAIN_ACCOUNT, BoxPlan

from .support import Client

ACCOUNTS = (
    Account(MAIN_ACCOUNT, "main 'password'"),
    Account("u100001-sub1", "sub password", directory="sub1"),
    Account("u100001-sub2", "readonly password", directory="sub1", readonly=True),
    Account("u100001-sub3", "no ssh", directory="sub3", ssh_enabled=False),
)


@pytest.fixture(scope="session")
def box_lab() -> Iterator[Lab]:
    folder = scratch_folder()
    lab = Lab.start(folder, apps=(), box=BoxPlan(accounts=ACCOUNTS))
    yield lab
    lab.remove()
    folder.rmdir()


@pytest.fixture
def box(box_lab: Lab) -> Iterator[LabBox]:
    """A sound, empty box that admits the operator's key."""
    yield box_lab.box
    box_lab.box.faults.clear()
    box_lab.box.faults.drop_connections()
    for path in box_lab.box.home().iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for account in ACCOUNTS:
        box_lab.box.home(account.name).mkdir(exist_ok=True)
    accounts.install_keys(box_lab.box.home(), keys.public(box_lab.operator_key))


@pytest.fixture
def operator(box: LabBox, box_lab: Lab, tmp_path: Path) -> Client:
    """Whoever holds the operator's key."""
    return Client(box, tmp_path, MAIN_ACCOUNT, box_lab.operator_key)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with 3 MB that do not compress."""
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(3):
        with Path("/dev/urandom").open("rb") as source:
            (folder / f"file {number}").write_bytes(source.read(1_000_000))
    return folder
