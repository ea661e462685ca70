"""This machine's clock against the others: said from two minutes on, refused from ten, while no other agrees."""

from contextlib import nullcontext
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tasks.errors import CloudbackupError
from tasks.remote.facts import apart
from tasks.run import clocks
from tasks.run.clocks import ClockError, compared, span

YEAR = 365 * 86_400.0


def told(storage: float | None, host: float | None, name: str = "deploy@shop") -> tuple[str, ...]:
    app = cast("Any", SimpleNamespace(name="shop", host=name, storage="box"))
    facts = SimpleNamespace(ahead=host)
    session = cast(
        "Any",
        SimpleNamespace(
            storage_of=lambda _: SimpleNamespace(ahead=lambda _: storage),
            host=lambda _: SimpleNamespace(facts=lambda: facts),
        ),
    )
    return compared(session, app, host=True)


@pytest.mark.parametrize(
    ("storage", "host"), [(0.0, 0.0), (None, None), (119.0, -119.0), (None, 0.0), (0.0, None), (30.0, 60.0)]
)
def test_clocks_that_agree_are_not_spoken_of(storage: float | None, host: float | None) -> None:
    assert told(storage, host) == ()


@pytest.mark.parametrize(
    ("storage", "host", "said"),
    [
        (125.0, 0.0, "2 minutes behind that of the storage box"),
        (-600.0, 0.0, "10 minutes ahead of that of the storage box"),  # the host agrees with ours
        (0.0, YEAR, "365 days behind that of deploy@shop"),  # a host's clock, or its word for it, stops nobody
        (None, -200.0, "3 minutes ahead of that of deploy@shop"),
        (3600.0, 300.0, "1 hour behind that of the storage box and 5 minutes behind that of deploy@shop"),
    ],
)
def test_others_are_said(storage: float | None, host: float | None, said: str) -> None:
    assert told(storage, host) == (f"this machine's clock is {said}",)


@pytest.mark.parametrize(
    ("storage", "host"), [(-YEAR, -YEAR), (-259_200.0, None), (None, -600.0), (600.0, 601.0), (-3600.0, 3600.0)]
)
def test_ours_is_wrong_while_no_other_agrees(
    storage: float | None, host: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ClockError, match="nothing is done") as caught:
        told(storage, host)
    assert (caught.value.exit_code, caught.value.unrecorded) == (5, True)
    assert "timedatectl" in caught.value.remedy
    monkeypatch.setenv(clocks.VARIABLE, clocks.OWN)
    assert len(told(storage, host)) == 1


@pytest.mark.parametrize(
    ("transient", "host", "raised"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_a_storage_that_may_tell_a_moment_later_is_asked_again(transient: bool, host: bool, raised: bool) -> None:
    """A backup, which the host may bring to a storage out of this machine's reach, goes by the host's clock alone."""

    def ahead(_: object) -> float:
        error = CloudbackupError("too many connections")
        error.transient = transient
        raise error

    app = cast("Any", SimpleNamespace(name="shop", host="deploy@shop", storage="box"))
    facts = SimpleNamespace(ahead=0.0)
    storage, of = SimpleNamespace(ahead=ahead), SimpleNamespace(facts=lambda: facts)
    session = cast("Any", SimpleNamespace(storage_of=lambda _: storage, host=lambda _: of))
    with pytest.raises(CloudbackupError, match="too many") if raised else nullcontext():
        assert compared(session, app, host=host) == ()


def test_this_machine_is_no_witness_of_itself() -> None:
    with pytest.raises(ClockError):
        told(-YEAR, 0.0, name="local")


@pytest.mark.parametrize(
    ("clock", "before", "after", "ahead"),
    [(100, 100.9, 101.0, 0), (102, 100.9, 101.0, 0), (110, 100, 112, 0), (400, 100, 101, 299.5), (0, 100, 102, -101)],
)
def test_what_passes_while_a_clock_is_asked_is_no_difference(
    clock: float, before: float, after: float, ahead: float
) -> None:
    assert apart(clock, before, after) == ahead


def test_spans() -> None:
    spans = [timedelta(seconds=59), timedelta(minutes=1), timedelta(hours=25), timedelta(days=366)]
    assert [span(each) for each in spans] == ["59 seconds", "1 minute", "1 day", "366 days"]
