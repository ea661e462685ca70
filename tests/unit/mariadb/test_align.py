import fcntl
import os
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.mariadb.dump import FILTER, positions
from tasks.mariadb.host import align, members
from tests.unit.mariadb.streams import (
    SIZES,
    Chunk,
    aligned,
    chunks_of,
    data,
    end,
    head,
    joined,
    last_files,
    members_of,
    rename,
    seek,
    whole_streams,
    written,
)

ENVIRONMENT = {**os.environ, **{name: str(text) for name, text in FILTER.environment.items()}}
LAST = last_files(b"xtrabackup_")
LARGES = st.sampled_from([64, 700, 5000, 1 << 20])


@contextmanager
def large_from(count: int) -> Iterator[None]:
    """Let chunks of `count` bytes become members, that small streams may have some."""
    former, align.LARGE = align.LARGE, count
    try:
        yield
    finally:
        align.LARGE = former


@given(whole_streams(), SIZES, LARGES)
@settings(deadline=None)
def test_without_the_padding_the_output_is_the_input(chunks: list[Chunk], size: int, large: int) -> None:
    with large_from(large):
        stream = aligned(joined(chunks), size)
    kept = [chunk.raw for _, path, chunk, _ in chunks_of(stream) if path != align.PADDING]
    assert b"".join(kept) == joined(chunks)


@given(whole_streams(), SIZES, LARGES)
@settings(deadline=None)
def test_in_every_member_data_as_long_as_a_chunk_begins_on_a_border(chunks: list[Chunk], size: int, large: int) -> None:
    with large_from(large):
        tar = b"".join(written(joined(chunks), size))
    for name, content in members_of(tar):
        assert name.startswith("mariadb.mbstream/")
        for kind, path, chunk, begin in chunks_of(content):
            if kind == b"P" and path != align.PADDING and len(chunk.raw) - (chunk.data_at or 0) >= size:
                assert (begin + (chunk.data_at or 0)) % size == 0


@given(whole_streams(), SIZES, LARGES)
@settings(deadline=None)
def test_padding_is_zeros_at_the_beginning_of_its_file(chunks: list[Chunk], size: int, large: int) -> None:
    with large_from(large):
        found = chunks_of(aligned(joined(chunks), size))
    padding = [(kind, chunk) for kind, path, chunk, _ in found if path == align.PADDING]
    for (before, at), (kind, chunk) in zip(padding[:-1:2], padding[1:-1:2], strict=True):
        assert (before, at) == (b"S", seek(align.PADDING, 0))
        zeros = len(chunk.raw) - (chunk.data_at or 0)
        assert (kind, chunk) == (b"P", data(align.PADDING, 0, bytes(zeros)))
        assert zeros < size
    assert padding[-1:] in ([], [(b"E", end(align.PADDING))])


