"""A repository that this machine serves to borg on a host, through the connection to it: the host needs no key.

    borg on the host -> host/plug.py -> forwarded agent's socket -> SSH -> Served -> borg serve, here or at the storage

It is served for appending to that one repository only. The host needs borg and python3.
"""

import shlex
import subprocess
import threading
from contextlib import suppress
from dataclasses import replace

import paramiko

from tasks.remote.host import Host
from tasks.remote.program import Program
from tasks.remote.script import Words
from tasks.storage.host import plug
from tasks.storage.repository import Repository

PROGRAM = Program(plug)
PIECE = 1 << 16
END = 10  # seconds for `borg serve` to end by itself
OURS = ("BORG_BASE_DIR", "BORG_REMOTE_PATH")  # of this machine


class Served:
    """Answers each connection from a host by a program of its own: `borg serve`, or ssh to it."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def serve(self, channel: paramiko.Channel) -> None:
        """Connect a forwarded channel to the program, in a thread of its own, until either ends."""
        threading.Thread(target=self._serve, args=(channel,), name="borg serve", daemon=True).start()

    def _serve(self, channel: paramiko.Channel) -> None:
        with subprocess.Popen(
            self._words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C ends the program on the host, and this one with it
        ) as process:
            threading.Thread(target=_send, args=(channel, process), name="to borg serve", daemon=True).start()
            try:
                assert process.stdout is not None
                while data := process.stdout.read1(PIECE):  # type: ignore[attr-defined]
                    channel.sendall(data)
            except (OSError, EOFError):
                pass  # the program on the host has ended
            finally:
                channel.close()
                _ended(process)


def _send(channel: paramiko.Channel, process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    with suppress(OSError, EOFError, ValueError):
        while data := channel.recv(PIECE):
            process.stdin.write(data)
            process.stdin.flush()
    with suppress(OSError, ValueError):
        process.stdin.close()


def _ended(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(END)
    except subprocess.TimeoutExpired:
        process.terminate()


def on_host(repository: Repository, host: Host) -> Repository:
    """Return a repository that this machine reaches as borg on a host reaches it through `Served`."""
    url = repository.url if "://" in repository.url else f"ssh://operator{repository.url}"
    kept = {name: value for name, value in repository.environment.items() if name not in OURS}
    added = {"BORG_REPO": url, "BORG_RSH": shlex.join(PROGRAM.words), "BORG_HOST_ID": host.facts().machine}
    if url is not repository.url:  # another folder of this machine each time, of what the key shows to be the same
        added["BORG_RELOCATED_REPO_ACCESS_IS_OK"] = "yes"
    return replace(repository, host=host, url=url, environment={**kept, **added, **PROGRAM.environment})
