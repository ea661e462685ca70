"""`borg.renew` on every kind of storage that borg writes to, with a key of the host's or of the operator's, and of copies."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.remote.ssh import fingerprint
from tests.contract.bench import Bench
from tests.contract.place import Values
from tests.contract.test_adding import new_operator
from tests.integration.fleet.support import Operator


class Renewing:
    """An app of its own on blog's host, added and saved once."""

    def __init__(self, bench: Bench, folder: Path, key: str, name: str = "renewed") -> None:
        self.bench, self.folder = bench, folder
        self.name = f"{name}-{bench.kind}-{key}"
        self.operator: Operator = new_operator(bench, folder)
        self.operator.change("cloudbackup.yml", lambda values: values.update(agent_keys=str(folder / "agent-keys")))
        host = bench.app("blog")
        words = [f"--app={self.name}", "--host=127.0.0.1", f"--ssh-port={host.port}", f"--key={bench.lab.operator_key}"]
        self.operator.done("app.add", *words, f"--files={host.files}", f"--storage-key={key}", "--yes", *self.trusted())
        self.files = host.files

    def trusted(self) -> Iterator[str]:
        for key in (self.bench.app("blog").host_key, self.bench.place.host_key):
            if key:
                yield f"--fingerprint={fingerprint(key)}"

    def change(self, values: Values) -> None:
        self.operator.change(f"apps/{self.name}.yml", lambda app: app.update(values))

    def archives(self) -> list[str]:
        printed = self.operator.done("borg.list", "--app", self.name)
        return [line.split()[0] for line in printed.splitlines() if line.startswith(f"{self.name}-files-")]

    def stock(self, line: str, folder: Path) -> str:
        """Run stock borg by the line that was printed, with the old passphrase where it is kept."""
        kept = [path for path in (self.folder / "secrets").iterdir() if ".until-" in path.name]
        place = kept[0] if kept else self.folder / "secrets" / self.name
        home = self.bench.app("blog").home if "# on" in line else folder
        done = subprocess.run(
            ["bash", "-c", f"export BORG_PASSCOMMAND='cat {place}'; {line}"],
            env={"PATH": os.environ["PATH"], "HOME": str(home), "BORG_SELFTEST": "disabled"},
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.mark.parametrize(
    ("bench", "key"),
    [("storagebox", "agent"), ("ssh", "host"), ("ssh", "agent"), ("local", "host")],
    indirect=["bench"],
)
def test_the_old_key_opens_nothing_the_old_archives_are_read_by_stock_borg_and_backups_go_on(
    bench: Bench, tmp_path: Path, key: str
) -> None:
    app = Renewing(bench, tmp_path, key)
    before = app.archives()
    keys = (
        {line for line in bench.account_keys.read_text().splitlines() if app.name in line}
        if bench.place.host_key
        else set()
    )
    printed = app.operator.done("borg.renew", "--app", app.name, "--yes")
    if bench.place.host_key:
        now = {line for line in bench.account_keys.read_text().splitlines() if app.name in line}
        assert (len(keys), len(now), keys & now) == (1, 1, set())
    (line,) = (line.strip() for line in printed.splitlines() if "BORG_RELOCATED" in line)
    assert [each.split()[0] for each in app.stock(line, tmp_path).splitlines()] == before
    assert app.archives() == []
    app.operator.done("backup", "--app", app.name)
    assert len(app.archives()) == 1
    row = app.operator.report("--app", app.name)[app.name, "files"]
    assert (row["status"], row["error"]) == ("ok", None)
    app.operator.done("verify", "--app", app.name)
    (aside,) = set(re.findall(rf"{app.name}\.until-[0-9T-]{{19}}", printed))
    app.operator.done("borg.rollback", "--app", app.name, "--remove", aside, "--yes")
    assert not list(bench.place.folder.rglob("*.until-*"))
    assert len(app.archives()) == 1


@pytest.mark.parametrize("bench", ["ssh"], indirect=True)
def test_of_several_storages_all_are_renewed_or_one_which_keeps_the_passphrase(bench: Bench, tmp_path: Path) -> None:
    app = Renewing(bench, tmp_path, "host", "both")
    disk = bench.app("blog").home / "disk"
    app.operator.change(
        "cloudbackup.yml", lambda values: values["storages"].update(disk={"kind": "local", "directory": str(disk)})
    )
    app.change({"storage": ["store", "disk"]})
    app.operator.done("borg.init", "--app", app.name)
    app.operator.done("backup", "--app", app.name)
    secret = (tmp_path / "secrets" / app.name).read_text()
    printed = app.operator.done("borg.renew", "--app", app.name, "--storage", "disk", "--yes")
    assert "its passphrase stays" in printed
    assert (tmp_path / "secrets" / app.name).read_text() == secret
    (line,) = (line.strip() for line in printed.splitlines() if "BORG_RELOCATED" in line)
    assert len(app.stock(line, tmp_path).splitlines()) == 1
    rows = app.operator.report("--app", app.name)
    assert len(list(disk.glob("*.until-*"))) == 1, rows
    printed = app.operator.done("borg.renew", "--app", app.name, "--yes")
    assert (tmp_path / "secrets" / app.name).read_text() != secret
    lines = [line.strip() for line in printed.splitlines() if "BORG_RELOCATED" in line]
    assert [len(app.stock(each, tmp_path).splitlines()) for each in lines] == [2, 0], printed
    assert len(list(disk.glob("*.until-*"))) == 2
    app.operator.done("backup", "--app", app.name)
    assert "is not whole" not in app.operator.done("report", "--app", app.name)


@pytest.mark.parametrize("bench", ["s3", "sftp"], indirect=True)
def test_copies_are_refused(bench: Bench) -> None:
    end = Operator(bench.inventory).inv("borg.renew", "--app", "blog", "--yes")
    assert (end.returncode, "another `prefix` or `directory`" in end.stderr) == (5, True), end
