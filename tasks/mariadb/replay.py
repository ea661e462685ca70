"""Brings a restored server to a moment by its binary logs. Runs alone on the host.

    python3 -c "$REPLAY" extract FOLDER     one archive of binary logs, a tar on standard input, into a new folder
    python3 -c "$REPLAY" check JSON         can that moment be reached?
    python3 -c "$REPLAY" replay JSON        reach it

JSON: `data`, the prepared data directory; `scratch`, a directory of our own, whose `logs` holds a folder for each
archive, in the order of their making; `position`, the binary log that was open at the end of the copy (`name`,
`offset`, `gtid`, and where known `server`, `created`), null when only the restored data tells; `at`, the moment, in
seconds since 1970; `saved`, what is saved altogether (`until` when, the `last` binary log, the GTID `state` after it),
null when unknown; `options` for the server, `zone` for its environment variable TZ; `binlog`, the name under which the
server is to go on writing binary logs, or null; `patience`, seconds for the server to answer.

The cut is the first transaction dated at that moment or later. Sessions may date theirs as they like (SET timestamp): a
date outside of its own binary log's time is no date. So nothing is ever replayed by date, but by position.

Standard output is one line of JSON: `fault` and `remedy`, or what was reached. Of the standard library only, Python 3.8
and later; but for `binlog`, `private` and `proof`, which come along.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from array import array
from datetime import datetime, timezone
from pathlib import Path

from tasks.mariadb.binlog import Facts, Group, read, state, successor, text
from tasks.mariadb.private import DrillFault, Private, give_away, ordinary, program
from tasks.mariadb.proof import SIGNALS, last, made_by, ready, same_series, terminate

BINLOG = ("mariadb-binlog", "mysqlbinlog")
NAME = re.compile(r"[\w.-]+\.\d+", re.ASCII)
INFOS = ("xtrabackup_binlog_info", "mariadb_backup_binlog_info")
TOLERANCE = 2  # seconds by which a transaction may be dated outside of its binary log
ENDED = 600  # seconds for the server to end: it may have much to write
MEMORY = (64 << 20, 4 << 30)  # least and most for the server's buffer pool


class Refusal(DrillFault):
    """The moment cannot be reached with what is saved."""


class Log:
    """One binary log in the scratch directory, and where which of its transactions begin."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.times, self.offsets = array("L"), array("Q")
        with path.open("rb") as file:
            self.facts: Facts = read(file, self.group).facts()

    def group(self, group: Group) -> None:
        """Note a transaction."""
        self.offsets.append(group.offset)
        self.times.append(group.time)

    @property
    def identity(self) -> tuple[str, int, int]:
        """Return what tells it from others of its name."""
        return (self.name, self.facts.server, self.facts.created)


class Saved:
    """What is saved altogether, as a record tells."""

    def __init__(self, values: dict[str, object]) -> None:
        last = values["last"]
        assert isinstance(last, dict)
        self.identity = (str(last["name"]), int(last["server"]), int(last["created"]))
        self.name, self.server, _ = self.identity
        self.until = int(str(values["until"]))
        self.state = str(values["state"])

    def holds(self, position: Position) -> bool:
        """Tell whether nothing was written between the last binary log and a position in a later one."""
        return number(position.name) > number(self.name) and position.gtids <= set(self.state.split(","))


class Position:
    """Where the copy ends in the binary logs."""

    def __init__(self, values: dict[str, object]) -> None:
        self.name = str(values["name"])
        self.offset = int(str(values["offset"]))
        self.gtids = set(filter(None, str(values["gtid"]).split(",")))
        self.known = (values.get("server"), values.get("created"))

    def in_log(self, log: Log) -> bool:
        """Tell whether a binary log is the one meant: its identity where it is known, and the GTIDs at the place."""
        if log.name != self.name or (None not in self.known and self.known != log.identity[1:]):
            return False
        if self.offset > log.facts.sound:
            return False
        with log.path.open("rb") as file:
            reader = read(file, upto=self.offset)
        return {group.gtid for group in reader.last.values()} == self.gtids


class Cut:
    """What is to be replayed: `logs`, the first from `start`, the last up to `stop`; nothing when they are the same."""

    def __init__(self, logs: list[Log], start: int, stop: int, saved: Saved | None = None) -> None:
        self.logs, self.start, self.stop, self.saved = logs, start, stop, saved

    @property
    def server(self) -> int:
        """Return the id of the server that wrote them."""
        return self.saved.server if self.saved is not None else self.logs[0].facts.server

    def numbers(self) -> list[tuple[Log, int]]:
        """Return the transactions to be replayed, as binary log and number in it."""
        found = []
        for log in self.logs:
            first, end = (self.start if log is self.logs[0] else 0), (self.stop if log is self.logs[-1] else None)
            for index, offset in enumerate(log.offsets):
                if offset >= first and (end is None or offset < end):
                    found.append((log, index))
        return found

    def state(self) -> dict[tuple[int, int], int]:
        """Return the GTID state at the end."""
        if self.saved is not None:
            return state(self.saved.state)
        with self.logs[-1].path.open("rb") as file:
            return read(file, upto=self.stop).end


