"""`df` as servers print it."""

import pytest

from tasks.errors import AppError
from tasks.remote.output import Output
from tasks.storage.space import parse_df

BOX = "Filesystem  1K-blocks Used      Avail Capacity  Mounted on\nu143466    104857600 99614720 5242880       95%  /home\n"
LINUX = "Filesystem     1024-blocks     Used Available Capacity Mounted on\n/dev/vda         263903556 22553288  82841236      22% /\n"


def output(text: str, errors: str = "") -> Output:
    return Output(0, text.encode(), errors.encode(), 0.1)


def test_a_box_tells_its_pool() -> None:
    usage = parse_df(output(BOX), "box")
    assert (usage.used, usage.size, usage.free) == (99614720 * 1024, 104857600 * 1024, 5242880 * 1024)


def test_blocks_kept_for_root_are_not_free() -> None:
    usage = parse_df(output(LINUX), "disk")
    assert usage.used == 22553288 * 1024
    assert usage.free == 82841236 * 1024


@pytest.mark.parametrize(
    "text", ["", "Command not found. Use 'help' to get a list of available commands.\n", "a b c\n"]
)
def test_anything_else_is_told(text: str) -> None:
    with pytest.raises(AppError, match="box: df does not tell"):
        parse_df(output(text), "box")
