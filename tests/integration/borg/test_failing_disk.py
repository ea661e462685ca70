"""A disk or an NFS server that fails in parts: what could be read is saved, what could not be is counted and named."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.borg.client.create import FilesOptions, create
from tasks.borg.client.list import contents
from tasks.borg.client.runner import BorgError
from tasks.storage.repository import Repository
from tests.integration.fleet.support import eventually

PROGRAM = Path(__file__).with_name("failing_disk.py")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("failing")
    served = subprocess.Popen(("/usr/bin/python3", str(PROGRAM), str(folder)), stderr=subprocess.PIPE)
    try:
        assert eventually(lambda: os.path.ismount(folder) or served.poll() is not None)
        assert served.poll() is None, served.stderr.read() if served.stderr else ""
        yield folder
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=False)
        served.terminate()
        served.wait()


def test_what_a_failing_disk_does_not_give_is_counted_and_named(disk: Path, repository: Repository) -> None:
    made = create(repository, FilesOptions("one", [str(disk)]))

    assert made.verdict.status == "incomplete"
    missing = {text.removeprefix(f"{disk}/").partition(":")[0] for text in made.verdict.first}
    held = {Path(entry.path).name: entry.size for entry in contents(repository, "one")}
    assert held["good"] == 210_000
    failing = {path.name for path in disk.iterdir() if path.name != "good"}
    assert missing == failing - {"open-ENOENT"}
    assert made.verdict.left_out == len(missing)
    assert not [name for name, size in held.items() if size and name != "good"]  # nothing is saved in part


def test_a_path_on_a_server_that_does_not_answer_for_it(disk: Path, repository: Repository) -> None:
    with pytest.raises(BorgError, match="look-ESTALE"):
        create(repository, FilesOptions("one", [str(disk / "look-ESTALE"), str(disk / "look-EIO")]))
