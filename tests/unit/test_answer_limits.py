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
