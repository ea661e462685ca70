"""A host with a real Podman, on which a compose project runs; and an operator who has no app there yet."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.integration.containers.podman import MARIADB, Podman, podman_host
from tests.integration.fleet.support import Operator

PROJECT = "com.docker.compose.project=shop"


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    with podman_host() as engine:
        engine.inside("sh", "-c", "mkdir -p /srv/shop/www /srv/disk && echo page >/srv/shop/www/index.html")
        engine.inside("sh", "-c", "echo services: >/srv/shop/compose.yaml; echo SECRET=1 >/srv/shop/.env")
        made = ("com.docker.compose.project.working_dir=/srv/shop",
                "com.docker.compose.project.config_files=/srv/shop/compose.yaml")  # fmt: skip
        labels = (PROJECT, *made)
        engine.mariadb("shop-db", "shop-data", label=(*labels, "com.docker.compose.service=db"))
        engine.run("shop-web", MARIADB, "sleep", "infinity", label=(*labels, "com.docker.compose.service=web"),
                   stop_signal="KILL", volume=("/srv/shop/www:/data", "uploads:/var/uploads", "/proc:/host/proc:ro"))  # fmt: skip
        engine.inside("podman", "exec", "shop-web", "sh", "-c", "echo picture >/var/uploads/picture")
        yield engine


@pytest.fixture
def operator(podman: Podman, tmp_path: Path) -> Operator:
    """Return an operator with a storage on the host, and no app."""
    return new_operator(tmp_path)


def new_operator(folder: Path) -> Operator:
    """Return an operator whose inventory is in a folder of its own."""
    inventory = folder / "inventory"
    (inventory / "apps").mkdir(parents=True)
    values = {
        "storages": {"disk": {"kind": "local", "directory": f"/srv/disk/{folder.name}"}},
        "escrow": str(folder / "keys"),
        "cache": str(folder / "cache"),
        "secrets": {"directory": str(folder / "secrets")},
    }
    (inventory / "cloudbackup.yml").write_text(yaml.safe_dump(values))
    return Operator(inventory)


@pytest.fixture(scope="session")
def way(podman: Podman) -> list[str]:
    """Return the options that lead to the host."""
    host = podman.host
    return ["--host", "root@127.0.0.1", "--ssh-port", str(host.port), "--key", str(host.key)]
