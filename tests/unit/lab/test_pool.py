"""The pool's quota: what fits, what does not, and that a change of the limit holds at once."""

import errno
import json
from pathlib import Path

import pytest

from lab.quota import storage_pool
from lab.quota.storage_pool import DiscQuotaExceededError, Pool


@pytest.fixture
def limits(tmp_path: Path) -> Path:
    return tmp_path / "limits.json"


def set_limits(limits: Path, quota: int, *, full: bool = False) -> None:
    new = limits.with_suffix(".new")
    new.write_text(json.dumps({"quota": quota, "full": full}))
    new.replace(limits)


@pytest.fixture
def pool(tmp_path: Path, limits: Path) -> Pool:
    (tmp_path / "data/deep").mkdir(parents=True)
    (tmp_path / "data/deep/file").write_bytes(bytes(600))
    set_limits(limits, 1000)
    return Pool(str(tmp_path / "data"), str(limits))


def test_files_and_claims_fill_the_pool(pool: Pool) -> None:
    pool.claim(400)
    (Path(pool.pool) / "new").write_bytes(bytes(400))

    with pytest.raises(DiscQuotaExceededError) as caught:
        pool.claim(1, "/home/x")
    assert caught.value.errno == errno.EDQUOT
    assert str(caught.value) == "[Errno 69] Disc quota exceeded: '/home/x'"


def test_not_even_a_name_fits_into_a_full_pool(pool: Pool, limits: Path) -> None:
    set_limits(limits, 600)
    with pytest.raises(DiscQuotaExceededError):
        pool.claim(0)


def test_full_overrides_the_quota_until_it_ends(pool: Pool, limits: Path) -> None:
    set_limits(limits, 1000, full=True)
    with pytest.raises(DiscQuotaExceededError):
        pool.claim(1)
    set_limits(limits, 1000)
    pool.claim(1)


def test_after_a_refusal_smaller_writes_do_not_slip_in(pool: Pool) -> None:
    with pytest.raises(DiscQuotaExceededError):
        pool.claim(900)
    with pytest.raises(DiscQuotaExceededError):
        pool.claim(1)


def test_freed_room_is_seen(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_pool, "RESCAN_SECONDS", 0.0)
    with pytest.raises(DiscQuotaExceededError):
        pool.claim(900)
    (Path(pool.pool) / "deep/file").unlink()
    pool.claim(900)
