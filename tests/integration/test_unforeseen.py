"""An exception that nobody foresaw is its app's failure and no other's; test_steps.py plays one at each step."""

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from invoke.exceptions import Exit

import tasks.fleet.backup as fleet_backup
import tasks.fleet.check as check_all
import tasks.fleet.prune as fleet_prune
import tasks.fleet.verify as fleet_verify
import tasks.report.history as report_history
import tasks.report.show as report_show
from tasks import crash
from tasks.app import check
from tasks.borg import apps as borg_apps
from tasks.borg.apps import AllFailedError, SomeFailedError
from tasks.borg.verbs import initialise
from tasks.cli import task
from tasks.remote.secret import Secret
from tests.integration.local import local_inventory

WORD = "never thought of"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two apps, `shop` and `new`, with a repository and two backups each."""
    folder = tmp_path_factory.mktemp("unforeseen")
    place = local_inventory(folder, folder / "no fault")
    main = yaml.safe_load((place / "cloudbackup.yml").read_text())
    main["defaults"] = {"keep": {"last": 1}}
    (place / "cloudbackup.yml").write_text(yaml.safe_dump(main))
    borg_apps.each(str(place), (), initialise)
    assert fleet_backup.run(str(place), fleet_backup.Options()) == 0
    assert fleet_backup.run(str(place), fleet_backup.Options()) == 0
    return str(place)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Break a step for the app `shop` alone; the files for bug reports go into a folder of the test."""
    monkeypatch.setattr(crash, "FOLDER", str(tmp_path / "crashes"))

    def break_(where: str) -> None:
        module, _, name = where.rpartition(":")
        holder: Any = __import__("importlib").import_module(module)
        *parents, last = name.split(".")
        for each in parents:
            holder = getattr(holder, each)
        real = getattr(holder, last)

        def step(*words: Any, **more: Any) -> Any:
            if any(_names(word, "shop") for word in (*words, *more.values())):
                raise ZeroDivisionError(WORD)
            return real(*words, **more)

        monkeypatch.setattr(holder, last, step)

    return break_


def _names(word: Any, app: str) -> bool:
    """Tell whether an argument of a step is the app, or of it."""
    if isinstance(word, list | tuple):
        return any(_names(each, app) for each in word)
    own = getattr(word, "app", word)
    return app in (own, getattr(own, "name", None), getattr(word, "name", None))


def kept() -> list[Path]:
    return sorted(crash.folder().glob("*.txt"))


def of(text: str, app: str) -> list[str]:
    return [line for line in text.splitlines() if re.search(rf"\b{app}\b", line)]


BACKUP = [
    "tasks.fleet.app_backup:AppBackup.save",
    "tasks.run.notices:Notices.app_ended",
    "tasks.borg.client.create:_created",
]


@pytest.mark.parametrize("step", BACKUP)
def test_backup(step: str, fleet: str, broken: Any, capsys: pytest.CaptureFixture[str]) -> None:
    broken(step)
    assert fleet_backup.run(fleet, fleet_backup.Options()) == 3
    said = capsys.readouterr().out
    assert re.search(r"\bnew +files +ok\b", said)
    assert WORD in said or "Notices" in step
    assert re.search(r"\d of \d saved in ", said.splitlines()[-1])
    assert kept()


