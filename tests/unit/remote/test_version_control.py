"""A new secret is not written where git could commit it; the work tree that is asked is not trusted."""

import subprocess
from pathlib import Path

import pytest

from tasks.errors import UsageError
from tasks.remote.new_secret import refuse_version_control


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    subprocess.run(("git", "init", "-q", str(tmp_path)), check=True)
    (tmp_path / "file").write_text("")
    subprocess.run(("git", "-C", str(tmp_path), "add", "file"), check=True)
    (tmp_path / ".gitignore").write_text("secrets/\n")
    return tmp_path


def test_what_git_ignores_may_hold_a_secret(tree: Path) -> None:
    refuse_version_control(tree / "secrets" / "shop")
    with pytest.raises(UsageError, match="not ignored there"):
        refuse_version_control(tree / "shop")


def test_a_command_in_the_configuration_of_a_work_tree_does_not_run(tree: Path) -> None:
    command = f"touch {tree}/ran; false"
    for name in ("core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "diff.external"):
        subprocess.run(("git", "-C", str(tree), "config", name, command), check=True)
    subprocess.run(("git", "-C", str(tree), "config", "alias.check-ignore", f"!{command}"), check=True)
    refuse_version_control(tree / "secrets" / "shop")
    assert not (tree / "ran").exists()
