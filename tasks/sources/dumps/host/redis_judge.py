"""Has a private Redis server load a dump and looks into it. Runs alone on a host, behind walls.

    python3 -I -S -c PROGRAM JSON

JSON: `file`, the dump; `scratch`, a private folder; `verify`, commands that must each answer 1; `patience`, seconds
that loading may take.

Standard output is as `judgement` has it, which is sent along. Otherwise standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time

from tasks.sources.dumps.host.judgement import FaultError, answer

SOCKET = "s"  # in the private folder, where all of them run: the whole path may be too long for a socket
SERVER = (
    "--port", "0", "--unixsocket", SOCKET, "--save", "", "--appendonly", "no", "--daemonize", "no",
    "--maxmemory", "0", "--logfile", "",
)  # fmt: skip
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}


def judge(plan: dict[str, object]) -> str:
    """Return what was found in a dump that is good. Raises FaultError."""
    scratch, queries = str(plan["scratch"]), plan["verify"]
    assert isinstance(queries, list)
    check(str(plan["file"]))
    place = ("--dir", scratch, "--dbfilename", os.path.relpath(str(plan["file"]), scratch))
    log = os.path.join(scratch, "redis.log")
    with open(log, "wb") as output:
        process = subprocess.Popen(
            (program("redis-server"), *SERVER, *place), cwd=scratch, env=ENVIRONMENT,
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        wait(process, scratch, log, time.monotonic() + float(str(plan["patience"])))
        for query in queries:
            require_one(scratch, str(query))
        return described(scratch, len(queries))
    finally:
        process.kill()
        process.wait()


def program(name: str) -> str:
    """Return the path of a program. Raises FaultError."""
    path = shutil.which(name, path=ENVIRONMENT["PATH"])
    if path is None:
        raise FaultError(f"there is no {name}", "install the package redis-server there, or drill elsewhere with --to")
    return path


def check(file: str) -> None:
    """Have Redis's own checker read all of a dump. Raises FaultError."""
    done = subprocess.run(
        (program("redis-check-rdb"), file), env=ENVIRONMENT, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    said = done.stdout.decode("utf-8", "replace")
    if done.returncode or "RDB looks OK" not in said:
        wrong = [line for line in said.splitlines() if "RDB ERROR DETECTED" in line or "error" in line.lower()]
        faults = re.findall(r"^\[offset \d+\] (?!Checking|AUX|Selecting)(.+)$", said, re.MULTILINE)
        raise FaultError(f"redis-check-rdb: {(faults or wrong or said.splitlines() or ['no answer'])[-1][:300]}")


def wait(process: subprocess.Popen[bytes], scratch: str, log: str, late: float) -> None:
    """Wait until the server has loaded the dump. Raises FaultError."""
    while ask(scratch, "PING") != "PONG":
        if process.poll() is not None:
            raise FaultError(f"a private Redis does not load it: {complaint(log)}")
        if time.monotonic() > late:
            raise FaultError("a private Redis did not load it in time")
        time.sleep(0.05)


def complaint(log: str) -> str:
    """Return what a server's log says of a fault."""
    with open(log, "rb") as lines:
        said = [line for line in lines.read()[-4000:].decode("utf-8", "replace").splitlines() if line.strip()]
    faults = [line for line in said if re.search(r"error|fatal|can't|wrong|unknown|short", line, re.IGNORECASE)]
    return (faults or said or ["it does not say why"])[-1][-300:]


def ask(scratch: str, *words: str) -> str:
    """Return what the server answers; empty if it does not."""
    done = subprocess.run(
        (program("redis-cli"), "-s", SOCKET, *words), cwd=scratch, env=ENVIRONMENT, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return done.stdout.decode("utf-8", "replace").strip()


def require_one(scratch: str, query: str) -> None:
    """Raise FaultError if a command does not answer 1."""
    answer = ask(scratch, *shlex.split(query))
    if answer != "1":
        raise FaultError(f"`{query}` answers {answer[:80] or 'nothing'} on the restored data, not 1")


def described(scratch: str, queries: int) -> str:
    """Return what the server holds."""
    version = (re.findall(r"redis_version:(\S+)", ask(scratch, "INFO", "server")) or ["of an unknown version"])[0]
    keys = list(map(int, re.findall(r"^db\d+:keys=(\d+)", ask(scratch, "INFO", "keyspace"), re.MULTILINE)))
    where = "1 database" if len(keys) == 1 else f"{len(keys)} databases"
    asked = f", {queries} command{'' if queries == 1 else 's'} answered" if queries else ""
    return f"a private Redis {version} loaded {sum(keys):,} keys in {where}{asked}"


if __name__ == "__main__":
    answer(judge)
