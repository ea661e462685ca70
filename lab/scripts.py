"""`start-mariadb` and `stop-mariadb`: the scripts of an app host that an inventory names."""

import shlex
from pathlib import Path

from lab import programs
from lab.mariadb import Server

_RUNNING = """#!/bin/bash
running() {{
    pid=$(cat {pid_file} 2>/dev/null) && grep -q mariadbd "/proc/$pid/cmdline" 2>/dev/null
}}
"""
# What MariaDB 11.8 says before it opens its log, such as of a missing data directory, goes to standard error.
_START = """running && exit 0
setsid {server} </dev/null >/dev/null 2>>{log} &
child=$!
for attempt in $(seq 600); do
    answer=$({ask} 2>&1) && exit 0
    case $answer in *"ERROR 1045"*) exit 0 ;; esac
    kill -0 "$child" 2>/dev/null || running || break
    sleep 0.1
done
echo "MariaDB does not answer; the end of its log:" >&2
tail -n 12 {log} >&2
exit 1
"""
# A server removes its number before it lets go of its files, and its threads end one by one.
_STOP = """alive() {{ cat "/proc/$pid"/task/*/status 2>/dev/null | grep '^State:' | grep -qv Z; }}
running || exit 0
kill "$pid"
for attempt in $(seq 1200); do
    alive || exit 0
    sleep 0.05
done
echo "MariaDB does not stop" >&2
exit 1
"""


def write(server: Server, home: Path) -> None:
    """Write `start-mariadb` and `stop-mariadb`, which the inventory names, into the host's home.

    Both wait until the server answers or is gone. The server gets a session of its own, so it outlives the group of
    processes that started it. The start accepts "access denied" as an answer: after a restore the accounts may differ.
    """
    words = (programs.find("mariadbd"), f"--defaults-file={server.configuration}", f"--user={server.user}")
    client = (programs.find("mariadb"), f"--defaults-file={server.root_options}", "--connect-timeout=2")
    values = {
        "server": shlex.join(words),
        "ask": shlex.join((*client, "-e", "SELECT 1")),
        "pid_file": shlex.quote(str(server.pid_file)),
        "log": shlex.quote(str(server.log)),
    }
    for name, text in (("start-mariadb", _START), ("stop-mariadb", _STOP)):
        script = home / name
        script.write_text(_RUNNING.format(**values) + text.format(**values))
        script.chmod(0o755)
