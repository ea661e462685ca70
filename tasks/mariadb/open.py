"""`mariadb.open`: any backup as a private server, to be asked by SQL."""

import secrets
import sys
from functools import partial
from pathlib import Path

from tasks.errors import UsageError
from tasks.inventory.values import read_duration
from tasks.mariadb import private_copy
from tasks.mariadb.archive_server import ArchiveServer, Job
from tasks.mariadb.console import Console
from tasks.mariadb.options import Open
from tasks.mariadb.private_copy import Copy, say
from tasks.mariadb.query_result import FORMATS, Result
from tasks.remote.script import quote
from tasks.remote.secret import Secret
from tasks.run import raw_output
from tasks.run.session import Session
from tasks.storage.registry import load


def run(folder: str, options: Open) -> int:
    """Serve a backup, for one query or until it is ended; return the exit code, as `private_copy.remarks` does.

    Raises UsageError, RefusedError, AppError; InterruptedRunError at Ctrl-C: nothing is left then.
    """
    private_copy.require_format(options.format, *FORMATS)
    if options.format != "table" and not options.query:
        raise UsageError(f"--format {options.format} is of the answer to a query", "give --query")
    seconds = _seconds(options.for_)
    with Session(load(Path(folder))) as session:
        copy = private_copy.found(session, options)
        with private_copy.explained(copy.app):
            return _ask(copy, options) if options.query else _open(copy, options, seconds)


def _seconds(text: str) -> float:
    try:
        return read_duration(text).total_seconds()
    except ValueError as error:
        raise UsageError(f"--for {text} is no duration", "give a number and s, m, h, d or w: --for 2h") from error


def _ask(copy: Copy, options: Open) -> int:
    request = copy.chosen.request(trust=copy.trust)
    server = ArchiveServer(copy.host, request, Job("query", {"query": options.query}, copy.folder))
    served = server.run(copy.chosen.choices.repository.time_limit, say)
    code = private_copy.remarks(copy, served)
    raw_output.write(Result.read(served.output.text).shown(options.format) + "\n")
    return code


def _open(copy: Copy, options: Open, seconds: float) -> int:
    password = Secret(secrets.token_urlsafe(24))
    request = copy.chosen.request(trust=copy.trust)
    server = ArchiveServer(copy.host, request, Job("open", {"seconds": seconds}, copy.folder, password))
    served = server.run(None, say, opened=partial(_opened, copy, server, options))
    code = private_copy.remarks(copy, served)
    say(f"ended; nothing of it is left on {copy.host.name}")
    return code


def _opened(copy: Copy, server: ArchiveServer, options: Open) -> bool:
    """Open a client on the terminal, and return False once it has ended; print how to connect otherwise."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        Console(copy.host, server.client, copy.chosen.archive.name).run()
        return False
    print(f"socket: {server.socket}")
    print(f"connect on {copy.host.name}: {quote(server.client)}")
    print(f"until Ctrl-C, the end of this program, or {options.for_} have passed", flush=True)
    return True
