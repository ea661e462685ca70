"""Whatever happens to a valid file: it loads, or every fault is told. Never a traceback."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.inventory.errors import InventoryError
from tasks.storage.registry import load
from tests.unit.inventory.support import EXAMPLE, write

FILES = {name: (EXAMPLE / name).read_text() for name in ("cloudbackup.yml", "apps/shop.yml")}
PIECES = st.sampled_from(
    ["\t", "\n", ": ", "- ", "*", "&a ", "*a", "!x ", "!!int ", "!!set ", "{", "}", "[", "]", "'", '"', "|", ">", "#",
     "%", "@", "`", "~", "null", "<<: ", "? ", "---\n", "...\n", "\0", "\x85", "\ufeff", "\\ud800",
     '"\\ud800"', '"\\UFFFFFFFF"',
     "1e999", ".nan", "0x1F", "9" * 5000, "12:30", "yes", "$(id)", "\n\n  ", "!!float x", "!!bool 1",
     "!!python/name:os "]
)  # fmt: skip
ANY_PIECE = PIECES | st.text(st.characters(codec="utf-8"), max_size=4)

quietly = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def loads_or_tells(folder: Path) -> None:
    try:
        load(folder)
    except InventoryError as error:
        told = error.problems
        assert told


def inventory_with(folder: Path, name: str, content: str | bytes) -> Path:
    main = content if name == "cloudbackup.yml" else FILES["cloudbackup.yml"]
    shop = content if name == "apps/shop.yml" else FILES["apps/shop.yml"]
    return write(folder, main, shop=shop)


@quietly
@given(name=st.sampled_from(sorted(FILES)), data=st.data())
def test_pieces_put_in_or_taken_out(tmp_path: Path, name: str, data: st.DataObject) -> None:
    text = FILES[name]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 8)))
        text = text[:start] + data.draw(ANY_PIECE) + text[end:]

    loads_or_tells(inventory_with(tmp_path, name, text))


@quietly
@given(name=st.sampled_from(sorted(FILES)), data=st.data())
def test_values_replaced(tmp_path: Path, name: str, data: st.DataObject) -> None:
    lines = FILES[name].splitlines()
    index = data.draw(st.sampled_from([at for at, line in enumerate(lines) if ": " in line]))
    lines[index] = lines[index].split(": ")[0] + ": " + data.draw(ANY_PIECE)

    loads_or_tells(inventory_with(tmp_path, name, "\n".join(lines)))


@quietly
@given(name=st.sampled_from(sorted(FILES)), content=st.binary(max_size=50))
def test_any_bytes(tmp_path: Path, name: str, content: bytes) -> None:
    loads_or_tells(inventory_with(tmp_path, name, content))


@pytest.mark.parametrize(
    "text",
    [
        "a: &a {b: *a}\n",
        "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" if n else "a0: &a0 [x]\n" for n in range(9)),
        "{" * 10_000,
        "- " * 10_000,
        "- " * 450_000,
        "? " * 3000 + "x",
        "a: !!int x\n",
        "a: !!timestamp x\n",
        "!!map x: y\n",
        "!!seq {a: b}\n",
        "? {a: b}\n: c\n",
        "? |\n  x\n: c\n",
        "%YAML 9.9\n---\na: b\n",
        "storages: {? [a] : b}\n",
        "storages: {a: {kind: [x]}, b: {kind: {}}, c: {kind: 1}, d: [], e: {kind: ''}}\n",
        "storages: {storagebox: {kind: storagebox, storagebox: {storagebox: x}}}\n",
    ],
)
@pytest.mark.parametrize("name", sorted(FILES))
def test_contrived_files(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(InventoryError):
        load(inventory_with(tmp_path, name, text))


@quietly
@given(
    before=ANY_PIECE,
    after=ANY_PIECE,
    key=st.sampled_from(["passphrase: ", "mariadb: {password: ", "mariadb: {password:"]),
)
def test_a_literal_secret_is_never_shown(tmp_path: Path, before: str, after: str, key: str) -> None:
    line = "".join(f"{key}{before}hunter2{after}".splitlines())  # on a line of its own it would be another key

    try:
        load(write(tmp_path, shop=f"files: {{paths: [/srv]}}\n{line}\n"))
    except InventoryError as error:
        text = str(error)
        assert "hunter2" not in text
