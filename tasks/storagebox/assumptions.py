"""What backups to a Storage Box rely on, each tried by a question of its own, in a scratch folder alone.

Sources: Hetzner's documentation (https://docs.hetzner.com/storage/storage-box/) and reports of users, as the emulator
in `lab/` has them. What would change anything outside of the folder, or use up a limit of the box, is not tried.
"""

import hashlib
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tasks.errors import AppError
from tasks.remote.output import Output
from tasks.storage.space import parse_df
from tasks.storage.ssh import SshServer

State = Literal["ok", "different", "not tried"]
REFUSAL = "Command not found. Use 'help' to get a list of available commands."
REFUSED = 8
CONTENT = b"cloudbackup probes this box\n" * 100
PATIENCE = 120  # seconds for a borg


@dataclass(frozen=True)
class Finding:
    """An assumption, whether it holds, and what was seen or why it was not tried."""

    what: str
    state: State
    said: str = ""


@dataclass(frozen=True)
class Place:
    """The box, its scratch folder relative to the account's home, this machine's ssh to it, and its borg.

    `borg` returns the words and the environment of a borg for a repository at a path.
    """

    server: SshServer
    folder: str
    ssh: Sequence[str]
    borg: Callable[[str], tuple[Sequence[str], dict[str, str]]]

    def say(self, *words: str, data: bytes = b"") -> Output:
        """Run one command of the box's shell."""
        return self.server.server.command(words, data)

    def line(self, text: str) -> Output:
        """Run a line of the box's shell, which nothing here quotes."""
        words = [*self.ssh, text]
        done = subprocess.run(words, capture_output=True, check=False, timeout=PATIENCE, stdin=subprocess.DEVNULL)
        return Output(done.returncode, done.stdout, done.stderr, 0)

    def lost(self) -> str:
        """Return why the box cannot be reached any more; empty while it can."""
        try:
            self.server.server.files().names(self.folder)
        except AppError as error:
            return error.what
        return ""

    def path(self, name: str) -> str:
        """Return the path of something in the scratch folder."""
        return f"{self.folder}/{name}"


class DifferentError(Exception):
    """The box does something else than is assumed; the text says what."""


Question = Callable[[Place], str]


def _home(place: Place) -> str:
    return _same(place.say("pwd").text.strip(), "/home")


def _refusal(place: Place) -> str:
    output = place.say("cloudbackup-no-such-command")
    if output.code != REFUSED or output.text.strip() != REFUSAL or output.stderr:
        raise DifferentError(_told(output))
    return f"status {REFUSED}, on standard output"


def _refused(line: str) -> Question:
    """Return the question whether a line is refused; `{}` in it is the scratch folder."""

    def ask(place: Place) -> str:
        output = place.line(line.format(place.folder))
        if output.code != REFUSED:
            raise DifferentError(_told(output))
        return "refused"

    return ask


def _listing(place: Place) -> str:
    return _same(place.say("ls", place.folder).text.strip(), "file")


def _space(place: Place) -> str:
    output = place.say("df", "-k")
    rows = output.text.strip().splitlines()
    try:
        usage = parse_df(output, "df")
    except AppError as error:
        raise DifferentError(error.what) from error
    if len(rows) != 2 or "Capacity" not in rows[0]:
        raise DifferentError(_told(output))
    return f"{usage.size} bytes in one row, with a column Capacity"


def _usage(place: Place) -> str:
    output = place.say("du", "-sk", place.folder)
    if not output.ok or not re.fullmatch(rf"\d+\t\S*{re.escape(place.folder)}/?", output.text.strip()):
        raise DifferentError(_told(output))
    return "KiB, a tab, the path"


def _digest(place: Place) -> str:
    output = place.say("sha256sum", place.path("file"))
    if hashlib.sha256(CONTENT).hexdigest() not in output.text:
        raise DifferentError(_told(output))
    return "the digest of the file"


def _copied(place: Place) -> str:
    output = place.say("dd", f"of={place.path('dd')}", data=CONTENT)
    if not output.ok or place.server.server.files().read(place.path("dd")) != CONTENT:
        raise DifferentError(_told(output))
    return f"{len(CONTENT)} bytes came whole"


def _written(place: Place) -> str:
    files = place.server.server.files()
    files.write_new(place.path("file"), CONTENT)
    if files.read(place.path("file")) != CONTENT:
        raise DifferentError("another content was read than was written")
    return "relative paths, below the account's home"


def _replaced(place: Place) -> str:
    files = place.server.server.files()
    files.write_new(place.path("old"), b"old")
    files.replace(place.path("old"), b"new")
    if files.read(place.path("old")) != b"new":
        raise DifferentError("the old content was read")
    return "at once, by posix-rename"


def _exclusive(place: Place) -> str:
    files = place.server.server.files()
    for name in ("lock", "other"):
        files.make_directory(place.path(name))
        files.write_new(place.path(f"{name}/mine"), b"")
    try:
        files.rename(place.path("other"), place.path("lock"))
    except AppError:
        return "refused"
    raise DifferentError("a folder was put in the place of one that is not empty")


