"""The runbook's commands, run as they stand, with the lab's names in place of its own."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import database, keys, tree
from lab.lab import Lab, scratch_folder
from tasks.borg.client.delete import delete
from tasks.borg.client.list import archives
from tasks.remote.ssh import fingerprint
from tasks.run.session import Session
from tasks.storage.registry import load
from tasks.storage.repository import Side
from tasks.storagebox.authorized_keys import PublicKey
from tests.integration.fleet.support import CHECKOUT, PROGRAM, Operator

BLOCK = re.compile(r"<!-- a test runs these lines: ([\w-]+) -->\n```bash\n(.*?)```", re.DOTALL)
BLOCKS = dict(BLOCK.findall((CHECKOUT / "docs/runbook.md").read_text()))


class Person:
    """Somebody at a machine: an inventory, a home, and the runbook."""

    def __init__(self, inventory: Path, folder: Path) -> None:
        self.home = folder / "home"
        (self.home / ".ssh").mkdir(parents=True)
        self.operator = Operator(inventory).copy(folder / "inventory")

    def follow(self, block: str, *changes: tuple[str, str], **variables: str) -> str:
        """Run a block's lines, each of `changes` in place; return what they printed."""
        lines = BLOCKS[block]
        for old, new in changes:
            assert old in lines, (block, old)
            lines = lines.replace(old, new)
        inv = f'inv() {{ {shlex.join(PROGRAM)} "$@"; }}\n'
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", inv + lines],
            env={**self.operator.environment(), "HOME": str(self.home), **variables},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def person(lab: Lab, all_well: None) -> Iterator[Person]:
    """Return a person; who may log in to the box is as before when they are done."""
    folder = scratch_folder()
    authorized = lab.box.home() / ".ssh/authorized_keys"
    before = authorized.read_text()
    yield Person(lab.inventory, folder)
    authorized.write_text(before)
    shutil.rmtree(folder)


def test_a_host_that_is_gone_comes_back_here_and_on_another_host(lab: Lab, person: Person) -> None:
    shop, other = lab.apps["shop"], lab.apps["blog"]
    person.follow("host-gone")
    check_files(lab, person.home / "restored")
    wanted = tree.fingerprint(shop.files, excluding_caches=True)

    person.operator.change("apps/shop.yml", lambda values: values.pop("mariadb"))
    there = f"127.0.0.1 --ssh-port {other.port} --fingerprint {fingerprint(other.host_key)}"
    target = person.home / "new-host"
    answer = ("borg.break-lock --app shop", "borg.break-lock --app shop --yes")  # a person is asked
    printed = person.follow(
        "new-host",
        answer,
        ("root@new.example.org", f"{there} --yes"),
        ("/srv/restored", str(target)),
        ("--app shop --target", "--app shop --source files --target"),
    )
    assert "1 of 1 saved" in printed
    found = target / str(shop.files).lstrip("/")
    assert tree.differences(wanted, tree.fingerprint(found, excluding_caches=True)) == []


def to_the_box(lab: Lab, key: Path) -> tuple[tuple[str, str], ...]:
    """Return what makes the runbook's sftp reach the lab's box with a key."""
    box = lab.box
    pinned = f"KnownHostsCommand=/bin/echo [127.0.0.1]:{box.port} {box.host_key}"
    return (
        ("sftp", f"sftp -i {key} -o UserKnownHostsFile=/dev/null -o '{pinned}'"),
        ("-P 23", f"-P {box.port}"),
        ("u123456@u123456.your-storagebox.de", f"{box.account().name}@127.0.0.1"),
    )


def test_a_new_machine_sees_everything_and_locks_the_stolen_key_out(lab: Lab, person: Person) -> None:
    account = lab.box.account()
    new = person.home / ".ssh/id_ed25519"

    def other_machine(values: dict[str, Any]) -> None:
        values["storages"]["box"]["key"] = str(new)
        values.update(escrow=str(person.home / "keys"), cache=str(person.home / "cache"))

    person.operator.change("cloudbackup.yml", other_machine)
    printed = person.follow("laptop-gone", STORAGEBOX_PASSWORD=str(account.password))
    assert re.search(r"^shop +mariadb +ok", printed, re.MULTILINE)
    assert len(list((person.home / "keys").glob("*.key"))) == 2
    old = PublicKey.parse(keys.public(lab.operator_key)).fingerprint
    assert old in person.follow("stolen-key", ("SHA256:...", f"{old} --yes"))
    refused = Operator(lab.inventory).inv("storagebox.usage")
    assert (refused.returncode, "the login was refused" in refused.stderr) == (3, True), refused.stderr
    assert "box" in person.operator.done("storagebox.usage")


def test_a_new_storage_takes_everything(lab: Lab, person: Person) -> None:
    def elsewhere(values: dict[str, Any]) -> None:
        values["storages"]["box"]["directory"] = "second"
        values.update(escrow=str(person.home / "keys"), cache=str(person.home / "cache"))

    person.operator.change("cloudbackup.yml", elsewhere)
    person.operator.change("apps/shop.yml", lambda values: values.pop("mariadb"))
    (person.operator.inventory / "apps/blog.yml").unlink()
    assert "1 of 1 proven" in person.follow("storage-gone")


