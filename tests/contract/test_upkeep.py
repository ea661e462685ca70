"""What the operator's side does: space, records, retention, checks."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.borg.client.check import CheckOptions, check
from tasks.borg.client.compact import compact
from tasks.borg.client.delete import delete
from tasks.borg.retention import plan
from tasks.inventory.models import KeepRules
from tasks.records.record import Record
from tasks.remote.files import FilesError
from tests.contract.bench import Bench, Sides
from tests.contract.kinds import every_kind
from tests.contract.support import QUICK

MEGABYTE = 1_000_000


@every_kind
def test_usage_tells_used_and_size(bench: Bench, shop: Sides) -> None:
    told, truth = shop.storage.usage((shop.app,)), bench.place.truth()
    assert told.used == pytest.approx(truth.used, abs=bench.place.inexact)
    if truth.size is None:
        assert (told.size, told.free) == (None, None)
    else:
        assert told.size == pytest.approx(truth.size, abs=4096)
        assert 0 < told.used < truth.size


@every_kind
def test_records_come_back_and_are_never_overwritten(bench: Bench, shop: Sides) -> None:
    record = Record("shop", "verify", datetime(2026, 11, 2, tzinfo=UTC), "ok", error='an "odd" ü\nerror', size=7)
    later = replace(record, outcome="failed")
    shop.storage.write_record(shop.app, record)
    folder = bench.place.records / "shop"
    (file,) = folder.glob("*-verify*.json")
    before = file.read_bytes()
    shop.storage.write_record(shop.app, later)
    read = [each for each in shop.storage.read_records(shop.app).all if each.action == "verify"]
    assert sorted(read, key=lambda each: each.outcome) == [later, record]
    with pytest.raises(FilesError):
        shop.storage.files(shop.app).write_new(f"{shop.storage.directory}/records/shop/{file.name}", b"other")
    assert file.read_bytes() == before


@every_kind
def test_prune_and_compact_free_space(bench: Bench, blog: Sides) -> None:
    bulk = bench.app("blog").files / "bulk.bin"
    bulk.write_bytes(os.urandom(3 * MEGABYTE))
    blog.save()
    bulk.unlink()
    newest = blog.save().archive
    before = bench.stored("blog")
    going = plan(blog.listed(), KeepRules(last=1), datetime.now(UTC)).removed
    delete(blog.operator, [archive.name for archive in going], QUICK)
    assert [archive.name for archive in blog.listed()] == [newest]
    compact(blog.operator, QUICK)
    assert before - bench.stored("blog") > 2.9 * MEGABYTE


@every_kind
def test_all_archives_can_be_removed(bench: Bench, blog: Sides) -> None:
    names = [archive.name for archive in blog.listed()] or [blog.save().archive]
    delete(blog.operator, names, QUICK)
    compact(blog.operator, QUICK)
    assert blog.listed() == ()
    assert bench.stored("blog") < 0.1 * MEGABYTE


@every_kind
def test_a_check_finds_damage_and_nothing_else(bench: Bench, shop: Sides) -> None:
    assert bench.first
    assert check(shop.operator, CheckOptions(), QUICK).problems == ()
    segment = largest(bench.repository("shop") / "data")
    whole = segment.read_bytes()
    segment.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    try:
        assert check(shop.operator, CheckOptions(repository_only=True), QUICK).problems != ()
    finally:
        segment.write_bytes(whole)


def largest(folder: Path) -> Path:
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
