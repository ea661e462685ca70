"""What hostile answers cost: the memory of their size alone, and nothing of what is wrong in them."""

import subprocess
import sys
import tracemalloc

import pytest

from tasks import answers
from tasks.answers import AnswerError


class Numbers(answers.Answer):
    """An object of numbers, as a published copy's state has it."""

    numbers: dict[str, answers.Count]


GREEDY = """
import resource
from tests.unit.test_answer_limits import Numbers, answers
values = {"numbers": {str(number): "wrong" for number in range(300_000)}}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    answers.typed(Numbers, values)
except answers.AnswerError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error)
"""


def test_the_first_wrong_value_of_an_object_ends_the_reading() -> None:
    assert answers.read(Numbers, '{"numbers": {"1": 2}}').numbers == {"1": 2}
    done = subprocess.run([sys.executable, "-c", GREEDY], capture_output=True, text=True, check=True)
    grown, _, said = done.stdout.partition(" ")
    assert said.startswith("a value of the answer: ")
    assert int(grown) < 30_000  # KiB; all faults together take 270 MB


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 300_000,
        b"[" * 300_000 + b"]" * 300_000,
        b"[" + b"{}," * 3_000_000 + b"0]",
        b'{"a": "' + b"x" * (answers.MOST + 1) + b'"}',
        b"9" * 100_000,
    ],
    ids=["open", "nested", "many", "long", "number"],
)
def test_what_is_too_large_or_too_deep_costs_no_memory(text: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(AnswerError):
            answers.parse(text)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def sized(one: str, values: int) -> bytes:
    """Return a list, or an object, of so many small things."""
    each = (one.replace("#", f"{number:07d}") for number in range(values))
    return "{}[]"[2 * ("#" not in one)].encode() + ",".join(each).encode() + "{}[]"[1 + 2 * ("#" not in one)].encode()


@pytest.mark.parametrize(
    "one",
    ["{}", "[]", '{"a":1000}', '{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6}', '"#":1000', '"#":{"a":1}', '"#":[1]', "1000.5"],
)
def test_the_answer_of_a_host_takes_no_more_memory_than_a_host_may(one: str) -> None:
    """As many of the smallest values as the last line of a program's output may have, and one more is refused."""
    most = answers.LAST // answers.EACH
    marks = one.count(",") + one.count("{") + one.count("[") + 1
    text = sized(one, most // marks - 1)
    tracemalloc.start()
    try:
        answers.parse(text, answers.LAST)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    with pytest.raises(AnswerError, match="values"):
        answers.parse(sized(one, most + 1), answers.LAST)


def test_a_name_that_cannot_be_written_is_changed_and_its_value_stays() -> None:
    assert answers.parse('{"\\ud800": [1, {"b\\udcff": "\\ud800"}], "c": 2}') == {
        "\N{REPLACEMENT CHARACTER}": [1, {"b\\xff": "\N{REPLACEMENT CHARACTER}"}],
        "c": 2,
    }
