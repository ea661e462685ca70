"""References to secrets. The inventory contains only references, never a secret itself."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from tasks.inventory.values import OperatorPath, Words, matching, read_words

FORM = "a secret is written as {env: NAME}, {file: PATH} or {command: WORDS}"
STORE_FORM = "is written as {directory: PATH} or {command: WORDS}"
ENVIRONMENT_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"


class Strict(BaseModel):
    """A part of the inventory: frozen, without unknown keys, without silent conversion between types."""

    # An error must never show the refused value: it may be a secret. Built when first used, parts within their whole.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, defer_build=True)


def _one_of(names: tuple[str, ...], **more: Any) -> dict[str, Any]:
    return {"oneOf": [{"required": [name]} for name in names], **more}


class SecretReference(Strict):
    """Exactly one of three places; `tasks.remote.resolve` fetches the secret from it."""

    model_config = ConfigDict(json_schema_extra=_one_of(("env", "file", "command")))

    env: Annotated[
        str | None,
        matching(ENVIRONMENT_NAME, "an environment variable's name"),
        WithJsonSchema({"type": "string", "pattern": ENVIRONMENT_NAME}),
    ] = Field(None, description="an environment variable of the operator's")
    file: OperatorPath | None = Field(None, description="a file on the operator's machine")
    command: Words | None = Field(None, description="a command on the operator's machine that prints the secret")

    @model_validator(mode="before")
    @classmethod
    def _refuse_literal(cls, value: object) -> object:
        if not isinstance(value, dict | SecretReference):
            raise ValueError(FORM)  # noqa: TRY004  # pydantic collects ValueError only
        if isinstance(value, dict) and len(value) != 1:
            raise ValueError(f"{FORM}: exactly one of them")
        return value


def _read_store_command(value: object) -> tuple[str, ...]:
    words = read_words(value)
    if not any("{app}" in word for word in words):
        raise ValueError("must hold {app}, which becomes the app's name")
    return words


class SecretStore(Strict):
    """Where a new passphrase is put: a folder, or a command that reads it from standard input."""

    model_config = ConfigDict(
        json_schema_extra=_one_of(("directory", "command"), dependentRequired={"show": ["command"]})
    )

    directory: OperatorPath | None = Field(None, description="a folder outside version control, one file per app")
    command: Annotated[Words, BeforeValidator(_read_store_command)] | None = Field(
        None, description="reads the passphrase from standard input; {app} becomes the app's name"
    )
    show: Annotated[Words, BeforeValidator(_read_store_command)] | None = Field(
        None, description="prints the passphrase again, fails when there is none; known for `pass insert`"
    )

    @model_validator(mode="before")
    @classmethod
    def _exactly_one(cls, value: object) -> object:
        if isinstance(value, dict) and (len(value.keys() - {"show"}) != 1 or {"show", "directory"} <= value.keys()):
            raise ValueError(STORE_FORM)
        return value
