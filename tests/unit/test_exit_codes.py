"""A task that ends with an exit code of its own ends with that one: it is no unforeseen fault."""

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from tasks.cli import task
from tasks.errors import AppError


@pytest.mark.parametrize("code", [3, 4, 5])
def test_an_exit_code_stays_what_it_is(code: int) -> None:
    @task(name="ends")
    def ends(c: object) -> None:
        raise Exit(code=code)

    with pytest.raises(Exit) as caught:
        ends.body(Context())
    assert caught.value.code == code


def test_a_fault_that_is_foreseen_has_its_class_code() -> None:
    @task(name="fails")
    def fails(c: object) -> None:
        raise AppError("shop: failed")

    with pytest.raises(Exit) as caught:
        fails.body(Context())
    assert caught.value.code == AppError.exit_code
