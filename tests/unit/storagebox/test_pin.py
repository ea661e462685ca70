"""A person's inventory keeps every line of theirs."""

import pytest
import yaml

from tasks.errors import UsageError
from tasks.storagebox.pin import with_host_key, with_storage

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMMqoyAABz7k3ydFc5vZQ1vFW1XE0Hu53H7GC/LAAb/d"
BLOCK = """\
# my boxes
storages:
  other: {kind: local, directory: /backup}   # a disk
  box:            # the box
    # its user
    kind: storagebox
    user: u1   # mine
defaults:
  storage: box
"""
FLOW = "storages: {box: {kind: storagebox, user: u1}, other: {kind: local, directory: /b}}\n"


@pytest.mark.parametrize("text", [BLOCK, FLOW])
def test_the_key_is_added_and_nothing_else_changes(text: str) -> None:
    after = with_host_key(text, "box", KEY)
    expected = yaml.safe_load(text)
    expected["storages"]["box"]["host_key"] = KEY
    assert yaml.safe_load(after) == expected
    assert after.replace(f"    host_key: {KEY}\n", "").replace(f"host_key: {KEY}, ", "") == text


def test_a_storage_that_is_not_there_is_told() -> None:
    with pytest.raises(UsageError, match="vault"):
        with_host_key(BLOCK, "vault", KEY)


@pytest.mark.parametrize("text", [BLOCK, FLOW])
def test_a_storage_is_added_and_nothing_else_changes(text: str) -> None:
    values: dict[str, str | int] = {"kind": "storagebox", "user": "u1-sub1", "port": 23, "host_key": KEY}
    after = with_storage(text, "box-shop", values)
    expected = yaml.safe_load(text)
    expected["storages"]["box-shop"] = values
    assert yaml.safe_load(after) == expected
    assert set(text.splitlines()) <= set(after.splitlines()) or text == FLOW
