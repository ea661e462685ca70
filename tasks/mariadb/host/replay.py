"""Brings a restored server to a moment by replaying its binary logs. Runs alone on the host.

    python3 -c "$REPLAY" extract FOLDER     one archive of binary logs, a tar on standard input, into a new folder
    python3 -c "$REPLAY" check JSON         can that moment be reached?
    python3 -c "$REPLAY" replay JSON        reach it

JSON: `data`, the prepared data directory; `scratch`, a directory of our own, whose `logs` holds a folder for each
archive, in order of creation; `position`, the binary log that was open at the end of the copy (`name`, `offset`,
`gtid`, and if known `server`, `created`), null if only the restored data has it; `at`, the moment, in seconds since
1970; `saved`, the state of all archived logs (`until` when, the `last` binary log, the GTID `state` after it), null if
unknown; `options` for the server; `settings`, `zone` and `plugins` (see `settings`); `binlog`, the base name under
which the server will continue its binary logs, or null; `patience`, seconds for the server to answer; `tables`, those
expected in the archive (see `tables`), or null; `older`, the name of the previous backup, or empty.

Standard output is one line of JSON: `fault` and `remedy`, or what was reached. Standard library only, Python 3.8 and
later, except `recovery_point` and `examine` with their imports, which are sent along.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import IO

from tasks.mariadb.host.binlog_format import NAME, text
from tasks.mariadb.host.check_table import last
from tasks.mariadb.host.data_files import names, require_known
from tasks.mariadb.host.examine import SIGNALS, made_by, ready, require, same_series, terminate
from tasks.mariadb.host.ordinary_user import DrillFault, clean_environment, give_away, ordinary, program
from tasks.mariadb.host.private_server import Private
from tasks.mariadb.host.recovery_point import Cut, Position, Refusal, gtid, outcome, planned, shown
from tasks.mariadb.host.refused_transaction import blamed, remedy
from tasks.mariadb.host.roles import handing_over
from tasks.mariadb.host.settings import SLAVE_POSITION, begin, furnish, shut, understood
from tasks.mariadb.host.tables import parse

BINLOG = ("mariadb-binlog", "mysqlbinlog")
INFOS = ("xtrabackup_binlog_info", "mariadb_backup_binlog_info")
HEADERS = 256 << 20  # bytes of memory to unpack archives of binary logs with
MEMORY = (64 << 20, 4 << 30)  # minimum and maximum of the server's buffer pool


def extract(folder: Path) -> None:
    """Write the members of a tar on standard input into a new folder; its author is not trusted. Raises DrillFault."""
    folder.mkdir(parents=True)
    try:
        _extract(folder)
    except MemoryError:
        raise DrillFault("the archive of binary logs has a header larger than any log's") from None


def _extract(folder: Path) -> None:
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() and NAME.fullmatch(member.name) else None
            if content is None:
                raise DrillFault(f"the archive of binary logs holds {member.name!r}, which is none")
            with (folder / member.name).open("xb") as file:
                shutil.copyfileobj(content, file, 1 << 20)


def position_of(plan: dict[str, object]) -> Position:
    """Return the position at which the restored copy ends. Raises Refusal."""
    files = [file for name in INFOS for file in Path(str(plan["data"])).glob(name)]
    words = files[0].read_text(errors="replace").strip("\n").split("\t") if files else []
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
    """Check beforehand whether the moment can be reached, and with the programs installed here. Raises DrillFault."""
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
    require(data, parse(plan.get("tables")))
    owner = data.stat()
    name = plan["binlog"]
    options = plan["options"]
    assert isinstance(options, dict)
    words = [f"--{key}={value}" for key, value in options.items()]
    words += ["--local-infile=ON"] if loads(todo) else []
    if name:
        words += [f"--log-bin={name}", f"--server-id={todo.server}", "--sync-binlog=0"]
    server = Private(scratch, float(str(plan["patience"])), data=data, more=[*GENEROUS, pool(), *words])
    missing = furnish(server, plan)
    same_series(server.program, made_by(data))
    before = names(data)
    tell(f"starts a server, to replay up to {shown(int(str(plan['at'])))}")
    try:
        said = begin(server)
        with understood(missing):
            feed(server, todo, scratch / "load", str(plan.get("older") or ""))
        stood = server.ask(SLAVE_POSITION).stdout.strip()
        place = replicated(stood, todo)
        close(server, todo, goes_on=bool(name), place=place if place != stood else "")
    finally:
        server.end()
    require_known(data, before, str(name or ""))
    for path in (data, *data.rglob("*")):
        os.chown(str(path), owner.st_uid, owner.st_gid, follow_symlinks=False)
    return {**outcome(todo, int(str(plan["at"]))), "said": said, "replicated": place}


# The data is discarded if anything fails, so nothing needs to be durable before the orderly end.
GENEROUS = [
    "--innodb-log-file-size=96M",
    "--innodb-flush-log-at-trx-commit=0",
    "--max-allowed-packet=1G",
    "--innodb-strict-mode=OFF",  # the server accepted it with strict mode off, so the replay must
]  # fmt: skip


def pool() -> str:
    """Return the option for a buffer pool of a quarter of the free memory."""
    found = re.search(r"^MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    free = int(found.group(1)) * 1024 if found else 0
    return f"--innodb-buffer-pool-size={min(max(free // 4, MEMORY[0]), MEMORY[1])}"


def feed(server: Private, todo: Cut, load: Path, older: str = "") -> None:
    """Replay, and check that the server accepted everything. Raises DrillFault."""
    numbers = todo.numbers()
    if not numbers:
        return
    for log in todo.logs[:-1]:  # a crash may have left half a transaction, at which the reader would stop
        if log.facts.sound < log.facts.size:
            with log.path.open("r+b") as file:  # by name it may be forbidden
                file.truncate(log.facts.sound)
    load.mkdir(mode=0o700)
    give_away(load)
    reader = program(BINLOG, "mariadb-client")
    words = [reader, "--no-defaults", *lenient(reader), "--disable-log-bin", f"--local-load={load}"]
    client = [word for word in server.client_words() if word != "--quick"] + ["--max-allowed-packet=1G"]
    client += ["--local-infile=1"] * loads(todo)  # the data is in a file next to the binary log
    tell(f"replays {len(numbers)} transactions from {len(todo.logs)} binary logs")
    files = [(server.run / name).open("w+b") for name in ("said", "errors", "read-errors")]
    with files[0] as said, files[1] as errors, files[2] as read_errors:  # in parentheses: Python 3.9
        # The author of the archives determines what is replayed, perhaps LOAD DATA LOCAL of any file: so not as root.
        taking = subprocess.Popen(
            client, cwd=server.run, env=server.client_environment(), preexec_fn=ordinary(),  # noqa: PLW1509 (no threads)
            stdin=subprocess.PIPE, stdout=said, stderr=errors,
        )  # fmt: skip
        assert taking.stdin is not None
        given = give(server, todo, words, taking.stdin, read_errors)
        code = taking.wait()
        complaint, refusal, answer = (content(file) for file in (read_errors, errors, said))
    if code != 0:
        which = blamed(words, server.environment, todo, refusal)
        raise DrillFault(f"the server refuses {which}: {last(refusal)}", remedy(refusal, older))
    if given != 0 or "ERROR" in complaint:
        raise DrillFault(f"the binary logs cannot be read: {last(complaint)}")
    expected = gtid(*numbers[-1])
    if last(answer) != expected:
        raise DrillFault(f"the replay ended with transaction {last(answer)}, not with {expected}")


def give(server: Private, todo: Cut, words: list[str], client: IO[bytes], errors: IO[bytes]) -> int:
    """Pipe the replay from the reader to the client, hand roles to their creators, then query the result.

    Return the reader's exit code.
    """
    code = 0
    try:
        for piece in todo.segments():
            done = subprocess.run(
                [*words, *piece.words()], cwd="/", env=server.environment, preexec_fn=ordinary(),
                stdin=subprocess.DEVNULL, stdout=client, stderr=errors, check=False,
            )  # fmt: skip
            code = code or done.returncode
            if piece.maker is not None:
                client.write(handing_over(server.account, piece.maker))
                client.flush()
        client.write(b"SELECT CONCAT_WS('-', @@gtid_domain_id, @@server_id, @@gtid_seq_no);\n")
        client.close()
    except BrokenPipeError:
        pass
    return code


def loads(todo: Cut) -> bool:
    """Return whether the replay contains LOAD DATA: only then may the server request a file."""
    return any(log.facts.loads for log in todo.logs)


def lenient(reader: str) -> list[str]:
    """Return the option that allows sequence numbers as on a server without gtid_strict_mode, if it is known."""
    words = (reader, "--no-defaults", "--help")
    said = subprocess.run(words, env=clean_environment(), stdout=subprocess.PIPE, check=False).stdout
    return ["--skip-gtid-strict-mode"] if b"--gtid-strict-mode" in said else []


def replicated(position: str, todo: Cut) -> str:
    """Return a replica's position in its master's GTIDs after the replay, which does not update gtid_slave_pos.

    `position` is its position before, empty for a server that never replicated. In its own binary logs, replicated
    transactions have another server's id (log_slave_updates).
    """
    if not position:
        return ""
    found = {each.partition("-")[0]: each for each in position.split(",")}
    for log in todo.logs:
        for group in todo.groups(log):
            if group.server != log.facts.server:
                found[str(group.domain)] = group.gtid
    return ",".join(found.values())


def close(server: Private, todo: Cut, *, goes_on: bool, place: str = "") -> None:
    """Shut the server down, without our account, and with the GTID state to continue from. Raises DrillFault.

    `place` is the replica's current position, empty if the data already has it.
    """
    statements = [f"DROP USER {server.account}@localhost"]
    statements += [f"SET GLOBAL gtid_slave_pos = '{place}'"] * bool(place)
    if goes_on:
        statements = ["SET sql_log_bin = 0", *statements, "RESET MASTER"]
        statements.append(f"SET GLOBAL gtid_binlog_state = '{text(todo.state())}'")
    shut(server, statements)


def content(file: object) -> str:
    """Return a program's output from a file."""
    file.seek(0)  # type: ignore[attr-defined]
    return str(file.read().decode(errors="replace"))  # type: ignore[attr-defined]


def tell(what: str) -> None:
    """Print the current step."""
    sys.stderr.write(f"replay: {what}\n")
    sys.stderr.flush()


def main() -> int:
    """Run the command in the first argument; return the exit code."""
    for each in SIGNALS:
        signal.signal(each, terminate)
    try:
        if sys.argv[1] == "extract":
            resource.setrlimit(resource.RLIMIT_DATA, (HEADERS, HEADERS))  # tarfile reads a header whole, of any size
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