@given(whole_streams(), SIZES, LARGES)
@settings(deadline=None)
def test_no_write_leaves_the_pipe_at_the_border_of_a_member(chunks: list[Chunk], size: int, large: int) -> None:
    with large_from(large):
        writes = written(joined(chunks), size)
    inside, left = 0, 0  # bytes of the current write, and of the current member
    for index, data_written in enumerate(writes):
        at = 0
        while at < len(data_written):
            if left == 0:  # a header, or the end: never the first thing in a write but in the very first one
                assert index == 0 or at > 0
                assert len(data_written) <= members.PIPE_BUF
                block = data_written[at : at + 512]
                assert len(block) == 512
                if block == bytes(512):
                    assert (index, data_written[at:]) == (len(writes) - 1, bytes(1024))
                    return
                left = -(-int(block[124:135], 8) // 512) * 512
                assert left
                at += 512
            inside = min(left, len(data_written) - at)
            left, at = left - inside, at + inside
        assert left  # what was written so far ends inside a member
    raise AssertionError("the end of the tar is missing")


@given(whole_streams(), st.data())
@settings(max_examples=40, deadline=None)
def test_every_cut_fails(chunks: list[Chunk], draw: st.DataObject) -> None:
    stream = joined(chunks)
    borders = [begin for *_, begin in chunks_of(stream)]
    for cut in [*borders, *draw.draw(st.lists(st.integers(0, len(stream) - 1), max_size=10))]:
        with pytest.raises(align.StreamError):
            aligned(stream[:cut], 64)


@given(whole_streams(), st.data())
@settings(deadline=None)
def test_a_changed_byte_of_data_fails(chunks: list[Chunk], draw: st.DataObject) -> None:
    stream = bytearray(joined(chunks))
    spans = [(at + (c.data_at or 0), at + len(c.raw)) for kind, _, c, at in chunks_of(bytes(stream)) if kind == b"P"]
    begin, finish = draw.draw(st.sampled_from([span for span in spans if span[0] < span[1]]))
    stream[draw.draw(st.integers(begin, finish - 1))] ^= draw.draw(st.integers(1, 255))
    with pytest.raises(align.StreamError, match="wrong checksum"):
        aligned(bytes(stream), 64)


def test_data_longer_than_the_filters_memory_comes_through_checked() -> None:
    content = os.urandom(align.PIECE * 6 + 12345)
    good = joined([data(b"d/t.ibd", 0, content), end(b"d/t.ibd"), *LAST])
    assert content in aligned(good, 16384)
    at = good.index(content[:64]) + align.PIECE * 2
    with pytest.raises(align.StreamError, match="wrong checksum"):
        aligned(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :], 16384)


@pytest.mark.parametrize(
    ("chunks", "said"),
    [
        ([], "ends before .*checkpoints"),
        (LAST[2:], "ends before .*checkpoints"),
        (LAST[:2], "ends before .*info"),
        ([data(b"a", 0, b"x"), *LAST], "before the end of 'a'"),
        ([data(b"a", 5, b"x"), end(b"a"), *LAST], "'a' does not go on"),
        ([Chunk(head(b"Z", b"a"))], "unknown chunk type b'Z'"),
        ([Chunk(b"\x1f\x8b" * 20)], "no mbstream"),
        ([Chunk(b"XBSTCK01\0P\xff\xff\xff\xff")], "a path of 4294967295 bytes"),
        ([data(align.PADDING, 0, b"x")], "a file named 'cloudbackup_padding' already"),
        ([data(b"xtrabackup_info/x", 0, b""), end(b"xtrabackup_info/x"), *LAST[:2]], "ends before .*info"),
    ],
)
def test_what_is_no_whole_backup_fails_with_the_reason(chunks: list[Chunk], said: str) -> None:
    with pytest.raises(align.StreamError, match=said):
        aligned(joined(chunks), 64)


def test_a_chunk_of_an_unknown_type_passes_when_it_says_that_it_may_be_ignored() -> None:
    chunks = [data(b"x", 7, b"y" * 100, flags=1, kind=b"Z"), rename(b"a", b"b"), *LAST]
    kept = [chunk.raw for _, path, chunk, _ in chunks_of(aligned(joined(chunks), 64)) if path != align.PADDING]
    assert b"".join(kept) == joined(chunks)


def run(stream: bytes, size: int = 16384) -> "subprocess.CompletedProcess[bytes]":
    words = [*FILTER.words, str(size)]
    return subprocess.run(words, input=stream, env=ENVIRONMENT, capture_output=True, check=False)


def test_as_a_program_it_fails_with_one_line() -> None:
    done = run(joined([data(b"d/t", 0, b"x")]))
    assert (done.returncode, done.stderr) == (
        1,
        b"align: the stream ends before the end of 'd/t' (byte 38 of the stream)\n",
    )


def test_as_a_program_it_fails_with_one_line_when_nobody_reads() -> None:
    stream = joined([data(b"d/t", 0, bytes(3 << 20)), end(b"d/t"), *LAST])
    reading, writing = os.pipe()
    os.close(reading)
    words = [*FILTER.words, "16384"]
    done = subprocess.run(words, input=stream, stdout=writing, stderr=subprocess.PIPE, env=ENVIRONMENT, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"align: whoever reads the aligned stream ended early\n")


