"""What a run's exit code says, and that a fault of ours fails one source alone."""

from pathlib import Path

import pytest
from invoke.exceptions import Exit

from tasks.cli import task
from tasks.crash import folder
from tasks.errors import AppError, CloudbackupError, InterruptedRunError, RefusedError, UsageError
from tasks.run.outcome import Outcome, attempted, exit_code

FAILED, WRONG, REFUSED = AppError("full"), UsageError("no secret"), RefusedError("looks wrong")


def outcome(error: BaseException | None) -> Outcome:
    def action(began: object) -> Outcome:
        if error is not None:
            raise error
        return Outcome("shop", "files", "ok", began, 1)  # type: ignore[arg-type]

    return attempted("shop", "files", action)


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ((None, None), 0),
        ((None, FAILED), 3),
        ((FAILED, FAILED), 4),
        ((None, WRONG), 2),
        ((FAILED, WRONG), 4),
        ((None, FAILED, WRONG), 3),
        ((None, REFUSED), 5),
        ((REFUSED, REFUSED), 5),
        ((None, REFUSED, FAILED), 3),
    ],
)
def test_the_exit_code_tells_how_much_failed(errors: tuple[CloudbackupError | None, ...], code: int) -> None:
    assert exit_code([outcome(error) for error in errors]) == code


def test_a_fault_of_ours_fails_its_source_alone_and_names_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    def action(began: object) -> Outcome:
        raise ZeroDivisionError("never thought of")

    made = attempted("shop", "files", action)
    (kept,) = folder().iterdir()
    assert (made.status, made.said[0]) == ("failed", "unexpected: ZeroDivisionError: never thought of")
    assert str(kept) in made.said[1]
    assert "Traceback" in kept.read_text()
    assert exit_code([made, outcome(None)]) == 3


def test_an_interruption_is_no_outcome() -> None:
    with pytest.raises(InterruptedRunError):
        outcome(InterruptedRunError("interrupted"))


@pytest.mark.parametrize(
    ("error", "code"), [(FAILED, 3), (WRONG, 2), (REFUSED, 5), (CloudbackupError("?"), 1), (KeyboardInterrupt(), 130)]
)
def test_a_task_ends_with_the_code_of_its_error(error: BaseException, code: int) -> None:
    @task()
    def do(_c: object) -> None:
        """Do it."""
        raise error

    with pytest.raises(Exit) as end:
        do.body(None)
    assert end.value.code == code