def check_files(lab: Lab, folder: Path) -> None:
    """Assert that a folder holds shop's files as they are on its host."""
    files = lab.apps["shop"].files
    wanted = tree.fingerprint(files, excluding_caches=True)
    found = tree.fingerprint(folder / "files" / str(files).lstrip("/"), excluding_caches=True)
    assert tree.differences(wanted, found) == []


def listed(operator: Operator) -> dict[str, str]:
    """Return the ids of shop's archives by name."""
    with Session(load(operator.inventory)) as session:
        repository = session.repository(session.inventory.app("shop"), Side.OPERATOR)
        return {each.name: each.id for each in archives(repository).archives}


@pytest.fixture
def saved_last(lab: Lab, person: Person) -> dict[str, str]:
    """Return shop's archives, the newest of which holds a file that no other has."""
    former = listed(person.operator)
    (lab.apps["shop"].files / "since the last backup").write_text("and in no other archive")
    person.operator.done("backup", "--app", "shop")
    everything = listed(person.operator)
    assert former.items() < everything.items()
    return everything


def test_what_a_host_deleted_comes_back(lab: Lab, person: Person, saved_last: dict[str, str]) -> None:
    operator = person.operator
    whole = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
    kept = [min(name for name in saved_last if f"-{source}-" in name) for source in ("files", "mariadb")]
    with Session(load(operator.inventory)) as session:
        delete(session.repository(session.inventory.app("shop"), Side.HOST), sorted(saved_last.keys() - set(kept)))

    printed = person.follow("deleted")
    assert re.search(r"^shop +files +failed.*\n +.*recorded, and are not in the repository", printed, re.MULTILINE), (
        printed
    )
    assert sorted(listed(operator)) == sorted(kept)
    assert (person.home / "rescued/mariadb/ibdata1").is_file()

    printed = person.follow("rollback", ("--before 2026-11-22T03:00", f"--before {whole} --yes"))
    assert listed(operator) == saved_last
    assert re.search(r"^shop +files +ok", printed, re.MULTILINE), printed
    check_files(lab, person.home / "restored")

    printed = person.follow("rollback-undone", ("--undo", "--undo --yes"), ("inv report --app shop", ""))
    assert sorted(listed(operator)) == sorted(kept)
    printed = person.follow("rollback-undone", ("--undo", "--undo --yes"))
    assert listed(operator) == saved_last
    assert re.search(r"^shop +files +ok", printed, re.MULTILINE), printed


