"""Brings a repository and its published copy together. Runs where rclone is, by `python3 -c`, for `Publication`.

Input is the environment variable CLOUDBACKUP_PLAN, a JSON object: `do` names one of the functions in VERBS, `remote` is
rclone's name of the copy, whose credentials rclone finds in the environment, the rest is what that function reads.
Output is one JSON object: what was done, or `stopped` with the reason, and a `remedy`.

The order in which the parts of a repository arrive keeps the copy restorable at every moment; it was found by
interrupting it after each object (borg 1.2.4 and 1.4.5). `nonce` comes first, so that whoever goes on from the copy
encrypts nothing twice with the same; then `config`; new segments that end in no commit, in any order; those that end in
a commit one by one, ascending: borg believes all up to the last commit that it sees. Index, hints and integrity files
are left out: borg makes them anew from the segments, and they would be sent whole each time.

The object STATE says what is whole in the copy, who wrote it last (`run`), and who is writing (`publishing`). The same
is kept beside the repository. Where the two differ, somebody else wrote, and nothing is touched.

Of the standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator  # noqa: UP035  # for the Python that a host has

STATE = "cloudbackup.json"
VERSION = 1
SEGMENT = re.compile(r"data/[0-9]+/([0-9]+)")
INDEX = re.compile(r"index\.([0-9]+)")
COMMIT = bytes.fromhex("40f43c250900000002")  # the last 9 bytes of a segment that ends in a commit: borg's LoggedIO
JUMP = 1 << 32  # what a nonce is raised by: more than a run that was lost can have used
GOES_ON = "the next backup goes on from the published copy"
SPARE = 1 << 30  # bytes that must be free beyond what is fetched
DRILL = "drill-"  # how the names of folders begin into which a drill fetches the copy
ABANDONED = 3 * 86400.0  # seconds after which such a folder is of a drill that was lost
CAUSE = re.compile(
    r"dial tcp .*|api error .*|(?<=: )(?:InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied).*|ssh: .*"
)
# Codes of S3 servers (Ceph, AWS, MinIO), and what a system says of a disk or a quota.
FULL = re.compile(
    rb"QuotaExceeded|InsufficientStorage|XMinioStorageFull|no space left on device|dis[ck] quota exceeded",
    re.IGNORECASE,
)
RCLONE = ("rclone", "--config=", "--contimeout=20s", "--timeout=2m")
ASKING = ("--retries=1", "--low-level-retries=2")  # a storage out of reach is told at once
SENDING = ("--retries=3", "--low-level-retries=5")
LISTING = ("lsjson", "-R", "--files-only", "--no-modtime", "--no-mimetype")

Sizes = Dict[str, int]  # noqa: UP006


class Stopped(Exception):  # noqa: N818  # an answer rather than an error
    """Nothing more was done, for the reason given; the second word is what to do."""


class Remote:
    """The published copy, behind rclone."""

    def __init__(self, address: str) -> None:
        self.address = address

    def call(self, *words: str, data: bytes = b"") -> bytes:
        """Return what rclone says. Raises Stopped with the last line of its errors."""
        try:
            done = subprocess.run((*RCLONE, *words), input=data, capture_output=True, check=False)
        except FileNotFoundError:
            raise Stopped("rclone is not installed", "install it where this ran: `apt install rclone`") from None
        if done.returncode:
            raise failed(done.stderr)
        return done.stdout

    def require(self, oldest: list[int]) -> None:
        """Raise Stopped when rclone is older than it may be."""
        told = re.match(rb"rclone v(\d+)\.(\d+)", self.call("version"))
        if told and [int(told[1]), int(told[2])] < oldest:
            wanted = ".".join(map(str, oldest))
            raise Stopped(f"{told[0].decode()} is too old for this storage", f"install rclone {wanted} or later")

    def listing(self) -> Sizes:
        """Return the size of each object, by its path."""
        try:
            return sizes(self.call(*LISTING, *ASKING, self.address))
        except Stopped as fault:
            if "directory not found" in fault.args[0]:
                return {}
            raise

    def read(self, name: str) -> bytes:
        """Return an object's bytes."""
        return self.call("cat", *ASKING, f"{self.address}/{name}")

    def put(self, file: Path, name: str) -> None:
        """Send one file, over whatever has its name."""
        self.call("copyto", "--ignore-times", *SENDING, str(file), f"{self.address}/{name}")

    def put_all(self, folder: Path, names: list[str]) -> None:
        """Send files, in any order. What is there already, by size and time, is not sent again."""
        self.copy(str(folder), self.address, names)

    def get_all(self, names: list[str], folder: Path) -> None:
        """Fetch objects; what is there already, by size and time, is not fetched again."""
        self.copy(self.address, str(folder), names)

    def copy(self, source: str, target: str, names: list[str]) -> None:
        """Let rclone copy the named files."""
        if names:
            words = ("copy", "--no-traverse", "--files-from-raw=-", *SENDING, source, target)
            self.call(*words, data="\n".join(names).encode())

    def delete(self, name: str) -> None:
        """Delete an object."""
        self.call("deletefile", *SENDING, f"{self.address}/{name}")

    def state(self, listing: Sizes) -> dict[str, Any] | None:
        """Return what the copy says of itself; None when it says nothing."""
        if STATE not in listing:
            return None
        try:
            state = json.loads(self.read(STATE))
            if state["version"] == VERSION:
                return dict(state)
        except (ValueError, KeyError, TypeError):
            pass
        raise Stopped(f"{self.address}/{STATE} is not to be understood", "look who wrote it, and whether it is newer")

    def has_config(self, sha256: str) -> bool:
        """Tell whether the copy's config is the one with that checksum."""
        there = self.call("lsf", *ASKING, f"{self.address}/", "--include=/config")
        return bool(there.strip()) and hashlib.sha256(self.read("config")).hexdigest() == sha256

    def put_state(self, state: dict[str, Any]) -> None:
        """Write what the copy says of itself."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, STATE)
            file.write_text(json.dumps(state))
            self.put(file, STATE)


def sizes(listing: bytes) -> Sizes:
    """Return the size of each object by its path, of what rclone lists."""
    return {entry["Path"]: entry["Size"] for entry in json.loads(listing or b"[]")}


def failed(errors: bytes) -> Stopped:
    """Return what rclone's errors mean. What a full SFTP server says of itself is no more than that it failed."""
    if FULL.search(errors):
        return Stopped(f"the storage is full: {reason(errors)}", "make room there; the next backup publishes the rest")
    remedy = "correct what it says, and run it again"
    if b"SSH_FX_FAILURE" in errors:
        remedy = "the server does not say why: most often its disk or the account's quota is full"
    return Stopped(f"rclone: {reason(errors)}", remedy)


