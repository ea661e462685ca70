"""`become` in an app's file: as whom everything on the host runs, if not as whoever logs in."""

from typing import Literal, Self

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from tasks.inventory.secrets import SecretReference, Strict
from tasks.inventory.values import User

FORM = "is written as sudo, doas, or {sudo: {user: root, password: {command: ...}}}"
PROGRAMS = ("sudo", "doas")


class SudoOptions(Strict):
    """How sudo starts what runs on the host."""

    user: User = Field("root", description="who reads the files and the database there")
    password: SecretReference | None = Field(
        None, description="the login's own password, where sudo asks for it: {env}, {file} or {command}"
    )


class DoasOptions(Strict):
    """How doas starts what runs on the host. It takes a password from a terminal alone, so it must ask for none."""

    user: User = Field("root", description="who reads the files and the database there")


class BecomeOptions(Strict):
    """Exactly one of the two."""

    sudo: SudoOptions | None = Field(None, description="by sudo")
    doas: DoasOptions | None = Field(None, description="by doas")

    @model_validator(mode="before")
    @classmethod
    def _named_alone(cls, value: object) -> object:
        if isinstance(value, str) and value in PROGRAMS:
            return {value: {}}
        if not isinstance(value, dict | BecomeOptions):
            raise ValueError(FORM)  # noqa: TRY004  # pydantic collects ValueError only
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.sudo is None) == (self.doas is None):
            raise ValueError(FORM)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(core)
        handler.resolve_ref_schema(described)["oneOf"] = [{"required": [name]} for name in PROGRAMS]
        return {"anyOf": [{"enum": list(PROGRAMS)}, described]}

    @property
    def program(self) -> Literal["sudo", "doas"]:
        """Return the program's name."""
        return "sudo" if self.sudo is not None else "doas"

    @property
    def user(self) -> str:
        """Return the user that everything runs as."""
        options = self.sudo or self.doas
        assert options is not None
        return options.user

    @property
    def password(self) -> SecretReference | None:
        """Return where the login's password is, if it is needed."""
        return self.sudo.password if self.sudo is not None else None
