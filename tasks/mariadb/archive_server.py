"""A private server on an archive, behind walls, for the time of one script: to be asked, dumped, or left open.

    content -> unpack (-> replay) -> host/serve.py -> standard output

Everything is below one directory on the host, and is removed by the script itself, also after a lost connection. What
must not be written by what comes out of the archive (a client's option file, notes on the restore) is in a second
directory, which is not let through the walls.
"""

import json
import posixpath
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import Field

from tasks.answers import Answer, AnswerError, Text, read
from tasks.errors import InterruptedRunError
from tasks.mariadb import damage, errors, point_in_time, unpack
from tasks.mariadb.enclosure import Enclosure
from tasks.mariadb.host import (
    check_table,
    data_options,
    digest,
    elsewhere,
    examine,
    grants,
    ordinary_user,
    private_server,
    protocol,
    serve,
    settings,
    tables,
)
from tasks.mariadb.point_in_time import Recovered
from tasks.mariadb.restore import RestoreRequest
from tasks.mariadb.unpack import OnLine, Unpacked
from tasks.options import FOLDER
from tasks.remote import walled
from tasks.remote.host import Host
from tasks.remote.output import Output
from tasks.remote.program import Program
from tasks.remote.running import OnBytes
from tasks.remote.script import Environment, Script, Stream, Words, quote, without
from tasks.remote.secret import Secret
from tasks.run.parallel import terminable

PROGRAM = Program(
    serve,
    (
        ordinary_user,
        data_options,
        private_server,
        settings,
        damage,
        tables,
        check_table,
        examine,
        digest,
        elsewhere,
        protocol,
        grants,
    ),
)
NAME = "cloudbackup-open-"  # prefix of the directories' names
MARGIN = 128 << 20  # bytes beyond the data: the server's redo log and temporary tablespace
PATIENCE = 600  # seconds for the server to answer
GRACE = 120.0  # seconds to remove the copy of a large database
RESTORED = "cloudbackup restored\t"  # prefix of lines on standard error about the restore
PROGRESS = ("open: ", "replay: ")
OPTIONS = """\
[client]
socket={socket}
user={user}
password={password}
skip-local-infile
default-character-set=utf8mb4
"""  # of a person's own client


@dataclass(frozen=True)
class Job:
    """What to do with the server: a job of `host/serve.py`, with its part of the plan.

    `folder` is where the directories are made. `password` is that of the read-only account, for a person's own client;
    `behind` is bash that reads the job's output, outside of the walls, `undo` bash that takes back what that did if
    anything fails, and `environment` what they need.
    """

    name: str
    plan: Mapping[str, Any] = field(default_factory=dict)
    folder: str = FOLDER
    password: Secret | None = None
    behind: str = ""
    environment: Environment = field(default_factory=dict)
    undo: str = ":"


@dataclass(frozen=True)
class Served:
    """The end of a job that succeeded: what was restored, which walls the server had, and remarks for people.

    `digests` and `others` are what the job `tables` found: the digest of each table, and what is not a table.
    """

    unpacked: Unpacked
    recovered: Recovered | None
    version: str
    walls: tuple[str, ...]
    remarks: tuple[str, ...]
    output: Output
    digests: Mapping[str, str] = field(default_factory=dict)
    others: Sequence[str] = ()


class ServeError(errors.DatabaseError):
    """No private server could be started on the archive, or it refused what it was asked."""


class _Outcome(Answer):
    """The outcome that `host/serve.py` prints."""

    fault: Text | None = None
    remedy: Text = ""
    version: Text = ""
    walls: list[Text] = Field(default_factory=list)
    remarks: list[Text] = Field(default_factory=list)
    digests: dict[Text, Text] = Field(default_factory=dict)
    others: list[Text] = Field(default_factory=list)