def _version(name: str, expected: str) -> Question:
    def ask(place: Place) -> str:
        output = place.say(name, "--version")
        if not output.ok or not re.fullmatch(rf"borg(\.exe)? {re.escape(expected)}\S*", output.text.strip()):
            raise DifferentError(_told(output))
        return output.text.strip()

    return ask


def _archive(place: Place) -> str:
    """Make a repository and an archive, list it, read it back, and check it, with this machine's borg."""
    with tempfile.TemporaryDirectory(prefix="cloudbackup-probe-") as folder:
        content = Path(folder) / "content"
        content.write_bytes(CONTENT)
        words, environment = place.borg(place.path("repository"))
        environment = {**environment, "BORG_BASE_DIR": folder, "BORG_PASSPHRASE": "a passphrase for a probe"}
        for more in (
            ("init", "--encryption", "repokey"),
            ("create", "::probe", str(content)),
            ("check",),
        ):
            _borg(words, more, environment)
        if _borg(words, ("extract", "--stdout", "::probe"), environment) != CONTENT:
            raise DifferentError("another content came back than was saved")
    return "made, read back and checked"


def _borg(words: Sequence[str], more: Sequence[str], environment: dict[str, str]) -> bytes:
    done = subprocess.run(
        [*words, *more], env=environment, capture_output=True, check=False, timeout=PATIENCE, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise DifferentError(f"borg {more[0]}: {said[-1]}")
    return done.stdout


def _same(got: str, expected: str) -> str:
    if got != expected:
        raise DifferentError(f"`{got}`, not `{expected}`")
    return got


def _told(output: Output) -> str:
    said = (output.text.strip() or output.error_text.strip() or "nothing").splitlines()
    where = "standard output" if output.stdout.strip() else "standard error"
    return f"status {output.code}, on {where}: {said[0]}"


def _nameless(text: str, place: Place) -> str:
    """Return a text without the account and the host, since it is to be pasted into a report."""
    config = place.server.config
    text = text.replace(config.host, "HOST").replace(f"{config.user}@", "ACCOUNT@")
    # `borg` and `backup` are names of accounts too, and name nobody
    return re.sub(rf"\b{re.escape(config.user)}\b", "ACCOUNT", text) if re.search("[0-9]", config.user) else text


TRIED: tuple[tuple[str, Question], ...] = (
    ("SFTP writes and reads a file below the home", _written),
    ("`pwd` answers /home", _home),
    ("an unknown command is refused with a known text", _refusal),
    ("two commands in one line are refused", _refused("pwd; pwd")),
    ("a variable before a command is refused", _refused("LC_ALL=C pwd")),
    ("a redirection is refused", _refused("pwd >{}/redirected")),
    ("a program by its path is refused", _refused("/bin/ls")),
    ("`ls` lists a folder", _listing),
    ("`df -k` has one row, BSD's columns", _space),
    ("`du -sk` counts a folder", _usage),
    ("`sha256sum` gives a file's digest", _digest),
    ("`dd of=` takes standard input", _copied),
    ("SFTP replaces a file at once", _replaced),
    ("SFTP renames no folder over one that is not empty", _exclusive),
    ("`borg-1.2` is borg 1.2", _version("borg-1.2", "1.2.")),
    ("`borg-1.4` is borg 1.4", _version("borg-1.4", "1.4.")),
    ("`borg` alone is borg 1.2", _version("borg", "1.2.")),
    ("a repository is made, read and checked", _archive),
)
NOT_TRIED: tuple[tuple[str, str], ...] = (
    ("a key forced to a command runs that alone", "would change authorized_keys"),
    ("port 22 takes SFTP alone", "would need the key in its second form"),
    ("ten connections at a time, the eleventh is refused", "would disturb backups that run"),
    ("a full box fails with `Disc quota exceeded`", "would fill it"),
    ("sub-accounts see their own folder alone", "would make one"),
    ("snapshots, and going back to one", "would change the whole box"),
)


def asked(place: Place) -> list[Finding]:
    """Ask all questions; a fault of one is its finding. Once the box cannot be reached, the rest is not tried.

    Raises what an interruption raises.
    """
    found: list[Finding] = []
    lost = ""
    for what, question in TRIED:
        seen = Finding(what, "not tried", lost) if lost else _asked(place, what, question)
        if seen.state == "different" and (why := place.lost()):
            lost = f"the connection was lost: {_nameless(why, place)}"
            seen = Finding(what, "not tried", lost)
        found.append(seen)
    return [*found, *(Finding(what, "not tried", why) for what, why in NOT_TRIED)]


def _asked(place: Place, what: str, question: Question) -> Finding:
    try:
        return Finding(what, "ok", question(place))
    except DifferentError as error:
        said = str(error)
    except subprocess.TimeoutExpired:
        said = f"no end after {PATIENCE} seconds"
    except (AppError, OSError) as error:
        said = error.what if isinstance(error, AppError) else str(error)
    return Finding(what, "different", _nameless(said, place))