def test_a_refused_prune_says_why_and_what_ends_it(lab: Lab, person: Person) -> None:
    operator, segments = person.operator, lab.box.home() / "cloudbackup/shop/data"
    segment = max((path for path in segments.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    whole = segment.read_bytes()
    segment.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    assert operator.inv("check", "--app", "shop").returncode == 4
    segment.write_bytes(whole)
    assert operator.inv("prune", "--app", "shop", "--yes").returncode == 5
    printed = person.follow("refused")
    assert "only with --force, because the check of" in printed
    assert operator.inv("prune", "--app", "shop", "--dry-run").returncode == 0


def test_a_damaged_repository_comes_back_out_of_a_snapshot(lab: Lab, person: Person) -> None:
    operator, repository = person.operator, lab.box.home() / "cloudbackup/shop"
    everything = listed(operator)
    files = max(name for name in everything if "-files-" in name)
    name = operator.done("storagebox.snapshots", "--create").split()[2]
    segments = [path for path in (repository / "data").rglob("*") if path.is_file()]
    max(segments, key=lambda path: path.stat().st_size).write_bytes(b"ruined")
    assert operator.inv("borg.check", "--app", "shop").returncode != 0

    secret = yaml.safe_load((operator.inventory / "apps/shop.yml").read_text())["passphrase"]["file"]
    to_box = to_the_box(lab, lab.operator_key)
    printed = person.follow(
        "snapshot-folder",
        *to_box,
        ("2026-11-22T02-00-00", name),
        ("shop-files-2026-11-20T03-00-00", files),
        BORG_PASSPHRASE=Path(secret).read_text().strip(),
    )
    assert [line.split()[0] for line in printed.splitlines() if line.startswith("shop-")] == list(everything)
    source = lab.apps["shop"].files
    restored = tree.fingerprint(person.home / "from-snapshot" / str(source).lstrip("/"), excluding_caches=True)
    assert tree.differences(tree.fingerprint(source, excluding_caches=True), restored) == []

    printed = person.follow("snapshot-back", *to_box)
    assert re.search(r"^shop +files +ok", printed, re.MULTILINE), printed
    assert listed(operator) == everything
    operator.done("borg.create", "--app", "shop")
    shutil.rmtree(repository.with_name("shop.damaged"))
    operator.done("storagebox.snapshots", "--delete", name, "--yes")


@pytest.fixture
def renewable(lab: Lab) -> Iterator[None]:
    """Put back all that a renewal changes."""
    places = [lab.box.home() / "cloudbackup", lab.apps["shop"].home / ".ssh"]
    places += [lab.folder / "operator" / name for name in ("secrets", "escrow")]
    beside = scratch_folder()
    for number, place in enumerate(places):
        shutil.copytree(place, beside / str(number), symlinks=True)
    yield
    for number, place in enumerate(places):
        shutil.rmtree(place)
        shutil.copytree(beside / str(number), place, symlinks=True)
    shutil.rmtree(beside)


@pytest.mark.usefixtures("renewable")
def test_after_a_host_was_taken_over_a_new_repository_begins_and_the_old_one_is_kept(lab: Lab, person: Person) -> None:
    shop, before = lab.apps["shop"], listed(person.operator)
    key = PublicKey.parse((shop.home / ".ssh/cloudbackup_shop.pub").read_text()).fingerprint
    printed = person.follow("stolen-host", ("SHA256:...", f"{key} --yes"))
    assert re.search(rf"{re.escape(key)} .*cloudbackup shop", printed)
    assert person.operator.inv("backup", "--app", "shop").returncode == 4

    printed = person.follow("new-repository", ("--app shop             #", "--app shop --yes #"))
    assert re.search(r"^shop +files +ok", printed, re.MULTILINE), printed
    assert re.search(r"^shop +mariadb +ok", printed, re.MULTILINE), printed
    assert not before.keys() & listed(person.operator).keys()
    (line,) = (line for line in printed.splitlines() if "BORG_RELOCATED_REPO_ACCESS_IS_OK=yes" in line)
    given = dict(word.split("=", 1) for word in shlex.split(line) if word.startswith("BORG_"))
    (kept,) = (lab.folder / "operator/secrets").glob("shop.until-*")
    files = max(name for name in before if "-files-" in name)
    printed = person.follow(
        "old-archives",
        (re.findall(r"BORG_REPO=(.*)", BLOCKS["old-archives"])[0], shlex.quote(given["BORG_REPO"])),
        ("BORG_REMOTE_PATH=borg-1.4", f"BORG_REMOTE_PATH={shlex.quote(given['BORG_REMOTE_PATH'])}"),
        ("$HOME/.config/cloudbackup/secrets/shop.until-2026-11-27T22-00-00", str(kept)),
        ("shop-files-2026-11-20T03-00-00", files),
        BORG_RSH=given["BORG_RSH"],
    )
    assert {each.split()[0] for each in printed.splitlines()} == before.keys()
    restored = tree.fingerprint(person.home / str(shop.files).lstrip("/"), excluding_caches=True)
    assert tree.differences(tree.fingerprint(shop.files, excluding_caches=True), restored) == []


def test_what_was_encrypted_on_a_host_comes_back_from_before(lab: Lab, person: Person) -> None:
    shop, operator = lab.apps["shop"], person.operator
    operator.done("backup", "--app", "shop")
    wanted, rows = tree.fingerprint(shop.files, excluding_caches=True), database.fingerprint(shop.server)
    names = sorted(operator.archives("shop"), key=lambda name: name[-19:])
    files, mariadb = (next(name for name in reversed(names) if f"-{each}-" in name) for each in ("files", "mariadb"))
    shop.change(seed=23)
    for file in [each for each in shop.files.rglob("*") if each.is_file() and not each.is_symlink()]:
        file.write_bytes(bytes(byte ^ 0x5A for byte in file.read_bytes()[:1000]))
    assert " suspect " in operator.inv("backup", "--app", "shop").stdout

    files_only = ("shop-files-2026-11-20T03-00-00 --to", f"{files} --to")
    in_place = ("shop-files-2026-11-20T03-00-00\n", f"{files} --yes\n")
    printed = person.follow(
        "ransomware", files_only, in_place, ("shop-mariadb-2026-11-20T03-00-04", f"{mariadb} --yes")
    )

    assert "2 of 2 saved" in printed
    before = person.home / "before" / str(shop.files).lstrip("/")
    for found in (before, shop.files):
        assert tree.differences(wanted, tree.fingerprint(found, excluding_caches=True)) == []
    assert tree.differences(rows, database.fingerprint(shop.server)) == []


def test_a_snapshot_brings_back_what_a_wrong_prune_freed(lab: Lab, person: Person, saved_last: dict[str, str]) -> None:
    operator = person.operator
    name = operator.done("storagebox.snapshots", "--create").split()[2]
    careless = operator.copy(person.home / "careless")
    careless.change("apps/shop.yml", lambda values: values.update(keep={"daily": 1}))
    careless.done("prune", "--app", "shop", "--yes", "--force")
    assert len(listed(operator)) < len(saved_last)

    printed = person.follow("wrong-prune", ("2026-11-22T02-00-00", f"{name} --yes"))
    assert saved_last.items() < listed(operator).items()
    assert "4 of 4 saved" in printed
    operator.done("storagebox.snapshots", "--delete", name, "--yes")
