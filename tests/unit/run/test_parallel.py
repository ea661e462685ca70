"""The loop over apps: how many at a time, on which storage, and what waits for what."""

import signal
import threading
from concurrent.futures import _base
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest

from tasks.errors import InterruptedRunError, UsageError
from tasks.run.parallel import BOX_PLACES, MOST, over_apps
from tasks.storage.local import LocalStorage
from tasks.storage.storagebox import StorageBox

if TYPE_CHECKING:
    from tasks.inventory.models import App
    from tasks.run.session import Session

BOX = StorageBox(kind="storagebox", user="u1", directory="x")
STORAGES: dict[str, Any] = {
    "box": BOX,
    "part": BOX.model_copy(update={"user": "u1-sub7"}),
    "other": BOX.model_copy(update={"user": "u2"}),
    "disk": LocalStorage(kind="local", directory="/x"),
}


@dataclass(frozen=True)
class Named:
    """All that the loop asks of an app."""

    name: str
    storage: str


class FakeSession:
    """All that the loop asks of a session."""

    def __init__(self) -> None:
        self.inventory = type("Inventory", (), {"storages": STORAGES})
        self.cancelled = threading.Event()


class Count:
    """How many run at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now: dict[str, int] = {}
        self.most: dict[str, int] = {}

    def change(self, what: str, by: int) -> None:
        with self.lock:
            self.now[what] = self.now.get(what, 0) + by
            self.most[what] = max(self.most.get(what, 0), self.now[what])


def run(apps: list[Named], parallel: int, work: Any) -> list[Any]:
    return over_apps(cast("Session", FakeSession()), cast("list[App]", apps), parallel, work, lambda _, error: error)


def apps_on(*storages: str) -> list[Named]:
    return [Named(f"app{number}", storage) for number, storage in enumerate(storages)]


def test_results_come_in_the_order_of_the_apps() -> None:
    apps = apps_on(*["disk"] * 9)
    slow = threading.Event()

    def work(app: Named) -> str:
        if app.name == "app0":
            slow.wait(5)
        elif app.name == "app8":
            slow.set()
        return app.name

    assert run(apps, 3, work) == [app.name for app in apps]


def test_never_more_than_asked_and_never_more_than_a_box_takes() -> None:
    count = Count()
    full = threading.Barrier(BOX_PLACES + 4)

    def work(app: Named) -> None:
        account = STORAGES[app.storage].user.partition("-")[0] if app.storage != "disk" else "disk"
        for what in (account, "all"):
            count.change(what, 1)
        full.wait(5)  # 8 on the box and all the others are under way at once
        for what in (account, "all"):
            count.change(what, -1)

    run(apps_on(*["box", "part"] * 8, *["other"] * 4, *["disk"] * 4), BOX_PLACES + 4, work)
    assert count.most["u1"] == BOX_PLACES
    assert count.most["all"] == BOX_PLACES + 4


def test_a_box_whose_hosts_all_hang_delays_no_other_storage() -> None:
    done = threading.Event()
    apps = apps_on(*["box"] * (BOX_PLACES + 3), "disk")

    def work(app: Named) -> bool:
        if app.storage == "disk":
            done.set()
        return done.wait(5)

    assert all(run(apps, BOX_PLACES + 1, work))


@pytest.mark.parametrize("parallel", [0, -1, MOST + 1])
def test_a_number_that_cannot_be(parallel: int) -> None:
    with pytest.raises(UsageError, match="--parallel"):
        run([], parallel, lambda app: app)


def test_copies_of_one_app_come_one_after_another() -> None:
    count = Count()

    def work(app: Named) -> None:
        count.change(app.name, 1)
        threading.Event().wait(0.02)
        count.change(app.name, -1)

    run([Named(name, storage) for name in ("shop", "blog") for storage in ("box", "disk", "other")], 6, work)
    assert count.most == {"shop": 1, "blog": 1}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_while_futures_are_locked_keeps_no_lock(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception at that point would leave a future locked: its work could not end, and nobody would ever return."""
    lock = _base._AcquireFutures.__enter__

    def interrupted(self: Any) -> None:
        lock(self)
        signal.raise_signal(number)

    monkeypatch.setattr(_base._AcquireFutures, "__enter__", interrupted)
    before = signal.getsignal(number)
    session = FakeSession()

    def work(_: Any) -> None:
        assert session.cancelled.wait(30)

    with pytest.raises(InterruptedRunError, match="everything that ran was ended"):
        over_apps(cast("Session", session), cast("list[App]", [Named("a", "disk")]), 1, work, lambda _, error: error)
    assert signal.getsignal(number) is before


def test_an_interruption_after_the_last_app_is_not_lost() -> None:
    with pytest.raises(InterruptedRunError):
        run([Named("a", "disk")], 1, lambda _: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT))


def test_a_background_job_leaves_ctrl_c_to_others() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert run([Named("a", "disk")], 1, lambda _: signal.raise_signal(signal.SIGINT)) == [None]
    finally:
        signal.signal(signal.SIGINT, before)
