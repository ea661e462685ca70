"""A lab whose app is reached by a login that may read nothing of it, and becomes root by sudo."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from lab.lab import Lab, scratch_folder
from lab.plan import AppPlan
from lab.process import MARKER
from tests.integration.fleet.support import Operator
from tests.integration.remote.ordinary import LOGIN, PASSWORD, Ordinary, ordinary_host

RULE = f"{LOGIN} ALL=(root) /usr/bin/bash\n"  # with a password


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    folder = scratch_folder()
    lab = Lab.start(folder, (AppPlan("shop", megabytes=1, files_megabytes=1, binlog=True),))
    yield lab
    lab.remove()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def there(lab: Lab) -> Iterator[Ordinary]:
    """Run a second way to the lab's host, for a login that may not read what is there."""
    shop = lab.apps["shop"]
    shop.files.chmod(0o700)
    with ordinary_host(f"{MARKER}={lab.folder}") as host:
        host.sudoers(RULE)
        assert os.access(shop.files, os.R_OK)
        yield host


@pytest.fixture(scope="session")
def operator(lab: Lab, there: Ordinary) -> Operator:
    secret = lab.folder / "operator/secrets/sudo"
    secret.write_text(PASSWORD + "\n")

    def reached(values: dict[str, Any]) -> None:
        values["host"] = f"{LOGIN}@127.0.0.1"
        values["ssh"] = {"port": there.port, "key": str(there.key), "host_key": there.host_key}
        values["become"] = {"sudo": {"password": {"file": str(secret)}}}
        touch = ["bash", "-c", f"id -un >{there.root}/before"]
        values |= {"nice": True, "upload": {"00:00-24:00": "50MB/s"}}
        values |= {"before": [touch], "after": [["bash", "-c", f"id -un >{there.root}/after"]]}

    operator = Operator(lab.inventory)
    operator.change("apps/shop.yml", reached)
    operator.done("storagebox.setup")
    operator.done("borg.init")
    return operator
