"""A database's stream as members of an archive: whole or absent whoever is killed where, and still one stream."""

import fcntl
import os
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.borg.client import create as creating
from tasks.borg.client.create import StreamOptions, create
from tasks.borg.client.extract import content
from tasks.borg.client.list import archives as listed
from tasks.borg.client.runner import BorgError, ContentError, How
from tasks.mariadb.dump import FILTER
from tasks.mariadb.host import align, members
from tasks.remote.script import NICE, Script, Stream, quote
from tasks.storage.repository import Repository
from tests.unit.mariadb.streams import Chunk, chunks_of, data, end, head, joined, last_files, remove, written

MIB = 1 << 20
SIZE = 16384
ORDERS = os.urandom(3 * MIB + 5000)
STREAM = [
    data(b"ibdata1", 0, os.urandom(MIB)),
    end(b"ibdata1"),
    data(b"shop/orders.ibd", 0, ORDERS[:MIB]),
    data(b"shop/customers.ibd", 0, os.urandom(96 << 10)),
    end(b"shop/customers.ibd"),
    data(b"shop/orders.ibd", MIB, ORDERS[MIB : 3 * MIB]),
    data(b"shop/orders.ibd", 3 * MIB, ORDERS[3 * MIB :]),
    end(b"shop/orders.ibd"),
    data(b"shop/orders.frm", 0, b"\xfe\x01"),
    end(b"shop/orders.frm"),
    remove(b"shop/gone.ibd"),
    *last_files(b"mariadb_backup_"),
]
WHOLE = joined(STREAM)
BORDERS = [sum(len(chunk.raw) for chunk in STREAM[:count]) for count in range(1, len(STREAM) + 1)]


def options(archive: str, read: str) -> StreamOptions:
    """Let the filter take what bash `read` yields."""
    body = f"{read} | {quote((*FILTER.words, str(SIZE)))}"
    return StreamOptions(archive, Stream(body, FILTER.environment), chunk_size=SIZE, comment="chunks=16384 {now}")


def whole(folder: Path, archive: str, stream: bytes = WHOLE) -> StreamOptions:
    file = folder / archive
    file.write_bytes(stream)
    return options(archive, f"{{ cat {file} && echo {quote((align.COMPLETED.decode().strip(),))}; }}")


def read(repository: Repository, archive: str, *paths: str) -> bytes:
    streams = [content(repository, archive, path).body for path in paths or ("mariadb.mbstream",)]
    done = repository.host.run(Script(" && ".join(streams), content(repository, archive, "x").environment))
    assert done.ok, done.error_text
    return done.stdout


def names(repository: Repository) -> list[str]:
    return [archive.name for archive in listed(repository).archives]


def test_it_is_read_as_one_stream_and_one_file_of_it_alone(repository: Repository, tmp_path: Path) -> None:
    made = create(repository, whole(tmp_path, "one"))
    assert (made.files, made.warnings, made.verdict.left_out) == (1, (), 0)
    assert made.archive == "one"
    comment = repository.host.run(Script("borg list --format '{comment}'", repository.environment)).text
    assert comment == "chunks=16384 {now}"
    stream = read(repository, "one")
    kept = [chunk.raw for _, path, chunk, _ in chunks_of(stream) if path != align.PADDING]
    assert b"".join(kept) == WHOLE
    for part, found in ((stream, 6), (read(repository, "one", "mariadb.mbstream/shop/orders.ibd"), 1)):
        place = tmp_path / str(len(part))
        place.mkdir()
        subprocess.run(("mbstream", "-x", "-C", str(place)), input=part, check=True)
        assert (place / "shop" / "orders.ibd").read_bytes() == ORDERS
        assert (
            len([file for file in place.rglob("*") if file.is_file() and file.name != "cloudbackup_padding"]) == found
        )
        assert (place / "cloudbackup_padding").stat().st_size < SIZE


