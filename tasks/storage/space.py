"""Reading `df`."""

from tasks.errors import AppError
from tasks.remote.output import Output
from tasks.storage.base import Usage


def parse_df(output: Output, where: str) -> Usage:
    """Return the space in the last row of `df -k` or `df -Pk`: file system, size, used, available in KiB.

    Raises AppError when it says something else.
    """
    rows = output.text.strip().splitlines()
    fields = rows[-1].split() if rows else []
    try:
        _, used, free = (int(field) * 1024 for field in fields[-5:-2])
    except ValueError:
        said = (output.error_text.strip() or output.text.strip() or "nothing").splitlines()[0]
        raise AppError(f"{where}: df does not tell the space: {said}") from None
    return Usage(used=used, size=used + free)  # blocks kept for root are nobody's space