def reason(errors: bytes) -> str:
    """Return the last line of rclone's errors without time and level."""
    lines = [line for line in errors.decode(errors="replace").splitlines() if line.strip()]
    told = [line for line in lines if re.match(r"\d{4}/\d\d/\d\d ", line)] or lines or ["it failed without a word"]
    causes = [found[0] for found in map(CAUSE.search, lines) if found]
    line = re.sub(r"^[\d/]+ [\d:]+ (?:[A-Z]+ *: )?", "", (causes or told)[-1]).strip()
    return re.sub(r"^.*last error was: ", "", line)[:200]


class Look:
    """What lies in a repository's folder: its segments and the last transaction."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sizes: Sizes = {}
        for file in folder.glob("data/*/*"):
            name = str(file.relative_to(folder))
            if SEGMENT.fullmatch(name):
                self.sizes[name] = file.stat().st_size
        found = (INDEX.fullmatch(entry.name) for entry in folder.iterdir())
        self.index = max((int(match[1]) for match in found if match), default=-1)
        commits = (number(name) for name in sorted(self.sizes, key=number, reverse=True) if ends(folder / name))
        self.head = next(commits, -1)
        self.live = {name: size for name, size in self.sizes.items() if number(name) <= self.head}

    @property
    def settled(self) -> bool:
        """Whether borg finished what it last did: in the middle of a change, segments are gone or not yet committed."""
        return self.index == self.head


def number(name: str) -> int:
    """Return a segment's number."""
    return int(name.rpartition("/")[2])


def ends(segment: Path) -> bool:
    """Tell whether a segment ends in a commit."""
    with segment.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - len(COMMIT), 0))
        return file.read() == COMMIT


