"""What a backup of many hosts costs beside what it cannot do without: `./inv bench.fleet --hosts 50`.

Each host is a real sshd with an app of a few small files; all repositories lie behind one SSH server. In one run: `ssh HOST
borg create` and the operator's `borg list` one after another, the same by `xargs -P`, and `./inv backup`, which besides asks
who the host is and writes records. Prints seconds, ratios and the operator's CPU for an app; exits 1 when a limit is not kept.
"""

import argparse
import getpass
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import yaml

from lab import keys, process, sshd
from tests.bench.report import PROGRAM, clean
from tests.bench.repositories import Fleet, name_of

LIMIT = 1.25  # x the time of xargs
CPU_LIMIT = 0.2  # seconds of the operator's process for an app
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock, and of CPU: of the process itself, and of what it started here."""

    seconds: float
    own: float
    children: float


@dataclass
class Hosts:
    """The app hosts of a fleet of repositories."""

    fleet: Fleet
    ports: dict[str, int] = field(default_factory=dict)
    daemons: list[process.Process] = field(default_factory=list)

    def start(self) -> None:
        """Start all hosts, each with an append-only key of its own on the server."""
        allowed = []
        for number in range(self.fleet.count):
            app = name_of(number)
            paths = sshd.HostPaths(self.fleet.folder / "hosts" / app)
            self.ports[app] = process.free_port()
            sshd.prepare(paths, self.ports[app], keys.public(self.fleet.folder / "operator_key"), {})
            key = paths.home / f".ssh/cloudbackup_{app}"
            keys.make(key, app)
            serve = f"borg serve --append-only --restrict-to-repository {self.fleet.repositories / app}"
            allowed.append(f'restrict,command="{serve}" {keys.public(key)}\n')
            paths.files.mkdir()
            for file in range(5):
                (paths.files / str(file)).write_bytes(os.urandom(2000))
            self.daemons.append(sshd.start(paths, {}))
        with (self.fleet.folder / "server/home/.ssh/authorized_keys").open("a") as keys_file:
            keys_file.writelines(allowed)
        for (app, port), daemon in zip(self.ports.items(), self.daemons, strict=True):
            process.wait_until(partial(process.answers, port), app, daemon, self.paths(app).log)

    def end(self) -> None:
        """End all hosts."""
        process.end_all(lambda: process.descendants(self.daemons))

    def paths(self, app: str) -> sshd.HostPaths:
        """Return where a host's parts lie."""
        return sshd.HostPaths(self.fleet.folder / "hosts" / app)

    def inventory(self) -> Path:
        """Write the inventory of the fleet, with these hosts."""
        inventory = self.fleet.inventory()
        for app, port in self.ports.items():
            file = inventory / f"apps/{app}.yml"
            values = yaml.safe_load(file.read_text())
            values["host"] = f"{getpass.getuser()}@127.0.0.1"
            key, pin = str(self.fleet.folder / "operator_key"), keys.pin(self.paths(app).host_key)
            values["ssh"] = {"port": port, "key": key, "host_key": pin}
            values["files"] = {"paths": [str(self.paths(app).files)]}
            file.write_text(yaml.safe_dump(values))
        return inventory

    def script(self, app: str) -> str:
        """Return what a person would write in shell for one app."""
        known = (
            f"-o UserKnownHostsFile={self.fleet.folder / f'known-{app}'} -o StrictHostKeyChecking=no -o LogLevel=ERROR"
        )
        borg = {
            "BORG_REPO": self.fleet.url(app),
            "BORG_PASSPHRASE": "bench",
            "BORG_RSH": f"ssh -i {self.paths(app).home}/.ssh/cloudbackup_{app} {known}",
        }
        exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in borg.items())
        there = f"{exports} borg create --json ::{app}-$(date +%s%N) {self.paths(app).files}"
        key = self.fleet.folder / "operator_key"
        login = f"ssh -p {self.ports[app]} -i {key} {known} {getpass.getuser()}@127.0.0.1"
        here = {**borg, "BORG_RSH": f"ssh -i {key} {known}", "BORG_BASE_DIR": f"{self.fleet.folder}/script-base"}
        exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in here.items())
        return f"{login} {shlex.quote(there)} && {exports} borg list --json\n"


def cost(words: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """Run a command that must succeed, and tell what it cost."""
    began = time.perf_counter()
    child = subprocess.Popen(words, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert child.stdout is not None
    said = child.stdout.read()
    # Still there until it is waited for, so its own CPU can be told from that of its children.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    seconds = time.perf_counter() - began
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    own, children = (sum(int(fields[at + each]) for each in (0, 1)) / TICK for at in (11, 13))
    if child.wait():
        raise SystemExit(f"{words[:3]} ended with {child.returncode}: {said.decode(errors='replace')[-2000:]}")
    return Cost(seconds, own, children)


def measure(hosts: Hosts, parallel: int, sample: int) -> bool:
    """Measure and print; tell whether the limits are kept."""
    apps = list(hosts.ports)
    scripts = hosts.fleet.folder / "scripts"
    scripts.mkdir()
    for app in apps:
        (scripts / app).write_text(hosts.script(app))
    backup = (*PROGRAM, "backup", "--parallel", str(parallel))
    environment = {**clean(), "INVOKE_INVENTORY": str(hosts.inventory())}
    cost(backup, environment)  # the hosts' first use of their repositories, which is not what is timed
    xargs = ("sh", "-c", f"ls {scripts}/* | xargs -P {parallel} -n 1 sh -e")
    cost(("sh", "-c", f"ls {scripts}/* | xargs -P {parallel} -n 1 sh -e"), clean())
    one = statistics.mean(cost(("sh", "-e", str(scripts / app)), clean()).seconds for app in apps[:sample]) * len(apps)
    turns = [(cost(xargs, clean()), cost(backup, environment)) for _ in range(2)]
    ideal, ours = (min(each, key=lambda taken: taken.seconds) for each in zip(*turns, strict=True))
    cpu = ours.own / len(apps)
    print(f"\n{len(apps)} hosts, {parallel} at a time, the better of 2 turns each")
    print(f"one after another, by {sample} of them  {one:7.1f} s")
    print(f"xargs -P {parallel}                      {ideal.seconds:7.1f} s")
    print(
        f"./inv backup                     {ours.seconds:7.1f} s  {ours.seconds / ideal.seconds:.2f} x xargs (limit {LIMIT})"
    )
    print(f"                                          {one / ours.seconds:.1f} x quicker than one after another")
    print(f"CPU of the operator's process   {cpu:8.2f} s for an app (limit {CPU_LIMIT}),", end="")
    print(f" {ours.children / len(apps):.2f} s more in borg and ssh for the listing")
    return bool(ours.seconds <= LIMIT * ideal.seconds and cpu <= CPU_LIMIT)


def main() -> int:
    """Measure; return 1 when a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=50)
    parser.add_argument("--parallel", type=int, default=8)
    parser.add_argument("--sample", type=int, default=10, help="how many apps are backed up one after another")
    options = parser.parse_args()
    with Fleet.make(options.hosts) as fleet:
        hosts = Hosts(fleet)
        try:
            hosts.start()
            return 0 if measure(hosts, options.parallel, min(options.sample, options.hosts)) else 1
        finally:
            hosts.end()


if __name__ == "__main__":
    sys.exit(main())
