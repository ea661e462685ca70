"""A fleet of two apps on which a night's backup meets a fault, and what must hold the morning after.

The fault strikes one app, the victim. The other one was the victim of the night before: so each night also shows that
the next run after a fault succeeds by itself.
"""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab import process
from lab.lab import Lab, LabApp
from tasks.borg.anomalies import strangers
from tasks.borg.client.list import Archive
from tasks.mariadb.dump import FILTER
from tasks.records.ledger import BEGUN, ledger
from tasks.records.record import Records
from tasks.run.outcome import WORST_FIRST
from tests.fault.gate import Gate
from tests.integration.fleet.support import Operator, command_lines, eventually, make_ready, on_host, untimed

Strike = Callable[[], bool]
"""A fault, beside a running backup; tells whether there was anything to strike."""


@dataclass(frozen=True)
class Night:
    """How a backup ended: its exit code, all that it printed, the archives it added by app; whether the fault struck."""

    code: int
    printed: str
    made: dict[str, list[str]]
    struck: bool

    def line(self, app: str, source: str) -> str:
        """Return the line of a source and what is said below it."""
        found = re.search(rf"(?m)^{app} +{source} .*(?:\n      .*)*", self.printed)
        assert found, self.printed
        return found[0]

    @property
    def expected(self) -> int:
        """The exit code that fits the lines."""
        ends = re.findall(rf"(?m)^\S+ +\S+ +({'|'.join(WORST_FIRST)}) ", self.printed)
        return 0 if set(ends) <= {"ok"} else 4 if set(ends) <= {"failed", "incomplete"} else 3

    def saved(self, app: str) -> list[str]:
        """Return the archives that the lines of an app claim."""
        lines = (line.split() for line in self.printed.splitlines())
        return [line[-1] for line in lines if line[:1] == [app] and line[2] in WORST_FIRST and line[2] != "failed"]


class Fleet:
    """The lab, its operator, and whose turn it is to be harmed."""

    def __init__(self, lab: Lab, operator: Operator, gates: dict[str, Gate]) -> None:
        self.lab = lab
        self.operator = operator
        self.victim, self.other = "blog", "shop"
        self.gates = gates
        self.known = {app: self.archives(app) for app in lab.apps}
        self.running: subprocess.Popen[str] | None = None  # the night's backup
        self.beside: list[subprocess.Popen[str]] = []  # other backups of the night, started by the fault

    @classmethod
    def ready(cls, lab: Lab) -> "Fleet":
        """Return a fleet whose apps are saved once."""
        gates = {name: Gate(app) for name, app in lab.apps.items()}
        operator = make_ready(lab)
        operator.done("backup")
        return cls(lab, operator, gates)

    def turn(self) -> None:
        """Let the other app be the victim."""
        self.victim, self.other = self.other, self.victim

    @property
    def host(self) -> LabApp:
        """The victim's host."""
        return self.lab.apps[self.victim]

    def repository(self, app: str) -> Path:
        """Return the folder of an app's repository."""
        return self.lab.box.home() / "cloudbackup" / app

    def records(self, app: str) -> list[dict[str, Any]]:
        """Return an app's records, oldest first; what was only announced is left out."""
        every = (json.loads(text) for text in self.files_of_records(app).values())
        return [record for record in every if record["action"] != BEGUN]

    def files_of_records(self, app: str) -> dict[str, bytes]:
        """Return the files in the folder of an app's records, by name."""
        folder = self.lab.box.home() / "cloudbackup/records" / app
        return {path.name: path.read_bytes() for path in sorted(folder.glob("*.json"))}

    def archives(self, app: str) -> dict[str, str]:
        """Return the ids of an app's archives by name, by stock borg's own listing."""
        words = ("borg", "list", "--json", "--bypass-lock", str(self.repository(app)))
        done = subprocess.run(words, env={**os.environ, **self.stock(app)}, capture_output=True, check=True)
        return {archive["name"]: archive["id"] for archive in json.loads(done.stdout)["archives"]}

    def stock(self, app: str) -> dict[str, str]:
        """Return what stock borg needs in its environment, away from the operator's own cache."""
        secrets = (self.lab.folder / "operator/secrets").iterdir()
        return {
            "BORG_PASSPHRASE": next(path for path in secrets if path.stem == app).read_text().strip(),
            "BORG_BASE_DIR": str(self.lab.folder / f"stock-{app}"),
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        }

    def night(
        self,
        strike: Strike = lambda: True,
        source: str | None = None,
        operator: Operator | None = None,
        *,
        alone: bool = False,
        ended: int | None = None,
        unrecorded: bool = False,
    ) -> Night:
        """Back both apps up, or the victim `alone`, or one `source`, with `strike` beside it; assert what must hold then.

        Each new archive was claimed, and the other way round; the old ones are what they were; the other app is saved;
        nothing runs on; the exit code fits the lines; no archive is one that nobody knows of. Where the fault ends the
        operator's own process, the code may be `ended`, and what was saved just before is not claimed any more. Where no
        record could be written (`unrecorded`), nothing is known of the victim's.
        """
        self.gate.forget()
        apps = (self.victim,) if alone else (self.victim, self.other)
        words = [word for app in apps for word in ("--app", app)] + (["--source", source] if source else [])
        self.running = (operator or self.operator).start("backup", *words)
        try:
            struck = strike()
        finally:  # what runs on would meet the next test
            printed = "".join(untimed(each.communicate(timeout=120)[0]) for each in (self.running, *self.beside))
        assert "Traceback" not in printed, printed
        assert eventually(lambda: not self.gate.dump()), "the dump runs on"
        assert eventually(lambda: not on_host(self.lab, self.victim)), "something runs on at the host"
        assert eventually(lambda: self.lab.box.faults.running_commands() == 0), "something runs on at the storage"
        looked = [app for app in (self.victim, self.other) if app in self.known]
        now = {app: self.archives(app) for app in looked}
        made = {app: [name for name in now[app] if name not in self.known[app]] for app in looked}
        night = Night(self.running.returncode, printed, made, struck)
        for app in looked:
            assert {name: now[app].get(name) for name in self.known[app]} == self.known[app], printed
            claimed = night.saved(app)
            if ended:
                assert set(claimed) <= set(made[app]), printed
            else:
                assert sorted(made[app]) == sorted(claimed), printed
            assert self.strangers(app) == [] or (unrecorded and app == self.victim), printed
        self.known |= now
        self.beside = []
        assert night.code in (night.expected, ended), printed
        assert len(made[self.other]) == (0 if alone else 1 if source else 2), printed
        return night

    def strangers(self, app: str) -> list[str]:
        """Return the archives for which a prune would refuse."""
        known = ledger(Records.parse(self.files_of_records(app)))
        archives = [Archive(name, id_, datetime.now(UTC)) for name, id_ in self.archives(app).items()]
        return [archive.name for archive in strangers(archives, known)]

    @property
    def gate(self) -> Gate:
        """The gate in the victim's dump."""
        return self.gates[self.victim]

    def during(self, action: Callable[[], object]) -> Strike:
        """Return what does something while the victim's dump stands still, in the middle of its backup."""
        return self.at(0, lambda _dump: action())

    def at(self, part: float, action: Callable[[int], object]) -> Strike:
        """Return what does something while the victim's dump stands still at a part of its data: 0.5 is the middle.

        `action` gets the number of the dump's process.
        """
        gate = self.gate
        gate.close(part)

        def strike() -> bool:
            try:
                assert eventually(gate.reached, 60), "no dump came so far"
                action(gate.dump())
            finally:
                gate.open()
            return True

        return strike

    def kill(self, role: str, part: float) -> Strike:
        """Return what kills the process of a role when the victim's dump has come so far."""
        return self.at(part, lambda dump: os.kill(min(ROLES[role](self, dump)), signal.SIGKILL))


