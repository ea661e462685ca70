"""Parses the output of `df`."""

from tasks.answers import whole
from tasks.errors import AppError
from tasks.remote.output import Output
from tasks.storage.base import Usage


def parse_df(output: Output, where: str) -> Usage:
    """Return the space in the last row of `df -k` or `df -Pk`: file system, size, used, available in KiB.

    Raises AppError if the output has another form.
    """
    rows = output.text.strip().splitlines()
    fields = rows[-1].split() if rows else []
    try:
        used, free = (1024 * kib for kib in map(whole, fields[-4:-2]) if kib is not None)
    except ValueError:
        said = (output.error_text.strip() or output.text.strip() or "nothing").splitlines()[0]
        raise AppError(f"{where}: df does not tell the space: {said}") from None
    return Usage(used=used, size=used + free)  # blocks reserved for root are not counted
