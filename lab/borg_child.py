"""Starts borg for a box: as a fork of one that is loaded already (`borg_parent`), where it is a program of Python's."""

import asyncio
import ctypes
import json
import os
import shlex
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PARENT = Path(__file__).with_name("borg_parent.py")
_PADDING = " " * 2000  # room for a child's arguments
_ANSWER = 1000  # the most bytes of one answer of the parent
_SCRIPTS = (b"'borgbackup==", b"from borg.archiver import main")  # Debian's `borg` and pip's
_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None)


def die_with_the_box() -> None:
    """Have the kernel end this process when the one that started it has ended; to be run in a new process."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass(frozen=True)
class BorgChild:
    """A forked borg, with the parts of asyncio's Process that the box uses."""

    pid: int
    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader
    ended: "asyncio.Future[int]"

    def terminate(self) -> None:
        """Ask it to end."""
        os.kill(self.pid, signal.SIGTERM)

    async def wait(self) -> int:
        """Return its exit code; negative: the number of the signal that ended it."""
        return await asyncio.shield(self.ended)


@dataclass(frozen=True)
class _Call:
    """The pid and the exit code of one child, which its parent tells."""

    started: "asyncio.Future[int]"
    ended: "asyncio.Future[int]"


@dataclass
class BorgParents:
    """The loaded borgs of a box, one for each Python program of borg's; they end with the box."""

    environment: Mapping[str, str]
    _channels: dict[str, socket.socket] = field(default_factory=dict)
    _calls: dict[int, _Call] = field(default_factory=dict)
    _count: int = 0

    async def fork(
        self, words: Sequence[str], environment: Mapping[str, str], directory: Path, limit: int
    ) -> BorgChild | None:
        """Return a new borg, or None when the program is not a Python script, which cannot be loaded once for many.

        `words` begin with the program's path; `limit` bytes of output are read ahead.
        """
        interpreter = interpreter_of(Path(words[0]))
        if not interpreter:
            return None
        loop = asyncio.get_running_loop()
        self._count += 1
        call = self._calls[self._count] = _Call(loop.create_future(), loop.create_future())
        request = {"id": self._count, "words": words, "environment": dict(environment), "directory": str(directory)}
        (own, theirs), (out, out_end), (err, err_end) = socket.socketpair(), os.pipe(), os.pipe()
        channel = self._channels.get(words[0]) or self._start(words[0], interpreter)
        socket.send_fds(channel, [json.dumps(request).encode()], [theirs.fileno(), out_end, err_end])
        theirs.close()
        os.close(out_end)
        os.close(err_end)
        _, stdin = await asyncio.open_unix_connection(sock=own)
        stdout, stderr = await _reader(out, limit), await _reader(err, limit)
        return BorgChild(await call.started, stdin, stdout, stderr, call.ended)

    def _start(self, program: str, interpreter: Sequence[str]) -> socket.socket:
        own, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            parent = subprocess.Popen(
                (*interpreter, "-I", "-B", str(_PARENT), str(theirs.fileno()), _PADDING),
                stdin=subprocess.DEVNULL,
                env=dict(self.environment),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                preexec_fn=die_with_the_box,  # noqa: PLW1509 (one system call, which needs no lock)
            )
        parent.returncode = 0  # it ends with the box: Popen shall not warn that it still runs
        self._channels[program] = own
        asyncio.get_running_loop().add_reader(own, self._answered, own)
        return own

    def _answered(self, channel: socket.socket) -> None:
        answer = channel.recv(_ANSWER)
        if not answer:
            asyncio.get_running_loop().remove_reader(channel)
            self._lost()
            return
        values = json.loads(answer)
        call = self._calls[values["id"]]
        if "pid" in values:
            call.started.set_result(values["pid"])
        else:
            call.ended.set_result(values["status"])
            del self._calls[values["id"]]

    def _lost(self) -> None:
        """End all waiting: a parent has ended, and its children with it. New ones are started for what comes."""
        self._channels.clear()
        for call in self._calls.values():
            for future in (call.started, call.ended):
                if not future.done():
                    future.set_exception(ChildProcessError("the loaded borg has ended"))
        self._calls.clear()


def interpreter_of(program: Path) -> list[str]:
    """Return the words of the interpreter of borg's own script; none if the program is anything else."""
    with program.open("rb") as file:
        text = file.read(4096)
    if not text.startswith(b"#!") or not any(script in text for script in _SCRIPTS):
        return []
    words = shlex.split(os.fsdecode(text[2:].splitlines()[0]))
    return words if Path(words[0]).name.startswith("python") else []


async def _reader(descriptor: int, limit: int) -> asyncio.StreamReader:
    """Return a reader of a pipe's end, which it closes at the end of what comes."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=limit)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0))
    return reader