def extract(folder: Path) -> None:
    """Write the members of a tar on standard input into a new folder; whoever made it is not trusted."""
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() and NAME.fullmatch(member.name) else None
            if content is None:
                raise DrillFault(f"the archive of binary logs holds {member.name!r}, which is none")
            with (folder / member.name).open("xb") as file:
                shutil.copyfileobj(content, file, 1 << 20)


def logs_in(folder: Path) -> list[Log]:
    """Return all binary logs in the order of their making, each once: two archives may hold the same one."""
    found: dict[tuple[str, int, int], Log] = {}
    for place in sorted(folder.iterdir(), key=lambda path: int(path.name)):
        for path in sorted(place.iterdir(), key=lambda path: int(path.suffix[1:])):
            log = Log(path)
            if log.identity not in found or log.facts.sound > found[log.identity].facts.sound:
                found[log.identity] = log
    return list(found.values())


def chain(logs: list[Log], position: Position) -> list[Log]:
    """Return the binary logs from the position on, each of which continues the one before. Raises Refusal."""
    row = [next((log for log in logs if position.in_log(log)), None)]
    if row[0] is None:
        same = [log for log in logs if log.name == position.name]
        why = "is of another time than the backup" if same else "was purged before it was saved"
        raise Refusal(f"{position.name}, where the backup ends, {why}", "an older or newer backup may do: --archive")
    while True:
        before = row[-1]
        assert before is not None
        following = [
            log for log in logs
            if log.name == successor(before.name) and log.facts.server == before.facts.server
            and log.facts.start == before.facts.end and log not in row
        ]  # fmt: skip
        if not following:
            return [log for log in row if log]
        row.append(following[0])


def cut(row: list[Log], position: Position, at: int) -> Cut | None:
    """Return what is to be replayed up to the first transaction dated `at` or later; None when there is none such.

    Raises Refusal when the copy itself is of a later time.
    """
    for index, log in enumerate(row):
        low, high = span(row, index)
        for time, offset in zip(log.times, log.offsets):  # noqa: B905 (`strict` is of Python 3.10)
            if max(at, low) <= time <= high:
                if index == 0 and offset < position.offset:
                    raise Refusal(
                        f"the backup ends after {shown(at)}: it holds a transaction of {shown(time)}",
                        "an older backup may do: --archive",
                    )
                return Cut(row[: index + 1], position.offset, offset)
    return None


def span(row: list[Log], index: int) -> tuple[int, int]:
    """Return between which times a binary log was written."""
    facts = row[index].facts
    ends = [facts.created, *([facts.closed] if facts.closed is not None else [])]
    if index + 1 < len(row):
        ends.append(row[index + 1].facts.created)
    return min(ends) - TOLERANCE, max(ends) + TOLERANCE


def planned(plan: dict[str, object], position: Position) -> Cut:
    """Return what is to be replayed. Raises Refusal with the reason when the moment cannot be reached."""
    at = int(str(plan["at"]))
    saved = Saved(plan["saved"]) if isinstance(plan["saved"], dict) else None
    if saved is not None and at <= saved.until and saved.holds(position):
        return Cut([], 0, 0, saved)
    logs = logs_in(Path(str(plan["scratch"])) / "logs")
    row = chain(logs, position)
    found = cut(row, position, at)
    if found is not None:
        return found
    end = row[-1].facts
    reached = end.closed or end.created
    if saved is not None and row[-1].identity == saved.identity:
        reached = max(reached, saved.until)
    if at > reached:
        raise Refusal(f"{shown(at)} cannot be reached, only {shown(reached)}: {missing(logs, row)}")
    return Cut(row, position.offset, end.sound)


def missing(logs: list[Log], row: list[Log]) -> str:
    """Return why a row of binary logs goes no further."""
    end = row[-1]
    later = [log for log in logs if log.facts.created >= end.facts.created and log not in row]
    if end.facts.fault:
        return f"{end.name} is damaged: {end.facts.fault}"
    if not later:
        return "nothing newer is saved"
    names = [log.name for log in later]
    if successor(end.name) not in names and max(names) > end.name:
        return f"{successor(end.name)} was purged before it was saved"
    return f"{later[0].name} does not continue {end.name}: the server was restored then, or its binary logs reset"