def test_it_adds_nothing_to_an_archive_of_the_same_data_that_was_one_file(
    repository: Repository, tmp_path: Path
) -> None:
    file = tmp_path / "former"
    file.write_bytes(former(STREAM))
    former_options = StreamOptions("former", Stream(f"cat {file}"), "mariadb.mbstream", SIZE)
    first = create(repository, former_options)
    second = create(repository, whole(tmp_path, "second"))
    third = create(repository, whole(tmp_path, "third"))
    assert first.stored is not None
    assert second.stored is not None
    assert third.stored is not None
    assert second.stored < 0.02 * first.stored
    assert third.stored < 0.005 * first.stored
    assert read(repository, "former") == former(STREAM)


def former(chunks: list[Chunk]) -> bytes:
    """Align a stream as earlier versions did: all of it is one file, and the padding goes on."""
    made, padded = b"", 0
    for chunk in chunks:
        if chunk.data_at is not None and len(chunk.raw) - chunk.data_at >= SIZE:
            own = len(data(align.PADDING, 0, b"").raw)
            count = -(len(made) + own + chunk.data_at) % SIZE
            made += data(align.PADDING, padded, bytes(count)).raw
            padded += count
        made += chunk.raw
    return made + end(align.PADDING).raw


@contextmanager
def fed(repository: Repository, folder: Path, archive: str) -> Iterator["Fed"]:
    """Run a backup whose filter takes what we feed it."""
    pipe, pid = folder / f"{archive}.pipe", folder / f"{archive}.pid"
    os.mkfifo(pipe)
    body = f"echo $$ >{pid} && exec {quote((*FILTER.words, str(SIZE)))} <{pipe}"
    run = Fed(repository, StreamOptions(archive, Stream(body, FILTER.environment), chunk_size=SIZE))
    run.thread.start()
    run.writing = os.open(pipe, os.O_WRONLY)
    run.pid = int(pid.read_text())
    try:
        yield run
    finally:
        run.stop()


class Fed:
    def __init__(self, repository: Repository, todo: StreamOptions) -> None:
        self.errors: list[BorgError] = []
        self.thread = threading.Thread(target=self._run, args=(repository, todo))
        self.writing = self.pid = -1

    def _run(self, repository: Repository, todo: StreamOptions) -> None:
        try:
            create(repository, todo)
        except BorgError as error:
            self.errors.append(error)

    def feed(self, stream: bytes) -> None:
        """Write, and wait until the filter has passed on all that it could."""
        for at in range(0, len(stream), 1 << 16):
            os.write(self.writing, stream[at : at + (1 << 16)])
        idle = 0
        deadline = time.monotonic() + 60
        while idle < 3 and time.monotonic() < deadline:
            waiting = int.from_bytes(fcntl.ioctl(self.writing, termios.FIONREAD, bytes(4)), "little")
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2][0]
            idle = idle + 1 if not waiting and state == "S" else 0

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1
        self.thread.join(120)


def test_a_filter_that_is_killed_at_any_border_leaves_no_archive(repository: Repository, tmp_path: Path) -> None:
    for number, border in enumerate(BORDERS):
        with fed(repository, tmp_path, f"cut-{number}") as run:
            run.feed(WHOLE[:border] + (align.COMPLETED[:-1] if border == len(WHOLE) else b""))
            run.kill()
            assert isinstance(run.errors[0], ContentError), "\n".join(run.errors[0].result.other_lines[-6:])[-1500:]
    assert names(repository) == []


def test_a_stream_that_ends_at_any_border_leaves_no_archive(repository: Repository, tmp_path: Path) -> None:
    """Whatever writes the stream is killed, or fails after all of it: the filter sees the end."""
    for number, border in enumerate(BORDERS):
        file = tmp_path / f"cut-{number}"
        file.write_bytes(WHOLE[:border])
        with pytest.raises(ContentError) as caught:
            create(repository, options(file.name, f"{{ cat {file}; false; }}"))
        assert any(line.startswith("align: ") for line in caught.value.result.other_lines)
    assert names(repository) == []


