"""What a host promises, on this machine and behind a real sshd alike."""

import os
import secrets
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tasks.errors import InterruptedRunError
from tasks.remote.channel import STDOUT
from tasks.remote.files import FilesError
from tasks.remote.host import Host
from tasks.remote.running import LINGER, HostError, LeftRunningError, Running, ScriptTimeoutError
from tasks.remote.script import BASH, Rendered, Script, quote, render
from tasks.remote.secret import Secret
from tasks.remote.ssh import SshHost, fetch_host_key, fingerprint
from tests.integration.remote.conftest import Sshd
from tests.integration.remote.support import eventually, free_port, kill_all, processes_with, public_key

CHECKOUT = Path(__file__).parents[3]


def test_bytes_and_exit_code_come_back_exactly(host: Host) -> None:
    output = host.run(Script(r"printf '\0\377no newline at the end'; echo problem >&2; exit 7"))
    assert (output.code, output.stdout, output.stderr) == (7, b"\0\xffno newline at the end", b"problem\n")


def test_a_failing_line_ends_the_script(host: Host) -> None:
    output = host.run(Script("echo one; false | cat; echo two"))
    assert (output.ok, output.stdout) == (False, b"one\n")


def test_a_child_that_reads_standard_input_eats_nothing(host: Host) -> None:
    output = host.run(Script("cat; head -c 100000; echo still here"))
    assert (output.code, output.stdout) == (0, b"still here\n")


def test_a_long_script_arrives_in_under_two_seconds(host: Host) -> None:
    host.facts()  # the connection is not what is timed
    began = time.monotonic()
    output = host.run(Script(quote(("printf", "%s", "x" * 250_000))))
    assert len(output.stdout) == 250_000
    assert time.monotonic() - began < 2


def test_no_command_line_on_the_host_holds_a_secret(host: Host) -> None:
    mark = "s3cr3t" + secrets.token_hex(8)
    seen: list[str] = []

    def look(line: str) -> None:
        if line == "now":
            seen.extend(processes_with(mark))

    output = host.run(Script('echo now >&2; sleep 0.3; printf %s "$X" | wc -c', {"X": Secret(mark)}), on_stderr=look)
    assert output.text.strip() == str(len(mark))
    assert seen == []


def test_a_timeout_ends_the_remote_process_after_its_cleaning_up(host: Host, tmp_path: Path) -> None:
    mark = f"987{secrets.randbelow(10**6):06d}"
    cleaned = tmp_path / "cleaned"
    script = Script(f"trap {quote([quote(('touch', str(cleaned)))])} EXIT; sleep {mark}; touch {tmp_path}/went-on")
    with pytest.raises(ScriptTimeoutError):
        host.run(script, timeout=1.5)
    assert cleaned.exists()
    assert not (tmp_path / "went-on").exists()
    assert eventually(lambda: not processes_with(mark))


def test_what_does_not_listen_is_killed(host: Host) -> None:
    mark = f"986{secrets.randbelow(10**6):06d}"
    with pytest.raises(ScriptTimeoutError):
        host.run(Script(f"trap '' TERM; sleep {mark}", grace=0.5), timeout=0.5)
    assert eventually(lambda: not processes_with(mark))


def test_ctrl_c_ends_what_runs(host: Host) -> None:
    mark = f"985{secrets.randbelow(10**6):06d}"
    script = Script(f"echo started >&2; sleep {mark}")

    def interrupt(line: str) -> None:
        if line == "started":
            host.cancelled.set()

    with pytest.raises(InterruptedRunError):
        host.run(script, on_stderr=interrupt)
    assert eventually(lambda: not processes_with(mark))


def test_ctrl_c_before_anything_runs_leaves_nothing_either(host: Host) -> None:
    """The end comes with the script: the frame must not look for what is to be ended before that has begun."""
    host.facts()
    host.cancelled.set()
    marks = [f"984{secrets.randbelow(10**6):06d}" for _ in range(20)]
    for mark in marks:
        with pytest.raises(InterruptedRunError) as caught:
            host.run(Script(f"sleep {mark}"))
        assert not isinstance(caught.value, LeftRunningError)
        assert not processes_with(mark)


