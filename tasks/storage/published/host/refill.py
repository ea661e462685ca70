"""Fetches a published copy, to continue from it after the repository was lost, or to read it elsewhere.

Runs on a host as a part of the program `publishing`. Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

from tasks.storage.published.host.rclone import STATE, Sizes, Stopped
from tasks.storage.published.host.segments import Look, data_of, number

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.storage.published.host.plan import Plan

JUMP = 1 << 32  # added to a nonce: more than a lost run can have used
UNKNOWN = 1 << 62  # a nonce that cannot have been reached, for a copy that lost its own
SPARE = 1 << 30  # bytes that must be free in addition to what is fetched


def wanted(state: dict[str, Any], segments: Sizes, where: str) -> Sizes:
    """Return the segments that the copy lists as complete. Raises Stopped if one is missing or differs in size."""
    for name, size in state["segments"].items():
        if segments.get(name) != size:
            how = "is not as it was published" if name in segments else "is missing"
            remedy = "bring it back from a version that the storage keeps, or from a host that has the repository still"
            raise Stopped(f"{where} is damaged: {name} {how}", remedy)
    return dict(state["segments"])


def refill(plan: Plan) -> dict[str, Any]:
    """Restore a lost repository from the copy, so that borg can continue from there.

    A copy that was being written has complete transactions beyond its state: everything up to the last commit. What
    follows that belongs to no transaction and is returned as `leftovers`: delete it before publishing anything.
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
            raise Stopped(f"{plan.remote.address} was never published whole", "move it away, and start again")
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
        return {"refilled": True, "leftovers": leftovers, "fetched": sum(chosen.values())}


def fetched(plan: Plan, listing: Sizes, chosen: Sizes, folder: Path) -> None:
    """Fetch segments and the files that belong to them, and nothing else, into a folder."""
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
    """Raise Stopped if a file system does not have this many bytes free."""
    above = folder
    while not above.is_dir():
        above = above.parent
    free = shutil.disk_usage(above).free
    if free < size + min(size, SPARE):
        raise Stopped(f"{above} has {free // 10**6} MB free, {size // 10**6} MB are to come", "make room")


def raise_nonce(file: Path) -> None:
    """Raise a repository's nonce beyond anything that a lost run can have used: 16 hex digits, borg's nonces.py."""
    used = int(file.read_text(), 16) if file.exists() else UNKNOWN
    fresh = file.with_name(f"{file.name}.new")
    fresh.write_text(f"{used + JUMP:016x}")
    fresh.replace(file)


def aside(folder: Path) -> None:
    """Move away what is in a repository's place without being one."""
    folder.parent.mkdir(0o700, parents=True, exist_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    elif folder.exists():
        folder.rename(folder.with_name(f"{folder.name}.before-refill-{time.strftime('%Y-%m-%dT%H-%M-%S')}"))


def mirror(plan: Plan) -> dict[str, Any]:
    """Fetch the copy into `repository`, a folder used by nothing else, to read it there."""
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
