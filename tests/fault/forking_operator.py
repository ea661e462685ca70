"""Runs tasks, each in a process of its own that is killed before any step one names; JSON lines in and out.

A step is whatever the process changes outside of itself: a file of this machine or of a server that gets a name, loses it
or is written in its place, a folder that is made or removed, a program that is started, here or on a host, to do more
than to read. Steps are found as they happen, so a step that a task gains is one more.

Input: `{"words": [...], "environment": {...}, "stop": 3, "amid": false, "out": "file"}`; 0 stops nowhere, `amid` sends off a
program before the end comes. Output: `{"code": ..., "steps": [...]}`, with the steps that were begun.
"""

import json
import os
import re
import signal
import sys
import traceback
from typing import Any, NoReturn

import paramiko
from paramiko import sftp

import tasks
from tasks.program import Inv
from tasks.remote.facts import FACTS_SCRIPT, TOOLS_SCRIPT
from tasks.remote.host import Host
from tasks.storagebox import keys_file

READING = re.compile(
    r"\bborg\b[^\n]* (?:list|info|key export)\b|\brclone\b[^\n]* (?:lsjson|lsf|cat|about|size|copy [^\n]*\$into)\b|"
    r"ssh-keygen -y|^test -f [^\n]*$"
)
ASKING = {FACTS_SCRIPT.body, TOOLS_SCRIPT.body}
UNDONE = (".part", ".new", "/dev/", "/proc/", ".cloudbackup-lock")  # what only helps to write another file
LOCAL = {"os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0, "os.link": 1, "os.symlink": 1}
REMOTE = {sftp.CMD_RENAME: 1, sftp.CMD_EXTENDED: 2, sftp.CMD_REMOVE: 0, sftp.CMD_MKDIR: 0, sftp.CMD_RMDIR: 0}


class Steps:
    """Counts the steps of this process, writes them down, and ends it before the one that was named."""

    def __init__(self, stop: int, amid: bool, trace: int) -> None:
        self.stop, self.amid, self.trace = stop, amid, trace
        self.begun = 0
        self.pending = False

    def begin(self, what: str) -> None:
        self.begun += 1
        if self.begun == self.stop and not self.amid:
            self.die()
        os.write(self.trace, f"{what}\n".encode())

    def sent(self) -> None:
        if self.amid and self.begun >= self.stop > 0:
            self.die()

    def die(self) -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    def watch(self) -> None:
        sys.addaudithook(self.local)
        client_of: Any = paramiko.SFTPClient
        request, start = client_of._async_request, Host.start

        def on_server(client: Any, file: Any, kind: int, *args: Any) -> Any:
            if kind in REMOTE:
                name = os.fsdecode(args[REMOTE[kind]])
                if not name.endswith(UNDONE):
                    self.begin(f"server {sftp.CMD_NAMES[kind]} {name}")
            return request(client, file, kind, *args)

        def on_host(host: Host, script: Any, *args: Any, **more: Any) -> Any:
            reads = script.body in ASKING or READING.search(script.body) is not None
            if not reads:
                self.begin(f"host {' '.join(script.body.split())[-150:]}")
            running = start(host, script, *args, **more)
            if not reads:
                self.sent()
            return running

        client_of._async_request = on_server
        Host.start = on_host  # type: ignore[assignment,method-assign]

    def local(self, event: str, args: tuple[Any, ...]) -> None:
        if event in LOCAL:
            self.named(event, args[LOCAL[event]])
        elif event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            self.named(event, args[0])

    def named(self, event: str, path: Any) -> None:
        name = os.fsdecode(path) if isinstance(path, str | bytes) else ""
        if name and not name.endswith(UNDONE) and not name.startswith(UNDONE) and "/cache/" not in name:
            self.begin(f"{event} {name}")


def operate(order: dict[str, Any], trace: int) -> NoReturn:
    """Be the process that runs the task."""
    out = os.open(order["out"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number, place in enumerate((os.open("/dev/null", os.O_RDONLY), out, out)):
        os.dup2(place, number)
    os.environ.clear()
    os.environ.update(order["environment"])
    keys_file.STALE = 1.0  # who was killed here left a lock for which nobody needs to wait a minute
    Steps(order["stop"], order["amid"], trace).watch()
    code = 99
    try:
        Inv(name="cloudbackup", binary="inv", namespace=tasks.ns).run(["inv", *order["words"]])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 98
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Take one order after another."""
    for line in sys.stdin:
        order = json.loads(line)
        trace = os.memfd_create("steps")
        child = os.fork()
        if child == 0:
            operate(order, trace)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.lseek(trace, 0, os.SEEK_SET)
        with os.fdopen(trace, encoding="utf-8", errors="replace") as file:
            steps = file.read().splitlines()
        print(json.dumps({"code": code, "steps": steps}), flush=True)


if __name__ == "__main__":
    main()