@contextmanager
def started(stream: bytes) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the filter on a stream, its output in a pipe."""
    with tempfile.TemporaryFile() as file:
        file.write(stream)
        file.seek(0)
        words = [*FILTER.words, "16384"]
        with subprocess.Popen(
            words, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, env=ENVIRONMENT
        ) as process:
            yield process


def test_as_a_program_it_fails_when_the_reader_of_a_full_pipe_ends() -> None:
    with started(joined([data(b"d/t", 0, bytes(8 << 20)), end(b"d/t"), *LAST])) as filtering:
        assert filtering.stdout is not None
        assert filtering.stderr is not None
        while (
            int.from_bytes(fcntl.ioctl(filtering.stdout, termios.FIONREAD, bytes(4)), sys.byteorder) < align.PIPE // 2
        ):
            assert filtering.poll() is None
        filtering.stdout.close()
        assert filtering.stderr.read() == b"align: whoever reads the aligned stream ended early\n"
    assert filtering.returncode == 141


def test_as_a_program_it_takes_chunks_larger_than_a_pipe() -> None:
    stream = joined([data(b"d/t", 0, os.urandom(5 * align.PIPE)), end(b"d/t"), *LAST])
    done = run(stream + align.COMPLETED, 4 * align.PIPE)
    assert (done.returncode, done.stdout) == (0, b"".join(written(stream, 4 * align.PIPE)))


def test_as_a_program_it_passes_all_to_a_slow_reader() -> None:
    stream = joined([data(b"d/t", 0, os.urandom(3 << 20)), end(b"d/t"), *LAST])
    with started(stream + align.COMPLETED) as filtering:
        assert filtering.stdout is not None
        number = filtering.stdout.fileno()
        assert b"".join(iter(lambda: os.read(number, 1000), b"")) == b"".join(written(stream, 16384))
    assert filtering.returncode == 0


def test_a_full_disk_fails_with_one_line() -> None:
    stream = joined([data(b"d/t", 0, b"x"), end(b"d/t"), *LAST])
    with Path("/dev/full").open("wb") as full:
        words = [*FILTER.words, "16384"]
        done = subprocess.run(words, input=stream, stdout=full, stderr=subprocess.PIPE, env=ENVIRONMENT, check=False)
    assert done.returncode == 1
    assert done.stderr == b"align: cannot copy the stream: No space left on device\n"


def test_its_text_fits_into_an_environment_variable_with_room() -> None:
    assert all(len(str(text).encode()) < 32 * 1024 for text in FILTER.environment.values())


def test_its_memory_stays_small(tmp_path: Path) -> None:
    chunk = data(b"d/t", 0, bytes(10 << 20)).raw
    many = [data(b"d/t", number * (10 << 20), bytes(10 << 20)).raw for number in range(1, 12)]
    file = tmp_path / "stream"
    file.write_bytes(b"".join([chunk, *many, joined([end(b"d/t"), *LAST]), align.COMPLETED]))
    measure = "import resource,os,sys; p=os.spawnvp(os.P_WAIT, sys.argv[1], sys.argv[1:]); \
print(p, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)"
    with file.open("rb") as source:
        done = subprocess.run(
            [sys.executable, "-c", measure, *FILTER.words, "1048576"],
            env=ENVIRONMENT, stdin=source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True,
        )  # fmt: skip
    code, kibibytes = map(int, done.stderr.split())
    assert code == 0
    assert kibibytes < 64 * 1024


def test_positions_are_told_and_a_database_of_such_a_name_is_not() -> None:
    info, other = (
        data(b"xtrabackup_binlog_info", 0, b"binlog.000004\t711\t0-1-9\n"),
        data(b"d/xtrabackup_slave_info", 0, b"x"),
    )
    stream = joined([info, end(b"xtrabackup_binlog_info"), other, end(b"d/xtrabackup_slave_info"), *LAST])
    done = run(stream + align.COMPLETED, 64)
    assert done.returncode == 0
    assert positions(done.stderr.decode().splitlines()) == {"binlog_info": "binlog.000004\t711\t0-1-9"}
