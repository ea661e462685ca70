"""What a report of many repositories costs: `./inv bench.report --repositories 100`.

In one run, with the same repositories behind a real SSH server: `borg list --json` one after another, borgmatic's
`repo-list --json`, our first report, our report when nothing changed, and when three changed; then all of it again with 20 ms
more for each round trip. Then how long `report.serve` takes for a scrape and for its page, of the same repositories. Prints
seconds and ratios; exits 1 when a limit is not kept.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path

from lab.process import free_port
from tests.bench.repositories import Fleet, name_of

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAM = (sys.executable, "-P", str(CHECKOUT / "tasks/program.py"), "--search-root", str(CHECKOUT))
LATENCY = 20  # ms for a round trip
CHANGED = 3
SCRAPES = 50
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds, and its own peak of memory in bytes."""

    seconds: float
    memory: int


@dataclass(frozen=True)
class Limits:
    """What must hold: our seconds, and how many times quicker than borgmatic."""

    unchanged: float = 3.0
    changed: float = 6.0
    unchanged_ratio: float = 50.0
    first_ratio: float = 2.0
    scrape: float = 1.0  # seconds for the longest answer of report.serve
    memory: int = 150 * MEBIBYTE


def measured(words: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """Run a command that must succeed. The memory is that of its own process, without its children's."""
    # Into a file: the report of 100 apps is more than a pipe holds that nobody reads meanwhile.
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        child = subprocess.Popen(words, env=dict(environment), stdout=subprocess.DEVNULL, stderr=said)
        peak = 0
        while child.poll() is None:
            peak = max(peak, _peak(child.pid))
            time.sleep(0.02)
        seconds = time.perf_counter() - began
        said.seek(0)
        if child.returncode:
            text = said.read().decode(errors="replace")
            raise SystemExit(f"{words[:3]} ended with {child.returncode}: {text[-2000:]}")
    return Cost(seconds, peak)


def _asked(port: int, path: str) -> tuple[int, float]:
    """Return the status of an answer, 0 when there is none, and its seconds."""
    began = time.perf_counter()
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
    except OSError:
        return 0, 0.0
    finally:
        connection.close()
    return answer.status, time.perf_counter() - began


def _peak(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


def clean() -> dict[str, str]:
    """Return an environment in which borg is as it is for anybody."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("BORG_", "INVOKE_"))}


def install_borgmatic(folder: Path) -> Path:
    """Install the newest borgmatic into a virtual environment of its own; return the program."""
    venv.create(folder, with_pip=True)
    words = (str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "borgmatic")
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
    return folder / "bin/borgmatic"


class Bench:
    """One fleet, measured."""

    def __init__(self, fleet: Fleet, borgmatic: Path, sample: int) -> None:
        self.fleet = fleet
        self.borgmatic = borgmatic
        self.sample = min(sample, fleet.count)
        self.inventory = fleet.inventory()

    def one_after_another(self) -> float:
        """Return the seconds of `borg list --json` for all, by those of the sample."""
        environment = {**clean(), "BORG_PASSPHRASE": "bench", "BORG_RSH": self.fleet.ssh}
        environment["BORG_BASE_DIR"] = str(self.fleet.folder / f"stock-base-{self.fleet.port}")
        environment["BORG_RELOCATED_REPO_ACCESS_IS_OK"] = "yes"
        seconds = [
            measured(("borg", "list", "--json", self.fleet.url(name_of(number))), environment).seconds
            for number in range(self.sample)
        ]
        return sum(seconds) / self.sample * self.fleet.count

    def by_borgmatic(self) -> float:
        """Return the seconds of borgmatic for all, by those of the sample."""
        config = self.fleet.borgmatic(self.sample)
        words = (str(self.borgmatic), "--config", str(config), "repo-list", "--json")
        return measured(words, clean()).seconds / self.sample * self.fleet.count

    def ours(self) -> Cost:
        """Return what our report takes."""
        environment = {**clean(), "INVOKE_INVENTORY": str(self.inventory)}
        return measured((*PROGRAM, "report", "--format", "json"), environment)

    def served(self) -> dict[str, list[float]]:
        """Return the seconds of each answer of `report.serve`, by path, while it makes reports one after another."""
        port = free_port()
        words = (*PROGRAM, "report.serve", "--port", str(port), "--interval", "1")
        environment = {**clean(), "INVOKE_INVENTORY": str(self.inventory)}
        with subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL) as exporter:
            try:
                while _asked(port, "/-/ready")[0] != 200:
                    time.sleep(0.2)
                return {path: [_asked(port, path)[1] for _ in range(SCRAPES)] for path in ("/metrics", "/")}
            finally:
                exporter.terminate()

    def show_served(self, limits: Limits) -> bool:
        """Measure and print what `report.serve` takes; tell whether the limit is kept."""
        found = self.served()
        for path, seconds in found.items():
            print(
                f"report.serve, {self.fleet.count} apps, {path:8} {statistics.median(seconds):.3f} s, "
                f"the longest of {SCRAPES} {max(seconds):.3f} s  (at most {limits.scrape:g})",
                flush=True,
            )
        return max(max(seconds) for seconds in found.values()) <= limits.scrape

    def show(self, label: str, limits: Limits) -> bool:
        """Measure and print a table; tell whether the limits are kept."""
        stock, other = self.one_after_another(), self.by_borgmatic()
        first = self.ours()
        unchanged = [self.ours() for _ in range(5)]
        quiet = replace(unchanged[0], seconds=statistics.median(each.seconds for each in unchanged))
        self.fleet.save(
            [name_of(number) for number in range(CHANGED)], self.fleet.port / 100_000
        )  # a name that none has yet
        changed = self.ours()
        memory = max(each.memory for each in (first, *unchanged, changed))
        whole = "" if self.sample == self.fleet.count else f", by {self.sample} of them"
        rows = (
            (f"`borg list --json` one after another{whole}", stock, 0.0),
            (f"borgmatic repo-list{whole}", other, 0.0),
            ("report, the first", first.seconds, limits.first_ratio),
            ("report, nothing changed", quiet.seconds, limits.unchanged_ratio),
            (f"report, {CHANGED} changed", changed.seconds, 0.0),
        )
        print(f"\n{self.fleet.count} repositories, {label}")
        for name, seconds, least in rows:
            wanted = f"  (at least {least:g})" if least else ""
            print(
                f"{name:55} {seconds:8.2f} s  {stock / seconds:7.1f} x borg  {other / seconds:7.1f} x borgmatic{wanted}"
            )
        print(f"memory of the report's process: {memory / MEBIBYTE:.0f} MiB", flush=True)
        return all(
            (
                quiet.seconds <= limits.unchanged,
                changed.seconds <= limits.changed,
                other / quiet.seconds >= limits.unchanged_ratio,
                other / first.seconds >= limits.first_ratio,
                memory <= limits.memory,
            )
        )


def main() -> int:
    """Measure; return 1 when a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int, default=100)
    parser.add_argument("--sample", type=int, default=100, help="how many of them the other tools list")
    parser.add_argument(
        "--latency", type=int, default=LATENCY, help="ms added to each round trip in a second round; 0: none"
    )
    options = parser.parse_args()
    began = time.perf_counter()
    with Fleet.make(options.repositories) as fleet:
        borgmatic = install_borgmatic(fleet.folder / "borgmatic")
        for program in ("borg", str(borgmatic)):
            print(program.rpartition("/")[2], subprocess.check_output((program, "--version"), text=True).split()[-1])
        print(f"made in {time.perf_counter() - began:.0f} s", flush=True)
        bench = Bench(fleet, borgmatic, options.sample)
        kept = bench.show("no latency added", Limits())
        kept &= bench.show_served(Limits())
        if options.latency:
            words = (sys.executable, "-m", "tests.bench.slow", str(fleet.port), str(options.latency))
            with subprocess.Popen(words, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as slow:
                assert slow.stdout is not None
                try:
                    far = replace(fleet, port=int(slow.stdout.readline()))
                    kept &= Bench(far, borgmatic, options.sample).show(f"{options.latency} ms added", Limits())
                finally:
                    slow.terminate()
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
