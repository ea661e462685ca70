"""An exception at each step of a backup, a drill, a check and a prune: that app's failure, and the run goes on."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import tasks.fleet.backup as fleet_backup
import tasks.fleet.check as fleet_check
import tasks.fleet.prune as fleet_prune
import tasks.fleet.verify as fleet_verify
from tasks import crash
from tasks.borg import apps as borg_apps
from tasks.borg.verbs import initialise
from tests.integration.local import after_the_newest_archive, local_inventory
from tests.integration.steps import Place, failing, steps

WORD = "never thought of"
Run = Callable[[], int]


def ready(folder: Path) -> Path:
    """Write the inventory of `shop`, with two good archives, and of `new`, whose passphrase nobody has."""
    folder.mkdir(exist_ok=True)
    place = local_inventory(folder, folder / "no fault")
    main = yaml.safe_load((place / "cloudbackup.yml").read_text())
    main["defaults"] = {"keep": {"last": 1}, "retries": 0}
    (place / "cloudbackup.yml").write_text(yaml.safe_dump(main))
    new = place / "apps/new.yml"
    values = yaml.safe_load(new.read_text())
    new.unlink()
    borg_apps.each(str(place), (), initialise)
    assert fleet_backup.run(str(place), fleet_backup.Options()) == 0
    new.write_text(yaml.safe_dump({**values, "passphrase": {"command": ["no-such-program"]}}))
    return place


def told(end: int, said: str, done: str, *, made: bool) -> list[str]:
    """Return what a run in which a step of `shop` failed does not tell."""
    lines = said.splitlines() or [""]
    files = [file.read_text() for file in crash.folder().glob("*.txt")]
    right = {
        "by its exit code": end in {3, 4} or (end == 2 and re.search(r" shop\b.* ok ", said)),
        "of shop": re.search(r" shop\b.* (ok|failed|warning) ", said),
        "of new": re.search(r" new\b.* failed ", said),
        "in its last line": re.search(rf" \d of \d {done} in ", lines[-1]),
        "what failed": not made or WORD in said or any(WORD in text for text in files),
    }
    return [name for name, there in right.items() if not there]


def test_each_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(crash, "FOLDER", str(tmp_path / "crashes"))
    pruned = tmp_path / "pruned"
    first, second = str(ready(tmp_path)), str(ready(pruned))
    runs: dict[str, tuple[Run, Path]] = {
        "saved": (lambda: fleet_backup.run(first, fleet_backup.Options()), tmp_path),
        "proven": (lambda: fleet_verify.run(first, fleet_verify.Options()), tmp_path),
        "whole": (lambda: fleet_check.run(first, fleet_check.Options()), tmp_path),
        "pruned": (lambda: fleet_prune.run(second, fleet_prune.Options(), lambda _: True), pruned),
    }

    def prepare(folder: Path) -> None:
        after_the_newest_archive(folder)
        if folder == pruned:  # so that something goes
            assert fleet_backup.run(second, fleet_backup.Options()) == 2
            after_the_newest_archive(folder)

    known: set[Place] = set()
    count = 0
    for done, (run, folder) in runs.items():
        prepare(folder)
        new = {place: step for place, step in steps(run, "shop").items() if place not in known}
        known |= set(new)
        for place, step in new.items():
            prepare(folder)
            capsys.readouterr()
            end, made = failing(run, "shop", place, step, ZeroDivisionError(WORD))
            said = capsys.readouterr().out
            assert told(end, said, done, made=made) == [], (done, place, step, said)
            count += made
            for file in crash.folder().glob("*.txt"):
                file.unlink()
    assert count > 40