def test_an_end_that_nobody_saw_is_none() -> None:
    rendered = Rendered(b"", b"begin", b"end")
    running = Running(Silent(), "crm", rendered)
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(LeftRunningError, match="it did not say that it ended there"):
        running.wait(None, -LINGER, cancelled)


class Silent:
    """A program that began, and of which nothing more is heard."""

    ended = False

    def __init__(self) -> None:
        self._pieces = [(STDOUT, b"begin\n")]

    def send(self, data: bytes) -> None: ...
    def end_input(self) -> None: ...
    def exit_code(self) -> int | None:
        return None

    def receive(self, timeout: float) -> list[tuple[int, bytes]]:
        time.sleep(timeout)
        return [self._pieces.pop()] if self._pieces else []

    def close(self) -> None:
        self.ended = True


def test_a_closed_connection_leaves_no_process(sshd: Sshd) -> None:
    host = SshHost(sshd.target())
    mark = f"984{secrets.randbelow(10**6):06d}"
    host.start(Script(f"sleep {mark}"))
    assert eventually(lambda: len(processes_with(mark)) > 0)
    host.close()
    assert eventually(lambda: not processes_with(mark))


@pytest.mark.parametrize("kind", ["local", "ssh"])
def test_a_killed_operator_leaves_no_process(kind: str, sshd: Sshd) -> None:
    mark = f"983{secrets.randbelow(10**6):06d}"
    target = f"SshHost(SshTarget('127.0.0.1', {sshd.port}, {str(sshd.key)!r}, {sshd.host_key!r}))"
    code = (
        "from tasks.remote.host import LocalHost\nfrom tasks.remote.ssh import SshHost, SshTarget\n"
        f"from tasks.remote.script import Script\nhost = {target if kind == 'ssh' else 'LocalHost()'}\n"
        f"host.run(Script('sleep ' + str({mark})))"
    )
    operator = subprocess.Popen([sys.executable, "-c", code], cwd=CHECKOUT)
    assert eventually(lambda: any(line.startswith("sleep") for line in processes_with(mark)))
    operator.kill()
    operator.wait()
    assert eventually(lambda: not processes_with(mark))


def test_a_lost_connection_is_told(sshd: Sshd) -> None:
    host = SshHost(sshd.target())
    own = host.run(Script("echo $PPID; ps -o ppid= -p $PPID")).text.split()
    server_side = {int(pid) for pid in own} - {1, sshd.pid, os.getpid()}
    threading.Timer(0.5, kill_all, [server_side]).start()
    with pytest.raises(HostError, match="connection was lost"):
        host.run(Script("sleep 20"))


