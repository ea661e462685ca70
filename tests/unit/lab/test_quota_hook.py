"""What the hook does inside a Python such as borg's: each way to write meets the box's limits."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.commands import QUOTA_HOOK


@dataclass(frozen=True)
class Inside:
    """A place where code runs as `borg serve` would: in `home`, with 1000 bytes of quota."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "data"

    def run(self, code: str, readonly: bool = False) -> str:
        """Run code in the system's Python; return the last line of its error, empty when it went well."""
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(QUOTA_HOOK),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self.folder / "tmp"),
            "CLOUDBACKUP_BOX_HOME": str(self.home),
            "CLOUDBACKUP_BOX_POOL": str(self.home),
            "CLOUDBACKUP_BOX_LIMITS": str(self.folder / "limits.json"),
            "CLOUDBACKUP_BOX_READONLY": "1" if readonly else "0",
        }
        done = subprocess.run(
            ("python3", "-c", code), cwd=self.home, env=environment, capture_output=True, text=True, check=False
        )
        return (done.stderr.splitlines() or [""])[-1]


@pytest.fixture
def inside(tmp_path: Path) -> Inside:
    for name in ("data", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "data/old").write_text("old")
    (tmp_path / "limits.json").write_text(json.dumps({"quota": 1000, "full": False}))
    return Inside(tmp_path)


@pytest.mark.parametrize(
    "code",
    [
        "with open('new', 'wb') as f: f.write(bytes(2000))",
        "with open('new', 'w') as f: f.write('x' * 2000)",
        "open('old', 'ab', buffering=0).write(bytes(2000))",
        "f = open('old', 'r+b'); f.write(bytes(2000)); f.close()",
        "import os; f = os.fdopen(os.open('new', os.O_WRONLY | os.O_CREAT), 'wb'); f.write(bytes(2000)); f.close()",
        "from pathlib import Path; Path('new').write_bytes(bytes(2000))",
    ],
)
def test_a_write_that_does_not_fit_fails_as_on_a_box(inside: Inside, code: str) -> None:
    error = inside.run(code)

    assert "[Errno 69] Disc quota exceeded" in error
    assert sum(path.stat().st_size for path in inside.home.iterdir()) <= 1000


def test_what_fits_is_written_whole(inside: Inside) -> None:
    assert inside.run("with open('new', 'x', encoding='utf-8') as f: f.write('ä\\n' * 100)") == ""
    assert (inside.home / "new").read_text() == "ä\n" * 100
    assert inside.run("with open('old', 'a+') as f: f.write('!'); f.seek(0); assert f.read() == 'old!'") == ""


@pytest.mark.parametrize("code", ["open('new', 'w')", "import os; os.mkdir('new')", "import os; os.link('old', 'new')"])
def test_a_full_pool_takes_no_new_name(inside: Inside, code: str) -> None:
    (inside.folder / "limits.json").write_text(json.dumps({"quota": 1000, "full": True}))

    assert "Disc quota exceeded" in inside.run(code)
    assert not (inside.home / "new").exists()
    assert inside.run("import os; os.remove('old')") == ""


CHANGES = [
    "open({path!r}, 'w')",
    "import os; os.open({path!r}, os.O_RDWR)",
    "import os; os.mkdir({path!r} + '2')",
    "import os; os.remove({path!r})",
    "import os; os.rename({path!r}, 'taken')",
    "import os; os.link({path!r}, {path!r} + '2')",
    "import os; os.chmod({path!r}, 0o777)",
    "import os; os.utime({path!r})",
    "import os; os.truncate({path!r}, 0)",
    "import os; d = os.open(os.path.dirname({path!r}), os.O_RDONLY); os.unlink(os.path.basename({path!r}), dir_fd=d)",
]


@pytest.mark.parametrize("code", CHANGES)
def test_nothing_outside_the_home_can_be_changed(inside: Inside, code: str) -> None:
    outside = inside.folder / "outside"
    outside.write_text("stays")

    assert "Permission denied" in inside.run(code.format(path=str(outside)))
    assert outside.read_text() == "stays"
    assert sorted(path.name for path in inside.folder.iterdir()) == ["data", "limits.json", "outside", "tmp"]


@pytest.mark.parametrize("code", CHANGES)
def test_a_readonly_account_changes_nothing(inside: Inside, code: str) -> None:
    assert "Read-only file system" in inside.run(code.format(path=str(inside.home / "old")), readonly=True)
    assert [path.name for path in inside.home.iterdir()] == ["old"]
    assert (inside.home / "old").read_text() == "old"


def test_temporary_files_are_free(inside: Inside) -> None:
    (inside.folder / "limits.json").write_text(json.dumps({"quota": 0, "full": True}))
    code = "import tempfile\nwith tempfile.TemporaryDirectory() as d: open(d + '/x', 'wb').write(bytes(5000))"

    assert inside.run(code, readonly=True) == ""
