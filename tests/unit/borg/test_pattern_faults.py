"""Patterns that cannot be matched on a host are one sentence, in the inventory and in files there; never a traceback."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.borg.host.pattern_files import PatternsError, from_file
from tasks.borg.paths import Plan
from tasks.inventory.patterns import read_pattern

ROOT = Path(__file__).parents[3]
BACKWARDS = "sh:**/[z-a]"
HUGE, DEEP = "re:a{99999999999999}", "re:" + "(" * 5000 + ")" * 5000


@pytest.mark.parametrize("pattern", [HUGE, DEEP, "re:("])
def test_an_expression_that_python_cannot_compile_is_refused(pattern: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="regular expression that cannot be read"):
        read_pattern(pattern)
    file = tmp_path / "patterns"
    file.write_text(f"+ sh:/srv\n! {pattern}\n")
    with pytest.raises(PatternsError, match=re.escape(f"{file}, line 2: has a regular expression")):
        from_file(str(file))


@pytest.mark.parametrize(
    ("key", "plan"),
    [("exclude", Plan(("/srv",), exclude=[BACKWARDS])), ("patterns", Plan(("/srv",), patterns=[f"! {BACKWARDS}"]))],
)
def test_a_host_that_cannot_match_a_pattern_of_the_inventory_says_which(key: str, plan: Plan) -> None:
    """As an older Python there does with newer expressions; a range that goes backwards stands for these here."""
    given = {**os.environ, "CLOUDBACKUP_FILES": str(plan.environment["CLOUDBACKUP_FILES"]), "PYTHONPATH": str(ROOT)}
    code = "from tasks.borg.host.paths import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert re.match(rf"files\.{key}: .*\[z-a\]: has a pattern that cannot be read", json.loads(done.stdout)["fault"])
