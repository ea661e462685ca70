"""A task loads what it needs: to load everything would make each start take a second and more."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tasks.answers import Answer, Count, read

CHECKOUT = Path(__file__).resolve().parents[2]
LOADED = """
import runpy, sys
sys.argv = ["inv", "--search-root", {checkout!r}, *{words!r}]
try:
    runpy.run_path({checkout!r} + "/tasks/program.py", run_name="__main__")
finally:
    print("loaded", *sys.modules, file=sys.stderr)
"""
NETWORK = {"paramiko", "fabric", "cryptography", "hcloud", "requests", "asyncssh"}
SHOWN = {"rich", "jinja2", "prometheus_client", "apprise", "ruamel"}
INVENTORY = {
    "cloudbackup.yml": "storages:\n  box: {kind: storagebox, user: u1, directory: backups}\n"
    "  copy: {kind: sftp, host: h, user: u, directory: d, staging: /srv/staging}\n",
    "apps/shop.yml": "host: shop.example.org\nstorage: box\npassphrase: {env: PASSPHRASE}\nfiles: {paths: [/srv]}\n",
}


def loaded(inventory: Path, *words: str) -> set[str]:
    """Return the modules that a call of `inv` has loaded at its end."""
    program = LOADED.format(checkout=str(CHECKOUT), words=words)
    environment = os.environ | {"INVOKE_INVENTORY": str(inventory)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stderr.partition("loaded ")[2].split())


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    (tmp_path / "apps").mkdir()
    for name, text in INVENTORY.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_list_of_tasks_loads_no_inventory(inventory: Path) -> None:
    unneeded = NETWORK | SHOWN | {"pydantic", "tabulate"}
    assert loaded(inventory, "--list") & unneeded == set()


def test_listing_apps_loads_nothing_that_connects(inventory: Path) -> None:
    found = loaded(inventory, "app.list")
    assert "pydantic" in found
    assert found & (NETWORK | SHOWN) == set()


def test_modules_are_kept_compiled(tmp_path: Path, inventory: Path) -> None:
    """Invoke would compile all of ours again at each start."""
    program = [sys.executable, "-P", str(CHECKOUT / "tasks/program.py"), "--search-root", str(CHECKOUT), "app.list"]
    kept = {"INVOKE_INVENTORY": str(inventory), "PYTHONPYCACHEPREFIX": str(tmp_path / "compiled")}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | kept
    subprocess.run(program, env=environment, capture_output=True, check=True, timeout=60)
    assert list(tmp_path.glob(f"compiled{CHECKOUT}/tasks/storage/base.*.pyc"))


def test_a_form_is_built_once_by_whichever_thread_comes_first() -> None:
    for _ in range(20):

        class Part(Answer):
            size: Count

        class Whole(Answer):
            parts: list[Part]

        gate = threading.Barrier(8)
        got: list[int] = []

        def ask(form: type[Whole] = Whole, gate: threading.Barrier = gate, got: list[int] = got) -> None:
            gate.wait()
            got.append(read(form, '{"parts": [{"size": 3}]}').parts[0].size)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert got == [3] * 8
