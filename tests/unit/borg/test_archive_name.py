from datetime import UTC, datetime, timedelta, timezone
from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from tasks.borg.client.archive_name import ArchiveName, glob, is_checkpoint, parse
from tasks.sources.kinds import SOURCE_NAME

APPS = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,30}", fullmatch=True)
SOURCES = st.sampled_from(("files", "mariadb", "binlog")) | st.from_regex(SOURCE_NAME, fullmatch=True)
TIMES = st.integers(0, 2**32).map(lambda second: datetime.fromtimestamp(second, UTC))


@given(APPS, SOURCES, TIMES)
def test_a_name_comes_apart_as_it_was_put_together(app: str, source: str, time: datetime) -> None:
    name = ArchiveName(app, source, time)
    assert parse(str(name)) == name
    assert fnmatchcase(str(name), glob(app, source))
    assert fnmatchcase(f"{name}.checkpoint.1", glob(app, source))


@given(APPS, SOURCES, TIMES, APPS, SOURCES)
def test_no_pattern_reaches_another_source(app: str, source: str, time: datetime, other: str, another: str) -> None:
    if (app, source) != (other, another):
        assert not fnmatchcase(str(ArchiveName(app, source, time)), glob(other, another))


@given(st.text())
def test_any_text_is_a_name_or_none(text: str) -> None:
    found = parse(text)
    assert found is None or str(found) == text


def test_names_are_utc() -> None:
    time = datetime(2026, 11, 22, 4, 0, tzinfo=timezone(timedelta(hours=1)))
    assert str(ArchiveName("shop", "files", time)) == "shop-files-2026-11-22T03-00-00"


def test_what_a_person_or_a_broken_run_left_is_no_backup() -> None:
    for name in (
        "shop-files-2026-11-22T03-00-00.checkpoint",
        "shop-files-before-upgrade",
        "shop-files-2026-13-22T03-00-00",
        "shop-Logs-2026-11-22T03-00-00",
        "-files-2026-11-22T03-00-00",
        "shop-files-2026-11-22T03-00-00\n",
    ):
        assert parse(name) is None
    assert is_checkpoint("shop-files-2026-11-22T03-00-00.checkpoint.2")
    assert not is_checkpoint("checkpoint")
    assert not fnmatchcase("shop-files-before-upgrade", glob("shop", "files"))