class Plan:
    """What is to be done, and where."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        self.remote = Remote(values["remote"])
        self.repository = Path(values["repository"])
        self.keep = Path(values["keep"])
        self.memory = self.keep / STATE

    def known(self) -> dict[str, Any]:
        """Return what this side remembers: the copy's state, all `objects` there, and the run that it `intends`."""
        try:
            return dict(json.loads(self.memory.read_text()))
        except FileNotFoundError:
            return {"state": None, "objects": {}, "intends": None}

    def remember(self, values: dict[str, Any]) -> None:
        """Write it down."""
        fresh = self.memory.with_suffix(".new")
        fresh.write_text(json.dumps(values))
        fresh.replace(self.memory)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock that one publishing at a time takes; it ends with the process."""
        self.keep.mkdir(0o700, parents=True, exist_ok=True)
        with (self.keep / "lock").open("w") as file:
            until = time.monotonic() + self.values.get("wait", 0)
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() > until:
                        raise Stopped("another run publishes this repository", "wait for it to end") from None
                    time.sleep(0.5)
            yield

    def settled(self) -> Look:
        """Return the repository as a finished transaction left it; waits for a borg that is at work."""
        until = time.monotonic() + self.values.get("wait", 0)
        while True:
            look = Look(self.repository)
            if look.settled or time.monotonic() > until:
                return look
            time.sleep(0.5)


def data_of(listing: Sizes) -> Sizes:
    """Return the segments of a listing."""
    return {name: size for name, size in listing.items() if SEGMENT.fullmatch(name)}


def compared(plan: Plan) -> tuple[dict[str, Any], dict[str, Any] | None, Sizes]:
    """Return what this side knows, the copy's state and its segments. Raises Stopped when somebody else wrote."""
    known = plan.known()
    listing = plan.remote.listing()
    state = plan.remote.state(listing)
    segments = data_of(listing)
    where = plan.remote.address
    remedy = f"if this host is the right one, move its folder {plan.repository} away: {GOES_ON}; if not, stop the other"
    if state is None:
        if segments or known["state"]:
            what = "was emptied by somebody" if known["state"] else "holds a repository that is not ours"
            raise Stopped(f"{where} {what}", f"look what happened there; {STATE} is missing")
        return known, None, segments
    mine = {known["state"] and known["state"]["run"], known["intends"]} - {None}
    writing = (state["publishing"] or {}).get("run")
    if (state["run"] or writing) not in mine or (writing and writing not in mine):
        who = (state["publishing"] or state)["writer"]
        raise Stopped(f"somebody else wrote to {where}: {who} at {state['time']}", remedy)
    if state["run"] == known["intends"]:
        known["state"] = state  # it ended between writing there and writing it down here
    strange = [name for name, size in segments.items() if name not in known["objects"]]
    broken = [name for name, size in state["segments"].items() if segments.get(name) != size]
    if strange or broken:
        what = f"{strange[0]} is not from here" if strange else f"{broken[0]} is not as it was published"
        raise Stopped(f"somebody else wrote to {where}: {what}", "look what happened there, and who has access")
    return known, state, segments


def publish(plan: Plan) -> dict[str, Any]:
    """Send what is new. `early` asks before borg is at work: what is unsettled then is left to borg."""
    swept(plan.keep)
    if not (plan.repository / "config").exists():
        return {"missing": True}
    with plan.alone():
        known, state, there = compared(plan)
        early = plan.values.get("early", False)
        look = Look(plan.repository) if early else plan.settled()
        if not look.settled:
            if early:
                return {"published": None, "sent": 0}
            raise Stopped("borg is at work in the repository, or was ended in the middle", "run it again")
        return sent(plan, look, known, state, there)


