"""The script `inv` in a checkout of its own, whose program only tells how it was called. Nothing is downloaded."""

import hashlib
import json
import os
import pty
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

INV = Path(__file__).resolve().parents[2] / "inv"
PROGRAM = """
import json, os, sys
print(json.dumps({"words": sys.argv[1:], "folder": os.getcwd(), "input": sys.stdin.read(), "prefix": sys.prefix}))
"""
INSTALLING = "installing Python packages"


class Checkout:
    """A folder with the real `inv`, requirements that need no download, and a program that prints its call as JSON."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "PIP_NO_INDEX": "1"}
        (folder / "tasks").mkdir(parents=True)
        (folder / "tasks/program.py").write_text(PROGRAM)
        (folder / "requirements.txt").write_text("# none\n")
        (folder / "inv").write_bytes(INV.read_bytes())
        (folder / "inv").chmod(0o755)

    def start(self, *words: str, inv: str = "", folder: Path | None = None) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        command = (inv or str(self.folder / "inv"), *words)
        return subprocess.Popen(
            command, cwd=folder or self.folder, env=self.environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )

    def call(self, *words: str, inv: str = "", folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        process = self.start(*words, inv=inv, folder=folder)
        output, errors = process.communicate("typed by the caller", timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def put_first_on_path(self, name: str, script: str) -> None:
        place = self.folder / "first"
        place.mkdir(exist_ok=True)
        (place / name).write_text(f"#!/bin/sh\n{script}\n")
        (place / name).chmod(0o755)
        self.environment["PATH"] = f"{place}:{self.environment['PATH']}"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "my $checkout")


def test_makes_the_environment_once_and_again_when_outdated_or_moved(checkout: Checkout, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = tmp_path / "link"
    link.symlink_to("my $checkout/inv")
    first = checkout.call("backup", "--app", "a b", inv=str(link), folder=elsewhere)
    assert first.returncode == 0, first.stderr
    assert first.stderr.count("\n") == 1
    assert INSTALLING in first.stderr
    assert json.loads(first.stdout) == {
        "words": ["--search-root", str(checkout.folder), "backup", "--app", "a b"],
        "folder": str(elsewhere),
        "input": "typed by the caller",
        "prefix": str(checkout.folder / ".venv"),
    }
    again = checkout.call()
    assert (again.returncode, again.stderr) == (0, "")

    (checkout.folder / "requirements.txt").write_text("# none, but in other words\n")
    assert INSTALLING in checkout.call().stderr
    assert checkout.call().stderr == ""

    checkout.folder = checkout.folder.rename(tmp_path / "moved")
    moved = checkout.call()
    assert INSTALLING in moved.stderr
    assert json.loads(moved.stdout)["prefix"] == str(tmp_path / "moved/.venv")
    assert checkout.call().stderr == ""


def test_two_at_once_remake_a_half_made_one_once(checkout: Checkout) -> None:
    leftover = checkout.folder / ".venv/lib/leftover"
    leftover.mkdir(parents=True)
    calls = [checkout.start() for _ in range(3)]
    ended = [(*call.communicate("", timeout=120), call.returncode) for call in calls]
    assert [code for _, _, code in ended] == [0, 0, 0], ended
    assert sum(INSTALLING in errors for _, errors, _ in ended) == 1
    assert not leftover.exists()


def test_a_failed_installation_is_one_sentence_and_is_tried_again(checkout: Checkout) -> None:
    (checkout.folder / "requirements.txt").write_text("no-such-package==1\n")
    failed = checkout.call()
    assert failed.returncode == 1
    assert failed.stdout == ""
    sentence = failed.stderr.splitlines()[-1]
    assert "pip could not install requirements.txt" in sentence
    assert "no-such-package" in sentence
    assert Path(sentence.rpartition("All of it: ")[2]).is_file()
    (checkout.folder / "requirements.txt").write_text("# none\n")
    assert checkout.call().returncode == 0


def test_an_old_python_is_refused(checkout: Checkout) -> None:
    for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11"):
        checkout.put_first_on_path(name, 'case $3 in *version_info*) exit 1 ;; *) echo "python3 is 3.9.2" ;; esac')
    refused = checkout.call()
    assert refused.returncode == 2
    assert "Python 3.11 or later is needed, and here python3 is 3.9.2" in refused.stderr
    assert not (checkout.folder / ".venv").exists()


@pytest.mark.parametrize(("apt", "said"), [(True, "as root, run: apt-get update"), (False, "install the package")])
def test_without_ensurepip_it_says_what_to_run(checkout: Checkout, apt: bool, said: str) -> None:
    """Debian's python3 without python3-venv, for a user who cannot become root."""
    checkout.put_first_on_path(
        "python3", f'case $3 in *ensurepip*) exit 1 ;; esac; exec "{Path(sys.executable).resolve()}" "$@"'
    )
    for command in ("readlink", "cksum", "rm", "mkdir", "cut", "grep", "tail", *(("apt-get",) if apt else ())):
        checkout.put_first_on_path(command, f'exec /usr/bin/{command} "$@"')
    checkout.put_first_on_path("id", "echo 1000")
    checkout.environment["PATH"] = str(checkout.folder / "first")
    refused = checkout.call(inv=str(checkout.folder / "inv"))
    assert refused.returncode == 2, refused.stderr
    assert said in refused.stderr
    assert INSTALLING not in refused.stderr


