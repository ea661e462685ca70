"""`storagebox.probe`: does a real box do what is assumed of one? In a scratch folder, which goes again at the end."""

import os
import platform
import posixpath
import secrets
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from tasks.errors import AppError, UsageError
from tasks.json_output import written
from tasks.remote.files import Files, FilesError
from tasks.run.parallel import terminable
from tasks.run.session import Session
from tasks.storage.registry import load
from tasks.storage.ssh import SshServer
from tasks.storagebox.assumptions import NOT_TRIED, Finding, Place, asked
from tasks.storagebox.choose import one
from tasks.terminal import one_line
from tasks.version import VERSION

PREFIX = "cloudbackup-probe-"
DEEPEST = 8  # levels below the scratch folder


def run(folder: str, storage: str, *, as_json: bool = False) -> int:
    """Ask, print a line for each assumption and a text for a report.

    Return 3 if one is different, or if the connection was lost. Raises UsageError, AppError, HostError,
    InterruptedRunError.
    """
    with terminable(), Session(load(Path(folder))) as session:
        name = one(session.inventory, storage)
        server = session.storage(name).account
        assert server is not None
        borg = shutil.which("borg")
        if borg is None:
            raise UsageError(
                "this machine has no borg, which a part of the probe needs", "install it: `apt install borgbackup`"
            )
        key = str(server.config.key) if server.config.key else None
        ssh = server.ssh_words(key, session.operator.facts().ssh)
        login = [*ssh, "-p", str(server.config.port), f"{server.config.user}@{server.config.host}"]
        with scratch(server.server.files) as place:
            found = asked(Place(server, place, login, lambda path: ([borg], _environment(server, ssh, path))))
    states = [each.state for each in found]
    well = "different" not in states and states.count("not tried") == len(NOT_TRIED)
    if as_json:
        print(written({"storage": name, "assumptions": [asdict(each) for each in found]}))
    else:
        for line in lines(found):
            print(line)
    return 0 if well else 3


def lines(found: Sequence[Finding]) -> Iterator[str]:
    """Yield the findings, and what to paste into a report, which names neither account nor host."""
    for each in found:
        yield f"{each.state:9}  {each.what}" + (f": {one_line(each.said)}" if each.said else "")
    states = [each.state for each in found]
    yield f"{states.count('ok')} ok, {states.count('different')} different, {states.count('not tried')} not tried"
    wrong = [each for each in found if each.state == "different"]
    if not wrong:
        return
    yield ""
    yield "To report it, paste this:"
    python = platform.python_version()
    verb = "1 assumption does not hold" if len(wrong) == 1 else f"{len(wrong)} assumptions do not hold"
    yield f"    cloudbackup {VERSION}, Python {python}: {verb} of a Storage Box"
    yield from (f"    - {each.what}: {one_line(each.said)}" for each in wrong)


@contextmanager
def scratch(files: Callable[[], Files]) -> Iterator[str]:
    """Yield a new folder in the account's home; it is removed whatever happens, with all that is in it.

    `files` returns the account's files, over a new session where the last one was lost. Raises AppError if the folder
    cannot be made, and prints its name if it cannot be removed.
    """
    folder = f"{PREFIX}{secrets.token_hex(6)}"
    if files().exists(folder):
        raise AppError(f"{folder} is there already", "run the probe again")
    files().make_directory(folder)
    try:
        yield folder
    finally:
        try:
            _remove(files(), folder, DEEPEST)
        except AppError as error:
            print(f"{folder} is still on the box: {error.what}", file=sys.stderr)


def _remove(files: Files, path: str, levels: int) -> None:
    """Remove a folder of the probe's own making, and what is below it."""
    assert path.startswith(PREFIX), path
    names: list[str] = []
    with suppress(FilesError):  # a file has no names
        names = files.names(path) if levels else []
    for name in names:
        _remove(files, posixpath.join(path, name), levels - 1)
    files.remove(path)


def _environment(server: SshServer, ssh: Sequence[str], path: str) -> dict[str, str]:
    """Return the environment of a borg on this machine, for a repository in the scratch folder."""
    config = server.config
    agent = {name: os.environ[name] for name in ("SSH_AUTH_SOCK",) if name in os.environ}
    return {
        **agent,
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(Path.home()),
        "BORG_RSH": shlex.join(ssh),
        "BORG_REMOTE_PATH": config.borg,
        "BORG_REPO": f"ssh://{config.user}@{config.host}:{config.port}/./{path}",
    }