def _borg(fleet: Fleet, dump: int) -> list[int]:
    return _near(dump, lambda pid: _text(pid, "comm").strip() == "borg")


def _filter(fleet: Fleet, dump: int) -> list[int]:
    words = "\0".join(FILTER.words[1:])  # after the interpreter; the filter's own arguments follow
    return _near(dump, lambda pid: _text(pid, "cmdline").partition("\0")[2].startswith(f"{words}\0"))


def _near(dump: int, fits: Callable[[int], bool]) -> list[int]:
    """Return the processes that fit among those of the same pipe: above the dump, or below what is above it."""
    pid = dump
    while pid > 1:
        below = process.descendants(filter(None, [process.identify(pid)]))
        found = [each for each in (pid, *sorted(each.pid for each in below)) if fits(each)]
        if found:
            return found[:1]
        pid = int(_text(pid, "stat").rpartition(")")[2].split()[1] or 0)
    return []


def sshd(app: LabApp) -> list[int]:
    """Return the processes of a host's listening sshd; its title tells them, for it overwrites its environment."""
    return [pid for pid, line in command_lines() if "sshd" in line and f"{app.paths.ssh}/" in line]


def _sessions(fleet: Fleet, _dump: int) -> list[int]:
    listening = set(filter(None, map(process.identify, sshd(fleet.host))))
    found = process.descendants(listening) - listening
    # Where a session has two processes, `sshd-session: root [priv]` only watches the one that has the connection.
    return [each.pid for each in found if re.match(r"sshd(-session)?: \S+@", _text(each.pid, "cmdline"))]


def _serve(fleet: Fleet, _dump: int) -> list[int]:
    lines = {each.pid: _text(each.pid, "cmdline") for each in process.members(fleet.lab.folder)}
    return [pid for pid, line in lines.items() if "\0serve\0" in line and line.rstrip("\0").endswith(fleet.victim)]


def _text(pid: int, file: str) -> str:
    try:
        return Path(f"/proc/{pid}/{file}").read_text(errors="replace")
    except OSError:
        return "0) 0 0"


ROLES: dict[str, Callable[[Fleet, int], list[int]]] = {
    "borg": _borg,
    "mariadb-backup": lambda _fleet, dump: [dump],
    "filter": _filter,
    "server": lambda fleet, _dump: [int(fleet.host.server.pid_file.read_text())],
    "sshd": _sessions,
    "borg serve": _serve,
}
