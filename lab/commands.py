"""What a box does for one command of its restricted shell: answer by itself, or run a real program in the home."""

import asyncio
import os
import shutil
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh

from lab import accounts, dd, deviations, disk, rsync, shell
from lab.accounts import Account
from lab.borg_child import BorgChild, BorgParents, die_with_the_box
from lab.jail import SNAPSHOTS, VISIBLE_HOME, Jail
from lab.quota.storage_pool import DiscQuotaExceededError, Pool
from lab.settings import BoxPaths

if TYPE_CHECKING:
    from asyncssh import SSHServerProcess

QUOTA_HOOK = Path(__file__).parent / "quota"
NEW_NAMES = {"mkdir", "touch", "cp", "mv"}  # these make names, which takes room in the pool
CHANGES = NEW_NAMES | {"rmdir", "rm", "chmod"}
PROGRAMS = {
    "ll": ("ls", "-l"),
    "md5": ("md5sum", "--tag"),
    "sha1": ("sha1sum", "--tag"),
    "sha256": ("sha256sum", "--tag"),
    "sha512": ("sha512sum", "--tag"),
}
_PIECE = 1 << 18
_Child = asyncio.subprocess.Process | BorgChild


@dataclass(frozen=True)
class Seat:
    """One logged-in account and all that its commands need to know."""

    account: Account
    jail: Jail
    pool: Pool
    paths: BoxPaths
    borg: Mapping[str, str]
    quota: Callable[[], int]
    children: set[int]
    borgs: BorgParents
    deviations: Collection[str] = ()


class Complaint(Exception):  # noqa: N818 (it is what the person reads, with an exit status)
    """Ends a command with a text on standard error and status 1."""


async def run_line(line: str, original: str, seat: Seat, client: "SSHServerProcess[bytes]") -> int:
    """Run one command line for a client and return its exit status.

    `original` is what the client asked for, which differs from `line` when its key is forced to a command.
    """
    call = shell.parse(deviations.taken(line, seat.deviations))
    other = deviations.answer(call, seat.deviations) if seat.deviations else None
    if other is not None:
        client.stdout.write(other[0].encode())
        client.stderr.write(other[1].encode())
        return other[2]
    if call is None:
        client.stdout.write(shell.refusal(line).encode())
        return shell.REFUSED_STATUS
    try:
        return await _run(call, original, seat, client)
    except (Complaint, OSError) as error:
        text = str(error) if isinstance(error, Complaint) else f"{call.name}: {_reason(error)}\n"
        client.stderr.write(text.encode())
        return 1


def _reason(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)


async def _run(call: shell.Call, original: str, seat: Seat, client: "SSHServerProcess[bytes]") -> int:
    if call.name in shell.BORG_NAMES:
        return await _run_borg(call, original, seat, client)
    if call.name == "rsync":
        return await _run_rsync(call, seat, client)
    special = _SPECIAL.get(call.name)
    if special is not None:
        await special(call, seat, client)
        return 0
    return await _run_program(_file_words(call, seat), plain_environment(), seat, client)


async def _run_borg(call: shell.Call, original: str, seat: Seat, client: "SSHServerProcess[bytes]") -> int:
    program = seat.borg.get(call.name)
    if program is None:
        client.stdout.write(shell.REFUSAL.encode())
        return shell.REFUSED_STATUS
    home = str(seat.jail.home)
    environment = {
        **plain_environment(),
        "HOME": home,
        "TMPDIR": str(seat.paths.temporary),
        "SSH_ORIGINAL_COMMAND": original,
        "PYTHONPATH": str(QUOTA_HOOK),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CLOUDBACKUP_BOX_HOME": os.path.realpath(home),
        "CLOUDBACKUP_BOX_SNAPSHOTS": os.path.realpath(seat.jail.snapshots) if seat.jail.snapshots else "",
        "CLOUDBACKUP_BOX_POOL": str(seat.paths.pool),
        "CLOUDBACKUP_BOX_LIMITS": str(seat.paths.limits),
        "CLOUDBACKUP_BOX_READONLY": "1" if seat.account.readonly else "0",
    }
    words = (program, *_inside_jail(call.arguments, seat.jail))
    child = await seat.borgs.fork(words, environment, seat.jail.home, _PIECE)
    if child is None:
        return await _run_program(words, environment, seat, client)
    return await _attend(child, seat, client)


