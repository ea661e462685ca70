"""`report.serve`: gathers at an interval and serves the latest result; requests never start anything."""

import shlex
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import CloudbackupError, UsageError
from tasks.inventory.secrets import SecretReference
from tasks.remote.secret import Secret, resolve
from tasks.report.board import PAGE, Board
from tasks.report.formats import records_wanted
from tasks.report.gather import gather
from tasks.report.rows import Report
from tasks.report.web import Access, Web
from tasks.run.parallel import terminable
from tasks.run.session import Session
from tasks.storage.registry import load

SHORTEST = 1.0  # minimum seconds between two reports, since each queries the storages


@dataclass(frozen=True)
class Options:
    """Where to listen, and the seconds from the end of one report to the start of the next.

    `names` are additional host names that may be requested; `password` is a reference to one (env:NAME, file:PATH or
    command:WORDS), empty for none; `certificate` and `key` are files for TLS, empty for none.
    """

    host: str = "127.0.0.1"
    port: int = 9190
    interval: float = 300.0
    names: Sequence[str] = ()
    password: str = ""
    certificate: str = ""
    key: str = ""

    def access(self) -> Access:
        """Return who may connect. Raises UsageError."""
        if self.key and not self.certificate:
            raise UsageError("--key alone is not enough for TLS", "give --certificate as well")
        certificate, key = (Path(file).expanduser() if file else None for file in (self.certificate, self.key))
        return Access(tuple(self.names), _password(self.password), certificate, key)


def run(folder: str, options: Options) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises UsageError for invalid options, or an inventory that is invalid at start.

    Reports are made in this thread, because the loop over apps handles signals; a web server answers in others.
    """
    if options.interval < SHORTEST:
        raise UsageError(f"--interval {options.interval:g} is too short", f"give at least {SHORTEST:g} seconds")
    load(Path(folder))
    board = Board(options.interval)
    with Web(options.host, options.port, board, options.access()) as web, terminable():
        _say(f"serving {web.address} and {web.address}metrics, a new report every {options.interval:g} s")
        try:
            while True:
                _round(board, lambda: _gathered(folder))
                time.sleep(options.interval)
        except KeyboardInterrupt:
            _say("ended")


def _password(text: str) -> Secret | None:
    kind, _, value = text.partition(":")
    if not text:
        return None
    if kind not in ("env", "file", "command") or not value:
        what = "--password names no place"
        raise UsageError(what, "write env:NAME, file:PATH or command:WORDS; never the password itself")
    if kind == "env":
        reference = SecretReference(env=value)
    elif kind == "file":
        reference = SecretReference(file=Path(value).expanduser().absolute())
    else:
        reference = SecretReference(command=tuple(shlex.split(value)))
    return resolve(reference, "the password of the page")


def _gathered(folder: str) -> Report:
    """Return the report on the inventory as it is now, so that a new app needs no restart."""
    with Session(load(Path(folder))) as session:
        return gather(session, session.inventory.select(), newest=records_wanted(PAGE))


def _round(board: Board, make: Callable[[], Report]) -> None:
    """Publish a new report; if that fails, the old one stays, and page and metrics show the failure."""
    began = time.monotonic()
    try:
        board.put(make(), time.monotonic() - began)
    except CloudbackupError as error:
        _say(f"no new report: {error}")
        board.failed(str(error).splitlines()[0])
    except Exception as error:  # a bug here must not stop the monitoring
        traceback.print_exc()
        board.failed(f"an unexpected error, {type(error).__name__}: its traceback is in the output of report.serve")


def _say(text: str) -> None:
    print(f"cloudbackup: {text}", file=sys.stderr, flush=True)
