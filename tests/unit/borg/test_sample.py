"""Which files a drill reads: what changed, and over time every file once, whatever the sample."""

import hashlib
import io

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.borg.host.entries import entries
from tasks.borg.host.sample import SPACE, Choice, pattern
from tasks.borg.read_back import share

OLD, NEW = "2026-11-01T00:00:00.000000", "2026-11-22T03:00:00.000000"


def chosen(
    names: set[bytes], sample: int | None, cursor: int, changed: frozenset[bytes] = frozenset()
) -> tuple[set[bytes], int]:
    listing = b"".join(
        b"--rw-r--r-- 0 0 1 10 %s\0%s %s\0" % (name, (NEW if name in changed else OLD).encode(), OLD.encode())
        for name in sorted(names)
    )
    choice = Choice(sample, "2026-11-20T00:00:00", cursor)
    for entry in entries(io.BytesIO(listing)):
        choice.see(entry)
    made = choice.made()
    return set(made.chosen), made.length


NAMES = st.sets(st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name), min_size=1, max_size=60)


@given(names=NAMES, sample=st.integers(1, 30), start=st.integers(0, SPACE - 1))
@settings(deadline=None)
def test_samples_that_follow_each_other_read_every_file_once(names: set[bytes], sample: int, start: int) -> None:
    seen: list[bytes] = []
    windows: list[tuple[int, int]] = []
    cursor, rounds = start, 0
    while share(windows) < 1 and rounds <= len(names) + 1:
        found, length = chosen(names, sample, cursor)
        assert len(found) == min(sample, len(names))
        seen += found
        windows.append((cursor, length))
        cursor, rounds = (cursor + length) % SPACE, rounds + 1
    assert set(seen) == names
    assert rounds <= -(-len(names) // sample) + 1


@given(names=NAMES, sample=st.integers(2, 20), data=st.data())
@settings(deadline=None)
def test_half_of_a_sample_is_of_what_changed(names: set[bytes], sample: int, data: st.DataObject) -> None:
    changed = frozenset(data.draw(st.sets(st.sampled_from(sorted(names)), max_size=30)))
    found, length = chosen(names, sample, 0, changed)
    assert len(found & changed) >= min(len(changed), sample // 2)
    assert len(found) == min(sample, len(names))
    reached = {name for name in names if place(name) < length}
    assert reached <= found


def place(path: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(path, digest_size=8).digest(), "big") >> 4


def test_the_share_of_windows_that_overlap_and_go_round_the_circle() -> None:
    quarter = SPACE // 4
    assert share([]) == 0
    assert share([(0, quarter), (quarter // 2, quarter)]) == 0.375
    assert share([(3 * quarter, 2 * quarter)]) == 0.5
    assert share([(7, SPACE)]) == 1
    assert share([(0, 10 * SPACE)]) == 1


def test_a_name_that_is_not_utf_8_is_asked_for_by_a_pattern() -> None:
    assert pattern(b"srv/caf?") == b"sh:srv/caf?"
    assert pattern(b"srv/[a]*?") == b"sh:srv/?a???"
    assert pattern(b"srv/[a]*") == b"pp:srv/[a]*"
