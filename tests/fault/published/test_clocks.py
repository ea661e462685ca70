"""This machine's clock against those of servers that keep published copies: a bucket's, and an SFTP server's."""

import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks.inventory.models import App
from tasks.run import clocks
from tasks.storage import s3, sftp
from tests.fault.published.site import KINDS, Site
from tests.fault.published.test_published_copy import NEWEST


def app_of(site: Site, kind: str) -> App:
    return site.app.model_copy(update={"storage": kind})


@NEWEST
@pytest.mark.parametrize("kind", KINDS)
def test_a_machine_whose_clock_is_wrong_is_refused(site: Site, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert clocks.compared(site.session, app_of(site, kind), host=False) == ()
    assert site.storage(kind).ahead(site.app) == 0
    left = Path(site.served(kind)).parent
    assert not left.exists() or not list(left.iterdir())
    for ahead, said in ((timedelta(days=365), "365 days ahead of"), (timedelta(minutes=-20), "minutes behind")):
        clock = SimpleNamespace(time=lambda apart=ahead: time.time() + apart.total_seconds())
        for module in (s3, sftp):
            monkeypatch.setattr(module, "time", clock)
        site.storage(kind)._ahead.clear()  # the next run
        with pytest.raises(clocks.ClockError, match=f"{said} that of the storage {kind}"):
            clocks.compared(site.session, app_of(site, kind), host=False)


@NEWEST
def test_a_file_on_an_sftp_server_has_the_servers_time(site: Site, tmp_path: Path) -> None:
    written = site.storage("files").files().clock(str(site.store))
    assert written is not None
    assert abs(written - time.time()) < 600
    assert not list(Path(site.store).glob("clock*"))
