"""Each command that a message tells a person to type is typed as it is printed, by a person at a terminal.

The list of them is collected from the code (tests/unit/test_remedies.py); one that is not in TYPED here fails. Of storages
and databases that this inventory does not have, the answer must be a sentence of the command's own.
"""

import io
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import pytest
import yaml

import tasks
from tasks.program import Inv
from tests.integration.fleet.support import Operator, untimed
from tests.integration.local import local_inventory
from tests.unit.test_remedies import FOUND

WELL = (0, "")
BOX = (3, "127.0.0.1")  # a Storage Box that does not answer
API = (3, "box: Hetzner's API cannot be reached")
CHOOSE = (2, "shop: name one of these transactions")
# What is printed, with X for a value, NAME and TIME for what a person chooses, and how it ends: exit code and words.
TYPED: Mapping[str, tuple[int, str]] = {
    "app.add --app X": (0, "1 of 1 proven"),
    "app.add --app X --storage X-X ...": (2, "storage"),
    "app.check --app X": (0, "1 of 1 app ready"),
    "app.move --app X --storage X": (2, "shop is in disk already"),
    "app.rename --app X --to X": (2, "the name X"),
    "backup --app X": (0, "1 of 1 saved"),
    "borg.break-lock --app X": (0, "lock removed"),
    "borg.check --app X": (0, "whole"),
    "borg.check --app X --verify-data": (0, "whole"),
    "borg.compact --app X": (0, "freed"),
    "borg.confirm-address --app X": (0, "confirmed on this machine"),
    "borg.extract --app X --archive NAME --target FOLDER": (0, "in 2 files and folders"),
    "borg.init": (0, "was there already"),
    "borg.init --app X": (0, "was there already"),
    "borg.key-export": (0, "key in"),
    "borg.key-export --app X": (0, "key in"),
    "borg.key-export --app X --replace": (0, "key in"),
    "borg.list --app X": (0, "shop-files-"),
    "borg.list --archive NAME": (0, "/data/file"),
    "borg.publish --app X": (2, "shop: nothing is published: borg itself writes to its storage"),
    "borg.rollback --app X": CHOOSE,
    "borg.rollback --app X --remove X": (2, "shop: nothing is set aside as"),
    "borg.rollback --app X --storage X --remove X": (2, "nothing is set aside as"),
    "borg.rollback --app X --undo": (2, "shop: there is no rollback that can be undone"),
    "borg.rollback --app X X": (2, "shop: the repository cannot go back there"),
    "borg.rollback --app XX --remove X": (2, "shop: nothing is set aside as"),
    "check --app X": (0, "1 of 1 whole"),
    "find X --app X": (0, "data/file"),
    "schedule.install": (0, "[Timer]"),
    "schedule.install --cron": (0, "nightly --quiet"),
    "init": (2, "there is an inventory already"),
    "mariadb.backup --app X": (2, "none of the apps has a source mariadb"),
    "mariadb.binlog --app X": (2, "none of the apps has a source binlog"),
    "mariadb.dump --app X": (2, "shop has no `mariadb` in the inventory"),
    "prune": (0, "0 to remove"),
    "report": (0, "shop"),
    "report --app X": (0, "shop"),
    "report | head -1": (0, "shop"),
    'report.accept --app X --reason "..."': (0, "nothing to accept"),
    "report.accept --app X --series WHICH --reason WHY": (2, "there is no archive of such a name"),
    "restore --app X --at TIME": (2, "shop has no"),
    "restore --app X --source X --target FOLDER": (2, "shop has no source"),
    "storagebox.access": API,
    "storagebox.access --external on": API,
    "storagebox.access --ssh on": API,
    "storagebox.access X on": API,
    "storagebox.accounts": API,
    "storagebox.keys": BOX,
    "storagebox.setup": BOX,
    "storagebox.snapshots": API,
    "verify --app X": (0, "1 of 1 proven"),
    "verify --to local": (0, "1 of 1 proven"),
    "verify --archive NAME": (0, "1 of 1 proven"),
}
NAMED = {  # tasks that a text only names: in their help, or in what was written by them
    "app.import", "check", "restore --app X", "verify", "app.add", "app.add --host HOST --container NAME", "app.check", "app.kubernetes", "app.kubernetes --all", "app.list",
    "app.kubernetes --output X --app NAME", "backup", "borg.diff", "borg.list", "borg.umount", "find app.conf",
    "mariadb.dump", "mariadb.open", "report.history", "restore",
    "schedule.install --cron",
}  # fmt: skip
PRINTED = sorted({command.replace("{app}", "X") for _, command in FOUND})


