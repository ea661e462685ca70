"""A borg that the box forks is what starting it would have made; each of the machine's borgs."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lab.borg_child import BorgChild, BorgParents
from lab.commands import QUOTA_HOOK, plain_environment

BORGS = [path for path in (shutil.which("borg"), *os.environ.get("CLOUDBACKUP_BORGS", "").split(":")) if path]
Use = Callable[[BorgChild], Awaitable[None]]


@pytest.fixture(params=BORGS)
def borg(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What `borg serve` gets from a box whose only account has all of this folder; it tests itself, as in the demo."""
    place = str(tmp_path)
    (tmp_path / "limits.json").write_text('{"quota": 1000000, "full": false}')
    own = {"HOME": place, "TMPDIR": place, "PYTHONPATH": str(QUOTA_HOOK)}
    names = {"HOME": place, "POOL": place, "LIMITS": f"{place}/limits.json", "READONLY": "0"}
    plain = {name: value for name, value in plain_environment().items() if name != "BORG_SELFTEST"}
    return plain | own | {f"CLOUDBACKUP_BOX_{name}": value for name, value in names.items()}


def forked(words: tuple[str, ...], environment: dict[str, str], use: Use) -> int:
    """Fork a borg, hand it to `use`, and return its exit code."""

    async def run() -> int:
        child = await BorgParents(plain_environment()).fork(words, environment, Path(environment["HOME"]), 1 << 16)
        assert child is not None
        await use(child)
        return await child.wait()

    return asyncio.run(run())


@pytest.mark.parametrize("words", [("--version",), ("list", "nowhere"), ("no such command",)])
def test_output_error_and_exit_code_are_the_same(
    borg: str, words: tuple[str, ...], environment: dict[str, str]
) -> None:
    started = subprocess.run((borg, *words), cwd=environment["HOME"], env=environment, capture_output=True, check=False)
    said: list[bytes] = []

    async def listen(child: BorgChild) -> None:
        said.extend([await child.stdout.read(), await child.stderr.read()])

    code = forked((borg, *words), environment, listen)
    assert (code, *said) == (started.returncode, started.stdout, started.stderr)


def test_it_is_found_by_its_command_line_in_a_session_of_its_own_and_can_be_killed(
    borg: str, environment: dict[str, str]
) -> None:
    words = (borg, "serve", "--restrict-to-path", environment["HOME"])

    async def kill(child: BorgChild) -> None:
        while (line := Path(f"/proc/{child.pid}/cmdline").read_text().rstrip("\0").split("\0"))[1:] != list(words):
            assert "borg_parent" in " ".join(line)
            await asyncio.sleep(0.01)
        assert Path(f"/proc/{child.pid}/comm").read_text() == "borg\n"
        assert os.getsid(child.pid) == child.pid
        os.kill(child.pid, signal.SIGKILL)

    assert forked(words, environment, kill) == -signal.SIGKILL
