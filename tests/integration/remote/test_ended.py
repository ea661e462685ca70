"""The end of a script is the end of all that it ran, whatever that thinks of SIGTERM; and only then is it called so."""

import os
import secrets
import signal
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest

from tasks.errors import InterruptedRunError
from tasks.remote.host import Host, LocalHost
from tasks.remote.running import LeftRunningError, ScriptTimeoutError
from tasks.remote.script import Script, quote
from tasks.run.parallel import _interrupted
from tests.integration.remote.support import eventually, processes_with

DEAF = "import signal, sys, time; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}); open(sys.argv[1], 'w')"


def mark() -> str:
    return f"982{secrets.randbelow(10**6):06d}"


def deaf(ready: Path, name: str) -> str:
    """Return a command that blocks SIGTERM, as mariadb-backup does while it waits for its lock."""
    return quote(("python3", "-c", f"{DEAF}; time.sleep({name})", str(ready)))


def cancel(host: Host, ready: Path) -> None:
    assert eventually(ready.exists)
    host.cancelled.set()


@pytest.mark.parametrize("place", ["beside the script", "in front of it", "in a pipe"])
def test_a_program_that_blocks_the_signal_goes_when_the_operator_does(host: Host, tmp_path: Path, place: str) -> None:
    name, ready = mark(), tmp_path / "ready"
    program = deaf(ready, name)
    bodies = {"beside the script": f"{program} & wait", "in front of it": program, "in a pipe": f"{program} | cat"}
    running = host.start(Script(bodies[place], grace=1))
    assert eventually(ready.exists)
    running.end()
    assert eventually(lambda: not processes_with(name))


@pytest.mark.parametrize("way", ["timeout", "interruption"])
def test_the_end_is_told_once_nothing_runs_any_more(host: Host, tmp_path: Path, way: str) -> None:
    name, ready = mark(), tmp_path / "ready"
    script = Script(f"{deaf(ready, name)} & wait", grace=1)
    if way == "timeout":
        with pytest.raises(ScriptTimeoutError, match="no end after 1 seconds, ended there"):
            host.run(script, timeout=1)
    else:
        threading.Thread(target=cancel, args=(host, ready)).start()
        with pytest.raises(InterruptedRunError, match=r"interrupted$"):
            host.run(script)
    assert not processes_with(name)


def test_a_program_that_cannot_be_ended_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # as when it hangs in the kernel
    monkeypatch.setenv("BASH_FUNC_kill%%", '() { [ "$1" = -KILL ] || builtin kill "$@"; }')
    name, ready = mark(), tmp_path / "ready"
    host = LocalHost()
    threading.Thread(target=cancel, args=(host, ready)).start()
    body = f"{deaf(ready, name)} & echo $! >{tmp_path}/pid; wait"
    with pytest.raises(LeftRunningError, match=r"interrupted; still runs there: \d+ python3") as caught:
        host.run(Script(body, grace=1))
    assert processes_with(name)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    future: Future[None] = Future()
    future.set_exception(caught.value)
    told = _interrupted([future])
    assert "everything that ran was ended" not in str(told)
    assert "local: still runs there" in str(told)


def test_a_server_that_a_script_started_on_purpose_stays(host: Host, tmp_path: Path) -> None:
    name = mark()
    start = f"trap 'sleep {name} >/dev/null 2>&1 & echo $! >{tmp_path}/pid' EXIT; echo ready; sleep 1000"
    running = host.start(Script(start, grace=20, leaves=True))
    assert running.wait_for(b"ready", 15)
    running.end()
    assert running.wait(60, 20, threading.Event()).code == 143
    pid = int((tmp_path / "pid").read_text())
    try:
        assert eventually(lambda: bool(processes_with(name)))
    finally:
        host.run(Script(quote(("kill", str(pid)))))


def test_an_ordinary_end_waits_for_nothing_in_the_background(host: Host) -> None:
    name = mark()
    output = host.run(Script(f"sleep {name} >/dev/null 2>&1 & echo $!"))
    assert output.ok
    assert output.seconds < 10
    host.run(Script(quote(("kill", output.text.strip()))))