class ArchiveServer:
    """A private server on what `request` restores, on `host`, for one job."""

    def __init__(self, host: Host, request: RestoreRequest, job: Job) -> None:
        self.host = host
        self.request = request
        self.job = job
        self.scratch = posixpath.join(job.folder, NAME + secrets.token_hex(8))
        self.own = f"{self.scratch}.own"
        self.data = posixpath.join(self.scratch, "data")
        self.socket = posixpath.join(self.scratch, "run", "s")
        keep = (*PROGRAM.environment, *((serve.PASSWORD,) if job.password else ()))
        # Another container than that in which it is unpacked, which gives its data to whoever restores, and ends.
        inside = request.inside and request.inside.another()
        self._around = Enclosure(self.scratch, keep, inside, request.trust)

    @property
    def client(self) -> Words:
        """Return the words that run a person's own client on the host."""
        return self._around.client(self.options, self.socket, private_server.ASKER)

    @property
    def options(self) -> str:
        """Return the path of the option file for a person's own client."""
        return posixpath.join(self.own, "my.cnf")

    def script(self) -> Script:
        """Return the one script that restores, serves, does the job and removes everything."""
        job, restoring, around = self.job, self._restoring(), self._around
        plan = json.dumps(self._plan())
        ready = around.words((*PROGRAM.words, "ready", plan))
        work = around.words((*PROGRAM.words, job.name, plan), keys="data/backup-my.cnf")
        said = posixpath.join(self.own, "said")
        serving = f"( {self._without_secrets()}\n{quote(work)} )"
        body = f"""\
cleanup() {{
  code=$?
  trap '' TERM INT HUP
  {around.end}
  {quote(("rm", "-rf", "--", self.scratch, self.own))}
  [ "$code" = 0 ] || {{ {job.undo}
  }} >/dev/null
  exit "$code"
}}
trap cleanup EXIT
{quote(("mkdir", "-m", "700", "--", self.scratch, self.own))}
{around.begin(self._secrets())}
( {self._without_secrets()}
{quote(ready)} ) </dev/null
( {restoring.body}
) >{quote((said,))} || {{ code=$?; cat {quote((said,))}; exit "$code"; }}
while IFS= read -r line; do printf '%s%s\\n' {quote((RESTORED,))} "$line" >&2; done <{quote((said,))}
{self._option_file()}
{serving}{f" | {job.behind}" if job.behind else ""}
"""
        password = {serve.PASSWORD: job.password} if job.password else {}
        programs = {**PROGRAM.environment, **walled.PROGRAM.environment}
        return Script(body, {**restoring.environment, **programs, **password, **job.environment}, grace=GRACE)

    def _restoring(self) -> Script:
        request = self.request
        needed = replace(request, size=None if request.size is None else request.size + MARGIN)
        unpacking = needed.unpacking(self.data)
        if request.moment is None:
            return unpack.contained(unpacking, self.data, request.inside) if request.inside else unpacking
        moment = replace(request.moment, trust=request.trust, inside=request.inside)
        return point_in_time.script(unpacking, moment, self.data, expected=request.tables)

    def _plan(self) -> dict[str, Any]:
        details = {name: self.request.server.get(name) for name in settings.DETAILS}
        own = {"scratch": self.scratch, "patience": PATIENCE, "version": self.request.version}
        return {**own, **details, **self.job.plan}

    def _without_secrets(self) -> str:
        """Return bash that removes the variables which only borg, or what reads the output, may know."""
        return without(self._secrets())

    def _secrets(self) -> Stream:
        streams = [self.request.content, *(self.request.moment.logs if self.request.moment else ())]
        names = {name for stream in streams for name in stream.environment}
        return Stream("", dict.fromkeys(sorted({*names, *self.job.environment}), ""))

    def _option_file(self) -> str:
        if self.job.password is None:
            return ":"
        text = OPTIONS.format(socket=self.socket, user=private_server.ASKER, password="%s")  # noqa: S106 (for printf)
        return f'( umask 077; printf {quote((text,))} "${serve.PASSWORD}" >{quote((self.options,))} )'

    def run(
        self,
        limit: float | None = None,
        on_stderr: OnLine | None = None,
        on_stdout: OnBytes | None = None,
        opened: Callable[[], bool] | None = None,
        full: threading.Event | None = None,
    ) -> Served:
        """Do the job; nothing is left on the host in any case.

        `limit` is in seconds. `on_stderr` gets the steps, `on_stdout` the job's output. `opened` is called, for the
        job `open`, once the server answers; the server then ends, unless it returns True: after its own time.
        `full` is set once no more output can be taken.

        Raises RefusedError if no walls can be built or the moment cannot be reached; ServeError with what is wrong
        with data or question; unpack.ContentError, errors.DatabaseError, HostError, ScriptTimeoutError,
        InterruptedRunError.
        """

        def listen(line: str) -> object:
            begins = next((each for each in PROGRESS if line.startswith(each)), None)
            if begins and on_stderr:
                on_stderr(line.removeprefix(begins))
            return begins is not None

        script, ended = self.script(), False
        with terminable():
            running = self.host.start(script, listen, on_stdout=on_stdout)
            try:
                if opened and running.wait_for(f"{serve.OPEN}\n".encode(), limit or 1e9) and not opened():
                    ended = True
                    running.end()
                output = running.wait(limit, script.grace, full or self.host.cancelled)
            except InterruptedRunError:
                if full is None or not full.is_set():
                    raise
                raise ServeError(f"{self.host.name}: what the private server gave could not be taken") from None
            except KeyboardInterrupt:
                self.host.cancelled.set()
                running.wait(None, script.grace, self.host.cancelled)
                raise
            finally:
                running.end()
        return self._read(output, ended=ended)

    def _read(self, output: Output, *, ended: bool = False) -> Served:
        """Read the end of the script; `ended` is whether we ended it, so that the job tells nothing more."""
        lines = output.error_text.splitlines()
        restored = "\n".join(line.removeprefix(RESTORED) for line in lines if line.startswith(RESTORED))
        outcome = _outcome(lines)
        walled.require(output, self.host.name)
        if outcome.fault is not None:
            raise ServeError(f"{self.host.name}: {outcome.fault}", outcome.remedy)
        if not restored:
            self._unpacked(output)
            raise ServeError(f"{self.host.name}: the private server gave no outcome")
        unpacked, recovered = self._unpacked(replace(output, code=0, stdout=restored.encode()))
        if not ended and (not outcome.version or not output.ok):
            last = next((line for line in reversed(lines) if line.strip() and not line.startswith("cloudbackup")), "")
            raise ServeError(f"{self.host.name}: the work on the private server failed: {last or output.code}")
        return Served(
            unpacked,
            recovered,
            outcome.version,
            tuple(outcome.walls),
            tuple(outcome.remarks),
            output,
            outcome.digests,
            outcome.others,
        )

    def _unpacked(self, output: Output) -> tuple[Unpacked, Recovered | None]:
        if self.request.moment is None:
            return unpack.read(self.host, output, self.data), None
        return point_in_time.read(self.host, output, self.data)


def _outcome(lines: Sequence[str]) -> _Outcome:
    last = [line.removeprefix(serve.OUTCOME) for line in lines if line.startswith(serve.OUTCOME)]
    try:
        found = [read(_Outcome, line) for line in last]
    except AnswerError:
        return _Outcome()
    return next((each for each in found if each.fault is not None), found[-1] if found else _Outcome())
