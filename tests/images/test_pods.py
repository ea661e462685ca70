"""The examples for Kubernetes: rendered by kubectl, then every pod run in the built image as its manifest says."""

import json
import os
import re
import shutil
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.lab import Lab
from tests.images.building import Image
from tests.images.container import Bind, Container, stop
from tests.images.database import PASSWORD, Database
from tests.images.pod import Cluster, Object
from tests.integration.fleet.support import Operator, eventually
from tests.unit.examples import rendering
from tests.unit.examples.objects import KUBERNETES, objects

REGISTRY = "registry.example.org/cloudbackup"


def test_the_kept_renderings_are_what_kubectl_makes(kubectl: Image) -> None:
    for place in rendering.PLACES:
        _, kept = rendering.kept(place).split("\n", 1)
        assert rendered(kubectl, KUBERNETES, place) == kept, "run: python -m tests.unit.examples.rendering"


def rendered(kubectl: Image, examples: Path, place: str) -> str:
    container = Container(kubectl, (Bind(examples, "/examples", read_only=True),))
    done = container.run("kubectl", "kustomize", f"/examples/{rendering.PLACES[place]}")
    assert done.returncode == 0, done.stderr
    return done.stdout


class Overlay:
    """One overlay with the lab's addresses in its inventory, set up on the operator's machine by README.md's steps."""

    def __init__(self, name: str, folder: Path, lab: Lab, kubectl: Image) -> None:
        self.name = name
        self.examples = folder / "examples"
        shutil.copytree(KUBERNETES, self.examples)
        self.home = folder / "home"
        (self.home / ".ssh").mkdir(parents=True)
        for suffix in ("", ".pub"):
            shutil.copy(f"{lab.operator_key}{suffix}", self.home / f".ssh/id_ed25519{suffix}")
        self.operator = Operator(self.examples / "overlays" / name / "inventory")
        self.operator.environment = self._environment  # type: ignore[method-assign]
        box = yaml.safe_load((lab.inventory / "cloudbackup.yml").read_text())["storages"]["box"]
        wanted = {key: box[key] for key in ("host", "port", "user", "host_key")}
        self.operator.change(
            "cloudbackup.yml",
            lambda values: values["storages"]["box"].update(wanted, directory=f"{name}-{folder.name[-12:]}"),
        )
        secrets = self.home / "cloudbackup/secrets"
        secrets.mkdir(parents=True)
        for app in ("shop", "blog"):
            (secrets / app).write_text(f"passphrase of {app}\n")
            (secrets / f"{app}-mariadb").write_text(PASSWORD + "\n")
        self._kubectl = kubectl

    def _environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("BORG_", "CI"))}
        return {**clean, "INVOKE_INVENTORY": str(self.operator.inventory), "HOME": str(self.home)}

    def ready(self) -> None:
        self.operator.done("storagebox.setup", "--yes")  # another test may have used the folder with a key of its own
        self.operator.done("borg.init")

    def cluster(self, folder: Path, **more: Any) -> Cluster:
        """Return the namespace after `kubectl create secret` and `kubectl apply`."""
        self.objects = objects(rendered(self._kubectl, self.examples, self.name))
        maps = {each["metadata"]["name"]: each["data"] for each in self.objects if each["kind"] == "ConfigMap"}
        secrets = {
            "cloudbackup-ssh": _files(self.home / ".ssh"),
            "cloudbackup-secrets": _files(self.home / "cloudbackup/secrets"),
        }
        folder.mkdir()
        return Cluster(folder, secrets=secrets, config_maps=maps, **more)

    def pod(self, name: str) -> Object:
        """Return the pod of a job, a cron job or a deployment."""
        (found,) = [
            each
            for each in self.objects
            if each["metadata"]["name"] == name and each["kind"] in {"CronJob", "Deployment", "Job"}
        ]
        spec = found["spec"].get("jobTemplate", found)["spec"]
        pod: Object = spec["template"]["spec"]
        return pod


