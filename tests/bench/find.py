"""What `find` costs: `./inv bench.find --archives 100 --files 20000`.

One app whose files are in so many archives of a directory on this machine, one file changed from each to the next. Prints
the seconds of a first `find`, of a second one, of one for a pattern without a fixed part, and of `borg list` one archive
after another, of a sample.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.bench.measure import Cost, run
from tests.integration.local import local_inventory

CHECKOUT = Path(__file__).resolve().parents[2]
INV = (sys.executable, "-P", str(CHECKOUT / "tasks/program.py"), "--search-root", str(CHECKOUT))
FOLDERS = 200


def make(folder: Path, archives: int, files: int) -> dict[str, str]:
    """Make inventory, repository and archives; return the environment for commands."""
    inventory = local_inventory(folder, folder / "fault")
    (inventory / "apps/new.yml").unlink()
    environment = {
        **os.environ,
        "INVOKE_INVENTORY": str(inventory),
        "BORG_REPO": str(folder / "storage" / "shop"),
        "BORG_PASSPHRASE": "a passphrase",
        "BORG_BASE_DIR": str(folder / "base"),
        "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
    }
    subprocess.run((*INV, "borg.init"), env=environment, check=True, stdout=subprocess.DEVNULL)
    data = folder / "data"
    for number in range(files):
        place = data / f"folder-{number % FOLDERS:03}" / f"configuration-{number:05}.conf"
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"value = {number}\n")
    began = datetime.now(UTC) - timedelta(days=archives)
    for number in range(archives):
        if number % 7 == 0:
            (data / "folder-042" / "configuration-00042.conf").write_text(f"value = {number // 7}\n")
        time = f"{began + timedelta(days=number):%Y-%m-%dT%H-%M-%S}"
        words = ("borg", "create", f"--timestamp={time[:13]}:00:00", f"::shop-files-{time}", str(data))
        subprocess.run(words, env=environment, check=True, capture_output=True)
    return environment


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archives", type=int, default=100)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--sample", type=int, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        environment = make(Path(name), asked.archives, asked.files)
        listed = run(("borg", "list", "--short"), environment).output.split()[: asked.sample]
        by_hand = [run(("borg", "list", f"::{archive}"), environment) for archive in listed]
        seconds = sum(each.wall for each in by_hand) / len(by_hand) * asked.archives
        print(f"borg list of each archive, one after another ({asked.sample} measured)  {seconds:8.1f} s")
        for what, pattern in (
            ("first", "configuration-00042.conf"),
            ("again", "configuration-00042.conf"),
            ("any", "*"),
        ):
            cost: Cost = run((*INV, "find", pattern, "--format", "json"), environment)
            print(
                f"find {pattern:26} {what:6} {cost.wall:8.1f} s  {cost.cpu:8.1f} s of CPU  {cost.memory / 1e6:5.0f} MB"
            )
        kept = sum(each.stat().st_size for each in (Path(name) / "cache/entries").rglob("*") if each.is_file())
        print(f"kept on the operator's machine {kept / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
