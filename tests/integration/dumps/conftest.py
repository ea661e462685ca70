"""One app on this machine, whose dumps the tests name; no server but those that a test starts."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.fleet.support import Operator
from tests.integration.local import local_inventory

BORGS = [path for path in (shutil.which("borg"), *os.environ.get("CLOUDBACKUP_BORGS", "").split(":")) if path]
MakeShop = Callable[..., Operator]


@pytest.fixture
def make_shop(tmp_path: Path) -> MakeShop:
    """Return a function that makes the app `shop` with these dumps alone, and its repository."""

    def make(**dumps: Any) -> Operator:
        operator = Operator(local_inventory(tmp_path, tmp_path / "fault"))
        (operator.inventory / "apps" / "new.yml").unlink()

        def dumps_alone(app: dict[str, Any]) -> None:
            del app["files"]
            app["dumps"] = dumps

        operator.change("apps/shop.yml", dumps_alone)
        operator.done("borg.init", "--app", "shop")
        return operator

    return make
