"""Hosts: where commands run. An SSH target or this machine, behind one interface."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tasks.remote.channel import Channel, LocalChannel
from tasks.remote.facts import FACTS_SCRIPT, TOOLS_SCRIPT, Facts, Tools, apart, parse_facts, parse_tools
from tasks.remote.files import Files, LocalFiles
from tasks.remote.output import Output
from tasks.remote.running import MOST, HostError, OnBytes, OnLine, Running
from tasks.remote.script import BASH, Script, Words, render


class Host(ABC):
    """A place where commands run, for the duration of one run of the tool.

    Setting `cancelled` ends everything that runs there.
    """

    def __init__(self, name: str, cancelled: threading.Event | None = None) -> None:
        self.name = name
        self.cancelled = cancelled or threading.Event()
        self._facts: Facts | None = None
        self._facts_lock = threading.Lock()

    @abstractmethod
    def _open(self, words: Words) -> Channel:
        """Start a program. Raises HostError."""

    @abstractmethod
    def files(self) -> Files:
        """Return the host's files. Raises HostError."""

    @abstractmethod
    def close(self) -> None:
        """Close its connections."""

    def start(
        self,
        script: Script,
        on_stderr: OnLine | None = None,
        most: int = MOST,
        on_stdout: OnBytes | None = None,
    ) -> Running:
        """Start `script` and return at once; `on_stdout` is as for `Running.pass_on`. Raises HostError."""
        rendered = render(script)
        channel = self._open(BASH)
        running = Running(channel, self.name, rendered, on_stderr, most)
        if on_stdout is not None:
            running.pass_on(on_stdout)
        channel.send(rendered.text)
        return running

    def run(
        self,
        script: Script,
        timeout: float | None = None,
        on_stderr: OnLine | None = None,
        most: int = MOST,
        on_stdout: OnBytes | None = None,
    ) -> Output:
        """Run `script` and return its output, whatever its exit code.

        `timeout` is in seconds; `on_stderr` gets each line of standard error as it arrives; `most` is the limit, in
        bytes, of what the script may write to one stream; `on_stdout` is as for `Running.pass_on`.
        Raises HostError, ScriptTimeoutError, InterruptedRunError.
        """
        return self.start(script, on_stderr, most, on_stdout).wait(timeout, script.grace, self.cancelled)

    def command(self, words: Words, data: bytes = b"", timeout: float | None = 60) -> Output:
        """Run one plain command and return its output, for servers whose restricted shell runs no scripts.

        `data` is its standard input; `timeout` is in seconds, None for no limit. Raises HostError, ScriptTimeoutError,
        InterruptedRunError.
        """
        channel = self._open(words)
        running = Running(channel, self.name, None)
        channel.send(data)
        channel.end_input()
        return running.wait(timeout, 0, self.cancelled)

    def channel(self, words: Words) -> Channel:
        """Start one plain command for a caller that feeds it and closes it. Raises HostError."""
        return self._open(words)

    @contextmanager
    def started(self, script: Script, on_stderr: OnLine | None = None) -> Iterator[Running]:
        """Run `script` in parallel with the block, and end it when the block ends."""
        running = self.start(script, on_stderr)
        try:
            yield running
        finally:
            running.abandon()

    def facts(self) -> Facts:
        """Return the host's facts, asked once. Raises HostError."""
        with self._facts_lock:
            if self._facts is None:
                began = time.time()
                facts = parse_facts(self.run(FACTS_SCRIPT, timeout=60).text)
                ahead = None if facts.now is None else apart(facts.now, began, time.time())
                self._facts = replace(facts, ahead=ahead)
            return self._facts

    def tools(self) -> Tools:
        """Return the versions of the host's tools. Raises HostError."""
        return parse_tools(self.run(TOOLS_SCRIPT, timeout=60).text)


class LocalHost(Host):
    """The machine on which this process runs."""

    def __init__(self, cancelled: threading.Event | None = None) -> None:
        super().__init__("local", cancelled)

    def _open(self, words: Words) -> Channel:
        try:
            return LocalChannel(words)
        except OSError as error:
            raise HostError(f"this machine: cannot run {words[0]}: {error.strerror}") from error

    def files(self) -> Files:
        """Return this machine's files."""
        return LocalFiles()

    def close(self) -> None:
        """Nothing to close."""
