"""A host that writes without end fails its app, and fills no memory."""

import os
import resource
import subprocess
from pathlib import Path

import pytest

from tasks.borg.client.runner import _listener
from tasks.errors import CloudbackupError
from tasks.remote.host import LocalHost
from tasks.remote.running import FloodError
from tasks.remote.script import Script
from tasks.storage.registry import load


@pytest.mark.parametrize("stream", ["1", "2"])
def test_what_writes_without_end_is_ended(stream: str, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FloodError, match="wrote more than 64 MiB, and was ended"):
        LocalHost().run(Script(f"echo $$ >{tmp_path}/pid; exec yes {tmp_path} >&{stream}"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB
    assert not subprocess.run(("pgrep", "-f", f"yes {tmp_path}"), capture_output=True, check=False).stdout


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
