"""Which programs the box loads once for many calls."""

from pathlib import Path

import pytest

from lab.borg_child import interpreter_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#!/usr/bin/python3\n__requires__ = 'borgbackup==1.2.4'\n", ["/usr/bin/python3"]),
        (
            "#!/a/.venv/bin/python3.11 -P\nimport sys\nfrom borg.archiver import main\n",
            ["/a/.venv/bin/python3.11", "-P"],
        ),
        ("#!/usr/bin/python3\nprint('borg 1.2.4')\n", []),
        ("#!/bin/sh\n'''exec' /a/python \"$0\" \"$@\"\n' '''\nfrom borg.archiver import main\n", []),
        ("\x7fELF from borg.archiver import main", []),
        ("", []),
    ],
)
def test_only_borgs_own_script_is_loaded_once(text: str, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "borg").write_text(text)
    assert interpreter_of(tmp_path / "borg") == words
