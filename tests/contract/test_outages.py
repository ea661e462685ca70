"""A storage that is published to and does not answer for a while: what may pass is tried again, and nothing else."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tasks.borg.anomalies import strangers
from tasks.borg.client.list import Archive
from tasks.borg.recorder import noted
from tasks.fleet.app_backup import AppBackup
from tasks.inventory.models import App
from tasks.records.ledger import ledger
from tasks.run.outcome import Outcome
from tasks.run.session import Session
from tasks.run.view import View
from tasks.storage.registry import load
from tests.contract.bench import Bench, Sides
from tests.contract.kinds import Bucket, Staged
from tests.contract.place import Values

Outage = Callable[[Staged], AbstractContextManager[None]]


class Watched(View):
    """Does something before each further try."""

    def __init__(self, app: App, again: Callable[[], object]) -> None:
        super().__init__([app])
        self._again = again

    def step(self, app: str, source: str, text: str) -> None:
        super().step(app, source, text)
        if text.startswith("tried again"):
            self._again()


@contextmanager
def busy(place: Staged) -> Iterator[None]:
    """Let something on the S3 server's port ask for patience, as one does before which there are too many."""

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(429)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_PUT = do_GET  # noqa: N815  # http.server's names

        def log_message(self, *_: object) -> None:
            return

    assert isinstance(place, Bucket)
    with place.away(), HTTPServer(("127.0.0.1", place.server.port), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def saved(inventory: Path, again: Callable[[], object]) -> Outcome:
    """Back shop's files up as `inv backup` does; `again` is called before each further try."""
    with Session(load(inventory)) as session:
        app = session.inventory.app("shop")
        return AppBackup(session, app, ["files"], Watched(app, again)).save()[0]


def patient(bench: Bench, folder: Path, **store: object) -> Path:
    """Return an inventory with short pauses before a further try, and with other values of the storage."""

    def alter(values: Values) -> None:
        values["defaults"].update(retries=2, retry_wait="1s")
        values["storages"]["store"].update(store)

    return bench.variant(folder, "cloudbackup.yml", alter)


OUTAGES: dict[str, tuple[str, Outage, str]] = {
    "s3, away": ("s3", lambda place: place.away(), "connection refused"),
    "s3, busy": ("s3", busy, "TooManyRequests"),
    "sftp, away": ("sftp", lambda place: place.away(), "connection refused"),
}


@pytest.mark.parametrize(("bench", "outage", "met"), list(OUTAGES.values()), ids=list(OUTAGES), indirect=["bench"])
def test_a_short_outage_is_waited_for_and_noted(
    bench: Bench, shop: Sides, outage: Outage, met: str, tmp_path: Path
) -> None:
    unknown = unknown_archives(shop)
    more = bench.app("shop").files / "more.bin"
    more.write_bytes(os.urandom(1_000_000))
    assert isinstance(bench.place, Staged)
    with ExitStack() as stack:
        stack.enter_context(outage(bench.place))
        outcome = saved(patient(bench, tmp_path / "inventory"), stack.close)
    more.unlink()
    assert not outcome.failed, outcome.said
    # Other tests' archives have no records, and once there are records at all that is told.
    assert all("the repository looks wrong" in line for line in outcome.said), outcome.said
    record = shop.storage.read_records(shop.app).newest("backup", "files")
    assert record is not None
    assert (record.archive, record.outcome) == (outcome.archive, "ok")
    [told] = record.details["retried"]
    assert met in told
    assert shop.ids()[-1] == outcome.archive_id
    assert unknown_archives(shop) == unknown


def unknown_archives(shop: Sides) -> list[Archive]:
    """Return the archives for which a prune would refuse."""
    return strangers(shop.listed(), ledger(shop.storage.read_history(shop.app)))


@pytest.mark.parametrize("bench", ["storagebox", "sftp"], indirect=True)
def test_the_record_of_a_verb_waits_for_its_storage(bench: Bench) -> None:
    with ExitStack() as stack, bench.alone("shop") as shop:

        class Pause(threading.Event):
            """What a run waits on before a further try; the storage is back by then."""

            def wait(self, _timeout: float | None = None) -> bool:
                stack.close()
                return self.is_set()

        shop.session.cancelled = Pause()
        with noted(shop.session, shop.app, "compact") as note:
            note.add({"freed": 123})
            stack.enter_context(bench.place.away())
        record = shop.storage.read_records(shop.app).newest("compact", None)
    assert record is not None
    assert (record.outcome, record.details) == ("ok", {"freed": 123})


@pytest.mark.parametrize(
    ("bench", "wrong", "told"),
    [
        ("s3", "secret_key", "SignatureDoesNotMatch"),
        ("s3", "bucket", "and not published"),
        ("sftp", "user", "unable to authenticate"),
    ],
    indirect=["bench"],
)
def test_what_does_not_pass_is_not_tried_again(bench: Bench, wrong: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("no such secret, at all")
    values = {"secret_key": {"file": str(tmp_path / "secret")}, "bucket": "another", "user": "nobody"}
    tries: list[None] = []
    outcome = saved(patient(bench, tmp_path / "inventory", **{wrong: values[wrong]}), lambda: tries.append(None))
    assert outcome.failed
    assert told in outcome.said[0]
    assert not tries
