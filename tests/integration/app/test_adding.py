"""One command from a host with data and a new box to a proven backup; and an app taken out again."""

import getpass
import os
import pty
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from lab import tree
from lab.lab import Lab, LabApp, scratch_folder
from lab.plan import AppPlan, BoxPlan
from tasks.borg.client.list import archives
from tasks.borg.client.runner import BorgError
from tasks.remote.agent import public_key
from tasks.remote.script import Script, quote
from tasks.remote.ssh import fingerprint
from tasks.run.session import Session
from tasks.storage.registry import load
from tasks.storage.repository import Side
from tests.integration.fleet.support import PROGRAM, Operator


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    folder = scratch_folder()
    apps = (AppPlan("shop", megabytes=1, files_megabytes=1), AppPlan("blog", mariadb=False, files_megabytes=1))
    lab = Lab.start(folder, apps, BoxPlan(operator_key=False))
    yield lab
    lab.remove()
    folder.rmdir()


@pytest.fixture(scope="module")
def operator(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """Return an operator who has a storage in the inventory and nothing else: no app, no pinned key, no secret."""
    operator = Operator(lab.inventory).copy(tmp_path_factory.mktemp("onboarding") / "inventory")
    for file in (operator.inventory / "apps").iterdir():
        file.unlink()
    (operator.inventory / "apps").rmdir()

    def new(values: dict[str, dict[str, dict[str, object]]]) -> None:
        del values["storages"]["box"]["host_key"]
        values["secrets"]["directory"] = str(operator.inventory.parent / "secrets")  # type: ignore[assignment]
        values["agent_keys"] = str(operator.inventory.parent / "agent-keys")  # type: ignore[assignment]

    operator.change("cloudbackup.yml", new)
    return operator


def way_in(lab: Lab, app: LabApp) -> list[str]:
    words = ["--host", "127.0.0.1", "--ssh-port", str(app.port), "--key", str(lab.operator_key)]
    return [*words, *(f"--fingerprint={fingerprint(key)}" for key in (app.host_key, lab.box.host_key))]


def state(lab: Lab, operator: Operator) -> dict[str, bytes]:
    """Return all that adding makes; of the storage its names alone, without the records, of which each try has its own."""
    places = [operator.inventory.parent, lab.folder / "operator" / "escrow", lab.apps["shop"].home / ".ssh"]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    stored = {str(path): b"" for path in (lab.box.home() / "cloudbackup").rglob("*") if "records" not in path.parts}
    return stored | {str(path): path.read_bytes() for path in [*files, lab.box.home() / ".ssh/authorized_keys"]}


def test_nothing_is_asked_without_a_terminal(operator: Operator) -> None:
    before = sorted(operator.inventory.rglob("*.yml"))
    end = operator.inv("app.add", "--app", "shop")
    assert end.returncode == 2
    assert "--host and --files or --mariadb missing" in end.stderr
    assert "--files PATH" in end.stderr
    assert sorted(operator.inventory.rglob("*.yml")) == before


def test_a_host_that_is_not_ready_changes_nothing(lab: Lab, operator: Operator) -> None:
    shop = lab.apps["shop"]
    end = operator.inv("app.add", "--app=shop", *way_in(lab, shop), "--mariadb", "--defaults-file=/nonexistent/my.cnf")
    assert (end.returncode, "its host is not ready" in end.stderr) == (3, True), end
    end = operator.inv("app.add", "--app=shop", *way_in(lab, shop), "--files=srv/shop")
    assert (end.returncode, "files.paths[0]: must be an absolute path" in end.stderr) == (2, True), end
    end = operator.inv("app.add", "--app=shop", *way_in(lab, shop), f"--files={shop.files}x")
    assert (end.returncode, "is not there" in end.stderr) == (3, True), end
    end = operator.inv("app.add", "--app=shop", *way_in(lab, shop)[:-2], "--fingerprint=SHA256:other", "--files=/srv")
    assert (end.returncode, "nothing was changed" in end.stderr) == (5, True), end
    assert [path.name for path in operator.inventory.parent.rglob("*") if path.is_file()] == ["cloudbackup.yml"]


def test_one_command_leads_to_a_proven_backup(lab: Lab, operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = lab.apps["shop"]
    command = ["app.add", "--app=shop", *way_in(lab, shop), f"--files={shop.files}", "--exclude=*/cache/*", "--mariadb"]
    monkeypatch.setenv("STORAGEBOX_PASSWORD", "lab password")
    (lab.box.home() / "cloudbackup").mkdir()
    (lab.box.home() / "cloudbackup" / "shop").write_text("in the way")
    end = operator.inv(*command)
    assert end.returncode == 3, end
    assert "run the same command again" in end.stderr
    monkeypatch.delenv("STORAGEBOX_PASSWORD")
    (lab.box.home() / "cloudbackup" / "shop").unlink()

    printed = operator.done(*command)
    rows = [line.split() for line in printed.splitlines() if line.startswith("shop") and " archives" not in line][-2:]
    assert [row[:3] for row in rows] == [["shop", "files", "ok"], ["shop", "mariadb", "ok"]], printed
    assert "never" not in printed
    assert "2 of 2 proven" in printed
    secret = operator.inventory.parent / "secrets" / "shop"
    assert (stat.S_IMODE(secret.stat().st_mode), secret.read_text().isascii()) == (0o600, True)
    assert secret.read_text().strip() not in printed
    written = (operator.inventory / "apps/shop.yml").read_text()
    assert yaml.safe_load(written)["files"] == {"paths": [str(shop.files)], "exclude": ["*/cache/*"]}

    before = state(lab, operator)
    again = operator.done(*command)
    assert state(lab, operator) == before
    assert "saved" not in again.replace("last saved", "")

    (lab.folder / "operator/escrow/box-shop.key").unlink()
    keys = lab.box.home() / ".ssh/authorized_keys"
    keys.write_text("".join(line for line in keys.read_text().splitlines(keepends=True) if "--append-only" not in line))
    operator.done("app.add", "--app=shop")
    assert state(lab, operator).keys() == before.keys()
    assert keys.read_text().count("--append-only") == 1
    end = operator.inv("app.add", "--app=shop", "--host=elsewhere", "--files=/other")
    assert (end.returncode, "another --host, --files" in end.stderr) == (2, True), end


def test_a_lost_passphrase_is_never_replaced(lab: Lab, operator: Operator) -> None:
    secret = operator.inventory.parent / "secrets" / "shop"
    kept = secret.rename(secret.with_name("elsewhere"))
    end = operator.inv("app.add", "--app=shop")
    assert (end.returncode, "bring its passphrase back" in end.stderr) == (5, True), end
    assert not secret.exists()
    kept.rename(secret)


def test_the_same_is_asked_at_a_terminal(lab: Lab, operator: Operator) -> None:
    blog = lab.apps["blog"]
    ours, theirs = pty.openpty()
    given = [*way_in(lab, blog)[2:], "--storage-key=agent"]
    with subprocess.Popen(
        [*PROGRAM, "app.add", *given], env=operator.environment(), cwd="/", stdin=theirs, stdout=subprocess.PIPE
    ) as process:
        os.write(ours, f"blog\n127.0.0.1\n{blog.files}\n\n\nn\n".encode())
        printed = process.communicate(timeout=100)[0].decode()
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0, printed
    assert set(operator.report()) == {("blog", "files"), ("shop", "files"), ("shop", "mariadb")}


def test_a_served_key_stays_here_and_opens_one_repository(lab: Lab, operator: Operator, tmp_path: Path) -> None:
    blog = lab.apps["blog"]
    key = operator.inventory.parent / "agent-keys" / "blog"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert [path.name for path in (blog.home / ".ssh").iterdir()] == ["authorized_keys"]
    elsewhere = ["-p", str(lab.apps["shop"].port), f"{getpass.getuser()}@127.0.0.1", "true"]
    box = ["-p", str(lab.box.port), "u100001@127.0.0.1", "cat", ".ssh/authorized_keys"]
    trusting = "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    with Session(load(operator.inventory)) as session:
        host = session.host(session.inventory.app("blog"))
        listed = host.run(Script("ssh-add -L"), timeout=20)
        assert listed.text.split() == [*public_key(key, "").split(), "blog"]
        assert host.run(Script("! ssh-add -D; ssh-add -L"), timeout=20).text == listed.text
        assert "Permission denied" in host.run(Script(f"{trusting} {quote(elsewhere)}"), timeout=20).error_text
        assert "ssh-ed25519" not in host.run(Script(f"{trusting} {quote(box)}"), timeout=20).text
        own = session.repository(session.inventory.app("blog"), Side.HOST)
        others = {**own.environment, "BORG_REPO": own.url.replace("/blog", "/shop")}
        with pytest.raises(BorgError, match="reach another repository only"):
            archives(replace(own, environment=others))
    operator.done("restore", "--app", "blog", "--target", str(tmp_path / "restored"))
    assert (
        tree.differences(
            tree.fingerprint(blog.files, excluding_caches=True),
            tree.fingerprint(tmp_path / "restored" / str(blog.files).lstrip("/"), excluding_caches=True),
        )
        == []
    )


def test_a_change_to_a_served_key_takes_the_hosts_own_away(lab: Lab, operator: Operator) -> None:
    blog, keys = lab.apps["blog"], lab.box.home() / ".ssh/authorized_keys"
    before = keys.read_text()
    operator.change("apps/blog.yml", lambda values: values.update(storage_key="host"))
    operator.done("storagebox.setup")
    assert (blog.home / ".ssh/cloudbackup_blog").exists()
    operator.change("apps/blog.yml", lambda values: values.update(storage_key="agent"))
    operator.done("storagebox.setup")
    assert not (blog.home / ".ssh/cloudbackup_blog").exists()
    assert sorted(keys.read_text().splitlines()) == sorted(before.splitlines())


def test_an_app_is_taken_out_and_keeps_what_it_saved(lab: Lab, operator: Operator) -> None:
    end = operator.inv("app.remove", "--app", "blog")
    assert (end.returncode, "--yes" in end.stderr) == (2, True)
    printed = operator.done("app.remove", "--app", "blog", "--yes")
    assert "borg delete" in printed
    keys = (lab.box.home() / ".ssh/authorized_keys").read_text()
    assert ("cloudbackup/blog" in keys, "cloudbackup/shop" in keys) == (False, True)
    assert (operator.inventory.parent / "secrets/blog").exists()
    assert (lab.box.home() / "cloudbackup/blog/config").exists()
    assert (operator.inventory / "removed/blog.yml").exists()
    assert "blog" not in operator.done("app.list")
    (operator.inventory / "removed/blog.yml").rename(operator.inventory / "apps/blog.yml")
    said = operator.done("app.add", "--app=blog")
    assert "was there and opens (repokey-blake2): 1 archive, blog-files-" in said
    assert "its key is exported to " in said
    assert len(operator.archives("blog")) == 1

    (line,) = (line for line in printed.splitlines() if line.endswith(" borg delete"))
    yes = {"BORG_PASSPHRASE": (operator.inventory.parent / "secrets/blog").read_text().strip()}
    yes |= {"BORG_DELETE_I_KNOW_WHAT_I_AM_DOING": "YES"}
    subprocess.run(("bash", "-c", line), env={**operator.environment(), **yes}, check=True, capture_output=True)
    assert [path.name for path in (lab.box.home() / "cloudbackup").iterdir() if path.name != "records"] == ["shop"]
