"""An ssh for borg (BORG_RSH) that never waits for it: what ssh says on standard error is read ahead.

At its end borg waits for ssh and reads no more; an ssh that has more than a pipe holds (64 KiB) still to hand on waits
for borg, and both wait for ever (tried, borg 1.2.4 and 1.4.5: a check of a damaged repository says 200 bytes for each
object that is lost). What borg does not read then is dropped, and so is what goes beyond MOST.
"""

import contextlib
import os
import queue
import subprocess
import sys
import threading

MOST = 16 << 20  # bytes held
IDLE = 1.0  # seconds after which borg, which has read nothing more of an ended ssh, is taken to wait for its end


class Ahead:
    """The lines read, and a thread that hands them on."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._read = 0  # bytes; of the reader alone, as `handed` is of the thread
        self.handed = 0
        self.thread = threading.Thread(target=self._hand_on, daemon=True)
        self.thread.start()

    def add(self, line: bytes) -> None:
        """Hand a line on as soon as borg reads; an empty one ends the thread."""
        if line and self._read - self.handed + len(line) > MOST:
            return
        self._read += len(line)
        self._lines.put(line)

    def _hand_on(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            for line in iter(self._lines.get, b""):
                left = line
                while left:
                    left = left[os.write(2, left) :]
                self.handed += len(line)


def main() -> None:
    """Run ssh, and end as it does."""
    ssh = subprocess.Popen(sys.argv[1:], stderr=subprocess.PIPE)
    assert ssh.stderr is not None
    ahead = Ahead()
    for line in ssh.stderr:
        ahead.add(line)
    code = ssh.wait()
    ahead.add(b"")
    handed = -1
    while ahead.thread.is_alive() and ahead.handed != handed:
        handed = ahead.handed
        ahead.thread.join(IDLE)
    os._exit(code if code >= 0 else 255)


if __name__ == "__main__":
    main()
