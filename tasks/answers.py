"""Parses JSON from programs, hosts and storages, with limits, into typed values, or raises AnswerError.

An answer may contain anything. So its form is a subclass of `Answer`, whose fields have the types of this module: whole
numbers are integers in a range (no true, no 1.0, no NaN, no 10**400), texts have a maximum length and can be encoded.
Fields that a form does not name are ignored: a later version may send more.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core.core_schema import no_info_wrap_validator_function

from tasks.encodable import encodable

MOST = 64 << 20  # bytes of one answer
EACH = (
    64  # bytes of an answer's limit for each of its values: an object of one key takes 370 bytes for its ten characters
)
LAST = 16 << 20  # bytes of the last line of a program's output
DEEPEST = 32  # nesting of lists and objects
LARGEST = 2**63 - 1
LONGEST = 1 << 16  # characters of one text
FIRST_YEAR, LAST_YEAR = 1970, 2199
LAST_SECOND = 7_258_118_399  # the last second of LAST_YEAR, since 1970


class AnswerError(ValueError):
    """An answer does not have the expected form; the text says where, and quotes nothing from the answer."""


def cut(text: str) -> str:
    """Return a text cut to the maximum length."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _moment(value: object) -> datetime:
    """Parse a UTC time as borg writes it. Times out of range are clamped: one of them must not hide the rest."""
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError("not a time")
    time = datetime.fromisoformat(value).replace(tzinfo=UTC)
    return min(max(time, datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)), datetime(LAST_YEAR, 12, 31, tzinfo=UTC))


def _cut(value: object) -> object:
    return cut(value) if isinstance(value, str) else value


Count = Annotated[int, Field(strict=True, ge=0, le=LARGEST)]
Number = Annotated[int, Field(strict=True, ge=-LARGEST, le=LARGEST)]
Seconds = Annotated[float, Field(strict=True, ge=0, le=1e10, allow_inf_nan=False)]
Unix = Annotated[int, Field(strict=True, ge=0, le=LAST_SECOND)]
Name = Annotated[str, Field(strict=True, min_length=1, max_length=4096)]
Text = Annotated[str, BeforeValidator(_cut), Field(strict=True)]
Moment = Annotated[datetime, BeforeValidator(_moment)]


class Answer(BaseModel):
    """The form of an answer, or of a part of one."""

    # Built when it is first used: most commands read few of the forms that they import.
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, defer_build=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> Any:
        """Let the first wrong item of a list or an object end the reading: pydantic would collect all, in gigabytes."""
        schema = handler(source)
        _fail_fast(schema)
        return schema


def _fail_fast(schema: Any) -> None:
    """Let the first fault end the validation of all lists and objects in a core schema, which is changed in place."""
    if isinstance(schema, dict):
        if schema.get("type") == "list":
            schema["fail_fast"] = True
        elif schema.get("type") == "dict" and "values_schema" in schema:  # pydantic has no `fail_fast` for these
            schema["values_schema"] = no_info_wrap_validator_function(_at_once, schema["values_schema"])
        for part in schema.values():
            _fail_fast(part)
    elif isinstance(schema, list):
        for part in schema:
            _fail_fast(part)


class _WrongValueError(Exception):
    """A value of an object is wrong. It is not a ValueError, so pydantic does not go on behind it."""


def _at_once(value: object, check: Callable[[object], object]) -> object:
    try:
        return check(value)
    except ValidationError as error:
        raise _WrongValueError(error.errors(include_url=False, include_input=False)[0]["msg"]) from None


Form = TypeVar("Form")


def read(form: type[Form], text: str | bytes, most: int = MOST) -> Form:
    """Return the answer in a JSON text of at most `most` bytes. Raises AnswerError."""
    return typed(form, parse(text, most))


def typed(form: type[Form], values: object) -> Form:
    """Return values, for example from `parse`, validated as `form`. Raises AnswerError."""
    try:
        adapter: TypeAdapter[Form] = _adapter(form)  # type: ignore[arg-type]  # classes are hashable
        return adapter.validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the answer"
        raise AnswerError(f"{where}: {first['msg']}"[:300]) from None
    except _WrongValueError as error:
        raise AnswerError(f"a value of the answer: {error}"[:300]) from None


def parse(text: str | bytes, most: int = MOST) -> Any:
    """Return the value of a JSON text, with numbers in range and encodable texts.

    Raises AnswerError for anything else, and for more than `most` bytes, or values than EACH lets it have.
    """
    parts = most // EACH
    if len(text) > most:
        raise AnswerError(f"longer than {most} bytes")
    marks = (",", "[", "{") if isinstance(text, str) else (b",", b"[", b"{")
    if sum(map(text.count, marks)) > parts:  # type: ignore[arg-type]
        raise AnswerError(f"more than {parts} values")
    try:
        return _clean(json.loads(text, parse_constant=_refuse), 0)
    except AnswerError:
        raise
    except (ValueError, RecursionError):
        raise AnswerError("not JSON") from None


def _refuse(word: str) -> NoReturn:
    raise AnswerError(f"{word} is not JSON")


def _clean(value: Any, depth: int) -> Any:
    """Return a value that is sound; lists and objects are changed in place, as a copy would take their memory again."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict | list):
        if depth >= DEEPEST:
            raise AnswerError(f"nested deeper than {DEEPEST}")
        _clean_parts(value, depth + 1)
    elif isinstance(value, int | float) and not -LARGEST <= value <= LARGEST:  # so is NaN
        raise AnswerError("a number out of range")
    return value


def _clean_parts(value: dict[str, Any] | list[Any], depth: int) -> None:
    if isinstance(value, list):
        for place, each in enumerate(value):
            value[place] = _clean(each, depth)
        return
    for key, each in value.items():
        value[key] = _clean(each, depth)  # of a key that is there: the object keeps its size
    for key in [key for key in value if encodable(key) != key]:
        value[encodable(key)] = value.pop(key)


def whole(text: str) -> int | None:
    """Return the whole number in a text; None for anything else and for numbers out of range."""
    text = text.strip()
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None
    return number if number is None or number <= LARGEST else None


def whole_number(value: object) -> int | None:
    """Return a value that is a whole number, 0 or more and in range; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST else None


def last_line(form: type[Form], text: str) -> Form:
    """Return the answer in the last line of a program's output. Raises AnswerError."""
    return read(form, text.rstrip().rpartition("\n")[2], LAST)


@cache
def _adapter(form: Any) -> TypeAdapter[Any]:
    adapter = TypeAdapter(form)
    adapter.rebuild()  # whole before threads share it
    return adapter
