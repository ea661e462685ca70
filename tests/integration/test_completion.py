"""The Tab key in real shells: tasks, options and values, by `./inv` as by `inv`."""

import json
import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.integration.local import local_inventory

CHECKOUT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds
ARCHIVE = "shop-files-2026-11-22T03-00-00"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of a folder with an inventory, and `inv` on the PATH."""
    folder = tmp_path_factory.mktemp("completion")
    inventory = local_inventory(folder, folder / "no fault")
    file = inventory / "apps" / "shop.yml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"tags": ["production"]}))
    cache = folder / "cache" / "report" / "disk" / "shop.json"
    cache.parent.mkdir(parents=True)
    cache.write_text("digest\n" + json.dumps({"archives": [[ARCHIVE, "id", "2026-11-22T03:00:00+00:00"]]}))
    (folder / "bin").mkdir()
    inv = folder / "bin" / "inv"
    (folder / "bin" / "tasks").symlink_to(CHECKOUT / "tasks")
    words = (sys.executable, "-P", str(folder / "bin/tasks/program.py"), "--search-root", str(CHECKOUT))
    inv.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    inv.chmod(0o755)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(folder), "INVOKE_INVENTORY": str(inventory), "TERM": "dumb", "LC_ALL": "C.UTF-8"}


LINES = [
    ("backu", "backup"),
    ("backup --ap", "--app"),
    ("backup --app sh", "shop"),
    ("backup --tag prod", "production"),
    ("restore --app shop --storage di", "disk"),
    ("backup --source fi", "files"),
    ("report --format mark", "markdown"),
    ("borg.list --app shop --archive shop-", ARCHIVE),
]


def bash(place: dict[str, str], line: str, folder: str = ".") -> str:
    words = line.split(" ")
    script = (
        f"cd '{place['HOME']}/bin'; source <(./inv --print-completion-script bash); complete -p ./inv inv >/dev/null || exit 9;"
        f' cd {folder}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _complete_inv {words[0]} "" ""; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    return subprocess.run(
        ["bash", "--norc", "-c", script], env=place, capture_output=True, text=True, check=True, timeout=PATIENCE
    ).stdout


def fish(place: dict[str, str], line: str, folder: str = ".") -> str:
    load = f"cd '{place['HOME']}/bin'; ./inv --print-completion-script fish | source; cd {folder}"
    script = f"{load}; complete --do-complete '{line}'"
    return subprocess.run(
        ["fish", "--no-config", "--command", script],
        env=place,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    ).stdout


def zsh(place: dict[str, str], line: str, offered: str, folder: str = ".") -> str:
    """Type a line and the Tab key into a shell on a terminal; return what it shows until it offers that, or for long."""
    child, terminal = pty.fork()
    if not child:
        os.chdir(f"{place['HOME']}/bin")
        os.execvpe("zsh", ["zsh", "-f", "-i"], place)  # noqa: S606
    load = f"source <(./inv --print-completion-script zsh); cd {folder}; echo loa''ded\n"
    shown, until = "", time.monotonic() + PATIENCE
    try:
        for typed, mark in (("PS1='rea''dy> '\n", "ready> "), (load, "loaded"), (f"{line}\t", offered)):
            shown = ""
            os.write(terminal, typed.encode())
            while time.monotonic() < until and mark not in shown:
                if select.select([terminal], [], [], 0.2)[0]:
                    shown += os.read(terminal, 65536).decode(errors="replace")
    finally:
        os.close(terminal)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return shown


@pytest.mark.parametrize(("typed", "offered"), LINES)
@pytest.mark.parametrize("program", ["./inv", "inv"])
def test_bash(place: dict[str, str], program: str, typed: str, offered: str) -> None:
    assert offered in bash(place, f"{program} {typed}").splitlines()


@pytest.mark.parametrize(("typed", "offered"), LINES[1::3])
@pytest.mark.parametrize("program", ["./inv", "inv"])
def test_fish(place: dict[str, str], program: str, typed: str, offered: str) -> None:
    assert shutil.which("fish"), "apt-get install fish"
    assert offered in fish(place, f"{program} {typed}").splitlines()


@pytest.mark.parametrize(("program", "typed", "offered"), [("./inv", *LINES[2]), ("inv", *LINES[7])])
def test_zsh(place: dict[str, str], program: str, typed: str, offered: str) -> None:
    assert shutil.which("zsh"), "apt-get install zsh"
    assert offered in zsh(place, f"{program} {typed}", offered)


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_the_tab_key_runs_no_program_of_another_folder(place: dict[str, str], shell: str, tmp_path: Path) -> None:
    """Whoever looks around in somebody else's checkout runs nothing of it; nor what another `inv` on the PATH is."""
    foreign = tmp_path / "theirs"
    foreign.mkdir()
    (foreign / "inv").write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\necho backup\n")
    (foreign / "inv").chmod(0o755)
    (foreign / "here").touch()
    changed = {**place, "PATH": f"{foreign}:{place['PATH']}"}
    for program in ("./inv", "inv", f"{foreign}/inv"):
        if shell == "zsh":
            assert "inv here" in zsh(changed, f"{program} he", "inv here", str(foreign))
        else:
            said = {"bash": bash, "fish": fish}[shell](changed, f"{program} he", str(foreign))
            assert "backup" not in said.splitlines()
    assert not (tmp_path / "ran").exists()
    far = f"{place['HOME']}/bin/inv"
    if shell != "zsh":
        assert "backup" in {"bash": bash, "fish": fish}[shell](changed, f"{far} backu", str(foreign)).splitlines()