def position_of(plan: dict[str, object]) -> Position:
    """Return where the restored copy ends. Raises Refusal."""
    files = [file for name in INFOS for file in Path(str(plan["data"])).glob(name)]
    words = files[0].read_text(errors="replace").split() if files else []
    if len(words) < 2:
        raise Refusal("the backup does not say where it ends: the server wrote no binary logs then")
    found: dict[str, object] = {"name": words[0], "offset": words[1], "gtid": words[2] if len(words) > 2 else ""}
    told = plan["position"]
    if isinstance(told, dict):
        if (told["name"], int(told["offset"])) != (words[0], int(words[1])):
            raise Refusal(f"the backup ends in {words[0]}:{words[1]}, its record says {told['name']}:{told['offset']}")
        found = {**found, "server": told.get("server"), "created": told.get("created")}
    return Position(found)


def check(plan: dict[str, object]) -> dict[str, object]:
    """Find out beforehand whether the moment can be reached, and by the programs that are here. Raises DrillFault."""
    try:
        program(BINLOG, "mariadb-client")
        ready({"scratch": plan["scratch"]})
    except DrillFault as fault:
        remedy = fault.remedy.replace("drill with", "restore with --target DIR and").replace("--scratch", "--target")
        raise DrillFault(str(fault), remedy) from None
    position = plan["position"]
    if isinstance(position, dict):
        planned(plan, Position(position))
    return {}


def replay(plan: dict[str, object]) -> dict[str, object]:
    """Bring the restored data to the moment; return what was reached. Raises DrillFault, OSError, Terminated."""
    data, scratch = Path(str(plan["data"])), Path(str(plan["scratch"]))
    todo = planned(plan, position_of(plan))
    owner = data.stat()
    name = plan["binlog"]
    options = plan["options"]
    assert isinstance(options, dict)
    words = [f"--{key}={value}" for key, value in options.items()]
    if name:
        words += [f"--log-bin={name}", f"--server-id={todo.server}", "--sync-binlog=0"]
    server = Private(scratch, float(str(plan["patience"])), data=data, more=[*GENEROUS, pool(), *words])
    if plan["zone"]:
        server.environment["TZ"] = str(plan["zone"])
    same_series(server.program, made_by(data))
    tell(f"starts a server, to replay up to {shown(int(str(plan['at'])))}")
    try:
        server.start()
        feed(server, todo, scratch / "load")
        close(server, todo, goes_on=bool(name))
    finally:
        server.end()
    for path in (data, *data.rglob("*")):
        os.chown(str(path), owner.st_uid, owner.st_gid, follow_symlinks=False)
    return outcome(todo, int(str(plan["at"])))


# The data is thrown away when anything fails, so nothing need be safe before the orderly end.
GENEROUS = [
    "--innodb-log-file-size=96M",
    "--innodb-flush-log-at-trx-commit=0",
    "--max-allowed-packet=1G",
    "--innodb-strict-mode=OFF",  # what the server took with it off must be taken again
    "--local-infile=ON",  # LOAD DATA comes as a file beside the binary log
]  # fmt: skip


