"""Real servers of both kinds, repositories that are published to them, and what each moment of a publishing leaves."""

import hashlib
import itertools
import json
import os
import secrets
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import keys, process, s3, sshd
from tasks.run.session import Session
from tasks.storage.published.host.rclone import STATE
from tasks.storage.published.storage import Staged
from tasks.storage.registry import load
from tasks.storage.repository import Repository, Side

KINDS = ("bucket", "files")  # the names of the storages, of the kinds s3 and sftp

# Stands in for rclone where RECORD names a folder: sends one object at a time, and copies the storage after each, which
# is what an interruption there would leave. Servers and rclone put files in place by renaming, so hard links keep what
# was. After so many objects as FAIL says, nothing works any more. LOG gets all command lines. Where KILL names a moment,
# the program that publishes is killed then: moment 0 is before its first request, 1 just after that, and so on; each
# object that is sent is a request. MOMENTS gets them as they come.
RECORDER = """#!/bin/bash
set -o pipefail
moment() {{ echo >>"$MOMENTS"; [ "$(wc -l <"$MOMENTS")" -le "$KILL" ] || {{ kill -KILL $PPID; exit 1; }}; }}
if [ -n "$KILL" ] && [ -n "$CLOUDBACKUP_PLAN" ]; then
    moment
    if [[ " $* " == *" copy "*" --files-from-raw=- "* ]]; then
        while IFS= read -r name || [ -n "$name" ]; do printf '%s\\n' "$name" | {real} "$@" || exit; moment; done
    else
        {real} "$@" || exit; moment
    fi
    exit
fi
[ -z "$LOG" ] || printf '%s\\n' "$*" >>"$LOG"
[ -n "$RECORD" ] || exec {real} "$@"
[ -z "$FAIL" ] || [ "$(ls "$RECORD" | wc -l)" -lt "$FAIL" ] || exit 1
keep() {{ cp -al "$SERVED" "$RECORD/$(printf %04d "$(ls "$RECORD" | wc -l)")"; }}
case " $* " in
*" copy "*" --files-from-raw=- "*) [[ ${{@: -1}} == published:* ]] || exec {real} "$@"
    while [ -z "$FAIL" ] || [ "$(ls "$RECORD" | wc -l)" -lt "$FAIL" ] || exit 1; IFS= read -r name || [ -n "$name" ]; do printf '%s\\n' "$name" | {real} "$@" || exit; keep; done ;;
*" copyto "*|*" deletefile "*|*" rcat "*) {real} "$@" && keep ;;
*) exec {real} "$@" ;;
esac
"""


class Servers:
    """A real S3 server and an OpenSSH server that does nothing but SFTP."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.s3 = s3.plan(folder / "buckets", "backups")
        self.sftp = sshd.HostPaths(folder / "files")
        self.port = process.free_port()
        self.key = folder / "home/.ssh/cloudbackup_shop"
        self.key.parent.mkdir(parents=True)
        keys.make(self.key, "shop")
        sshd.prepare(self.sftp, self.port, keys.public(self.key), {})
        with (self.sftp.ssh / "config").open("a") as config:
            config.write(f"ForceCommand internal-sftp -d {self.sftp.home}\n")
        self.daemons = [self.s3.start()]
        self.daemons.append(sshd.start(self.sftp, {}))
        process.wait_until(lambda: process.answers(self.port), "the SFTP server", self.daemons[1], self.sftp.log)

    def served(self, kind: str, store: str) -> Path:
        """Return where the published copy of shop lies in a server, of the storages in a folder `store`."""
        return (self.s3.folder / "backups" if kind == "bucket" else self.sftp.home) / store / "shop"

    def storages(self, staging: Path, store: str) -> dict[str, Any]:
        bucket: dict[str, Any] = {"kind": "s3", "endpoint": self.s3.endpoint, "bucket": "backups", "prefix": store}
        bucket |= {"access_key": {"env": "LAB_ACCESS"}, "secret_key": {"env": "LAB_SECRET"}}
        files = {"kind": "sftp", "host": "127.0.0.1", "port": self.port, "user": os.environ.get("USER", "root")}
        files |= {"directory": store, "host_key": keys.pin(self.sftp.host_key), "key": str(self.key)}
        return {"bucket": {**bucket, "staging": str(staging)}, "files": {**files, "staging": str(staging)}}

    def environment(self) -> dict[str, str]:
        real = shlex.quote(s3.rclone())
        program = self.folder / "bin/rclone"
        program.parent.mkdir(exist_ok=True)
        program.write_text(RECORDER.format(real=real))
        program.chmod(0o755)
        return {
            "HOME": str(self.folder / "home"),
            "LAB_ACCESS": self.s3.access_key,
            "LAB_SECRET": self.s3.secret_key,
            "PATH": f"{program.parent}:{os.environ['PATH']}",
        }

    def close(self) -> None:
        process.end_all(lambda: process.descendants(self.daemons))


class Site:
    """An app on this machine whose repositories lie in a staging folder, one storage of each kind."""

    def __init__(self, folder: Path, servers: Servers, borg: str, store: str = "") -> None:
        self.folder = folder
        self.servers = servers
        self.borg = borg
        self.store = store or secrets.token_hex(4)
        self.files = folder / "srv"
        self.files.mkdir(parents=True, exist_ok=True)
        inventory = folder / "inventory"
        (inventory / "apps").mkdir(parents=True, exist_ok=True)
        place = {"escrow": str(folder / "escrow"), "cache": str(folder / "cache")}
        values = {
            "storages": servers.storages(folder / "staging", self.store),
            "defaults": {"storage": "bucket", "nice": False},  # or what else runs on the machine comes first
            **place,
        }
        (inventory / "cloudbackup.yml").write_text(yaml.safe_dump(values))
        for name, storage in (("shop", "bucket"), ("shopfiles", "files")):
            app = {
                "host": "local",
                "storage": storage,
                "passphrase": {"env": "SHOP"},
                "files": {"paths": [str(self.files)]},
            }
            (inventory / f"apps/{name}.yml").write_text(yaml.safe_dump(app))
        self.session = Session(load(inventory))
        self.app = self.session.inventory.app("shop")

    def storage(self, kind: str) -> Staged:
        storage = self.session.storage(kind)
        assert isinstance(storage, Staged)
        return storage

    def repository(self, kind: str, side: Side = Side.OPERATOR) -> Repository:
        app = self.app.model_copy(update={"storage": kind})
        return self.session.repository(app, side)

    def served(self, kind: str) -> Path:
        return self.servers.served(kind, self.store)

    def address(self, kind: str) -> str:
        """Return rclone's name of the published copy."""
        storage = self.storage(kind)
        return storage.address(storage.path(self.app))

    def staging(self, kind: str) -> Path:
        return self.folder / "staging" / kind / "shop"


