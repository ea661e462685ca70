"""examples/docker-backup: the services of compose.yaml, run as it says, beside a running MariaDB server."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.lab import Lab
from tests.images.building import Image
from tests.images.container import Bind, Container, stop
from tests.images.database import PASSWORD, Database
from tests.images.test_pods import served
from tests.integration.fleet.support import Operator, eventually
from tests.unit.examples.objects import CHECKOUT

EXAMPLE = CHECKOUT / "examples/docker-backup"


class Project:
    """A compose project: its volumes are folders, its secrets files. `databases` is the volume `database`."""

    def __init__(self, folder: Path, image: Image, volumes: dict[str, Path]) -> None:
        self.folder = folder / "docker-backup"
        shutil.copytree(EXAMPLE, self.folder)
        self.image = image
        self.volumes = volumes
        self.values: dict[str, Any] = yaml.safe_load((EXAMPLE / "compose.yaml").read_text())
        (folder / "tmpfs").mkdir()
        (folder / "tmpfs").chmod(0o1777)
        self.tmpfs = folder / "tmpfs"

    def container(self, name: str) -> tuple[Container, list[str]]:
        """Return a service's container and its command."""
        service = self.values["services"][name]
        assert service["security_opt"] == ["no-new-privileges:true"]
        binds = [Bind(self.tmpfs, place) for place in service["tmpfs"]]
        for text in service["volumes"]:
            source, target, *mode = text.split(":")
            place = self.folder / source if source.startswith("./") else self.volumes[source]
            binds.append(Bind(place, target, mode == ["ro"]))
        for secret in service["secrets"]:
            file = self.folder / self.values["secrets"][secret]["file"]
            binds.append(Bind(file, f"/run/secrets/{secret}", read_only=True))
        runs = Container(
            self.image,
            binds,
            service["environment"],
            user=int(service["user"].partition(":")[0]),
            capabilities=[word.lower() for word in service["cap_add"]],
            read_only=service["read_only"],
        )
        return runs, [*service.get("entrypoint", self.image.config["Entrypoint"]), *service["command"]]

    def task(self, name: str, *words: str) -> str:
        """Do what `docker compose run --rm NAME [WORDS]` does; it must succeed."""
        container, command = self.container(name)
        end = container.run(*(self.image.config["Entrypoint"] if words else command), *words)
        assert end.returncode == 0, f"{name} {words} ended with {end.returncode}\n{end.stdout}\n{end.stderr}"
        return end.stdout


@pytest.fixture
def project(image: Image, lab: Lab, database: Database, files: Path, tmp_path: Path) -> Project:
    home, restored, scratch = (tmp_path / name for name in ("home", "restored", "scratch"))
    for folder in (home, restored, scratch):
        folder.mkdir(mode=0o755)
    scratch.chmod(0o1777)
    # A new volume gets the owner and the mode of the folder that the image has there; one where it has none is root's.
    os.chown(home, 10001, 0)
    home.chmod(0o770)
    volumes = {"home": home, "restored": restored, "scratch": scratch, "files": files, "database": database.data}
    made = Project(tmp_path, image, volumes)
    secrets = made.folder / "secrets"
    secrets.mkdir()
    for name, text in {"shop": "passphrase of compose", "shop-mariadb": PASSWORD, "shop-app": "unused"}.items():
        (secrets / name).write_text(text + "\n")
        (secrets / name).chmod(0o600)
        os.chown(secrets / name, 1000, 1000)
    shutil.copy(lab.operator_key, secrets / "storage_key")
    shutil.copy(f"{lab.operator_key}.pub", secrets / "storage_key.pub")
    inventory = Operator(made.folder / "inventory")
    box = yaml.safe_load((lab.inventory / "cloudbackup.yml").read_text())["storages"]["box"]
    wanted = {key: box[key] for key in ("host", "port", "user", "host_key")}
    inventory.change(
        "cloudbackup.yml",
        lambda values: values["storages"]["box"].update(wanted, directory=f"compose-{image.release}-{tmp_path.name}"),
    )
    inventory.change("apps/shop.yml", lambda values: values["mariadb"].update(host="127.0.0.1", port=database.port))
    made.task("backup", "storagebox.setup")
    made.task("backup", "borg.init")
    return made