def sent(plan: Plan, look: Look, known: dict[str, Any], state: dict[str, Any] | None, there: Sizes) -> dict[str, Any]:
    """Send what is new of a settled repository."""
    before = state["segments"] if state else {}
    config = hashlib.sha256((look.folder / "config").read_bytes()).hexdigest()
    if state and not state["publishing"] and (state["published"], state["config"]) == (look.head, config):
        return {"published": look.head, "sent": 0}
    changed = [name for name, size in look.live.items() if before.get(name, size) != size]
    if changed or (state and state["published"] is not None and state["published"] > look.head):
        raise Stopped(
            f"{look.folder} is older than what was published from it" if not changed else f"{changed[0]} was changed",
            f"move {look.folder} away: {GOES_ON}",
        )
    new = sorted((name for name in look.live if name not in before), key=number)
    if state is None:
        plan.remote.require(plan.values["oldest"])
    run = secrets.token_hex(16)
    stamp = {"run": run, "writer": plan.values["writer"], "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    objects = {**there, **{name: look.live[name] for name in new}}
    plan.remember({"state": known["state"], "objects": objects, "intends": run})
    empty: dict[str, Any] = {"version": VERSION, "published": None, "run": None, "segments": {}, "config": None}
    plan.remote.put_state({**empty, **stamp, **(state or {}), "publishing": stamp})
    for name in ("nonce", "README", "config"):
        always = name == "nonce" or not state or state["config"] != config
        if always and (look.folder / name).exists():
            plan.remote.put(look.folder / name, name)
    commits = [name for name in new if ends(look.folder / name)]
    others = [name for name in new if name not in commits]
    plan.remote.put_all(look.folder, others)
    may_commit(plan, look, run, others)
    for name in commits:
        plan.remote.put(look.folder / name, name)
    done = {"version": VERSION, **stamp, "published": look.head, "segments": look.live, "config": config}
    done["publishing"] = None
    plan.remote.put_state(done)
    plan.remember({"state": done, "objects": objects, "intends": None})
    return {"published": look.head, "sent": sum(look.live[name] for name in new)}


def may_commit(plan: Plan, look: Look, run: str, others: list[str]) -> None:
    """Raise Stopped unless all else arrived, nobody else began to publish, and the repository is what it was."""
    listing = plan.remote.listing()
    for name in others:
        if listing.get(name) != look.live[name]:
            raise Stopped(f"{name} did not arrive whole", "run it again")
    now = plan.remote.state(listing)
    if not now or not now["publishing"] or now["publishing"]["run"] != run:
        raise Stopped("somebody else began to publish at the same time", "only one host may publish this repository")
    again = Look(plan.repository)
    if any(again.sizes.get(name) != size for name, size in look.live.items()):
        raise Stopped("borg changed the repository meanwhile", "run it again")


def confirm(plan: Plan) -> dict[str, Any]:
    """Stop unless the copy is what the repository is."""
    if not (plan.repository / "config").exists():
        return {"missing": True}
    with plan.alone():
        _, state, _ = compared(plan)
        look = Look(plan.repository)
        if state is None or state["publishing"] or state["published"] != look.head:
            raise Stopped("what is on the host is not published yet", "the next backup publishes it")
        if not plan.remote.has_config(state["config"]):
            where = f"somebody else wrote to {plan.remote.address}"
            raise Stopped(f"{where}: config is not as it was published", "look what happened there, and who has access")
        return {"published": look.head}


def wanted(state: dict[str, Any], segments: Sizes, where: str) -> Sizes:
    """Return the segments that the copy says are whole. Raises Stopped when one is missing or of another size."""
    for name, size in state["segments"].items():
        if segments.get(name) != size:
            raise Stopped(f"{where} is damaged: {name} is not as it was published", "look what happened there")
    return dict(state["segments"])


def refill(plan: Plan) -> dict[str, Any]:
    """Bring a repository that is lost back from the copy, so that borg can go on from there.

    A copy that was being written has whole transactions beyond what its state says: all up to the last commit. What is
    after that is nobody's, and named as `leftovers`: it must be deleted before anything is published.
    """
    with plan.alone():
        if (plan.repository / "config").exists():
            return {"refilled": False}
        listing = plan.remote.listing()
        state = plan.remote.state(listing)
        segments = data_of(listing)
        if state is None:
            if segments:
                raise Stopped(f"{plan.remote.address} holds a repository that is not ours", f"{STATE} is missing there")
            return {"refilled": False}
        chosen = wanted(state, segments, plan.remote.address)
        last = -1 if state["published"] is None else state["published"]
        if state["publishing"]:
            chosen.update({name: size for name, size in segments.items() if number(name) > last})
        folder = plan.keep / "refill"
        room(folder, sum(chosen.values()))
        fetched(plan, listing, chosen, folder)
        look = Look(folder)
        if look.head < max(last, 0):
            raise Stopped(f"{plan.remote.address} was never published whole", "move it away, and begin anew")
        for name in look.sizes:
            if number(name) > look.head:
                (folder / name).unlink()
        raise_nonce(folder / "nonce")
        shutil.rmtree(plan.values["base"], ignore_errors=True)
        leftovers = sorted((name for name in segments if number(name) > look.head), key=number)
        writing = (state["publishing"] or {}).get("run")
        objects = {name: size for name, size in segments.items() if name not in leftovers}
        plan.remember({"state": state, "objects": objects, "intends": writing})
        aside(plan.repository)
        folder.rename(plan.repository)
        return {"refilled": True, "leftovers": leftovers, "fetched": sum(look.live.values())}


def fetched(plan: Plan, listing: Sizes, chosen: Sizes, folder: Path) -> None:
    """Fetch segments and what belongs to them, and nothing else, into a folder."""
    folder.mkdir(0o700, parents=True, exist_ok=True)
    names = [name for name in ("config", "nonce", "README") if name in listing]
    plan.remote.get_all([*names, *chosen], folder)
    for name, size in Look(folder).sizes.items():
        if name not in chosen:
            (folder / name).unlink()
        elif size != chosen[name]:
            raise Stopped(f"{name} came with another size", "run it again")
    missing = [name for name in chosen if not (folder / name).exists()]
    if missing or not (folder / "config").exists():
        raise Stopped(f"{(missing or ['config'])[0]} did not come", "run it again")


def room(folder: Path, size: int) -> None:
    """Raise Stopped when a file system has no room for so many bytes."""
    above = folder
    while not above.is_dir():
        above = above.parent
    free = shutil.disk_usage(above).free
    if free < size + min(size, SPARE):
        raise Stopped(f"{above} has {free // 10**6} MB free, {size // 10**6} MB are to come", "make room")


def raise_nonce(file: Path) -> None:
    """Raise a repository's nonce beyond all that a lost run can have used: 16 hexadecimal digits, borg's nonces.py."""
    if file.exists():
        file.write_text(f"{int(file.read_text(), 16) + JUMP:016x}")


def aside(folder: Path) -> None:
    """Keep what lies where a repository belongs and is none."""
    folder.parent.mkdir(0o700, parents=True, exist_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    elif folder.exists():
        folder.rename(folder.with_name(f"{folder.name}.before-refill-{time.strftime('%Y-%m-%dT%H-%M-%S')}"))


def swept(folder: Path) -> None:
    """Remove what drills left in a folder that were lost with their connection: as much as a whole repository."""
    for left in folder.glob(f"{DRILL}*"):
        if time.time() - left.stat().st_mtime > ABANDONED:
            shutil.rmtree(left, ignore_errors=True)


def mirror(plan: Plan) -> dict[str, Any]:
    """Fetch the copy into `repository`, which is nobody else's, to be read there."""
    with plan.alone():
        for _ in range(3):
            listing = plan.remote.listing()
            state = plan.remote.state(listing)
            if state is None or state["published"] is None:
                raise Stopped(f"{plan.remote.address} holds no published repository", "")
            if plan.known()["state"] != state:
                for kind in ("index", "hints", "integrity"):  # in this order: borg refuses an index without hints
                    for file in plan.repository.glob(f"{kind}.*"):
                        file.unlink()
            chosen = wanted(state, data_of(listing), plan.remote.address)
            room(plan.repository, sum(chosen.values()))
            fetched(plan, listing, chosen, plan.repository)
            plan.remember({"state": state, "objects": {}, "intends": None})
            if plan.remote.state({STATE: 0}) == state:
                return {"published": state["published"]}
        raise Stopped("the copy changed while it was fetched", "run it again")


def free(plan: Plan) -> dict[str, Any]:
    """Delete the segments that the published repository has no more, oldest first."""
    listing = plan.remote.listing()
    state = plan.remote.state(listing)
    if state is None or state["publishing"] or state["published"] != plan.values["published"]:
        raise Stopped("the copy is not what was just published", "run it again")
    segments = data_of(listing)
    wanted(state, segments, plan.remote.address)
    old = [name for name in segments if name not in state["segments"] and number(name) < state["published"]]
    for name in sorted(old, key=number):
        plan.remote.delete(name)
    return {"freed": sum(segments[name] for name in old)}


def drop(plan: Plan) -> dict[str, Any]:
    """Delete what a run left unfinished that nobody goes on with: the `leftovers` of a refill."""
    for name in plan.values["leftovers"]:
        plan.remote.delete(name)
    return {}


VERBS: dict[str, Callable[[Plan], dict[str, Any]]] = {
    verb.__name__: verb for verb in (publish, confirm, refill, mirror, free, drop)
}


def main() -> None:
    """Do what the plan says and print the outcome."""
    values = json.loads(os.environ["CLOUDBACKUP_PLAN"])
    try:
        answer = VERBS[values["do"]](Plan(values))
    except Stopped as stopped:
        answer = {"stopped": stopped.args[0], "remedy": stopped.args[1]}
    except OSError as error:
        answer = {"stopped": f"{error.filename}: {error.strerror}", "remedy": ""}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
