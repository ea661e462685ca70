"""A gate in the dump of a host: it holds the stream back at a given byte, so that a fault strikes just there.

A program of its own stands before mariadb-backup on the host's PATH. It tells the dump's process, and lets what that
writes through a pacer, which stops where the gate is closed and goes on once it is opened.
"""

import os
import sys

from lab import process, programs
from lab.lab import LabApp
from tests.integration.fleet.support import eventually

# The process becomes mariadb-backup itself, which ends as it always does.
_DUMP = """#!/bin/bash
case " $* " in *" --backup "*)
    echo $$ >{home}/dump.new && mv {home}/dump.new {home}/dump
    exec {program} "$@" > >({python} -I -S -c "$(cat {home}/pacer.py)" {home}) ;;
esac
exec {program} "$@"
"""
_PACER = """
import os, sys
home = sys.argv[1]
try:
    gate = int(open(f"{home}/gate").read())
except FileNotFoundError:
    gate = None
passed = 0
while True:
    if passed == gate:
        open(f"{home}/reached", "w").close()
        open(f"{home}/opened").close()  # a pipe: waits until somebody opens its other end
        gate = -1
    data = os.read(0, 1 << 20 if gate in (None, -1) else min(gate - passed, 1 << 20))
    if not data:
        break
    passed += len(data)
    while data:
        data = data[os.write(1, data):]
if gate is None:
    open(f"{home}/total", "w").write(str(passed))
"""


class Gate:
    """The gate of one host."""

    def __init__(self, app: LabApp) -> None:
        self.home = app.home
        place = app.paths.programs / "mariadb-backup"
        (self.home / "pacer.py").write_text(_PACER)
        words = {
            "home": self.home,
            "program": programs.find("mariadb-backup"),
            "python": os.path.realpath(sys.executable),
        }
        place.write_text(_DUMP.format(**words))
        place.chmod(0o755)

    def close(self, part: float) -> None:
        """Hold the next dump back when `part` of what the last whole one wrote has passed."""
        for name in ("reached", "opened"):
            (self.home / name).unlink(missing_ok=True)
        os.mkfifo(self.home / "opened")
        (self.home / "gate").write_text(str(int(part * int((self.home / "total").read_text()))))

    def reached(self) -> bool:
        """Tell whether a dump stands before the gate."""
        return (self.home / "reached").exists()

    def open(self) -> None:
        """Let the dump go on, if it still can; later ones are not held back."""
        (self.home / "gate").unlink()
        pipe = self.home / "opened"

        def opened() -> bool:
            try:
                os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
            except OSError:  # nobody reads yet, or any more
                return False
            return True

        eventually(opened, 1)

    def forget(self) -> None:
        """Forget the dump before."""
        (self.home / "dump").unlink(missing_ok=True)

    def dump(self) -> int:
        """Return the number of the process of mariadb-backup, 0 when none runs."""
        told = self.home / "dump"
        found = process.identify(int(told.read_text())) if told.exists() else None
        return found.pid if found and found.alive else 0