def _files(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


def ran(cluster: Cluster, pod: Object, given: Mapping[str, str] | None = None) -> str:
    """Run a pod, which must succeed; return what it printed."""
    container, command = cluster.pod(pod, given)
    end = container.run(*command)
    assert end.returncode == 0, f"{command} ended with {end.returncode}\n{end.stdout}\n{end.stderr}"
    return end.stdout


Made = Callable[[str], Overlay]


@pytest.fixture
def overlay(lab: Lab, kubectl: Image, tmp_path: Path) -> Made:
    return lambda name: Overlay(name, tmp_path, lab, kubectl)


def claim(folder: Path, mode: int = 0o755) -> Path:
    folder.mkdir()
    folder.chmod(mode)
    return folder


def test_shop_by_exec_files_drill_and_restore(  # noqa: PLR0917
    overlay: Made,
    image: Image,
    with_kubectl: Image,
    database: Database,
    exec_stand_in: tuple[Bind, ...],
    files: Path,
    tmp_path: Path,
) -> None:
    """The stand-in for `kubectl exec` enters the server's container over SSH; kubectl and its API are not run here."""
    shop = overlay("shop")
    shop.ready()
    restored = claim(tmp_path / "restored")
    cluster = shop.cluster(
        tmp_path / "cluster",
        images={REGISTRY: image},
        claims={"shop-files": files, "cloudbackup-restored": restored},
    )
    before = sorted((file, file.stat().st_uid, file.stat().st_mode) for file in files.rglob("*"))
    assert "1 of 1 saved" in ran(cluster, shop.pod("cloudbackup-files"))
    cluster.images, cluster.extra = {REGISTRY: with_kubectl}, exec_stand_in
    assert "1 of 1 saved" in ran(cluster, shop.pod("cloudbackup-mysql"))
    cluster.images, cluster.extra = {REGISTRY: image}, ()
    assert "2 of 2 proven" in ran(cluster, shop.pod("cloudbackup-drill"))
    assert "2 of 2 restored" in ran(cluster, shop.pod("cloudbackup-restore"))
    assert sorted((file, file.stat().st_uid, file.stat().st_mode) for file in files.rglob("*")) == before
    check_files(files, restored / "latest/files/srv/shop")
    assert served(image, restored / "latest/mariadb", "SELECT COUNT(*) FROM shop.orders", tmp_path) == "1000"
    rows = shop.operator.report("--strict")
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert all(row["proven"] for row in rows.values())


def check_files(files: Path, back: Path) -> None:
    """Assert that all files are in `back` with their owners and modes."""
    for file in files.rglob("*"):
        copy = back / file.relative_to(files)
        assert (copy.stat().st_uid, copy.stat().st_mode) == (file.stat().st_uid, file.stat().st_mode)
        assert file.is_dir() or copy.read_bytes() == file.read_bytes()


def served(image: Image, data: Path, question: str, folder: Path) -> str:
    """Return what a new server of the image answers on a restored data directory, copied."""
    place = folder / "served"
    shutil.copytree(data, place / "data", symlinks=True)
    (place / "run").mkdir()
    for each in (place, *place.rglob("*")):
        shutil.chown(each, 999, 999)
    binds = (Bind(place / "data", "/var/lib/mysql"), Bind(place / "run", "/run/mysqld"), Bind(place / "run", "/tmp"))
    server = Database(Container(image, binds, user=999), place / "data", 0)
    server.start()
    try:
        return server.ask(question)
    finally:
        server.stop()


def test_blog_from_its_volumes(overlay: Made, image: Image, database: Database, files: Path, tmp_path: Path) -> None:
    """As root who may only read, and as the server's own user; the volumes are read-only."""
    blog = overlay("blog")
    restored = claim(tmp_path / "restored")
    blog.operator.change("apps/blog.yml", lambda values: values["mariadb"].update(host="127.0.0.1", port=database.port))
    blog.ready()
    cluster = blog.cluster(
        tmp_path / "cluster",
        images={REGISTRY: image},
        claims={"blog-files": files, "mariadb": database.data, "cloudbackup-restored": restored},
    )
    for name in ("cloudbackup-files", "cloudbackup-mysql"):
        assert "1 of 1 saved" in ran(cluster, blog.pod(name))
    assert "2 of 2 proven" in ran(cluster, blog.pod("cloudbackup-drill"))
    container, _ = cluster.pod(blog.pod("cloudbackup-mysql"))
    for place in ("/var/lib/mysql/x", "/opt/cloudbackup/x", "/inventory/x", "/home/cloudbackup/.ssh/x"):
        refused = container.run("touch", place)
        assert refused.returncode == 1, place
    assert container.run("touch", "/home/cloudbackup/x").returncode == 0
    names = [line for line in blog.operator.done("borg.list", "--app", "blog").splitlines() if "UTC" in line]
    assert len(names) == 2
    assert "2 of 2 restored" in ran(cluster, blog.pod("cloudbackup-restore"))
    check_files(files, restored / "latest/files/srv/blog")
    assert served(image, restored / "latest/mariadb", "SELECT COUNT(*) FROM blog.orders", tmp_path) == "1000"


def test_a_fleet_over_ssh_in_parts_and_its_metrics(overlay: Made, image: Image, lab: Lab, tmp_path: Path) -> None:
    fleet = overlay("fleet")
    for app in ("shop", "blog"):
        lab_app = yaml.safe_load((lab.inventory / f"apps/{app}.yml").read_text())
        wanted = {key: lab_app[key] for key in ("files",)}

        def change(
            values: dict[str, Any],
            port: int = lab_app["ssh"]["port"],
            key: str = lab_app["ssh"]["host_key"],
            wanted: dict[str, Any] = wanted,
            cnf: str = lab_app["mariadb"]["defaults_file"],
        ) -> None:
            values.update(wanted, host="root@127.0.0.1")
            values["ssh"].update(port=port, host_key=key)
            values["mariadb"]["defaults_file"] = cnf

        fleet.operator.change(f"apps/{app}.yml", change)
    # On Sundays as on other days: a backup is due, as none was made yet, and a check.
    fleet.operator.change("cloudbackup.yml", lambda values: values["schedule"].update(verify="never", prune="never"))
    fleet.ready()
    cluster = fleet.cluster(tmp_path / "cluster", images={REGISTRY: image})
    pod = fleet.pod("cloudbackup-fleet")
    (job,) = [each["spec"]["jobTemplate"]["spec"] for each in fleet.objects if each["kind"] == "CronJob"]
    parts = next(each["value"] for each in pod["containers"][0]["env"] if each["name"] == "PARTS")
    assert job["completionMode"] == "Indexed"
    assert str(job["completions"]) == str(job["parallelism"]) == parts
    # Two apps in three parts: the last part has none, and that is no failure.
    printed = [ran(cluster, pod, {"JOB_COMPLETION_INDEX": str(index)}) for index in range(int(parts))]
    assert [re.findall(r"(\w+) +mariadb +ok", text) for text in printed] == [["blog"], ["shop"], []]
    container, command = cluster.pod(fleet.pod("cloudbackup-metrics"))
    serving = container.start(*command)
    try:
        deployment = fleet.pod("cloudbackup-metrics")["containers"][0]
        for probe in ("livenessProbe", "readinessProbe"):
            path = deployment[probe]["httpGet"]["path"]
            assert eventually(lambda path=path: fetched(path) is not None, 60), path  # type: ignore[misc]
        assert "cloudbackup_status{" in (fetched("/metrics") or "")
    finally:
        began = time.monotonic()
        printed_last = stop(serving)
    assert time.monotonic() - began < 10, printed_last


def fetched(path: str) -> str | None:
    """Return a page of the metrics' server, None when it does not answer well."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:9190{path}", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return None


def test_app_kubernetes_in_the_image(
    overlay: Made, image: Image, database: Database, files: Path, tmp_path: Path
) -> None:
    """The stream of `inv app.kubernetes`, printed by the image itself, run in it."""
    blog = overlay("blog")
    blog.operator.change("apps/blog.yml", lambda values: values["mariadb"].update(host="127.0.0.1", port=database.port))
    blog.ready()
    printer = Container(image, (Bind(blog.operator.inventory, "/inventory", read_only=True),))
    volumes = ("--volume", "blog-files:/srv/blog", "--volume", "mariadb:/var/lib/mysql")
    text = printer.done("app.kubernetes", "--app", "blog", *volumes, "--user", "0", "--image", f"{REGISTRY}:1")
    blog.objects = objects(text)
    maps = {each["metadata"]["name"]: each["data"] for each in blog.objects if each["kind"] == "ConfigMap"}
    ssh, secrets = _files(blog.home / ".ssh"), _files(blog.home / "cloudbackup/secrets")
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(
        tmp_path / "cluster",
        {REGISTRY: image},
        {"blog-files": files, "mariadb": database.data},
        {
            "cloudbackup-blog-ssh": {"STORAGE_KEY": ssh["id_ed25519"], "cloudbackup_blog": ssh["cloudbackup_blog"]},
            "cloudbackup-blog-secrets": {"blog": secrets["blog"], "blog-mariadb-password": secrets["blog-mariadb"]},
        },
        maps,
    )
    assert "2 of 2 saved" in ran(cluster, blog.pod("cloudbackup-blog"))
    assert "2 of 2 proven" in ran(cluster, blog.pod("cloudbackup-blog-drill"))
    assert json.loads(blog.operator.done("report", "--format", "json"))["apps"][0]["proven"]
