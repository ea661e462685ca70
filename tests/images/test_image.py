"""The image as `docker run` uses it: the main job of a fleet over SSH, a restore, a drill, the report."""

import json
import re
import shlex
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import database as data
from lab import mariadb, tree
from lab.lab import Lab
from tests.images.building import SERIES, Image
from tests.images.container import Bind, Container, stop
from tests.integration.fleet.support import Operator, eventually
from tests.unit.examples.objects import CHECKOUT

README = (CHECKOUT / "examples/docker-backup/README.md").read_text()


@dataclass(frozen=True)
class Line:
    """A `docker run` with options that this knows, and no others; `volumes` are source, target and whether read-only."""

    flags: frozenset[str]
    tmpfs: tuple[str, ...]
    volumes: tuple[tuple[Path, str, bool], ...]
    image: str
    command: tuple[str, ...]

    @classmethod
    def of_readme(cls, folder: Path) -> "Line":
        """Return the only one of README.md, typed in that folder."""
        (text,) = re.findall(r"^docker run (.*)$", README, re.MULTILINE)
        words = shlex.split(text.replace("$PWD", str(folder)))
        flags, given = set(), []
        while words[0].startswith("--"):
            option = words.pop(0)
            if option in ("--rm", "--read-only"):
                flags.add(option)
            else:
                given.append((option, words.pop(0)))
        assert ("--cap-drop", "ALL") in given
        volumes = [value.split(":") for option, value in given if option == "--volume"]
        tmpfs = tuple(value for option, value in given if option == "--tmpfs")
        assert len(given) == 1 + len(volumes) + len(tmpfs), given
        mounts = tuple((Path(source), target, mode == ["ro"]) for source, target, *mode in volumes)
        return cls(frozenset(flags), tmpfs, mounts, words[0], tuple(words[1:]))


