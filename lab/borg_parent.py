"""A borg that is loaded once and forks for each call: `python borg_parent.py DESCRIPTOR PADDING`.

It is run by borg's own Python. Loading borg takes 0.15 s of CPU, nine tenths of what a short `borg serve` takes; a fork
has it loaded already. The child is borg itself: its own session, environment, working directory, input and output, name
and arguments.

DESCRIPTOR is the inherited end of a SOCK_SEQPACKET pair; the box has the other (`borg_child`), and its end ends this
process. A message is JSON: `id`, `words` (borg's path first), `environment`, `directory`, with three descriptors for
the child's input, output and error. The answers are `id` and `pid`, later `id` and `status`, negative for a signal.
PADDING is room for the child's arguments, which are written over it: tests find a `borg serve` by its command line.
"""

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

MESSAGE = 1 << 16  # the most bytes of a message
_PR_SET_PDEATHSIG = 1  # prctl(2)
_ARGUMENTS = 47  # from here on /proc/PID/stat (proc(5)) has the start and end of the arguments in memory

Request = tuple[dict[str, Any], list[int]]


class Forks:
    """The children that run, and who hears that they have ended."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._running: dict[int, int] = {}  # the request's `id` of each pid
        self._woken, self._wake = os.pipe()
        for end in (self._woken, self._wake):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake)

    def serve(self) -> Request:
        """Fork for each message until the box is gone. Returns in the children only, each with its own request."""
        while True:
            ready, _, _ = select.select([self._channel.fileno(), self._woken], [], [])
            if self._woken in ready:
                os.read(self._woken, MESSAGE)
                self._collect()
            if self._channel.fileno() in ready and (request := self._fork()):
                return request

    def _fork(self) -> "Request | None":
        """Return None in the parent."""
        data, descriptors, _, _ = socket.recv_fds(self._channel, MESSAGE, 3)
        if not data:
            sys.exit()
        request = json.loads(data)
        number = request.pop("id")
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for end in (self._woken, self._wake, self._channel.detach()):
                os.close(end)
            return request, descriptors
        self._running[pid] = number
        for descriptor in descriptors:
            os.close(descriptor)
        self._answer(id=number, pid=pid)
        return None

    def _collect(self) -> None:
        """Tell the box of each child that has ended."""
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._answer(id=self._running.pop(pid), status=os.waitstatus_to_exitcode(status))

    def _answer(self, **values: int) -> None:
        self._channel.send(json.dumps(values).encode())


def become(words: list[str], environment: dict[str, str], directory: str, descriptors: list[int]) -> None:
    """Turn this fork into the process that borg's start would have made."""
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        file = open(number, mode, closefd=False)  # noqa: SIM115 (as Python does at its start, for as long as it runs)
        setattr(sys, name, file)
        setattr(sys, f"__{name}__", file)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # the parent's, if it has asked
    os.chdir(directory)
    _name([sys.executable, *words])
    sys.argv = list(words)
    sys.path[:0] = environment["PYTHONPATH"].split(os.pathsep)
    sys.modules.pop("sitecustomize", None)
    importlib.import_module("sitecustomize")  # as Python does at its start: with the environment's limits


def _name(words: list[str]) -> None:
    """Write a command line over this process's own, as far as there is room, and its name."""
    fields = Path("/proc/self/stat").read_text().split()
    start, end = int(fields[_ARGUMENTS]), int(fields[_ARGUMENTS + 1])
    text = b"".join(os.fsencode(word) + b"\0" for word in words)[: end - start - 1]
    memory = os.open("/proc/self/mem", os.O_WRONLY)
    os.pwrite(memory, text.ljust(end - start, b"\0"), start)
    os.close(memory)
    Path("/proc/self/comm").write_text(Path(words[1]).name)


def main() -> None:
    """Load borg, and run it in each child."""
    borg = importlib.import_module("borg.archiver")
    gc.freeze()  # the children need not copy what they never change
    request, descriptors = Forks(socket.socket(fileno=int(sys.argv[1]))).serve()
    become(descriptors=descriptors, **request)
    sys.exit(borg.main())


if __name__ == "__main__":
    main()
