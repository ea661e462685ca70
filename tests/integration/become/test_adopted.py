"""Repositories that another tool made on the box over SSH are adopted by a login that becomes root by sudo."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.lab import Lab
from tasks.remote.ssh import fingerprint
from tests.integration.become.conftest import RULE
from tests.integration.fleet.support import Operator
from tests.integration.remote.ordinary import LOGIN, OPEN, Ordinary

SERIES = [f"web1-2024-0{month}-01T03:00:00.123456" for month in (1, 2, 3)]


class OtherTool:
    """Stock borg of an ordinary user, writing to the lab's box as borgmatic would."""

    def __init__(self, lab: Lab, app: str, folder: Path) -> None:
        box, self.folder = lab.box, folder
        self.repository = lab.box.home() / "cloudbackup" / app
        self.repository.parent.mkdir(exist_ok=True)
        self.environment = {
            **os.environ,
            "BORG_REPO": f"ssh://{box.account().name}@127.0.0.1:{box.port}/./cloudbackup/{app}",
            "BORG_REMOTE_PATH": "borg-1.4",
            "BORG_RSH": f"ssh -i {lab.operator_key} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
            "BORG_PASSPHRASE": "",
            "BORG_BASE_DIR": str(folder / "other"),
            "BORG_DISPLAY_PASSPHRASE": "no",
        }

    def borg(self, *words: str) -> str:
        done = subprocess.run(["borg", *words], env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def make(self, encryption: str, secret: str) -> None:
        self.borg("init", f"--encryption={encryption}")
        for name in SERIES:
            self.borg("create", f"--timestamp={name[5:24]}", f"::{name}", secret)

    def give_passphrase(self, text: str) -> None:
        self.environment["BORG_NEW_PASSPHRASE"] = text
        self.borg("key", "change-passphrase")
        self.environment["BORG_PASSPHRASE"] = text


@pytest.fixture
def new(there: Ordinary, operator: Operator, tmp_path: Path) -> Iterator[Operator]:
    there.sudoers(OPEN)
    copied = operator.copy(tmp_path / "inventory")
    (copied.inventory / "apps/shop.yml").unlink()
    yield copied
    there.sudoers(RULE)


def words(there: Ordinary, app: str) -> list[str]:
    way = ["--host", f"{LOGIN}@127.0.0.1", "--ssh-port", str(there.port), "--key", str(there.key), "--become=sudo"]
    return ["app.add", f"--app={app}", *way, f"--fingerprint={fingerprint(there.host_key)}", "--files", there.secret]


def test_a_repository_is_adopted_beside_the_tool_that_goes_on(
    lab: Lab, there: Ordinary, new: Operator, tmp_path: Path
) -> None:
    other = OtherTool(lab, "wiki", tmp_path)
    other.make("repokey-blake2", there.secret)
    secret = lab.folder / "operator/secrets/wiki"
    secret.write_text("of the other tool")
    end = new.inv(*words(there, "wiki"))  # it has none, which borg takes for a wrong one
    assert (end.returncode, "borg key change-passphrase" in end.stderr) == (3, True), end.stderr
    other.give_passphrase("of the other tool")
    printed = new.done(*words(there, "wiki"))
    assert "was there and opens (repokey-blake2): 3 archives of other names: web1-* (3, 2024-01-01 to" in printed
    assert "1 of 1 proven" in printed
    row = new.report()["wiki", "files"]
    assert (row["status"], row["archives"], row["other_archives"]) == ("ok", 1, 3)
    new.done("verify", "--app", "wiki", "--archive", SERIES[0])
    target = there.folder / "back"
    new.done("restore", "--app", "wiki", "--archive", SERIES[1], "--target", str(target), "--yes")
    assert (target / there.secret.lstrip("/") / "file").read_text() == "only root reads this"

    other.borg("create", "::web1-2026-11-28T03:00:00", there.secret)
    assert new.report()["wiki", "files"]["status"] == "failed"
    new.done("report.accept", "--app", "wiki", "--series", "web1-*", "--reason", "side by side", "--yes")
    other.borg("create", "::web1-2026-11-28T04:00:00", there.secret)
    assert new.report()["wiki", "files"]["status"] == "ok"
    new.change("apps/wiki.yml", lambda app: app.update(keep={"last": 1, "other": {"last": 1}}))
    new.done("prune", "--yes")
    left = {name for name in other.borg("list", "--short").split() if name.startswith("web1")}
    # The drilled one and the newest of those that were there; all that the other tool wrote since.
    assert left == {SERIES[0], SERIES[2], "web1-2026-11-28T03:00:00", "web1-2026-11-28T04:00:00"}
    new.done("backup", "--app", "wiki")
    assert new.report()["wiki", "files"]["status"] == "ok"


def test_a_key_file_is_needed_by_root_on_the_host_too(lab: Lab, there: Ordinary, new: Operator, tmp_path: Path) -> None:
    other = OtherTool(lab, "notes", tmp_path)
    other.environment["BORG_PASSPHRASE"] = "of the other tool"
    other.make("keyfile-blake2", there.secret)
    (lab.folder / "operator/secrets/notes").write_text("of the other tool")
    (key,) = (tmp_path / "other/.config/borg/keys").iterdir()
    operators = lab.folder / "operator/cache/borg/box/notes/.config/borg/keys"
    for keys in (operators, there.root / ".config/borg/keys"):
        end = new.inv(*words(there, "notes"))
        said = end.stdout + end.stderr
        assert (end.returncode, "key is in a key file, and none for it is in" in said) == (3, True), said
        keys.mkdir(parents=True, mode=0o700, exist_ok=True)
        (keys / "notes").write_bytes(key.read_bytes())
    printed = new.done(*words(there, "notes"))
    assert "was there and opens (keyfile-blake2): 3 archives of other names" in printed
    assert new.report()["notes", "files"]["status"] == "ok"