async def _run_rsync(call: shell.Call, seat: Seat, client: "SSHServerProcess[bytes]") -> int:
    """Serve the client's rsync. What a client sends is taken for what is written: it is never less by much."""
    job = rsync.job(call.arguments, seat.jail)
    if isinstance(job, str):
        raise Complaint(job)
    if job.sends:
        return await _run_program(job.words, plain_environment(), seat, client)
    if seat.account.readonly:
        raise Complaint("rsync: [Receiver] Read-only file system (30)\n")
    seat.pool.claim(0)
    return await _run_program(job.words, plain_environment(), seat, client, claiming=True)


def _inside_jail(arguments: Sequence[str], jail: Jail) -> list[str]:
    """Return borg's arguments with `/home/...` replaced by where it lies."""
    mapped = []
    for word in arguments:
        option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if value == VISIBLE_HOME or value.startswith(VISIBLE_HOME + "/"):
            value = str(jail.home) + value[len(VISIBLE_HOME) :]
        mapped.append(option + equals + value)
    return mapped


def plain_environment() -> dict[str, str]:
    """Return the environment that every program of a box gets."""
    names = ("PATH", "CLOUDBACKUP_LAB", "BORG_SELFTEST", "BORG_FUSE_IMPL")
    return {name: os.environ[name] for name in names if name in os.environ} | {"LC_ALL": "C.UTF-8"}


def _file_words(call: shell.Call, seat: Seat) -> list[str]:
    """Return the words of a file command with its paths placed in the jail, relative to the home."""
    parted = shell.split_options(call.name, call.arguments)
    if isinstance(parted, str):
        raise Complaint(parted)
    options, operands = parted
    if call.name in CHANGES and seat.account.readonly:
        raise Complaint(f"{call.name}: Read-only file system\n")
    if call.name in NEW_NAMES:
        seat.pool.claim(0)
    program = PROGRAMS.get(call.name, (call.name,))
    if shutil.which(program[0]) is None:
        raise Complaint(f"{call.name}: this machine has no {program[0]}\n")
    kept = [operands.pop(0)] if call.name == "chmod" and operands else []
    unchanged = operands[:-1] if call.name == "cp" else [] if call.name in CHANGES else operands
    changed = operands[len(unchanged) :]
    places = [_place(call.name, word, seat, changed=False) for word in unchanged]
    places += [_place(call.name, word, seat, changed=True) for word in changed]
    return [*program, *options, "--", *kept, *places]


def _place(name: str, visible: str, seat: Seat, *, changed: bool) -> str:
    """Return where an operand lies, from the home on; `changed` tells whether the command makes or changes it."""
    jail = seat.jail
    if changed and name in NEW_NAMES:
        jail.locate_new(visible)
    elif changed:
        jail.locate_changed(visible, follow=name == "chmod")
    else:
        source = jail.locate(visible)
        if name == "cp" and source.exists():
            seat.pool.claim(source.stat().st_size if source.is_file() else disk.used_by(source))
    relative = jail.relative(visible)
    if relative == SNAPSHOTS:
        relative += "/"  # for `ls -l`: what it leads to is a folder for the account
    return relative if relative == "." else f"./{relative}"


async def _run_program(
    words: Sequence[str],
    environment: Mapping[str, str],
    seat: Seat,
    client: "SSHServerProcess[bytes]",
    *,
    claiming: bool = False,
) -> int:
    """Run a program with the client's input and output.

    `claiming` ends it when what the client sends does not fit into the pool.
    """
    child = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=seat.jail.home,
        env=dict(environment),
        limit=_PIECE,
        start_new_session=True,
        preexec_fn=die_with_the_box,
    )
    return await _attend(child, seat, client, claiming=claiming)


