"""A running script or command: feeding it, keeping it alive, reading its output, ending it."""

import re
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from tasks.errors import AppError, InterruptedRunError
from tasks.remote.channel import STDERR, STDOUT, Channel
from tasks.remote.output import Output
from tasks.remote.script import HEARTBEAT, Rendered

OnLine = Callable[[str], object]
OnBytes = Callable[[bytes], object]
MOST = 64 << 20  # bytes kept of a program's two streams together
LINES = 2_000_000  # lines of standard error, kept or not: each costs this machine some microseconds
LINGER = 15.0  # seconds beyond a script's own grace within which a host must confirm that it has ended
HELD = 1 << 14  # bytes of standard output kept back from its receiver: the mark of the end may be among them
NOT_FOUND = 127  # exit code of a shell that did not find a program
SHOWN = 200  # characters of a line in a message
LOOK = 0.2  # seconds between two checks of the deadline and for Ctrl-C
RUNS_ANOTHER = (
    "the login must run the command that it is given: look at its shell (`getent passwd`), its start files (`exit`,"
    " `exec`), ForceCommand in sshd_config and command= in authorized_keys"
)


class HostError(AppError):
    """A host could not be reached, or the connection to it was lost."""


class ScriptTimeoutError(AppError):
    """A script exceeded its time limit; it was ended on its host."""


class LeftRunningError(InterruptedRunError):
    """Interrupted, and a program on a host could not be confirmed to have ended."""


class FloodError(HostError):
    """A program wrote more output than is accepted; it was ended on its host."""


