"""The JSON Schemas: current, and of one mind with the loader."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.app import schema
from tests.unit.inventory.support import EXAMPLE, MAIN, Yaml12Loader, example, faults, write
from tests.unit.inventory.test_validation import APP_CASES, MAIN_CASES

# What JSON Schema cannot say: names that stand elsewhere, quotation marks that end, keys that decode, sums of keys.
LOADER_ALONE = (
    "no storage `",
    "has no default",
    "is there twice",
    "quotation mark or backslash",
    "runs without a shell",
    "must name a command",
    "has no place for a port",
    "has brackets that are not around",
    "is for a host behind SSH",
    "does not reach the key",
    "has two limits for one time",
    "does not decode",
    "is not a key of type",
    "give one way to the server",
    "must hold {app}",
    "regular expression that cannot be read",
    "has mounts and one_file_system",
    "has commands and no paths",
    "has paths and no commands",
    "must not hold a NUL",
    "is not valid Unicode",
    "second document",
    "must be a whole number",  # 1.0, a whole number to JSON Schema
)


def validator(name: str) -> jsonschema.Draft202012Validator:
    text = (schema.FOLDER / f"{name}.schema.json").read_text()
    jsonschema.Draft202012Validator.check_schema(json.loads(text))
    return jsonschema.Draft202012Validator(json.loads(text))


VALIDATORS = {name: validator(name) for name in schema.MODELS}


def test_the_files_are_current() -> None:
    assert {path.name: path.read_text() for path in schema.FOLDER.iterdir()} == schema.texts(), (
        "run: python -m tasks.app.schema"
    )


@pytest.mark.parametrize("path", ["cloudbackup.yml", "apps/shop.yml", "apps/blog.yml"])
def test_the_example_names_its_schema_and_fits_it(path: str) -> None:
    file = EXAMPLE / path
    first = file.read_text().splitlines()[0]
    named = (file.parent / first.removeprefix("# yaml-language-server: $schema=")).resolve()

    assert named.parent == schema.FOLDER
    assert not list(VALIDATORS[named.name.removesuffix(".schema.json")].iter_errors(example(path)))


def refused_by_schema(name: str, text: str) -> bool:
    try:
        data = json.loads(json.dumps(yaml.load(text, Yaml12Loader)))  # noqa: S506  # a SafeLoader
    except (yaml.YAMLError, TypeError):
        return True
    return not VALIDATORS[name].is_valid(data)


def loader_alone(found: list[str]) -> bool:
    return all(any(part in line for part in LOADER_ALONE) for line in found)


@pytest.mark.parametrize("text", [text for text in APP_CASES if not text.startswith(("a: &a", "[["))])
def test_what_the_loader_refuses_in_an_app_the_schema_refuses(tmp_path: Path, text: str) -> None:
    assert refused_by_schema("app", text) or loader_alone(faults(write(tmp_path, shop=text)))


@pytest.mark.parametrize("text", MAIN_CASES)
def test_what_the_loader_refuses_in_cloudbackup_yml_the_schema_refuses(tmp_path: Path, text: str) -> None:
    assert refused_by_schema("cloudbackup", text) or loader_alone(faults(write(tmp_path, text)))


def places(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, value in items for place in places(value, (*path, key)))]


def changed(data: Any, place: tuple[str | int, ...], value: Any) -> Any:
    data = copy.deepcopy(data)
    parent = data
    for key in place[:-1]:
        parent = parent[key]
    if place:
        parent[place[-1]] = value
    return data if place else value


ODD = st.sampled_from(
    ["", " ", "-x", "/", "/srv", "~/x", "~", "..", "a/../b", "/a/..", "x\ny", "1h", "26h", "0h", "lz4", "auto,none",
     "a b", "host", "box", "local", "yes", "root@h", "h:1", "{app}", "ä", "💾", "x" * 70, "16KiB", "auto"]
)  # fmt: skip
VALUES = (
    ODD
    | st.text(st.characters(exclude_categories=["C"]), max_size=5)
    | st.integers(-2, 70_000)
    | st.booleans()
    | st.lists(ODD, max_size=2)
    | st.dictionaries(st.sampled_from(["env", "file", "command", "daily", "x", "kind"]), ODD, max_size=2)
    | st.none()
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_loader_and_schema_agree_on_changed_files(tmp_path: Path, data: st.DataObject) -> None:
    name, path = data.draw(st.sampled_from([("app", "apps/shop.yml"), ("cloudbackup", "cloudbackup.yml")]))
    original = example(path)
    document = changed(original, data.draw(st.sampled_from(places(original))), data.draw(VALUES))
    text = json.dumps(document, ensure_ascii=False)  # JSON is YAML
    files = (
        {"main": text} if name == "cloudbackup" else {"main": (EXAMPLE / "cloudbackup.yml").read_text(), "shop": text}
    )

    found = [line for line in faults(write(tmp_path, **files)) if not line.startswith("apps/blog")]
    valid = VALIDATORS[name].is_valid(document)

    if not valid:
        assert found, f"the schema alone refuses {document}"
    elif found:
        assert loader_alone(found), f"the loader alone refuses: {found}"


def test_a_storage_without_kind_is_refused_by_both(tmp_path: Path) -> None:
    text = MAIN.replace("kind: local, ", "")
    assert refused_by_schema("cloudbackup", text)
    assert faults(write(tmp_path, text))
