from datetime import UTC, datetime, timedelta

import pytest

from tasks.borg.guard import may_free
from tasks.borg.list import Archive, Listing
from tasks.borg.naming import ArchiveName
from tasks.errors import RefusedError

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(hours=26)


def listing(*ages: tuple[str, float]) -> Listing:
    times = [(source, NOW - timedelta(hours=hours)) for source, hours in ages]
    return Listing("id", "repokey", tuple(Archive(str(ArchiveName("shop", s, t)), str(t), t) for s, t in times))


def test_a_repository_that_looks_right_may_free() -> None:
    may_free("shop", ("files", "mariadb"), listing(("files", 50), ("files", 2), ("mariadb", 20)), DAY, NOW)


@pytest.mark.parametrize(
    ("archives", "reason"),
    [
        (listing(("files", 2)), "no archive of mariadb"),
        (listing(("files", 2), ("mariadb", 27)), "newest archive of mariadb is late"),
        (listing(("files", 2), ("mariadb", 2), ("mariadb", -48)), "dated in the future"),
        (listing(), "no archive of files"),
    ],
)
def test_nothing_is_freed_when_something_looks_wrong(archives: Listing, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason) as caught:
        may_free("shop", ("files", "mariadb"), archives, DAY, NOW)
    assert caught.value.exit_code == 5
