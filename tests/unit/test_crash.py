"""What ends a task by design is no crash."""

import pytest
from invoke.exceptions import Exit

from tasks.crash import foreseen
from tasks.errors import AppError


@pytest.mark.parametrize("end", [Exit(code=3), AppError("x"), KeyboardInterrupt()])
def test_an_end_with_a_code_of_its_own_goes_through(end: BaseException) -> None:
    with pytest.raises(type(end)) as raised, foreseen("shop"):
        raise end
    assert raised.value is end