@pytest.fixture
def fleet(image: Image, lab: Lab, tmp_path: Path) -> Container:
    """Return what the `docker run` of README.md is, with the lab's own inventory in the folder where it is typed.

    The secrets are where that inventory names them, for the image's user to read.
    """
    # An overlay that another file's test set up gave the hosts' keys to repositories of its own.
    Operator(lab.inventory).done("storagebox.setup", "--yes")
    line = Line.of_readme(tmp_path)
    assert line.image == "cloudbackup:13"  # as the Dockerfile's build is called in docs/containers.md
    for name in ("home", "tmp", "escrow", "cache"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    operator = tmp_path / "operator"
    shutil.copytree(lab.folder / "operator", operator, ignore=shutil.ignore_patterns("cache", "escrow"))
    for each in (operator, *operator.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o444)
    place = str(lab.folder / "operator")
    inventory = tmp_path / "inventory"
    shutil.copytree(lab.inventory, inventory)
    for file in (inventory / "apps").iterdir():
        file.write_text(file.read_text().replace("host: 127.0.0.1\nssh", "host: root@127.0.0.1\nssh"))
    binds = [Bind(source, target, read_only) for source, target, read_only in line.volumes]
    binds += [Bind(tmp_path / "tmp", target) for target in line.tmpfs]
    binds.append(Bind(operator, place, read_only=True))
    for name in ("escrow", "cache"):
        (operator / name).mkdir()
    binds += [Bind(tmp_path / name, f"{place}/{name}") for name in ("escrow", "cache")]
    return Container(image, binds, read_only="--read-only" in line.flags)


def test_what_the_image_says_of_itself(image: Image) -> None:
    config: dict[str, Any] = image.config
    assert config["User"] == "10001:0"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "MIT"
    assert config["Labels"]["org.opencontainers.image.base.name"].endswith(f"debian:{image.release}-slim")
    assert not any("pip" in word or "proxy" in word for word in config["Env"])
    assert image.size < 350_000_000, image.size
    print(f"\nDebian {image.release}: {image.size / 1e6:.0f} MB")
    versions = Container(image).run("sh", "-c", "mariadb-backup --version; borg --version; id; ls -A /inventory")
    assert SERIES[image.release] in versions.stdout + versions.stderr
    assert "uid=10001(cloudbackup) gid=0(root)" in versions.stdout


def test_nothing_of_the_machine_that_built_it_is_in_it(image: Image) -> None:
    root = image.root
    assert not (root / "etc/pip.conf").exists() or not (root / "etc/pip.conf").read_text()
    assert sorted(each.name for each in (root / "opt/cloudbackup").iterdir()) == [
        ".venv",
        "__pycache__",  # of tasks.py, compiled once
        "inv",
        "requirements.txt",
        "tasks",
        "tasks.py",
    ]
    assert not list((root / "var/lib/apt/lists").iterdir())


def test_the_main_job_a_restore_a_drill_and_the_report(fleet: Container, lab: Lab, tmp_path: Path) -> None:
    printed = fleet.done(*Line.of_readme(tmp_path).command)
    assert "4 of 4 saved" in printed
    report = json.loads(fleet.done("report", "--format", "json", "--strict"))
    assert {row["status"] for row in report["apps"]} == {"ok"}
    target = lab.folder / f"restored-{fleet.image.release}"
    fleet.done("restore", "--app", "shop", "--target", str(target))
    app = lab.apps["shop"]
    restored = target / "files" / str(app.files).lstrip("/")
    assert (
        tree.differences(
            tree.fingerprint(app.files, excluding_caches=True), tree.fingerprint(restored, excluding_caches=True)
        )
        == []
    )
    with mariadb.serving(target / "mariadb") as server:
        assert tree.differences(data.fingerprint(app.server), data.fingerprint(server, "shop")) == []
    assert "2 of 2 proven" in fleet.done("verify", "--app", "shop")
    page = fleet.done("report", "--format", "html")
    assert page.startswith(("<!doctype html>", "<!DOCTYPE html>"))


def test_the_health_check_looks_at_the_inventory(fleet: Container, tmp_path: Path) -> None:
    check = fleet.image.config["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    assert fleet.run(*check[1:]).returncode == 0
    assert Container(fleet.image).run(*check[1:]).returncode == 2
    listed = Container(fleet.image).run(*fleet.image.config["Entrypoint"], *fleet.image.config["Cmd"])
    assert "Available tasks" in listed.stdout


def test_any_number_may_be_the_user(fleet: Container) -> None:
    """As `docker run --user "$(id -u):0"` has it: a number without a name, for which ssh would not run by itself."""
    anybody = replace(fleet, user=4_321_000)
    assert "4 of 4 saved" in anybody.done("backup")
    assert {row["status"] for row in json.loads(anybody.done("report", "--format", "json", "--fresh"))["apps"]} == {
        "ok"
    }


def test_a_stopped_container_lets_go_of_everything(fleet: Container, lab: Lab) -> None:
    lab.apps["blog"].change(seed=7)
    lab.box.faults.latency(0.3)
    started = fleet.start(*fleet.image.config["Entrypoint"], "backup", "--app", "blog")
    assert eventually(lambda: lab.box.faults.running_commands() > 0)
    began = time.monotonic()
    printed = stop(started)
    assert time.monotonic() - began < 45
    assert started.returncode == 130, printed
    lab.box.faults.clear()
    assert eventually(lambda: lab.box.faults.running_commands() == 0)
    assert "2 of 2 saved" in fleet.done("backup", "--app", "blog")


def test_a_wrong_inventory_is_told_in_one_sentence(fleet: Container, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    (broken / "apps").mkdir(parents=True)
    (broken / "cloudbackup.yml").write_text(yaml.safe_dump({"storages": {"disk": {"kind": "lokal"}}}))
    end = Container(fleet.image, (Bind(broken, "/inventory", read_only=True),)).inv("backup")
    assert end.returncode == 2
    assert "lokal" not in end.stdout
    assert "cloudbackup.yml:1" in end.stderr or "cloudbackup.yml:" in end.stderr
    assert "Traceback" not in end.stderr
