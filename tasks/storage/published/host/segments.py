"""The segments of a repository: which exist, and up to which of them borg has committed (borg's LoggedIO).

Runs on a host as a part of the program `publishing`. Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.storage.published.host.rclone import Sizes

SEGMENT = re.compile(r"data/[0-9]+/([0-9]+)")
INDEX = re.compile(r"index\.([0-9]+)")
COMMIT = bytes.fromhex("40f43c250900000002")  # the last 9 bytes of a segment that ends in a commit: borg's LoggedIO


class Look:
    """The content of a repository's folder.

    `sizes` has the bytes of each segment by its path in the folder, `live` those up to `head`. `head` is the number of
    the last segment that ends in a commit, `index` the N of the newest `index.N`; both are -1 if there is none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sizes: Sizes = {}
        for file in folder.glob("data/*/*"):
            name = str(file.relative_to(folder))
            if SEGMENT.fullmatch(name):
                self.sizes[name] = file.stat().st_size
        found = (INDEX.fullmatch(entry.name) for entry in folder.iterdir())
        self.index = max((int(match[1]) for match in found if match), default=-1)
        commits = (number(name) for name in sorted(self.sizes, key=number, reverse=True) if ends(folder / name))
        self.head = next(commits, -1)
        self.live = {name: size for name, size in self.sizes.items() if number(name) <= self.head}

    @property
    def settled(self) -> bool:
        """Whether borg finished its last change: in the middle of one, segments are missing or not committed yet."""
        return self.index == self.head


def number(name: str) -> int:
    """Return a segment's number."""
    return int(name.rpartition("/")[2])


def ends(segment: Path) -> bool:
    """Return whether a segment ends in a commit."""
    with segment.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - len(COMMIT), 0))
        return file.read() == COMMIT


def data_of(listing: Sizes) -> Sizes:
    """Return the segments in a listing."""
    return {name: size for name, size in listing.items() if SEGMENT.fullmatch(name)}