@dataclass(frozen=True)
class Moment:
    """What an interruption after an object leaves, and the archives that must then be listed: one of `allowed`."""

    folder: Path
    allowed: tuple[frozenset[str], ...]


def digest(folder: Path) -> str:
    """Return the same for folders with the same files, whoever wrote what into their state."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != STATE:
            found.update(f"{path.relative_to(folder)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def run_borg(borg: str, commands: Sequence[Mapping[str, Any]]) -> list[tuple[int, str, str]]:
    """Run commands of that borg, in order, in one process."""
    interpreter = Path(borg).resolve().read_text(errors="replace").splitlines()[0].removeprefix("#!").split()
    done = subprocess.run(
        (*interpreter, str(Path(__file__).with_name("forking_borg.py"))),
        input=json.dumps(list(commands)), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [tuple(each) for each in json.loads(done.stdout)]


def restorable(borg: str, moments: Sequence[Moment], content: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return what is wrong with the moments: every archive must be listed and give back what was saved.

    `content` has of each archive the SHA-256 of its files, by name.
    """
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        places = [Path(scratch, str(number)) for number in range(len(moments))]
        lists = []
        for moment, place in zip(moments, places, strict=True):
            shutil.copytree(moment.folder, place / "repository")
            lists.append(_command(place, "list", "--short"))
        extracts = []
        for moment, place, (code, out, err) in zip(moments, places, run_borg(borg, lists), strict=True):
            names = frozenset(out.split())
            if code or names not in moment.allowed:
                faults.append(f"{moment.folder}: list gave {code}, {sorted(names)}: {err[-500:]}")
            for name in names:
                (place / name).mkdir()
                extracts.append((moment, place / name, _command(place, "extract", f"::{name}", folder=place / name)))
        results = run_borg(borg, [command for _, _, command in extracts])
        for (moment, place, _), (code, _, err) in zip(extracts, results, strict=True):
            found = {path.name: checksum(path) for path in place.rglob("*") if path.is_file()}
            if code or found != content[place.name]:
                faults.append(f"{moment.folder}: extract of {place.name} gave {code}: {err[-500:]}")
    return faults


def _command(place: Path, *words: str, folder: Path | None = None) -> dict[str, Any]:
    environment = {
        "BORG_REPO": str(place / "repository"),
        "BORG_BASE_DIR": str(place / "base"),
        "BORG_PASSPHRASE": "secret words",
    }
    return {"words": words, "environment": environment, "folder": str(folder or place)}


def checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sent(moments: Sequence[Path]) -> int:
    """Return the bytes of all that was written between the first moment and the last."""
    total = 0
    for before, after in itertools.pairwise(moments):
        known = {path.stat().st_ino for path in before.rglob("*") if path.is_file()}
        new = (path.stat() for path in after.rglob("*") if path.is_file())
        total += sum(file.st_size for file in new if file.st_ino not in known)
    return total