@pytest.mark.parametrize(
    ("step", "run"),
    [
        ("tasks.fleet.verify:_App.drill", fleet_verify),
        ("tasks.fleet.check:_checked", check_all),
        ("tasks.fleet.prune:_Job.planned", fleet_prune),
        ("tasks.fleet.prune:_Job.carry_out", fleet_prune),
    ],
)
def test_drill_check_and_prune(
    step: str, run: Any, fleet: str, broken: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    if run is fleet_prune:
        fleet_backup.run(fleet, fleet_backup.Options())  # so that something goes of each app
        assert check_all.run(fleet, check_all.Options()) == 0  # nothing is freed after one that failed
        assert fleet_verify.run(fleet, fleet_verify.Options()) == 0
    capsys.readouterr()
    broken(step)
    yes = (lambda _: True,) if run is fleet_prune else ()
    assert run.run(fleet, run.Options(), *yes) == 3
    said = capsys.readouterr().out
    assert any(WORD in line for line in of(said, "shop"))
    assert any(" ok " in line for line in of(said, "new"))
    assert kept()


@pytest.mark.parametrize(
    "step",
    [
        "tasks.borg.catalog:_address",
        "tasks.borg.catalog:_list",
        "tasks.borg.catalog:_state",
        "tasks.borg.catalog:_with",
        "tasks.report.gather:judge",
        "tasks.report.gather:doubts",
        "tasks.report.gather:daily_growth",
        "tasks.borg.client.list:archives",
    ],
)
def test_report(step: str, fleet: str, broken: Any, capsys: pytest.CaptureFixture[str]) -> None:
    broken(step)
    report_show.run(fleet, report_show.Options(format="json", fresh=True))
    rows = {row["app"]: row for row in json.loads(capsys.readouterr().out)["apps"]}
    assert rows["new"]["archives"]
    assert set(rows) == {"new", "shop"}


def test_history_and_app_check(fleet: str, broken: Any, capsys: pytest.CaptureFixture[str]) -> None:
    broken("tasks.report.history:_read")
    broken("tasks.app.checks:_recorded")
    assert report_history.run(fleet, report_history.Options()) == 3
    assert of(capsys.readouterr().out, "new")
    assert check.run(fleet, ()) == 3
    assert WORD in capsys.readouterr().out


def test_a_verb_of_borgs(fleet: str, broken: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def act(opened: borg_apps.Opened) -> list[str]:
        if opened.app.name == "shop":
            raise ZeroDivisionError(WORD)
        return [f"{opened.app.name} is well"]

    with pytest.raises(SomeFailedError, match="1 of 2"):
        borg_apps.each(fleet, (), act)
    said = capsys.readouterr()
    assert (said.out, WORD in said.err) == ("new is well\n", True)


def test_one_apps_missing_secret_stops_no_other(fleet: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "inventory"
    (place / "apps").mkdir(parents=True)
    for file in Path(fleet).rglob("*.yml"):
        values = yaml.safe_load(file.read_text())
        if file.name == "new.yml":  # the first by name
            values["passphrase"] = {"command": ["no-such-program"]}
        (place / file.relative_to(fleet)).write_text(yaml.safe_dump(values))
    with pytest.raises(SomeFailedError, match="1 of 2") as ended:
        borg_apps.each(str(place), (), lambda opened: [f"{opened.app.name} is well"])
    assert not isinstance(ended.value, AllFailedError)
    assert capsys.readouterr().out == "shop is well\n"


def test_the_file_for_a_bug_report(broken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Secret("correct horse battery")

    def fails() -> None:
        raise ValueError("ssh://u:hunter2@box said: correct horse battery, token=abcdef caf\udce9")

    for _ in range(crash.KEPT + 5):
        with pytest.raises(crash.UnforeseenError) as caught, crash.foreseen("shop"):
            fails()
    assert len(kept()) == crash.KEPT
    newest = next(file for file in kept() if str(file) in caught.value.remedy)
    text = newest.read_text()
    assert "in fails" in text
    for secret in ("hunter2", "correct horse", "abcdef"):
        assert secret not in text + str(caught.value)
    assert stat.S_IMODE(newest.stat().st_mode) == 0o600
    assert stat.S_IMODE(crash.folder().stat().st_mode) == 0o700


def test_a_task_ends_with_a_sentence_and_not_with_a_traceback(broken: Any) -> None:
    @task()
    def do(_c: object) -> None:
        raise ZeroDivisionError(WORD)

    with pytest.raises(Exit) as ended:
        do.body(None)
    assert ended.value.code == 1
    assert str(kept()[0]) in str(ended.value)
