"""What `keep` lets go: borg's own reckoning, done beforehand."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.borg.client.list import Archive
from tasks.borg.retention import PERIODS, plan
from tasks.inventory.models import Keep, KeepRules

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BORGS = [path for path in (shutil.which("borg"), *os.environ.get("CLOUDBACKUP_BORGS", "").split(":")) if path]
ASK_BORG = """
import json, os, sys, time
os.environ["TZ"] = "UTC"; time.tzset()
from collections import namedtuple
from datetime import datetime, timezone
from borg.helpers import prune_split
Archive = namedtuple("Archive", "id ts")
answers = []
for case in json.load(sys.stdin):
    archives = [Archive(str(at), datetime.fromtimestamp(at, timezone.utc)) for at in case["times"]]
    because = {a.id: "within" for a in archives if case["begin"] and a.ts.timestamp() > case["begin"]}
    for rule, count in case["rules"]:
        prune_split(archives, rule, count, because)
    answers.append(sorted(because))
print(json.dumps(answers))
"""


def archives(*times: datetime) -> list[Archive]:
    return [Archive(f"shop-files-{each:%Y-%m-%dT%H-%M-%S}", str(int(each.timestamp())), each) for each in times]


@pytest.mark.parametrize("borg", BORGS)
def test_the_plan_is_borgs_own(borg: str) -> None:
    chance = random.Random(7)  # noqa: S311  # a dice, not a secret
    cases, mine = [], []
    for _ in range(300):
        span = chance.choice([3600, 86400 * 3, 86400 * 40, 86400 * 900])
        times = sorted({int(NOW.timestamp()) - chance.randrange(span) for _ in range(chance.randrange(1, 25))})
        rules: dict[str, Any] = {name: chance.choice([0, 0, 1, 2, 5, 40]) for name in PERIODS}
        within = chance.choice([None, None, timedelta(hours=chance.randrange(1, 100))])
        rules["last"] = rules["last"] or int(not any(rules.values()) and within is None)
        cases.append(
            {
                "times": times,
                "begin": (NOW - within).timestamp() if within else 0,
                "rules": [("secondly" if name == "last" else name, count) for name, count in rules.items()],
            }
        )
        keep = KeepRules.model_construct(None, within=within, **rules)
        made = plan(archives(*(datetime.fromtimestamp(each, UTC) for each in times)), keep, NOW)
        mine.append(sorted(archive.id for archive in made.kept))
    interpreter = Path(borg).read_text(errors="replace").splitlines()[0].removeprefix("#!").split()
    asked = subprocess.run(
        [*interpreter, "-c", ASK_BORG], input=json.dumps(cases), capture_output=True, text=True, check=True
    )
    assert json.loads(asked.stdout) == mine


def test_what_is_spared_stays_and_takes_no_place() -> None:
    old, older, new = (NOW - timedelta(days=days) for days in (3, 4, 1))
    made = plan(archives(older, old, new), KeepRules(last=1), NOW, spared={str(int(older.timestamp()))})
    assert [archive.start for archive in made.kept] == [older, new]
    assert [archive.start for archive in made.removed] == [old]
    assert list(made.rules.values()) == ["spared", "last"]


def test_a_source_may_have_rules_of_its_own() -> None:
    keep = Keep.model_validate({"daily": 7, "binlog": {"within": "7d"}})
    binlog = keep.of("binlog")
    assert binlog is not None
    assert (binlog.within, binlog.daily) == (timedelta(days=7), 0)
    assert keep.of("files") is keep
    assert Keep.model_validate({"binlog": {"last": 1}}).of("files") is None
    with pytest.raises(ValueError, match="would keep nothing"):
        Keep.model_validate({})
    with pytest.raises(ValueError, match="would keep nothing"):
        Keep.model_validate({"daily": 1, "files": {"daily": 0}})
