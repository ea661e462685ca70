"""How long `./inv --list` takes beside bare Invoke's own start-up: `.venv/bin/python tests/bench/list_startup.py [PAIRS]`.

Bare Invoke lists an empty tasks.py. Both are timed in turns, so that other load on the machine falls on both alike, and each
turn gives one ratio. Exits 1 when the median ratio is not below 2.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
LIMIT = 2.0
TASKS = "from invoke.collection import Collection\nns = Collection()\n"


def seconds(words: tuple[str, ...], folder: Path) -> float:
    """Return the time from start to end of a command. An empty list of tasks makes Invoke exit 1, so codes are not asked."""
    started = time.perf_counter()
    subprocess.run(words, cwd=folder, capture_output=True, check=False)
    return time.perf_counter() - started


def main(pairs: int) -> int:
    with tempfile.TemporaryDirectory() as name:
        empty = Path(name)
        (empty / "tasks.py").write_text(TASKS)
        ours = (str(CHECKOUT / "inv"), "--list")
        bare = (str(CHECKOUT / ".venv/bin/inv"), "--list")
        if subprocess.run(ours, capture_output=True, check=False).returncode:  # warms up, makes .venv
            sys.stderr.write("./inv --list fails\n")
            return 1
        seconds(bare, empty)
        turns = [(seconds(ours, CHECKOUT), seconds(bare, empty)) for _ in range(pairs)]
    ratio = statistics.median(one / other for one, other in turns)
    our_time, bare_time = (statistics.median(times) for times in zip(*turns, strict=True))
    sys.stdout.write(
        f"./inv --list {our_time * 1000:.0f} ms, bare inv --list {bare_time * 1000:.0f} ms, "
        f"ratio {ratio:.2f} (median of {pairs} pairs, limit {LIMIT:g})\n"
    )
    return int(ratio >= LIMIT)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 15))
