"""The command line as scripts know it: names of tasks and options, their defaults and help. It changes by intention only.

`python -m tests.unit.test_command_line` writes `command_line.json` anew.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks import ns

FILE = Path(__file__).with_name("command_line.json")
CHECKOUT = Path(__file__).resolve().parents[2]
LETTERS = {"app": "a", "source": "s", "quiet": "q", "verbose": "v", "yes": "y"}
NAMES = sorted(name for name in ns.task_names if name.split(".")[0] not in {"lab", "bench", "demo", "test"})


def described(name: str) -> dict[str, Any]:
    """Return a task's first sentence and options."""
    task = ns[name]
    options = {
        max(argument.names, key=len).replace("_", "-"): {
            "kind": argument.kind.__name__,
            "default": argument.default,
            "help": argument.help,
            "letter": "".join(sorted(each for each in argument.names if len(each) == 1)),
        }
        for argument in task.get_arguments()
    }
    return {"does": (task.__doc__ or "").strip().splitlines()[0], "options": dict(sorted(options.items()))}


FOUND = {name: described(name) for name in NAMES}  # before other tests of this process run tasks


@pytest.mark.parametrize("name", NAMES)
def test_a_task_is_what_scripts_know(name: str) -> None:
    assert FOUND[name] == json.loads(FILE.read_text())[name], "on purpose? python -m tests.unit.test_command_line"


def test_no_task_is_lost() -> None:
    assert set(json.loads(FILE.read_text())) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_letter_means_the_same_everywhere(name: str) -> None:
    letters = {option: told["letter"] for option, told in FOUND[name]["options"].items() if told["letter"]}
    assert letters == {option: letter for option, letter in LETTERS.items() if option in FOUND[name]["options"]}


@pytest.mark.parametrize(
    "words",
    ["prune -d -y", "prune -yd", "backup -p", "report -f json", "backup -r /x", "backup -a shop -d", "borg.list -l"],
)
@pytest.mark.parametrize("program", [("-m", "invoke"), ("-P", "tasks/program.py", "--search-root", ".")])
def test_a_letter_that_a_task_does_not_have_is_refused(program: tuple[str, ...], words: str) -> None:
    """Invoke's own options have letters as well, and are taken behind a task: `prune -d` would have pruned."""
    done = subprocess.run(
        [sys.executable, *program, *words.split()],
        cwd=CHECKOUT,
        env={**os.environ, "INVOKE_INVENTORY": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "/nowhere" not in done.stderr + done.stdout, "it ran"
    assert re.search(r"'?-[dpfrl]\b", done.stderr), done.stderr


if __name__ == "__main__":
    FILE.write_text(json.dumps(FOUND, indent=1, ensure_ascii=False) + "\n")
