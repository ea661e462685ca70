"""`df` in the layout of a FreeBSD box."""

from lab import disk

G = 1 << 30


def test_human_row_as_users_posted_it() -> None:
    header, row = disk.report("u143466", 100 * G, 95 * G + 100_000_000, human=True).splitlines()

    assert header.split() == ["Filesystem", "Size", "Used", "Avail", "Capacity", "Mounted", "on"]
    assert row.split() == ["u143466", "100G", "95G", "4.9G", "95%", "/home"]


def test_plain_row_counts_kilobytes() -> None:
    row = disk.report("u1", 1 << 40, 3 << 20, human=False).splitlines()[-1]

    assert row.split() == ["u1", str(1 << 30), str(3 << 10), str((1 << 30) - (3 << 10)), "0%", "/home"]


def test_a_pool_without_room_is_full() -> None:
    assert disk.report("u1", 0, 0, human=True).splitlines()[-1].split()[4] == "100%"
