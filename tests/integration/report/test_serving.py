"""`report.serve` at work: how often it runs borg, whoever asks it and however often."""

import os
import re
import shutil
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.integration.fleet.support import Operator, eventually
from tests.integration.local import local_inventory
from tests.integration.remote.support import free_port


class Served:
    """Two apps whose report is served, made anew each second. Each borg that it starts writes a line to `log`."""

    def __init__(self, operator: Operator, port: int, log: Path) -> None:
        self.operator = operator
        self.port = port
        self.log = log

    def borgs(self) -> int:
        return len(self.log.read_text().splitlines())

    def get(self, path: str) -> str:
        """Return a page, nothing when it does not answer well."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.read().decode() if answer.status == 200 else ""
        except OSError:
            return ""
        finally:
            connection.close()

    def value(self, metric: str) -> float:
        """Return a metric's value, 0 while there is none."""
        found = re.search(rf"^{re.escape(metric)} (.+)$", self.get("/metrics"), re.MULTILINE)
        return float(found.group(1)) if found else 0.0

    def newer(self, than: float) -> bool:
        return self.value("cloudbackup_report_timestamp_seconds") > than


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    operator = Operator(local_inventory(tmp_path, tmp_path / "fault"))
    operator.done("borg.init")
    operator.done("backup")
    shutil.rmtree(tmp_path / "cache")  # a backup keeps what it listed
    real, log, folder = shutil.which("borg"), tmp_path / "borgs", tmp_path / "bin"
    folder.mkdir()
    log.touch()
    (folder / "borg").write_text(f'#!/bin/sh\necho "$@" >>{log}\nexec {real} "$@"\n')
    (folder / "borg").chmod(0o755)
    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        exporter = operator.start("report.serve", "--port", str(port), "--interval", "1")
    yield Served(operator, port, log)
    exporter.terminate()
    exporter.communicate(timeout=30)


def test_borg_runs_once_for_each_repository_that_changed_however_often_it_is_asked(served: Served) -> None:
    assert eventually(lambda: served.get("/-/ready") != "", 60)
    assert served.borgs() == 2  # one for each repository

    began = served.value("cloudbackup_report_timestamp_seconds")
    for after in (began, began + 1, began + 2):  # three more reports, and questions all the while
        assert eventually(lambda after=after: bool(served.get("/")) and served.newer(after), 60)  # type: ignore[misc]
    assert served.borgs() == 2, served.log.read_text()

    saved = 'cloudbackup_archives{app="shop",source="files",storage="disk"}'
    assert served.value(saved) == 1
    served.operator.done("backup", "--app", "shop")
    assert eventually(lambda: served.value(saved) == 2, 60)
    seen = served.value("cloudbackup_report_timestamp_seconds")
    assert eventually(lambda: served.newer(seen), 60)
    assert served.borgs() in (2, 3), served.log.read_text()  # two when what the backup listed was remembered by then
