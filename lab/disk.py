"""`df` as a FreeBSD box prints it: https://github.com/borgbackup/borg/issues/6585 and 6767."""

from pathlib import Path

from lab.quota.storage_pool import used

_UNITS = ("B", "K", "M", "G", "T", "P")


def used_by(folder: Path) -> int:
    """Return the bytes of all files under `folder`."""
    return used(str(folder))


def report(account: str, size: int, taken: int, human: bool) -> str:
    """Return the text of `df` or `df -h` for a pool of `size` bytes; the account's name stands for the file system."""
    free = size - taken
    percent = f"{round(100 * taken / size) if size else 100}%"
    shown = [_human(number) if human else str(number // 1024) for number in (size, taken, free)]
    header = ("Filesystem", "Size" if human else "1K-blocks", "Used", "Avail", "Capacity", "Mounted on")
    row = (account, *shown, percent, "/home")
    widths = [max(len(top), len(bottom)) for top, bottom in zip(header, row, strict=True)]
    return "".join(f"{_line(cells, widths)}\n" for cells in (header, row))


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    first, *numbers, last = cells
    middle = " ".join(cell.rjust(width) for cell, width in zip(numbers, widths[1:-1], strict=True))
    return f"{first.ljust(widths[0])} {middle}  {last}"


def _human(number: int) -> str:
    """Three characters at most before the unit, powers of 1024, as humanize_number(3) does."""
    value, unit = float(number), 0
    while abs(value) >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    digits = 1 if unit and abs(value) < 9.95 else 0
    return f"{value:.{digits}f}{_UNITS[unit]}"
