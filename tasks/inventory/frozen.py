"""A mapping in the inventory that cannot be changed, so that whatever holds it can be hashed."""

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Frozen(Mapping[str, Value], Generic[Value]):
    """Values by name."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return repr(self._values)


def thawed(value: object) -> object:
    """Return a frozen mapping as the dictionary that pydantic reads; anything else as it is."""
    return dict(value) if isinstance(value, Frozen) else value
