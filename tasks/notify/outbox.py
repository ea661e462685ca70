"""Messages on their way: sent beside the work, so that no app waits for a service that hangs.

One after another, in the order in which they were given: a service gets the start before the end. A service that hung
is asked once more when the work has ended, and gets then what it missed: each app's messages would wait for it as long.
"""

import queue
import sys
import threading
from collections.abc import Callable

from tasks.notify.send import HungError, NoticeError

PATIENCE = 120.0  # seconds to wait, when the work has ended, for what is still on its way

Sending = Callable[[], None]


class Outbox:
    """Messages are sent beside the work between `open` and `close`, and at once before and after.

    `put` and `ask` may be called from many threads.
    """

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Sending | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._open = False
        self._hung: set[tuple[str, bool]] = set()
        self._keeps = False  # whether what a service misses is kept for the end
        self._kept: list[Sending] = []

    def open(self) -> None:
        """Begin to send beside the work."""
        self._open = True

    def close(self) -> None:
        """Wait until everything was sent, or say that this took too long."""
        with self._lock:
            self._open, thread, self._thread = False, self._thread, None
        if thread is None:
            return
        self._waiting.put(None)
        thread.join(PATIENCE)
        if thread.is_alive():
            print("cloudbackup: some notifications were not sent: a service hangs", file=sys.stderr, flush=True)

    def put(self, sending: Sending) -> None:
        """Have something sent, by a function that raises nothing."""
        with self._lock:
            if self._open:
                self._waiting.put(sending)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._sent, daemon=True)
                    self._thread.start()
                return
        sending()

    def ask(self, service: str, sending: Sending, *, start: bool, again: Sending) -> None:
        """Call a function that sends to a service, unless that hung before. Raises what it raises, NoticeError.

        What a service that hangs misses is kept, and `again` is called for it when the work has ended. A `start` is
        tried once and briefly: that it hung keeps only other starts from being sent, which are left out without a word.
        """
        if (service, False) in self._hung or (start and (service, True) in self._hung):
            if start or self._later(again):
                return
            raise NoticeError("not sent: the service did not answer before in this run, and was not asked again")
        try:
            sending()
        except HungError:
            self._hung.add((service, start))
            if start or not self._later(again):
                raise

    def _later(self, again: Sending) -> bool:
        if self._keeps:
            self._kept.append(again)
        return self._keeps

    def _sent(self) -> None:
        self._keeps = True
        while (sending := self._waiting.get()) is not None:
            sending()
        self._keeps = False
        self._hung.clear()
        for again in self._kept:
            again()
