"""What the inventory says of dumps: their names, and how each is made."""

from pathlib import Path

import pytest

from tasks.inventory.errors import InventoryError
from tasks.storage.registry import load
from tests.unit.inventory.support import write

APP = "host: local\npassphrase: {env: SHOP}\ndumps:\n"


def problems(tmp_path: Path, dumps: str) -> str:
    with pytest.raises(InventoryError) as error:
        load(write(tmp_path, shop=APP + dumps))
    return str(error.value)


def test_each_dump_is_a_source_with_its_own_rules(tmp_path: Path) -> None:
    text = (
        APP
        + "  etcd: {command: etcd-dump --all, keep: {last: 3}}\n  users_2: {command: [a, b c]}\nkeep: {dumps: {daily: 7}}\n"
    )
    shop = load(write(tmp_path, shop=text)).apps["shop"]
    assert shop.sources == ("etcd", "users_2")
    assert shop.dumps["etcd"].product.dump() == ("etcd-dump", "--all")
    kept = [rules.last if rules else None for rules in map(shop.keep_of, (*shop.sources, "files"))]
    assert kept == [3, 0, None]
    assert shop.prunable
    assert hash(shop)


@pytest.mark.parametrize(
    ("dumps", "said"),
    [
        ("  files: {command: x}", "the name files has a meaning of its own"),
        ("  dumps: {command: x}", "the name dumps has a meaning of its own"),
        ("  known: {command: x}", "the name known has a meaning of its own"),
        ("  shop-db: {command: x}", "no `-`, which separates the parts of an archive's name"),
        ("  2nd: {command: x}", "begins with a-z"),
        ("  etcd: {comand: x}", "did you mean command?"),
        ("  etcd: {restore: x}", "must have exactly one of command"),
        ("  etcd: {command: 'a | b'}", "runs without a shell"),
        ("  etcd: {command: x, secrets: {TOKEN: hunter2}}", "a secret is written as"),
        ("  etcd: {command: x, secrets: {'A B': {env: X}}}", "an environment variable's name"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, dumps: str, said: str) -> None:
    found = problems(tmp_path, dumps + "\n")
    assert said in found
    assert "hunter2" not in found