def pool() -> str:
    """Return the option for a buffer pool of a quarter of the memory that is free."""
    found = re.search(r"^MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    free = int(found.group(1)) * 1024 if found else 0
    return f"--innodb-buffer-pool-size={min(max(free // 4, MEMORY[0]), MEMORY[1])}"


def feed(server: Private, todo: Cut, load: Path) -> None:
    """Replay, and see that the server took all of it. Raises DrillFault."""
    numbers = todo.numbers()
    if not numbers:
        return
    for log in todo.logs[:-1]:  # a crash may have left half a transaction, at which the reader would stop
        if log.facts.sound < log.facts.size:
            os.truncate(log.path, log.facts.sound)
    load.mkdir(mode=0o700)
    give_away(load)
    reader = program(BINLOG, "mariadb-client")
    words = [
        reader, "--no-defaults", *lenient(reader), "--disable-log-bin", f"--local-load={load}",
        f"--start-position={todo.start}", f"--stop-position={todo.stop}", *(str(log.path) for log in todo.logs),
    ]  # fmt: skip
    client = [word for word in server.client_words() if word not in ("--skip-local-infile", "--quick")]
    client += ["--binary-mode", "--local-infile=1", "--max-allowed-packet=1G"]
    tell(f"replays {len(numbers)} transactions from {len(todo.logs)} binary logs")
    with (
        (server.run / "said").open("w+b") as said,
        (server.run / "errors").open("w+b") as errors,
        (server.run / "read-errors").open("w+b") as read_errors,
    ):
        # Whoever made the archives wrote what is replayed, LOAD DATA LOCAL of any file perhaps: not as root.
        taking = subprocess.Popen(
            client, cwd=server.run, env=server.client_environment(), preexec_fn=ordinary(),  # noqa: PLW1509 (no threads)
            stdin=subprocess.PIPE, stdout=said, stderr=errors,
        )  # fmt: skip
        assert taking.stdin is not None
        giving = subprocess.run(
            words, cwd="/", env=server.environment, preexec_fn=ordinary(),
            stdin=subprocess.DEVNULL, stdout=taking.stdin, stderr=read_errors, check=False,
        )  # fmt: skip
        try:
            taking.stdin.write(b"SELECT CONCAT_WS('-', @@gtid_domain_id, @@server_id, @@gtid_seq_no);\n")
            taking.stdin.close()
        except BrokenPipeError:
            pass
        code = taking.wait()
        complaint, refusal, answer = (content(file) for file in (read_errors, errors, said))
    if code != 0:
        raise DrillFault(f"the server refuses a transaction: {last(refusal)}")
    if giving.returncode != 0 or "ERROR" in complaint:
        raise DrillFault(f"the binary logs cannot be read: {last(complaint)}")
    expected = gtid(*numbers[-1])
    if last(answer) != expected:
        raise DrillFault(f"the replay ended with transaction {last(answer)}, not with {expected}")


def lenient(reader: str) -> list[str]:
    """Return the option that lets sequence numbers go as they went on a server without gtid_strict_mode, if known."""
    said = subprocess.run((reader, "--no-defaults", "--help"), stdout=subprocess.PIPE, check=False).stdout
    return ["--skip-gtid-strict-mode"] if b"--gtid-strict-mode" in said else []


def close(server: Private, todo: Cut, *, goes_on: bool) -> None:
    """End the server in order, without our account, and with the GTID state where it goes on. Raises DrillFault."""
    statements = [f"DROP USER {server.account}@localhost"]
    if goes_on:
        statements = ["SET sql_log_bin = 0", *statements, "RESET MASTER"]
        statements.append(f"SET GLOBAL gtid_binlog_state = '{text(todo.state())}'")
    done = server.ask(";\n".join([*statements, "SHUTDOWN"]))
    if done.returncode != 0:
        raise DrillFault(f"the server does not end in order: {last(done.stderr)}")
    assert server.process is not None
    try:
        code = server.process.wait(ENDED)
    except subprocess.TimeoutExpired:
        raise DrillFault(f"the server did not end in {ENDED} s") from None
    if code != 0:
        raise DrillFault(f"the server did not end in order: {server.complaint()}")


def number(name: str) -> int:
    """Return the number in a binary log's name."""
    return int(name.rpartition(".")[2])


def gtid(log: Log, index: int) -> str:
    """Return a transaction's GTID."""
    with log.path.open("rb") as file:
        found: list[str] = []
        read(file, lambda group: found.append(group.gtid) if group.offset == log.offsets[index] else None)
    return found[0]


def outcome(todo: Cut, at: int) -> dict[str, object]:
    """Return what was reached, and which transactions had a date of their own."""
    if todo.saved is not None:
        nothing = {"transactions": 0, "file": todo.saved.name, "offset": 0, "newest": None, "odd": 0, "after": 0}
        return {**nothing, "state": todo.saved.state}
    numbers = todo.numbers()
    spans = {id(log): span(todo.logs, index) for index, log in enumerate(todo.logs)}
    odd = sum(not spans[id(log)][0] <= log.times[index] <= spans[id(log)][1] for log, index in numbers)
    end = todo.logs[-1]
    low, high = spans[id(end)]
    after = sum(end.offsets[each] >= todo.stop and low <= end.times[each] < at for each in range(len(end.times)))
    dated = [log.times[index] for log, index in numbers if low <= log.times[index] <= high]
    return {
        "transactions": len(numbers),
        "file": end.name,
        "offset": todo.stop,
        "state": text(todo.state()),
        "newest": max(dated, default=None),
        "odd": odd,
        "after": after,
    }


def content(file: object) -> str:
    """Return what a program wrote into a file."""
    file.seek(0)  # type: ignore[attr-defined]
    return str(file.read().decode(errors="replace"))  # type: ignore[attr-defined]


def shown(time: int) -> str:
    """Return a time for a person."""
    return datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")  # noqa: UP017 (Python 3.11)


def tell(what: str) -> None:
    """Say what is being done now."""
    sys.stderr.write(f"replay: {what}\n")
    sys.stderr.flush()


def main() -> int:
    """Do what the first argument says; the exit code."""
    for each in SIGNALS:
        signal.signal(each, terminate)
    try:
        if sys.argv[1] == "extract":
            extract(Path(sys.argv[2]))
            return 0
        plan = json.loads(sys.argv[2])
        found = check(plan) if sys.argv[1] == "check" else replay(plan)
    except DrillFault as fault:
        print(json.dumps({"fault": str(fault), "remedy": fault.remedy, "refused": isinstance(fault, Refusal)}))
        return 1
    except (OSError, subprocess.SubprocessError, tarfile.TarError) as error:
        print(json.dumps({"fault": f"the binary logs cannot be replayed: {error}", "remedy": ""}))
        return 1
    if found:
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