class Running:
    """One program on a host, read by its own thread until it ends.

    `rendered` is None for a plain command, whose output has no marks. `on_stderr` gets each non-empty line of standard
    error; a line for which it returns True, such as one of many progress messages, is not kept. A program is ended that
    writes more than `most` bytes to be kept, as it would fill the memory of the operator's machine.
    """

    def __init__(
        self,
        channel: Channel,
        host: str,
        rendered: Rendered | None,
        on_stderr: OnLine | None = None,
        most: int = MOST,
    ) -> None:
        self._most = most
        self._on_stdout: OnBytes | None = None
        self._channel = channel
        self._host = host
        self._rendered = rendered
        self._on_stderr = on_stderr
        self._streams = {STDOUT: bytearray(), STDERR: bytearray()}
        self._starts: dict[int, int] = {}  # offset in a stream at which the script's own output begins
        self._searched = {STDOUT: 0, STDERR: 0}  # bytes in which the script's own output does not begin
        self._told = 0  # bytes of standard error that `on_stderr` has received
        self._lines = 0
        self._began = time.monotonic()
        self._changed = threading.Condition()
        self._fault: Exception | None = None
        self._abandoned = False
        self._ended = threading.Event()  # not Thread.join, which takes a thread for ended after Ctrl-C (Python 3.11)
        threading.Thread(target=self._read, name=f"{host} output", daemon=True).start()

    def pass_on(self, receive: OnBytes) -> None:
        """Give a script's standard output, any amount of it, to `receive` as it arrives; to be called before it runs.

        `receive` must not raise.
        """
        self._on_stdout = receive
        threading.Thread(target=self._beat, name=f"{self._host} heartbeat", daemon=True).start()

    def _beat(self) -> None:
        """Send heartbeats, also while the receiver of the output, such as a pager, takes nothing."""
        while not self._ended.wait(HEARTBEAT):
            self._channel.send(b"\n")

    def _read(self) -> None:
        try:
            beat = time.monotonic()
            while True:
                over = self._over()  # checked before the last read, or output that arrives in between would be lost
                pieces = self._channel.receive(0 if over else 0.01 if self._marked() else LOOK)
                for stream, piece in pieces:
                    self._take(stream, piece)
                if over and not pieces:
                    break
                if self._rendered and time.monotonic() - beat >= HEARTBEAT:
                    beat = time.monotonic()
                    self._channel.send(b"\n")
            self._tell(last=True)
        except Exception as error:  # passed to the caller, which would otherwise wait forever
            self._fault = error
        finally:
            self._ended.set()
            if self._abandoned:
                self._channel.close()
            with self._changed:
                self._changed.notify_all()

    def _marked(self) -> bool:
        end = self._rendered.end if self._rendered else None
        return end is not None and all(end in stream[-200:] for stream in self._streams.values())

    def _over(self) -> bool:
        code = self._channel.exit_code()
        if code is not None and self._marked():
            return True  # a background child may keep the streams open for longer
        return self._channel.ended

    def _take(self, stream: int, piece: bytes) -> None:
        self._streams[stream] += piece
        if stream == STDERR:
            self._lines += piece.count(b"\n")
            if b"\n" in piece and self._lines <= LINES:
                self._tell()
        elif self._on_stdout is not None:
            self._pour(self._on_stdout)
        if self._lines > LINES:
            self._flooded(f"{LINES:,} lines of standard error")
        if sum(map(len, self._streams.values())) > self._most:
            self._flooded(f"{self._most >> 20} MiB")
        with self._changed:
            self._changed.notify_all()

    def _flooded(self, much: str) -> NoReturn:
        """End the program and forget what it wrote. Raises FloodError."""
        self.end()
        self._channel.close()
        self._streams = {STDOUT: bytearray(), STDERR: bytearray()}
        what = f"{self._host}: a command there wrote more than {much}, and was ended"
        raise FloodError(what, "look at that host: what runs there, and who has changed it")

    def _pour(self, receive: OnBytes) -> None:
        """Pass on what has arrived, but for the end, which may be our mark."""
        fresh = self._after_begin(STDOUT)[:-HELD]
        if fresh:
            start = self._starts[STDOUT]
            del self._streams[STDOUT][start : start + len(fresh)]
            receive(fresh)

    def _tell(self, *, last: bool = False) -> None:
        if self._on_stderr is None:
            return
        fresh = self._after_begin(STDERR, self._told)
        if not last:
            fresh = fresh[: fresh.rfind(b"\n") + 1]
        end = self._rendered.end if self._rendered else None
        kept = bytearray()
        for line in fresh.splitlines(keepends=True):
            text = line.rstrip(b"\r\n")
            if not text or text == end or self._on_stderr(text.decode(errors="replace")) is not True:
                kept += line
        start = self._starts.get(STDERR, 0) + self._told
        self._streams[STDERR][start : start + len(fresh)] = kept
        self._told += len(kept)

    def _after_begin(self, stream: int, skipped: int = 0) -> bytes:
        """Return a copy of a script's own output, but for its first `skipped` bytes."""
        start = self._start(stream)
        if start is None:
            return b""
        with memoryview(self._streams[stream]) as text:
            return bytes(text[start + skipped :])

    def _start(self, stream: int) -> int | None:
        """Return where in a stream the script's own output begins; None if it has not begun."""
        if self._rendered is None:
            return 0
        if stream not in self._starts:
            text, mark = self._streams[stream], self._rendered.begin + b"\n"
            at = text.find(mark, self._searched[stream])
            if at < 0:
                self._searched[stream] = max(0, len(text) - len(mark))
                return None
            self._starts[stream] = at + len(mark)
        return self._starts[stream]

    def wait_for(self, line: bytes, timeout: float) -> bool:
        """Wait for `line` in standard output; return False if the program ended first, or after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._has(line):
                if self._ended.is_set() or time.monotonic() > deadline:
                    return self._has(line)
                self._changed.wait(LOOK)
        return True

    def _has(self, line: bytes) -> bool:
        """Return whether it is in standard output, to which another thread must be able to add: so no view is taken."""
        start = self._start(STDOUT)
        return start is not None and self._streams[STDOUT].find(line, start) >= 0

    def end(self) -> None:
        """Close the program's lifeline: a script then cleans up and ends."""
        self._channel.end_input()

    def abandon(self) -> None:
        """End a program for whose outcome nobody waits any more; its channel is closed once it has ended."""
        self.end()
        self._abandoned = True
        if self._ended.is_set():
            self._channel.close()

    def wait(self, timeout: float | None, grace: float, cancelled: threading.Event) -> Output:
        """Wait for the end and return the output.

        After `timeout` seconds, or once `cancelled` is set, the script is ended and gets `grace` seconds to clean up.
        Raises ScriptTimeoutError or InterruptedRunError in these cases, HostError if the connection was lost.
        """
        deadline = None if timeout is None else self._began + timeout
        while not cancelled.is_set() and (deadline is None or time.monotonic() < deadline):
            if self._ended.wait(LOOK):
                break
        if not self._ended.is_set():
            left = self._stop(grace)
            if cancelled.is_set() and left:
                raise LeftRunningError(f"{self._host}: interrupted; {left}")
            if cancelled.is_set():
                raise InterruptedRunError(f"{self._host}: interrupted")
            if self._start(STDOUT) is None:
                what = f"{self._host}: the login did not begin with the script in {timeout:.0f} seconds"
                raise ScriptTimeoutError(what, f"{RUNS_ANOTHER}; or the host is too busy")
            raise ScriptTimeoutError(f"{self._host}: no end after {timeout:.0f} seconds, {left or 'ended there'}")
        try:
            output = self._output()
        finally:
            self._channel.close()  # also after a fault: a host has few, and whoever finds none free waits
        if self._on_stdout is not None:
            self._on_stdout(output.stdout)
        return output

    def _stop(self, grace: float) -> str:
        """End the program; return what could not be confirmed to have ended, empty if everything ended."""
        self.end()
        self._ended.wait(grace + LINGER)
        self._channel.close()
        if self._rendered is None:
            return ""
        _, ended, status = bytes(self._streams[STDOUT]).rpartition(b"\n" + self._rendered.end + b" ")
        _, _, left = status.decode(errors="replace").strip().partition(" ")
        if ended and left.startswith("left "):
            return f"still runs there: {left.removeprefix('left ')}"
        return "" if ended else "it did not say that it ended there"

    def _output(self) -> Output:
        if isinstance(self._fault, FloodError):
            raise self._fault
        if self._fault is not None:
            raise HostError(f"{self._host}: the connection was lost: {self._fault}", transient=True) from self._fault
        seconds = time.monotonic() - self._began
        code = self._exit_code()
        if self._rendered is None:
            return Output(code, bytes(self._streams[STDOUT]), bytes(self._streams[STDERR]), seconds)
        return self._script_output(code, self._rendered, seconds)

    def _exit_code(self) -> int:
        deadline = time.monotonic() + 1
        while (code := self._channel.exit_code()) is None:
            if time.monotonic() > deadline:
                what = f"{self._host}: the connection was lost while a command ran there"
                raise HostError(what, "run it again", transient=True)
            time.sleep(0.01)
        return code

    def _script_output(self, code: int, rendered: Rendered, seconds: float) -> Output:
        start, text, mark = self._start(STDOUT), self._streams[STDOUT], b"\n" + rendered.end + b" "
        at = -1 if start is None else text.rfind(mark, start)
        if at >= 0:
            status = int(bytes(text[at + len(mark) :]).split()[0])
            del text[at:], text[:start]
            stdout, text = bytes(text), self._streams.pop(STDOUT)
            text.clear()
            return Output(status, stdout, self._after_begin(STDERR).removesuffix(mark[:-1] + b"\n"), seconds)
        stdout, stderr = self._after_begin(STDOUT), self._after_begin(STDERR)
        if rendered.begin not in self._streams[STDOUT]:
            raise _not_begun(self._host, bytes(self._streams[STDOUT]), bytes(self._streams[STDERR]), code)
        if code in (0, 2):
            raise HostError(f"{self._host}: the script arrived there in part only and did nothing", transient=True)
        return Output(code if code > 128 else 137, stdout, stderr, seconds)


def _not_begun(host: str, stdout: bytes, stderr: bytes, code: int) -> HostError:
    """Return the error for a script of which not one line ran, by what was said in its place."""
    said = [line for line in map(_printable, (*stdout.splitlines(), *stderr.splitlines())) if line]
    without_bash = [line for line in said if re.search(r"bash\W.*(not found|No such file)|nknown command.*bash", line)]
    what = f"{host}: cannot run a script there: {(without_bash or said or [f'exit code {code}'])[-1][:SHOWN]}"
    if without_bash or code == NOT_FOUND:
        return HostError(what, "bash must be installed on the host")
    return HostError(what, RUNS_ANOTHER)


def _printable(line: bytes) -> str:
    return "".join(sign for sign in line.decode(errors="replace") if sign.isprintable()).strip()
