"""The templates of the checkout's own inventory: what a person copies is a valid inventory."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.inventory.errors import NoInventoryError
from tasks.storage.registry import load

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """Return an inventory in which nothing but the templates is."""
    for file in (CHECKOUT / "inventory").rglob("*.template"):
        copy = tmp_path / file.relative_to(CHECKOUT / "inventory")
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(file, copy)
    return tmp_path


def test_an_inventory_of_templates_alone_says_how_to_begin(begun: Path) -> None:
    with pytest.raises(NoInventoryError, match="`inv init` makes a first one"):
        load(begun)


def test_the_copied_templates_are_an_inventory(begun: Path) -> None:
    (begun / "cloudbackup.yml.template").rename(begun / "cloudbackup.yml")
    (begun / "apps/app.yml.template").rename(begun / "apps/shop.yml")
    inventory = load(begun)
    assert (list(inventory.storages), list(inventory.apps)) == (["box"], ["shop"])


def uncommented(text: str) -> str:
    """Return a template with each line in use that is a key behind a `#`."""
    lines = []
    for line in text.splitlines():
        bare = line.lstrip()
        is_key = bare.startswith("# ") and ":" in bare.split("#", 2)[1] and bare[2:].lstrip()[0].islower()
        lines.append(line.replace("# ", "", 1) if is_key and "yaml-language-server" not in line else line)
    return "\n".join(lines)


def test_the_keys_that_stand_in_comments_are_right_as_well(begun: Path) -> None:
    main = uncommented((begun / "cloudbackup.yml.template").read_text())
    app = uncommented((begun / "apps/app.yml.template").read_text())
    (begun / "cloudbackup.yml").write_text(main)
    (begun / "apps/shop.yml").write_text(app)
    inventory = load(begun)
    assert list(inventory.storages) == ["box", "server", "disk"]
    assert inventory.apps["shop"].sources == ("files", "mariadb", "binlog")


def test_git_ignores_what_a_person_adds() -> None:
    names = ["cloudbackup.yml", "apps/shop.yml", "secrets/shop", "notes.txt"]
    paths = [f"inventory/{name}" for name in names]
    said = subprocess.run(["git", "check-ignore", *paths], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert said.stdout.split() == paths
