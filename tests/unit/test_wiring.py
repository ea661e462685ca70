"""What a person types finds its task from everywhere, and every task explains itself."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tasks import ns

CHECKOUT = Path(__file__).resolve().parents[2]
INV = str(CHECKOUT / "inv")
BARE_INV = (sys.executable, "-m", "invoke")
NAMES = sorted(ns.task_names)


def unexplained(name: str) -> list[str]:
    """Return the options of a task that have no help."""
    return [argument.name for argument in ns[name].get_arguments() if not argument.help]


def run(*words: str, folder: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def listing() -> str:
    done = run(INV, "--list")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_list_names_every_task(listing: str) -> None:
    assert NAMES
    listed = {line.split()[0] for line in listing.splitlines() if line.startswith("  ")}
    assert set(NAMES) <= listed


@pytest.mark.parametrize("folder", [CHECKOUT, CHECKOUT / "tasks", CHECKOUT / "lab", CHECKOUT / "tests", Path("/")])
def test_the_list_is_the_same_from_every_folder(folder: Path, listing: str) -> None:
    assert run(INV, "--list", folder=folder).stdout == listing


def test_the_list_is_the_same_through_a_link_with_spaces(tmp_path: Path, listing: str) -> None:
    place = tmp_path / "a folder"
    place.mkdir()
    (place / "cloud backup").symlink_to(INV)
    assert run("./cloud backup", "--list", folder=place).stdout == listing
    assert run("sh", INV, "--list", folder=place).stdout == listing


@pytest.mark.parametrize("folder", [CHECKOUT, CHECKOUT / "tasks", CHECKOUT / "tasks/borg", CHECKOUT / "tests/unit"])
def test_bare_invoke_finds_the_same_tasks(folder: Path, listing: str) -> None:
    done = run(*BARE_INV, "--list", folder=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == listing


def test_help_of_invoke_and_of_a_task(tmp_path: Path) -> None:
    general = run(INV, "--help", folder=tmp_path)
    assert general.returncode == 0
    assert general.stdout.startswith("Usage: inv ")
    for words in (("backup", "--help"), ("--help", "backup"), ("restore", "--help"), ("borg.diff", "--help")):
        done = run(INV, *words, folder=tmp_path)
        assert done.returncode == 0
        assert "Docstring:" in done.stdout


def test_what_must_be_given_is_named(tmp_path: Path) -> None:
    done = run(INV, "restore", folder=tmp_path)
    assert (done.returncode, "--app is missing" in done.stderr) == (2, True)


def test_completion_offers_tasks(tmp_path: Path) -> None:
    done = run(INV, "--complete", "--", "inv", folder=tmp_path)
    assert {"backup", "report"} <= set(done.stdout.split())


def test_bash_completes_tasks_and_options_by_the_lines_of_the_docs(tmp_path: Path) -> None:
    (tmp_path / "inv").symlink_to(INV)
    lines = """
    source <(inv --print-completion-script bash)
    complete -p inv >/dev/null || exit 1
    press_tab() { COMP_WORDS=("$@"); _complete_inv inv "${@: -1}"; echo "${COMPREPLY[*]}"; }
    press_tab inv borg.ke
    press_tab inv report --stri
    """
    done = subprocess.run(
        ("bash", "-c", lines),
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("borg.key-export\n--strict\n", "")


@pytest.mark.parametrize(
    "words",
    [("no-such-task",), ("--help", "no-such-task"), ("--no-such-option",), ("backup", "--no-such-option")],
)
def test_wrong_usage_exits_2_with_one_line(words: tuple[str, ...], tmp_path: Path) -> None:
    done = run(INV, *words, folder=tmp_path)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert words[-1] in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_a_task_says_in_one_imperative_line_what_it_does(name: str) -> None:
    first = (ns[name].__doc__ or "").strip().splitlines()[0]
    assert first[0].isupper()
    assert not first.endswith(("..", "…"))
    verb = first.split()[0]
    assert not re.fullmatch(r"(?i)(the|a|an|this|it|task|.*[^s]s|\w{3,}ing)", verb), f"{first!r} is not imperative"


@pytest.mark.parametrize("name", NAMES)
def test_every_option_of_a_task_is_explained(name: str) -> None:
    assert not unexplained(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_tasks_names_the_task(name: str) -> None:
    table = (CHECKOUT / "docs/tasks.md").read_text()
    assert re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", table)