def test_borg_takes_no_pipe_that_the_filter_leaves_for_a_whole_tar(repository: Repository, tmp_path: Path) -> None:
    """Cut the tar before and behind each write that the kernel does not split, so at every border of a member."""
    writes = written(WHOLE, SIZE)
    tar, at, cuts = b"".join(writes), 0, set()
    for data_written in writes[:-1]:
        if len(data_written) <= members.PIPE_BUF:
            cuts |= {at, at + len(data_written)}
        at += len(data_written)
    file = tmp_path / "tar"
    file.write_bytes(tar)
    script = "\n".join(
        f"! head -c {cut} {file} | borg import-tar ::cut-{cut} - 2>/dev/null || echo {cut}" for cut in sorted(cuts)
    )
    done = repository.host.run(Script(script, repository.environment))
    assert (done.text, names(repository)) == ("", [])


def test_checkpoints_are_no_archives_and_leave_no_double_in_one(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creating, "CHECKPOINT_INTERVAL", 1)
    middle = BORDERS[2] + 5 * SIZE
    for archive in ("killed", "whole"):
        with fed(repository, tmp_path, archive) as run:
            began = time.monotonic()
            for at in range(0, BORDERS[5], SIZE):
                while at > middle - 10 * SIZE and time.monotonic() < began + 1.5:
                    run.feed(b"")
                run.feed(WHOLE[at : min(at + SIZE, BORDERS[5])])
            if archive == "killed":
                run.kill()
            else:
                run.feed(WHOLE[BORDERS[5] :] + align.COMPLETED)
        assert bool(run.errors) == (archive == "killed")
    assert names(repository) == ["whole"]
    kept = [chunk.raw for _, path, chunk, _ in chunks_of(read(repository, "whole")) if path != align.PADDING]
    assert b"".join(kept) == WHOLE


def test_when_borg_ends_first_that_is_the_reason(repository: Repository, tmp_path: Path) -> None:
    create(repository, whole(tmp_path, "one"))
    with pytest.raises(BorgError, match="there already") as caught:
        create(repository, whole(tmp_path, "one"))
    assert not isinstance(caught.value, ContentError)


def test_members_of_odd_names_are_saved_under_safe_ones(repository: Repository, tmp_path: Path) -> None:
    odd = [b"../../x", b"/etc/y", b"shop/a b\n\xff.ibd", b"shop/" + b"n" * 400 + b".ibd", b"..", head(b"E", b"z")[:4]]
    chunks = [chunk for path in odd for chunk in (data(path, 0, bytes(MIB)), end(path))]
    create(repository, whole(tmp_path, "odd", joined([*chunks, *last_files(b"xtrabackup_")])))
    done = repository.host.run(Script("borg list --format '{path}{NL}' ::odd", repository.environment))
    for line in done.text.splitlines():
        assert line.startswith("mariadb.mbstream/")
        assert ".." not in line.split("/")
        assert line.isprintable()
    assert "mariadb.mbstream/%2E%2E/%2E%2E/x/00000000000000" in done.text.splitlines()
    kept = [chunk.raw for _, path, chunk, _ in chunks_of(read(repository, "odd")) if path != align.PADDING]
    assert b"".join(kept) == joined([*chunks, *last_files(b"xtrabackup_")])


def test_the_stream_is_made_as_gently_as_borg_runs(repository: Repository, tmp_path: Path) -> None:
    todo = whole(tmp_path, "gentle")
    noted = replace(todo, content=replace(todo.content, body=f"nice >{tmp_path}/nice; {todo.content.body}"))
    how = How(first=NICE, upload=2_000_000)
    assert " --upload-ratelimit=1953 import-tar " in creating.create_script(repository, noted, how).body
    create(repository, noted, how)
    assert int((tmp_path / "nice").read_text()) == min(os.nice(0) + 10, 19)
    assert names(repository) == ["gentle"]