class Person:
    """Types commands at a terminal and says yes to what is asked."""

    def __init__(self, inventory: Path, folder: Path) -> None:
        self.operator, self.folder = Operator(inventory), folder

    def type(self, command: str) -> tuple[int, str]:
        terminal, out, code = mock.Mock(isatty=lambda: True), io.StringIO(), 0
        with (
            mock.patch.dict(os.environ, self.operator.environment(), clear=True),
            mock.patch.object(sys, "stdin", terminal),
            mock.patch("builtins.input", lambda question="": (print(question), "y")[1]),
            redirect_stdout(out),
            redirect_stderr(out),
        ):
            try:
                Inv(name="cloudbackup", binary="inv", namespace=tasks.ns).run(["inv", *shlex.split(command)])
            except SystemExit as end:
                code = int(end.code or 0)
        return code, untimed(out.getvalue())

    def filled(self, printed: str) -> str:
        """Return a command with values in the place of what a message fills in or leaves to a person."""
        command = re.sub(r"^report \| head -1$", "report", printed).removesuffix(" ...")
        command = command.replace("access X on", "access --ssh on").replace("--storage X-X", "--storage box-shop")
        command = command.replace("--storage X", "--storage disk")
        command = command.replace("--remove X", "--remove shop.until-2026-11-28T00-00-00").replace(
            "--app XX", "--app X"
        )
        command = (
            command.replace("--app X X", "--app X --to 12345")
            .replace("find X", "find file")
            .replace("--app X", "--app shop")
        )
        newest = self.operator.archives("shop")[-1]
        target = self.folder / "extracted"
        return command.replace("NAME", newest).replace("TIME", "'2026-11-22 14:03:00'").replace("FOLDER", str(target))


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Return who has an app that was saved once, and a Storage Box that does not answer."""
    folder = tmp_path_factory.mktemp("remedies")
    inventory = local_inventory(folder, folder / "fault")
    (inventory / "apps/new.yml").unlink()
    main = yaml.safe_load((inventory / "cloudbackup.yml").read_text())
    key = folder / "key"
    box = {"kind": "storagebox", "user": "u1", "host": "127.0.0.1", "port": 1, "directory": "b", "key": str(key)}
    box |= {"token": {"env": "LAB_TOKEN"}, "endpoint": "http://127.0.0.1:1/v1", "box": 1}
    main["storages"]["box"] = box
    main["defaults"] = {"storage": "disk", "keep": {"last": 7}}
    (inventory / "cloudbackup.yml").write_text(yaml.safe_dump(main))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.setenv("BORG_BASE_DIR", str(folder / "borg"))
        patch.setenv("LAB_TOKEN", "none")
        patch.setenv("STORAGEBOX_PASSWORD", "none")
        person = Person(inventory, folder)
        person.operator.done("borg.init")
        person.operator.done("backup")
        yield person


def test_the_list_is_whole() -> None:
    assert set(PRINTED) == {*TYPED, *NAMED}


@pytest.mark.parametrize("printed", TYPED)
def test_each_does_as_it_is_printed_what_it_should(person: Person, printed: str) -> None:
    code, said = person.type(person.filled(printed))
    assert (code, TYPED[printed][1] in said, "Traceback" in said) == (TYPED[printed][0], True, False), said
    assert not re.search(r"(?m)^--\S+ is missing", said), said


def test_an_app_whose_host_is_gone_can_be_taken_out(person: Person) -> None:
    file = person.operator.inventory / "apps/gone.yml"
    values = yaml.safe_load((person.operator.inventory / "apps/shop.yml").read_text())
    file.write_text(yaml.safe_dump({**values, "host": "root@127.0.0.1", "ssh": {"port": 1}}))
    code, said = person.type("app.remove --app gone")
    assert (code, file.exists(), "that host does not answer" in said) == (0, False, True), said
