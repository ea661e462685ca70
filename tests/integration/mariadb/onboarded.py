"""An app of one lab server, onboarded by an operator on this machine."""

from pathlib import Path
from typing import Any

import yaml

from tests.integration.fleet.support import Operator
from tests.integration.local import local_inventory
from tests.integration.mariadb.conftest import PASSWORD, Running


def onboarded(running: Running, folder: Path, **more: Any) -> Operator:
    """Return an operator with an inventory of this server as the app `replica`, its repository made."""
    inventory = local_inventory(folder, folder / "fault")
    (folder / "password").write_text(PASSWORD)
    app = yaml.safe_load((inventory / "apps/new.yml").read_text())
    del app["files"]
    password = {"file": str(folder / "password")}
    app["mariadb"] = {"socket": str(running.server.socket), "user": "backup", "password": password, **more}
    (inventory / "apps/replica.yml").write_text(yaml.safe_dump(app))
    operator = Operator(inventory)
    operator.done("borg.init", "--app", "replica")
    return operator
