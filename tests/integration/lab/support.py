"""Real clients of a lab's box: OpenSSH's ssh and sftp, and borg through them."""

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab import keys
from lab.lab import LabBox

Done = subprocess.CompletedProcess[bytes]


@dataclass(frozen=True)
class Client:
    """Someone with a key (or, with `password`, without one) who talks to a box."""

    box: LabBox
    folder: Path
    user: str
    key: Path | None = None
    password: str = ""
    sftp_port: bool = False  # use what stands for port 22

    def with_new_key(self, name: str, options: str = "") -> "Client":
        """Return a client with a key of its own that the account admits, with options such as `command="..."`."""
        key = self.folder / name
        keys.make(key, name)
        self.box.authorize(f"{options} {keys.public(key)}".strip(), self.user)
        return replace(self, key=key)

    def options(self) -> list[str]:
        """Return ssh's options: this key or password alone, the pinned host key, no file of the user's."""
        port = self.box.sftp_port if self.sftp_port else self.box.port
        known = self.folder / f"known-hosts-{port}"
        known.write_text(f"[127.0.0.1]:{port} {self.box.host_key}\n")
        chosen = {
            "Port": port,
            "UserKnownHostsFile": known,
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "ConnectTimeout": 10,
            "LogLevel": "ERROR",
            "BatchMode": "no" if self.password else "yes",
        }
        words = ["-F", "none"]
        for name, value in chosen.items():
            words += ["-o", f"{name}={value}"]
        if self.key is not None:
            words += ["-i", str(self.key)]
        return words

    def environment(self) -> Mapping[str, str]:
        """Return an environment in which ssh can ask for the password and borg for its passphrase."""
        asker = self.folder / "askpass"
        asker.write_text('#!/bin/sh\nprintf "%s\\n" "$LAB_PASSWORD"\n')
        asker.chmod(0o700)
        return {
            **os.environ,
            "SSH_ASKPASS": str(asker),
            "SSH_ASKPASS_REQUIRE": "force",
            "LAB_PASSWORD": self.password,
            "BORG_RSH": " ".join(("ssh", *self.options())),
            "BORG_REMOTE_PATH": "borg-1.4",
            "BORG_BASE_DIR": str(self.folder / "borg"),
            "BORG_PASSPHRASE": "correct horse",
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        }

    def ssh(self, command: str, given: bytes = b"", timeout: int = 10) -> Done:
        """Run one command on the box; `timeout` is for the connection, in seconds."""
        words = ("ssh", "-o", f"ConnectTimeout={timeout}", *self.options(), f"{self.user}@127.0.0.1", command)
        return subprocess.run(words, input=given, capture_output=True, check=False, env=self.environment(), timeout=60)

    def open(self, command: str) -> subprocess.Popen[bytes]:
        """Start one command on the box and leave its input open."""
        words = ("ssh", *self.options(), f"{self.user}@127.0.0.1", command)
        pipe = subprocess.PIPE
        return subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, env=self.environment())

    def sftp(self, *commands: str) -> Done:
        """Run SFTP commands; the first that fails ends the batch unless a dash precedes it."""
        words = ("sftp", "-q", *self.options(), "-b", "-", f"{self.user}@127.0.0.1")  # -b alone asks no password
        batch = "".join(f"{command}\n" for command in commands).encode()
        return subprocess.run(words, input=batch, capture_output=True, check=False, env=self.environment(), timeout=60)

    def scp(self, *words: str, old: bool = True) -> Done:
        """Run scp over its old protocol, or over SFTP; the box is written `BOX:`."""
        return self._copy(("scp", *(("-O",) if old else ()), "-q", *self.options()), words)

    def rsync(self, *words: str) -> Done:
        """Run rsync; the box is written `BOX:`."""
        return self._copy(("rsync", "-e", shlex.join(("ssh", *self.options()))), words)

    def _copy(self, program: Sequence[str], words: Sequence[str]) -> Done:
        placed = [word.replace("BOX:", f"{self.user}@127.0.0.1:") for word in words]
        return subprocess.run((*program, *placed), capture_output=True, check=False, env=self.environment(), timeout=60)

    def borg_words(self, *words: str, path: str = "./repository") -> tuple[str, ...]:
        """Return a borg command; a word that is `REPOSITORY` or begins so gets the repository's address."""
        address = f"ssh://{self.user}@127.0.0.1:{self.box.port}/{path}"
        return ("borg", *(word.replace("REPOSITORY", address) for word in words))

    def borg(self, *words: str, path: str = "./repository") -> Done:
        """Run borg against a repository on the box."""
        return subprocess.run(
            self.borg_words(*words, path=path), capture_output=True, check=False, env=self.environment(), timeout=120
        )


def succeeded(done: Done) -> Done:
    """Return what was done when it went well; fail with its errors otherwise."""
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    return done