async def _attend(child: _Child, seat: Seat, client: "SSHServerProcess[bytes]", *, claiming: bool = False) -> int:
    """Carry what a child reads and writes from and to the client; return its exit status."""
    seat.children.add(child.pid)
    feeding = asyncio.create_task(_feed(client, child, seat.pool if claiming else None))
    try:
        await asyncio.gather(_carry(child.stdout, client.stdout), _carry(child.stderr, client.stderr))
        return await child.wait()
    finally:
        feeding.cancel()
        seat.children.discard(child.pid)


async def _feed(client: "SSHServerProcess[bytes]", child: _Child, pool: Pool | None) -> None:
    """Carry the client's input to the child; end it when the client ends or is lost, as sshd does.

    What does not fit into `pool` is reported, and the child ended.
    """
    assert child.stdin is not None
    try:
        while piece := await client.stdin.read(_PIECE):
            if pool is not None:
                pool.claim(len(piece))
            child.stdin.write(piece)
            await child.stdin.drain()
    except DiscQuotaExceededError as full:
        client.stderr.write(f"write failed: {full.strerror}\n".encode())  # first: the client goes when the child does
        child.terminate()  # rsync removes the file that it was writing
    except (OSError, asyncssh.Error):
        pass
    finally:
        child.stdin.close()


async def _carry(source: asyncio.StreamReader | None, sink: Any) -> None:
    """Carry the child's output to the client; once that is lost, read on so that the child can end."""
    assert source is not None
    lost = False
    while piece := await source.read(_PIECE):
        if lost:
            continue
        try:
            sink.write(piece)
            await sink.drain()
        except (OSError, asyncssh.Error):
            lost = True


async def _print_help(_: shell.Call, __: Seat, client: "SSHServerProcess[bytes]") -> None:
    client.stdout.write(shell.help_text().encode())


async def _pwd(_: shell.Call, __: Seat, client: "SSHServerProcess[bytes]") -> None:
    client.stdout.write(f"{VISIBLE_HOME}\n".encode())


async def _cd(call: shell.Call, seat: Seat, _: "SSHServerProcess[bytes]") -> None:
    """Do nothing that lasts: each connection runs one command."""
    if not seat.jail.locate(call.arguments[0] if call.arguments else ".").is_dir():
        raise Complaint(f"cd: {call.arguments[0]}: No such file or directory\n")


async def _df(call: shell.Call, seat: Seat, client: "SSHServerProcess[bytes]") -> None:
    text = disk.report(seat.account.name, seat.quota(), disk.used_by(seat.paths.pool), human="-h" in call.arguments)
    client.stdout.write(text.encode())


async def _dd(call: shell.Call, seat: Seat, client: "SSHServerProcess[bytes]") -> None:
    if seat.account.readonly and any(word.startswith("of=") for word in call.arguments):
        raise Complaint("dd: Read-only file system\n")
    size = await dd.copy(call.arguments, seat.jail, seat.pool, client)
    client.stderr.write(f"{size} bytes transferred\n".encode())


async def _install_key(_: shell.Call, seat: Seat, client: "SSHServerProcess[bytes]") -> None:
    if seat.account.readonly:
        raise Complaint("install-ssh-key: Read-only file system\n")
    text = (await client.stdin.read()).decode(errors="replace")
    seat.pool.claim(len(text))
    client.stdout.write(accounts.install_keys(seat.jail.home, text).encode())


_Special = Callable[[shell.Call, Seat, "SSHServerProcess[bytes]"], Coroutine[Any, Any, None]]
_SPECIAL: dict[str, _Special] = {
    "help": _print_help,
    "pwd": _pwd,
    "cd": _cd,
    "df": _df,
    "dd": _dd,
    "install-ssh-key": _install_key,
}
