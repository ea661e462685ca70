"""A host that writes without end fails its app, and fills no memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.borg.client.runner import _listener
from tasks.errors import CloudbackupError
from tasks.remote import running
from tasks.remote.host import LocalHost
from tasks.remote.running import FloodError
from tasks.remote.script import Script
from tasks.storage.registry import load

JSON = """python3 -c 'print(chr(123) + "\\"archives\\": [" + ",".join([{}] * {}) + "]" + chr(125))'"""


@pytest.mark.parametrize(
    ("script", "said", "most"),
    [
        ("exec yes out", "wrote more than 64 MiB, and was ended", 90),
        ("exec tr '\\0' x </dev/zero >&2", "wrote more than 64 MiB, and was ended", 90),  # one line
        ("tr '\\0' x </dev/zero >&2 & exec yes both", "wrote more than 64 MiB, and was ended", 90),
        ("head -c 60000000 /dev/zero", "not JSON", 200),
        (JSON.format('"[]"', 900_000), "more than 1048576 values", 200),  # each of them some memory of ours
        (JSON.format('"\\"" + "x" * 50 + "\\""', 1_000_000), "Field required", 400),  # each of them an error
    ],
)
def test_a_hostile_host_fills_no_memory(script: str, said: str, most: int) -> None:
    """`most` in MiB, for a host that writes up to 64."""
    words = (sys.executable, "-m", "tests.integration.remote.flooded", script)
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    error, grown = done.stdout.splitlines()
    assert said in error
    assert int(grown) < most
    assert not subprocess.run(("pgrep", "-f", "yes out|yes both"), capture_output=True, check=False).stdout


def test_lines_without_end_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs the operator's machine time, also where none is kept."""
    monkeypatch.setattr(running, "LINES", 1000)
    with pytest.raises(FloodError, match="wrote more than 1,000 lines of standard error, and was ended"):
        LocalHost().run(Script("exec yes >&2"), on_stderr=lambda _: True)


def test_progress_is_heard_and_not_kept() -> None:
    heard: list[object] = []
    line = '{"type": "archive_progress", "original_size": 1, "nfiles": 1, "deduplicated_size": 1, "path": "x"}'
    script = Script(f"for n in $(seq 1000); do echo '{line}' >&2; done; echo 'one more' >&2; echo out")
    output = LocalHost().run(script, on_stderr=_listener(heard.append), most=4096)
    assert (len(heard), output.text, output.error_text) == (1000, "out\n", "one more\n")


def test_a_fifo_and_a_device_in_the_inventory_are_refused_and_not_read(tmp_path: Path) -> None:
    (tmp_path / "apps").mkdir()
    (tmp_path / "cloudbackup.yml").write_text("storages: {disk: {kind: local, directory: /x}}\n")
    os.mkfifo(tmp_path / "apps/shop.yml")
    (tmp_path / "apps/blog.yml").symlink_to("/dev/zero")
    with pytest.raises(CloudbackupError) as caught:
        load(tmp_path)
    assert str(caught.value).count("is not a regular file") == 2
