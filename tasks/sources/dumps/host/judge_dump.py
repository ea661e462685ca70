"""Runs a command on a restored dump, its standard input. Runs alone on a host, Python 3.8 and later.

    python3 -I -S -c PROGRAM JSON

JSON: `file`, the dump; `words`, the command; `patience`, seconds that it may take. The command passes if it reads
something of the dump and ends with 0.

Standard output is one line of JSON: `fault`, what is wrong, or `said`, a list of remarks, empty here; `walls`, those
behind which the command ran.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading

SAID = 2000  # last bytes of the command's output to keep
SHOWN = 300  # characters of them to show
WALLS = "CLOUDBACKUP_WALLS"  # environment variable with the names of the walls


def main() -> None:
    """Run the command of the plan in the first argument."""
    plan = json.loads(sys.argv[1])
    fault = judge(plan["file"], plan["words"], plan["patience"])
    walls = json.loads(os.environ.get(WALLS) or "[]")
    print(json.dumps({"fault": fault, "walls": walls} if fault else {"said": [], "walls": walls}))


def judge(file: str, words: list[str], patience: float) -> str:
    """Run a command on a dump; return what is wrong, empty if nothing."""
    name = shlex.join(words)
    with open(file, "rb") as dump:
        try:
            process = subprocess.Popen(
                words, stdin=dump, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            return f"`{name}` cannot be run: {error.strerror}"
        late = threading.Event()
        timer = threading.Timer(patience, end, (process.pid, late))
        timer.start()
        said = b""
        assert process.stderr is not None
        while piece := os.read(process.stderr.fileno(), 1 << 16):
            said = (said + piece)[-SAID:]
        code = process.wait()
        timer.cancel()
        read = os.lseek(dump.fileno(), 0, os.SEEK_CUR)
    if late.is_set():
        return f"`{name}` took more than {patience:.0f} s"
    if code:
        lines = [line.strip() for line in said.decode("utf-8", "replace").split("\n") if line.strip()]
        return f"`{name}` ended with {code}{': ' + lines[-1][-SHOWN:] if lines else ''}"
    return "" if read else f"`{name}` read nothing of the dump, so it proves nothing"


def end(group: int, late: threading.Event) -> None:
    """End a command and its children."""
    late.set()
    with contextlib.suppress(OSError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
