"""Borg's answer of another archive than the one that was asked for, as a hostile or a confused storage may give it."""

from pathlib import Path

import pytest

from tasks.borg.client.create import FilesOptions, create
from tasks.borg.client.info import archive_info
from tasks.borg.client.runner import BorgError
from tasks.storage.repository import Repository

OTHER = "bank-files-2026-11-22T03-00-00"


def test_an_answer_of_another_archive_is_no_archive(repository: Repository, borg: Path, tmp_path: Path) -> None:
    """It is never recorded: neither under the name that was asked for, nor under the other."""
    (tmp_path / "file").write_text("content")
    options = FilesOptions("shop-files-2026-11-23T03-00-00", (str(tmp_path / "file"),))
    create(repository, options)
    (tmp_path / "bin/borg").unlink()
    (tmp_path / "bin/borg").write_text(
        f"#!/bin/bash\nset -o pipefail\n{borg} \"$@\" | sed -E 's/shop-files-2026-11-2[34]T03-00-00/{OTHER}/g'\n"
    )
    (tmp_path / "bin/borg").chmod(0o755)
    again = FilesOptions("shop-files-2026-11-24T03-00-00", options.paths)
    with pytest.raises(BorgError, match=f"it tells of another archive than {again.archive}"):
        create(repository, again)
    with pytest.raises(BorgError, match=f"it does not tell of {options.archive}"):
        archive_info(repository, options.archive)