def test_what_is_due_and_a_task_now(project: Project) -> None:
    container, command = project.container("nightly")
    nightly = container.start(*command, "2")
    health = project.values["services"]["nightly"]["healthcheck"]["test"]
    shell = health[1].replace("$$", "$")
    assert container.run("sh", "-c", shell).returncode == 0
    told = project.volumes["home"] / "last-exit-code"
    assert eventually(told.exists, 90)
    assert container.run("sh", "-c", shell).returncode == 0
    printed = stop(nightly)
    assert printed.count("2 of 2 saved") == 1
    told.write_text("3\n")
    assert container.run("sh", "-c", shell).returncode == 1
    assert "2 of 2 saved" in project.task("backup")
    assert "ok" in project.task("backup", "report", "--strict")
    listed = project.task("backup", "borg.list", "--app", "shop")
    assert listed.count("shop-mariadb-") >= 2


def test_a_drill_behind_walls_and_a_prune_as_on_sundays(project: Project) -> None:
    """As root with the service's few capabilities: what comes out of the archive runs as nobody, without a network."""
    project.task("backup")
    printed = project.task("backup", "verify", "--verbose")
    assert "2 of 2 proven" in printed
    assert "user nobody, Landlock, seccomp" in printed or "network namespace" in printed
    assert list(project.volumes["scratch"].iterdir()) == []
    project.task("backup", "prune", "--yes")
    assert "ok" in project.task("backup", "report", "--strict")


def test_everything_is_put_back_and_what_was_there_is_kept(
    project: Project, database: Database, files: Path, tmp_path: Path
) -> None:
    database.ask(
        "CREATE DATABASE IF NOT EXISTS told; CREATE OR REPLACE TABLE told.x (a INT); INSERT INTO told.x VALUES (1)"
    )
    project.task("backup")
    database.ask("UPDATE told.x SET a = 2; DROP TABLE shop.orders")
    (files / "index.php").write_text("broken")
    project.task("restore")
    database.stop()
    container, _ = project.container("restore")
    end = container.run("/put-back")
    assert end.returncode == 0, end.stdout + end.stderr
    database.start()
    assert database.ask("SELECT a FROM told.x") == "1"
    assert database.ask("SELECT COUNT(*) FROM shop.orders") == "1000"
    assert "2 of 2 saved" in project.task("backup")  # with what was there before still beside it
    again = ("restore", "--app", "shop", "--source", "mariadb", "--target", "/restored/again")
    project.task("restore", *again)
    assert served(project.image, project.volumes["restored"] / "again", "SELECT a FROM told.x", tmp_path) == "1"
    assert (files / "index.php").read_bytes() == b"index.php" * 1000
    assert ((files / "index.php").stat().st_uid, (files / "index.php").stat().st_mode & 0o777) == (33, 0o600)
    (kept,) = files.glob(".before-restore-*")
    assert (kept / "index.php").read_text() == "broken"
    shutil.rmtree(kept)
    for each in database.data.glob(".before-restore-*"):
        assert (each / "ibdata1").exists()
        shutil.rmtree(each)


def test_put_back_changes_nothing_without_a_whole_restore(project: Project, files: Path) -> None:
    before = sorted(files.rglob("*"))
    container, _ = project.container("restore")
    end = container.run("/put-back")
    assert (end.returncode, "not whole: nothing was changed" in end.stderr) == (1, True)
    assert sorted(files.rglob("*")) == before


def test_the_accounts_statements_are_mariadbs(project: Project, database: Database) -> None:
    """The entry point of MariaDB's own image is not here: what it would run is run by a server of that series."""
    database.ask("DROP USER 'backup'@'%'")
    secret = project.folder / "plain"
    secret.write_text("a-plain-password\n")
    script = (project.folder / "backup-account.sh").read_text().replace("/run/secrets/shop-mariadb", str(secret))
    function = "docker_process_sql() { cat; }\n"
    said = subprocess.run(["bash", "-c", function + script], capture_output=True, text=True, check=True).stdout
    database.ask(said)
    assert "BINLOG MONITOR" in database.ask("SHOW GRANTS FOR 'backup'@'%'")
    database.ask("ALTER USER 'backup'@'%' IDENTIFIED BY 'p\\'w \\\\ of backup'")
