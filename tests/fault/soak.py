"""Rounds of backups with faults at random, and at the end every archive that is listed is restored and compared.

What must hold after each round is in `Fleet.night`. The same seed gives the same faults, at moments that only this
machine knows.
"""

import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from lab import database, mariadb, process, programs, tree
from tests.fault.fleet import ROLES, Fleet, Strike
from tests.fault.published.site import run_borg
from tests.integration.fleet.support import eventually, on_host

SPAN = 0.6  # seconds after the beginning of borg within which a fault strikes
SHORT = 0.5  # seconds for which a storage is full
ANYWHERE = ("nothing", "borg", "sshd", "borg serve", "operator killed", "operator interrupted", "full", "cut")
OF_A_DUMP = ("mariadb-backup", "filter", "server")
SAVES = "--checkpoint-interval="  # in the command lines of `borg create` and `borg import-tar` alone
ENDED = {"operator killed": -signal.SIGKILL, "operator interrupted": 130}
ALONE = (*ENDED, "full")  # these harm every app


@dataclass
class Soak:
    """The rounds. `saved` has by archive what it must give back; `faults` count what struck, `ends` how sources ended."""

    fleet: Fleet
    chance: random.Random
    every: int = 5  # each so many-th round is of databases
    rounds: int = 0
    saved: dict[str, dict[str, str]] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)

    @classmethod
    def seeded(cls, fleet: Fleet, seed: int, every: int) -> "Soak":
        """Return a soak whose faults are those of `seed`."""
        return cls(fleet, random.Random(seed), every)  # noqa: S311 (faults, not secrets)

    def round(self) -> None:
        """Change two apps, back them up with a fault beside it, and hold on to what the new archives must contain."""
        fleet, chance = self.fleet, self.chance
        self.rounds += 1
        source = "files" if self.rounds % self.every else "mariadb"
        apps = sorted(name for name, app in fleet.lab.apps.items() if source == "files" or app.has_server)
        fleet.victim, fleet.other = chance.sample(apps, 2)
        for app in (fleet.victim, fleet.other):
            fleet.lab.apps[app].change(self.rounds)
        now = {app: self.content(app, source) for app in (fleet.victim, fleet.other)}
        fault = chance.choice(ANYWHERE if source == "files" else ANYWHERE + OF_A_DUMP)
        night = fleet.night(self.strike(fault), source, alone=fault in ALONE, ended=ENDED.get(fault))
        self.mend()
        self.faults[fault if night.struck else f"{fault}, too late"] += 1
        self.ends.update(line.split()[2] for line in night.printed.splitlines() if line.split()[1:2] == [source])
        for app, names in night.made.items():
            self.saved |= dict.fromkeys(names, now[app])

    def content(self, app: str, source: str) -> dict[str, str]:
        """Return what an app's source holds now."""
        host = self.fleet.lab.apps[app]
        if source == "mariadb":
            return database.fingerprint(host.server)
        return tree.fingerprint(host.files, excluding_caches=True)

    def strike(self, fault: str) -> Strike:
        """Return a fault at a moment by chance."""
        if fault in OF_A_DUMP:
            return self.fleet.kill(fault, self.chance.random())
        moment = self.chance.random() * SPAN

        def strike() -> bool:
            if fault == "nothing":
                return True
            if not eventually(lambda: bool(on_host(self.fleet.lab, self.fleet.victim, SAVES)), 30):
                return False
            time.sleep(moment)  # the moment itself is the chance
            return self.act(fault)

        return strike

    def act(self, fault: str) -> bool:
        """Let a fault strike now; tell whether there was anything to strike."""
        fleet, running = self.fleet, self.fleet.running
        assert running
        if fault in ENDED:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL if fault == "operator killed" else signal.SIGINT)
                return True
            return False
        if fault == "full":
            fleet.lab.box.faults.full()
            eventually(lambda: running.poll() is not None, SHORT)
            fleet.lab.box.faults.clear()
            return True
        if fault == "cut":
            return fleet.lab.box.faults.drop_connections() > 0
        targets = on_host(fleet.lab, fleet.victim, SAVES) if fault == "borg" else ROLES[fault](fleet, 0)
        for target in targets[:1]:
            try:
                os.kill(target, signal.SIGKILL)
            except ProcessLookupError:
                return False
        return bool(targets)

    def mend(self) -> None:
        """Start the victim's server again where it was killed."""
        host = self.fleet.host
        if host.has_server and not mariadb.running(host.server):
            mariadb.start(host.server, host.home, {process.MARKER: str(self.fleet.lab.folder)})

    def restored(self) -> int:
        """Restore each archive that is listed, and assert that it is what was saved; return how many they were."""
        known = {app: [name for name in self.fleet.archives(app) if name in self.saved] for app in self.fleet.known}
        assert sorted(name for names in known.values() for name in names) == sorted(self.saved)
        for app, names in known.items():
            self._files(app, [name for name in names if "-files-" in name])
            for name in names:
                if "-mariadb-" in name:
                    self._database(app, name)
        return len(self.saved)

    def _files(self, app: str, names: list[str]) -> None:
        environment = {**self.fleet.stock(app), "BORG_REPO": str(self.fleet.repository(app))}
        files = self.fleet.lab.apps[app].files
        for name in names:
            with tempfile.TemporaryDirectory() as scratch:
                command = {"words": ("extract", f"::{name}"), "environment": environment, "folder": scratch}
                ((code, _, said),) = run_borg(programs.find("borg"), [command])
                assert code == 0, said
                found = tree.fingerprint(Path(scratch, *files.parts[1:]), excluding_caches=True)
                assert tree.differences(self.saved[name], found) == [], name

    def _database(self, app: str, name: str) -> None:
        target = Path(tempfile.mkdtemp(prefix="cloudbackup-soak-"))
        try:
            words = ("--app", app, "--source", "mariadb", "--archive", name, "--target", str(target))
            self.fleet.operator.done("restore", *words)
            with mariadb.serving(target) as server:
                assert database.fingerprint(server, app) == self.saved[name], name
        finally:
            shutil.rmtree(target)
