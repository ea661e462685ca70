"""JSON Schemas of both inventory files, generated from the models, for completion and validation in editors.

`python -m tasks.app.schema` writes them into `tasks/inventory/schema/`. A file names its schema in its first line: `#
yaml-language-server: $schema=<path or address of the schema>`.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from tasks import inventory
from tasks.inventory.models import AppFile, cloudbackup_file
from tasks.storage.registry import CONFIGS

FOLDER = Path(inventory.__file__).parent / "schema"
MODELS: dict[str, type[BaseModel]] = {"cloudbackup": cloudbackup_file(CONFIGS), "app": AppFile}


class _Generator(GenerateJsonSchema):
    """Describes what may be written: optional keys are left out, never null; defaults look as in a file."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        default = schema.get("default")
        if isinstance(default, timedelta):
            return self.generate_inner(schema["schema"]) | {"default": _duration(default)}
        if default in (None, "", ()) or isinstance(default, BaseModel):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        generated = super().dict_schema(schema)
        if "keys_schema" in schema:
            generated["propertyNames"] = self.generate_inner(schema["keys_schema"])
        return generated

    def get_title_from_name(self, name: str) -> str:
        return name


def _duration(span: timedelta) -> str:
    hours, rest = divmod(span, timedelta(hours=1))
    return f"{span // timedelta(minutes=1)}m" if rest else f"{hours}h"


def texts() -> dict[str, str]:
    """Return the JSON text of each schema, by file name."""
    return {f"{name}.schema.json": _text(model) for name, model in MODELS.items()}


def _text(model: type[BaseModel]) -> str:
    schema: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    schema |= model.model_json_schema(schema_generator=_Generator)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the schema files."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
