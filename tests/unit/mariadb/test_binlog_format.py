"""Binary logs of any shape, in pieces of any length, whole, cut and damaged."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.mariadb import binlogs
from tasks.mariadb.binlogs import Archived, Identity, Saved, broken, joined, told
from tasks.mariadb.errors import DatabaseError
from tasks.mariadb.host import binlog_format
from tasks.mariadb.host.binlog_format import Reader
from tasks.mariadb.host.collect_binlogs import TOLD
from tasks.remote.host import LocalHost
from tests.unit.mariadb.binlogs import CREATED, SERVER, Made, query

SHAPES = st.sampled_from(["ddl", "xid", "commit"])
GROUPS = st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2), SHAPES, st.integers(0, 40)), max_size=6)
STATES = st.dictionaries(st.tuples(st.integers(0, 2), st.just(SERVER)), st.integers(1, 1000), max_size=3)


@st.composite
def logs(draw: st.DrawFn) -> Made:
    made = Made(draw(STATES), checksums=draw(st.booleans()), in_use=draw(st.booleans()))
    for number, (time, domain, shape, size) in enumerate(draw(GROUPS)):
        made.group(time, domain, 2000 + number, shape, size)
    return made


@given(logs(), st.integers(1, 300), st.booleans())
@settings(deadline=None)
def test_every_group_is_seen_in_pieces_of_any_length(made: Made, pieces: int, closed: bool) -> None:
    if closed:
        made.close(CREATED + 60)
    facts, groups = made.facts(made.raw, pieces)
    assert (facts.fault, facts.server, facts.created) == ("", SERVER, CREATED)
    assert facts.closed == (CREATED + 60 if closed else None)
    assert groups == made.groups
    assert facts.sound == facts.size == len(made.raw)
    assert facts.end == {**facts.start, **{(each.domain, SERVER): each.number for each in made.groups}}


@given(logs(), st.data())
@settings(deadline=None)
def test_a_log_that_a_crash_cut_is_sound_up_to_its_last_whole_group(made: Made, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(4, len(made.raw)))
    facts, groups = made.facts(made.raw[:at], 100)
    sound, count = max(mark for mark in made.marks if mark[0] <= at)
    assert facts.fault == ""
    assert (facts.sound, groups) == (sound, made.groups[:count])


@given(logs(), st.data())
@settings(deadline=None)
def test_a_flipped_bit_is_found_and_what_stands_before_it_is_good(made: Made, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(4, len(made.raw) - 1))
    raw = bytearray(made.raw)
    raw[at] ^= 1 << draw.draw(st.integers(0, 7))
    facts, groups = made.facts(bytes(raw), 4096)
    assert groups == made.groups[: len(groups)] or not made.checksums
    if made.checksums and facts.sound > at:
        assert at == 4 + 17  # the flag that says "in use" is outside of the checksum


def test_a_server_that_encrypts_its_binary_logs_is_refused_with_what_to_do() -> None:
    variables = {"log_bin": "ON", "log_bin_basename": "/var/lib/mysql/binlog", "encrypt_binlog": "ON"}
    with pytest.raises(DatabaseError, match=r"the server encrypts its binary logs \(encrypt_binlog\)") as caught:
        binlogs._require(LocalHost(), variables)
    assert "encrypt_binlog=OFF" in caught.value.remedy
    binlogs._require(LocalHost(), {**variables, "encrypt_binlog": "OFF"})


def test_a_list_that_is_shorter_than_it_says_is_a_fault_where_no_checksum_tells() -> None:
    made = Made({}, checksums=False)
    at = made.raw.rindex(bytes(4))
    facts, _ = made.facts(made.raw[:at] + b"\1" + made.raw[at + 1 :], 4096)
    assert "a damaged event at" in facts.fault


def test_an_event_longer_than_a_piece_is_checked_without_being_kept() -> None:
    made = Made({})
    made.group(CREATED, 0, 1, "xid", 0)
    made.event(binlog_format.GTID_EVENT, struct.pack("<QIB6x", 2, 0, 1), CREATED)
    made.event(binlog_format.QUERY, query(b"x" * (3 << 20)))
    for pieces in (4096, 1 << 20, 8 << 20):
        facts, groups = made.facts(made.raw, pieces)
        assert (facts.fault, len(groups), facts.sound) == ("", 2, len(made.raw))
        wrong = made.raw[:-2_000_000] + b"y" + made.raw[-1_999_999:]
        facts, groups = made.facts(wrong, pieces)
        assert "wrong checksum" in facts.fault
        assert len(groups) == 1


def test_other_files_and_encrypted_ones_are_told_apart() -> None:
    for raw in (b"\xfdbin" + bytes(100), b"ibdata", bytes(5000)):
        reader = Reader()
        reader.feed(raw)
        assert "no binary log" in reader.facts().fault
    made = Made({})
    made.event(binlog_format.ENCRYPTION, bytes(17))
    assert made.facts(made.raw, 64)[0].fault == "it is encrypted"


@given(STATES)
def test_a_state_comes_back_as_it_was(state: binlog_format.State) -> None:
    assert binlog_format.state(binlog_format.text(state)) == state


def test_names_count_on() -> None:
    assert binlog_format.successor("my.log.000009") == "my.log.000010"
    assert binlog_format.successor("binlog.999999") == "binlog.1000000"


@dataclass(frozen=True)
class Row:
    number: int
    start: str
    end: str
    created: int = CREATED
    server: int = SERVER

    def archived(self) -> Archived:
        return Archived(Identity(f"binlog.{self.number:06}", self.server, self.created), self.start, self.end, "")


UNTIL = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def test_a_row_is_whole_when_each_continues_the_one_before() -> None:
    rows = [Row(1, "", "0-7-9").archived(), Row(2, "0-7-9", "0-7-12").archived()]
    saved, breaks = joined(None, UNTIL, rows)
    assert breaks == []
    assert (saved.chain.name, saved.last.name, saved.state) == ("binlog.000001", "binlog.000002", "0-7-12")
    assert Saved.parse(saved.details()) == saved
    further, breaks = joined(saved, UNTIL, [Row(3, "0-7-12", "0-7-12").archived()])
    assert breaks == []
    assert further.chain == saved.chain


def test_gaps_and_new_timelines_begin_a_row_and_say_why() -> None:
    saved, _ = joined(None, UNTIL, [Row(4, "", "0-7-9").archived()])
    for row, why in (
        (Row(6, "0-7-9", "0-7-9"), "binlog.000005 was purged before it was saved"),
        (Row(1, "0-7-9", "0-7-9", CREATED + 5), "start over with binlog.000001: the server was restored"),
        (Row(4, "", "0-7-9", CREATED + 5), "start over with binlog.000004"),
        (Row(5, "0-7-8", "0-7-9"), "does not go on where binlog.000004 ends"),
        (Row(5, "0-7-9", "0-7-9", server=8), "of another server"),
    ):
        after, breaks = joined(saved, UNTIL, [row.archived()])
        assert after.chain == row.archived().identity
        assert why in breaks[0]
    assert broken(saved.last, saved.state, Identity("binlog.000005", SERVER, CREATED + 9), "0-7-9") == ""


def test_what_the_host_told_is_read() -> None:
    line = (
        TOLD
        + '{"until": 5, "files": [{"name": "b.1", "server": 1, "created": 2, "start": "", "end": "", "fault": ""}]}'
    )
    assert told(["noise", line]) == (datetime.fromtimestamp(5, UTC), [Archived(Identity("b.1", 1, 2), "", "", "")])
    assert told(["noise"]) is None


@given(st.binary(min_size=1, max_size=300), st.integers(1, 4))
def test_a_compressed_statement_is_read(text: bytes, width: int) -> None:
    if len(text) >= 256**width:
        return
    packed = bytes([0x80 | width]) + len(text).to_bytes(width, "big") + zlib.compress(text)
    plain, compressed = (
        binlog_format.HEADER.pack(0, kind, 1, 0, 0, 0) + query(body)
        for kind, body in ((binlog_format.QUERY, text), (binlog_format.QUERY_COMPRESSED, packed))
    )
    assert binlog_format.query(memoryview(plain)) == (text, b"\x05\x06\x07")
    assert binlog_format.query(memoryview(compressed)) == (text, b"\x05\x06\x07")


@given(st.binary(max_size=100))
def test_what_is_no_compressed_statement_is_told_from_one(rest: bytes) -> None:
    with suppress(struct.error):
        binlog_format.query(memoryview(binlog_format.HEADER.pack(0, binlog_format.QUERY_COMPRESSED, 1, 0, 0, 0) + rest))


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("binlog.000001", True),
        ("shop bin.000001", True),
        ("-x.1", True),
        ("a/b.1", False),
        ("a\n.1", False),
        (".1", False),
    ],
)
def test_one_rule_for_names_where_they_are_saved_recorded_and_restored(name: str, good: bool) -> None:
    assert (binlog_format.NAME.fullmatch(name) is not None) is good
    values = {"name": name, "server": 1, "created": 5}
    assert (Identity.parse(values) is not None) is good