def test_at_a_terminal_it_shows_that_it_goes_on(checkout: Checkout) -> None:
    checkout.put_first_on_path("sleep", "exec /bin/sleep 0.05")
    screen, terminal = pty.openpty()
    command = (str(checkout.folder / "inv"),)
    process = subprocess.Popen(
        command, env=checkout.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=terminal
    )
    os.close(terminal)
    seen = b""
    try:
        while piece := os.read(screen, 4096):  # until nobody holds the terminal any more, the watcher least of all
            seen += piece
    except OSError:  # how Linux says that
        pass
    assert process.wait(60) == 0, seen
    assert re.search(rb"cloudbackup: \d+ of 0 packages are here", seen), seen


def test_what_it_made_has_pip_for_the_lab(checkout: Checkout) -> None:
    assert checkout.call().returncode == 0
    words = (str(checkout.folder / ".venv/bin/python"), "-m", "pip", "--version")
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.startswith("pip ")


def test_neither_the_callers_folder_nor_their_pythonpath_counts(checkout: Checkout, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("pip", "venv", "zipfile", "ensurepip", "fcntl"):
        (folder / f"{name}.py").write_text("raise SystemExit('of the caller')")
    require_a_package(checkout)
    about = tmp_path / "library/one_package-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: one-package\nVersion: 1\n")
    checkout.environment["PYTHONPATH"] = str(about.parent)
    (checkout.folder / "tasks/program.py").write_text("import one_package")
    first = checkout.call(folder=folder)
    assert first.returncode == 0, first.stderr
    del checkout.environment["PYTHONPATH"]
    assert checkout.call().returncode == 0


@pytest.mark.parametrize("setting", ["TARGET", "ROOT", "DRY_RUN"])
def test_a_setting_that_puts_packages_elsewhere_is_named(checkout: Checkout, tmp_path: Path, setting: str) -> None:
    require_a_package(checkout)
    checkout.environment[f"PIP_{setting}"] = "1" if setting == "DRY_RUN" else str(tmp_path / "elsewhere")
    failed = checkout.call()
    assert failed.returncode == 1
    assert "packages are missing" in failed.stderr.splitlines()[-1]
    assert "PIP_*" in failed.stderr.splitlines()[-1]
    del checkout.environment[f"PIP_{setting}"]
    assert checkout.call().returncode == 0


def test_a_python_that_is_gone_is_replaced(checkout: Checkout, tmp_path: Path) -> None:
    assert checkout.call().returncode == 0
    gone, stamp = tmp_path / "python3.11", checkout.folder / ".venv/cloudbackup.stamp"
    stamp.write_text(stamp.read_text().replace(str(Path(sys.executable).resolve()), str(gone)))
    for name in ("python", "python3"):
        (checkout.folder / ".venv/bin" / name).unlink()
        (checkout.folder / ".venv/bin" / name).symlink_to(gone)
    again = checkout.call()
    assert again.returncode == 0, again.stderr
    assert INSTALLING in again.stderr


def test_the_tab_key_installs_nothing(checkout: Checkout) -> None:
    asked = checkout.call("--complete", "--", "inv", "")
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "", "")
    assert not (checkout.folder / ".venv").exists()


def require_a_package(checkout: Checkout) -> None:
    """Let the checkout require a package that is in a folder of wheels."""
    wheel = checkout.folder / "one_package-1-py3-none-any.whl"
    about = "one_package-1.dist-info"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("one_package.py", "")
        packed.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: one-package\nVersion: 1\n")
        packed.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{about}/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (checkout.folder / "requirements.txt").write_text(f"one-package==1 \\\n    --hash=sha256:{digest}\n")
    checkout.environment["PIP_FIND_LINKS"] = checkout.folder.as_uri()
