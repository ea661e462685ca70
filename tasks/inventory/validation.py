"""Rewords pydantic's errors for the author of the file. No value from the file is ever quoted."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tasks.inventory.document import Data, Document
from tasks.inventory.errors import SECRET_KEYS, KeyPath, nearest
from tasks.inventory.models import CloudbackupFile, StorageConfig
from tasks.inventory.secrets import FORM

MODEL_KEY = "[key]"  # how pydantic marks an invalid key of a dictionary
TEXTS = {
    "missing": "is missing",
    "string_type": "must be text: put quotes around it",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must hold `key: value` lines",
    "model_type": "must hold `key: value` lines",
    "model_attributes_type": "must hold `key: value` lines",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must not be empty",
    "literal_error": "must be {expected}",
    "union_tag_not_found": "lacks `kind`: one of {kinds}",
}


def note(document: Document, model: type[BaseModel], error: ValidationError) -> None:
    """Add the errors of validating a document's data as `model` to its problems."""
    details = error.errors(include_url=False, include_input=False)
    known = [*document.faulty, *(_path(detail["loc"]) for detail in details if detail["type"] != "too_short")]
    for detail in details:
        path = _path(detail["loc"])
        if any(_follows(path, detail["type"], other) for other in known):
            continue
        text = _sentence(document, model, detail, path)
        if detail["type"] == "union_tag_invalid":
            path = (*path, "kind")
        document.add(path, text)


def _follows(path: KeyPath, kind: str, other: KeyPath) -> bool:
    """Return whether an error on a whole only repeats that a part below it is wrong."""
    return kind in ("too_short", "value_error") and len(other) > len(path) and other[: len(path)] == path


def _path(location: tuple[int | str, ...]) -> KeyPath:
    """Return the path of an error in the file: without the kind that pydantic inserts after a storage's name."""
    path = tuple(part for part in location if part != MODEL_KEY)
    if path[:1] == ("storages",) and len(path) > 2:
        return (*path[:2], *path[3:])
    return path


def _sentence(document: Document, model: type[BaseModel], detail: ErrorDetails, path: KeyPath) -> str:
    context = detail.get("ctx", {})
    kind = detail["type"]
    if kind == "value_error":
        return str(context["error"])
    if kind == "extra_forbidden":
        return _unknown(document, model, path)
    if kind == "union_tag_invalid":
        return f"is no known kind{nearest(str(context['tag']), _kinds(model))}"
    template = TEXTS.get(kind)
    if template is None:
        return detail["msg"]
    return template.format(**context, kinds=", ".join(_kinds(model))) if "{" in template else template


def _unknown(document: Document, model: type[BaseModel], path: KeyPath) -> str:
    name = str(path[-1])
    if SECRET_KEYS.intersection(path):
        known = get_close_matches(name, ("env", "file", "command"), n=1)
        return f"{FORM}; did you mean {known[0]}?" if known else FORM
    fields = _model_at(document.data, model, path[:-1]).model_fields
    if get_close_matches(name, fields, n=1):
        return f"is unknown here{nearest(name, fields)}"
    elsewhere = [place for place, known in _places(model) if known == name]
    return f"belongs under `{elsewhere[0]}`" if elsewhere else f"is unknown here{nearest(name, fields)}"


def _places(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Yield the keys known in parts of this model, as (the part's key, the key in it)."""
    for key, info in model.model_fields.items():
        if key in SECRET_KEYS:
            continue
        for part in _models(info.annotation):
            yield from ((key, name) for name in part.model_fields)


def _model_at(data: Data, model: type[BaseModel], path: KeyPath) -> type[BaseModel]:
    """Return the model that describes the mapping at a path of the file."""
    if path[:1] == ("storages",) and len(path) > 1:
        model, path = _kinds(model)[_kind(data, str(path[1]))], path[2:]
    for part in path:
        if isinstance(part, str) and part in model.model_fields:
            model = next(_models(model.model_fields[part].annotation), model)
    return model


def _kinds(model: type[BaseModel]) -> Mapping[str, type[StorageConfig]]:
    return model.kinds if issubclass(model, CloudbackupFile) else {}


def _kind(data: Data, storage: str) -> str:
    """Return a storage's kind, which pydantic validated before it looked into the storage."""
    storages = data["storages"] if isinstance(data, dict) else None
    entry = storages[storage] if isinstance(storages, dict) else None
    return str(entry["kind"]) if isinstance(entry, dict) else ""


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType, Annotated, dict, Mapping):
        for part in get_args(annotation):
            yield from _models(part)