def test_more_scripts_than_channels_wait_for_their_turn(sshd: Sshd) -> None:
    host = SshHost(sshd.target())
    outputs: list[bytes] = []
    run = lambda: outputs.append(host.run(Script("sleep 0.1; echo done")).stdout)  # noqa: E731
    threads = [threading.Thread(target=run) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    host.close()
    assert outputs == [b"done\n"] * 12


def test_an_unknown_host_key_is_refused(sshd: Sshd) -> None:
    with pytest.raises(HostError, match="host key is unknown"):
        SshHost(sshd.target(host_key=None)).facts()


def test_a_changed_host_key_is_refused(sshd: Sshd) -> None:
    other = public_key(sshd.stranger.with_suffix(".pub"))
    with pytest.raises(HostError, match="host key has changed"):
        SshHost(sshd.target(host_key=other)).facts()


def test_a_refused_key_is_told(sshd: Sshd) -> None:
    with pytest.raises(HostError, match="login was refused"):
        SshHost(sshd.target(key=sshd.stranger)).facts()


@pytest.mark.parametrize("wrong", ["host key", "login"])
def test_a_connection_without_a_login_is_closed_at_once(sshd: Sshd, wrong: str) -> None:
    """A Storage Box takes 10 connections at once: ten refusals and it takes none, also once all is right again."""
    before = children_of(sshd.pid)
    target = sshd.target(key=sshd.stranger) if wrong == "login" else sshd.target(host_key=None)
    hosts = [SshHost(target) for _ in range(3)]
    for host in hosts:
        with pytest.raises(HostError, match=f"{wrong} (is unknown|was refused)"):
            host.facts()
    assert eventually(lambda: children_of(sshd.pid) <= before)


def children_of(pid: int) -> set[str]:
    """Return the processes that an sshd has for its connections."""
    return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def test_an_unreachable_host_is_told(sshd: Sshd) -> None:
    with pytest.raises(HostError, match="it refuses connections"):
        SshHost(sshd.target(port=free_port())).facts()


def test_the_host_key_can_be_fetched_for_a_person_to_confirm(sshd: Sshd, tmp_path: Path) -> None:
    fetched = fetch_host_key("127.0.0.1", sshd.port)
    (tmp_path / "key.pub").write_text(fetched + "\n")
    words = ["ssh-keygen", "-lf", str(tmp_path / "key.pub")]
    assert fetched == sshd.host_key
    assert fingerprint(fetched) in subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_what_a_login_shell_prints_is_not_output(host: Host) -> None:
    rendered = render(Script("echo good; echo bad >&2"))
    text = b"echo Welcome; echo motd >&2\n" + rendered.text
    channel = host._open(BASH)
    running = Running(channel, host.name, rendered)
    channel.send(text)
    output = running.wait(20, 1, threading.Event())
    assert (output.stdout, output.stderr) == (b"good\n", b"bad\n")


def test_one_plain_command_gets_its_input(host: Host) -> None:
    output = host.command(("sh", "-c", "cat; exit 8"), b"some input")
    assert (output.code, output.stdout) == (8, b"some input")


def test_no_output_of_a_quick_command_is_lost(host: Host) -> None:
    outputs = [host.command(("echo", str(number))).text for number in range(60)]
    assert outputs == [f"{number}\n" for number in range(60)]


def test_many_threads_share_the_files_of_a_host(host: Host, tmp_path: Path) -> None:
    def write(number: int) -> None:
        for turn in range(10):
            host.files().write_new(f"{tmp_path}/{number}-{turn}", b"x" * 1000)

    threads = [threading.Thread(target=write, args=[number], daemon=True) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(host.files().names(str(tmp_path))) == 60


def test_many_files_and_folders_are_read_at_once(host: Host, tmp_path: Path) -> None:
    sizes = {f"file ü {number}": size for number, size in enumerate([0, 1, 32767, 32768, 32769, 100_000] + 150 * [10])}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(os.urandom(size))
    files = host.files()
    names = files.names_each([str(tmp_path), f"{tmp_path}/none", *(f"{tmp_path}/{name}/x" for name in list(sizes)[:1])])
    assert names[str(tmp_path)] == sorted(sizes)
    missing = names[f"{tmp_path}/none"]
    assert isinstance(missing, FilesError)
    assert missing.missing
    read = dict(files.read_each(str(tmp_path / name) for name in [*sizes, "none"]))
    assert isinstance(read.pop(f"{tmp_path}/none"), FilesError)
    assert read == {str(tmp_path / name): (tmp_path / name).read_bytes() for name in sizes}
    assert files.read_each([]) == {}
    assert files.exists(str(tmp_path))  # the session is as good as before


def test_files_are_written_whole_and_never_over_another(host: Host, tmp_path: Path) -> None:
    files, folder = host.files(), str(tmp_path / "a" / "b")
    files.make_directory(folder)
    files.make_directory(folder)
    files.write_new(f"{folder}/one", b"1")
    with pytest.raises(FilesError):
        files.write_new(f"{folder}/one", b"2")
    files.replace(f"{folder}/one", b"3")
    assert (files.read(f"{folder}/one"), files.names(folder), files.exists(f"{folder}/two")) == (b"3", ["one"], False)
    assert (tmp_path / "a" / "b" / "one").stat().st_mode & 0o777 == 0o600
    files.remove(f"{folder}/one")
    files.remove(folder)
    with pytest.raises(FilesError) as caught:
        files.read(f"{folder}/one")
    assert caught.value.missing
