"""Synchronises a repository with its published copy. Runs where rclone is, by `python3 -c`, for `Publication`.

Input is the environment variable CLOUDBACKUP_PLAN, a JSON object: `do` names one of the functions in VERBS, `remote` is
rclone's name of the copy, whose credentials rclone finds in the environment; the rest are that function's parameters.
Output is one JSON object: what was done, or `stopped` with the reason, a `remedy`, and whether it is `transient`.

The order of upload keeps the copy restorable at every moment; it was found by interrupting it after each object (borg
1.2.4 and 1.4.5). `nonce` comes first, so that no client that continues from the copy encrypts twice with the same
nonce; then `config`; then new segments that do not end in a commit, in any order; then those that do, one by one,
ascending: borg trusts everything up to the last commit that it sees. Index, hints and integrity files are left out:
borg rebuilds them from the segments, and they would have to be sent whole each time.

The object STATE records what is complete in the copy, who wrote it last (`run`), and who is writing (`publishing`). The
same is kept beside the repository. If the two differ, somebody else wrote, and nothing is changed.

Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
from typing import TYPE_CHECKING, Any, Callable  # Python 3.8 syntax

from tasks.storage.published.host.compare import Copy
from tasks.storage.published.host.plan import GOES_ON, Plan
from tasks.storage.published.host.rclone import STATE, VERSION, Stopped
from tasks.storage.published.host.refill import mirror, refill, wanted
from tasks.storage.published.host.segments import SEGMENT, Look, data_of, ends, number

if TYPE_CHECKING:
    from pathlib import Path

DRILL = "drill-"  # prefix of the folders into which a drill fetches the copy
ABANDONED = 3 * 86400.0  # seconds after which such a folder belongs to a drill that was lost


def compared(plan: Plan) -> Copy:
    """Return the copy. Raises Stopped if somebody else wrote there, or if it is incomplete."""
    copy = Copy(plan)
    copy.whole(plan)
    return copy


def publish(plan: Plan) -> dict[str, Any]:
    """Send what is new. With `early`, before borg starts, an unsettled repository is left for borg to settle."""
    swept(plan.keep)
    if not (plan.repository / "config").exists():
        return {"absent": True}
    with plan.alone():
        copy = compared(plan)
        early = plan.values.get("early", False)
        look = Look(plan.repository) if early else plan.settled()
        if not look.settled:
            if early:
                return {"published": None, "sent": 0}
            raise Stopped("borg is at work in the repository, or was ended in the middle", "run it again")
        return sent(plan, look, copy)


def examine(plan: Plan) -> dict[str, Any]:
    """Return what `republish` would send, with `size` in bytes; raises Stopped where it would. Changes nothing."""
    with plan.alone():
        copy = Copy(plan)
        look = settled(plan)
        may_overwrite(look, copy)
        again = [name for name in look.live if name not in copy.listing or name in copy.changed]
        size = sum(look.live[name] for name in again)
        return {"published": look.head, "missing": len(copy.missing), "changed": copy.changed, "size": size}


def republish(plan: Plan) -> dict[str, Any]:
    """Send what the copy lost or has in another size than published, and whatever is new."""
    with plan.alone():
        copy = Copy(plan)
        return sent(plan, settled(plan), copy)


def settled(plan: Plan) -> Look:
    """Return the repository. Raises Stopped if there is none, or if borg does not finish."""
    if not (plan.repository / "config").exists():
        raise Stopped(f"{plan.repository} holds no repository to publish", f"is its disk mounted? If not: {GOES_ON}")
    look = plan.settled()
    if not look.settled:
        raise Stopped("borg is at work in the repository, or was ended in the middle", "run it again")
    return look


def may_overwrite(look: Look, copy: Copy) -> None:
    """Raise Stopped unless the repository is at least as new as the last published state, and continues it."""
    told = copy.told
    before = told["segments"] if told else {}
    changed = [name for name, size in look.live.items() if before.get(name, size) != size]
    if changed or (told and told["published"] is not None and told["published"] > look.head):
        raise Stopped(
            f"{look.folder} is older than what was published from it" if not changed else f"{changed[0]} was changed",
            f"move {look.folder} away: {GOES_ON}",
        )


def sent(plan: Plan, look: Look, copy: Copy) -> dict[str, Any]:
    """Send what is new in a settled repository, or not in the copy as published."""
    known, state, again = copy.known, copy.told, copy.missing or copy.changed
    may_overwrite(look, copy)
    before = {name for name in (state or {"segments": ()})["segments"] if name in copy.listing} - set(copy.changed)
    config = hashlib.sha256((look.folder / "config").read_bytes()).hexdigest()
    same = state and not state["publishing"] and (state["published"], state["config"]) == (look.head, config)
    if same and not again:
        return {"published": look.head, "sent": 0}
    new = sorted((name for name in look.live if name not in before), key=number)
    if state is None:
        plan.remote.require(plan.values["oldest"])
    run = secrets.token_hex(16)
    stamp = {"run": run, "writer": plan.values["writer"], "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    objects = {**copy.segments, **{name: look.live[name] for name in new}}
    plan.remember({"state": known["state"], "objects": objects, "intends": run})
    empty: dict[str, Any] = {"version": VERSION, "published": None, "run": None, "segments": {}, "config": None}
    plan.remote.put_state({**empty, **stamp, **(state or {}), "publishing": stamp})
    for name in ("nonce", "README", "config"):
        always = name == "nonce" or again or not state or state["config"] != config
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
    """Raise Stopped unless all else has arrived, nobody else started to publish, and the repository is unchanged."""
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
    """Raise Stopped unless the copy matches the repository."""
    if not (plan.repository / "config").exists():
        return {"absent": True}
    with plan.alone():
        copy = compared(plan)
        state, look = copy.state, Look(plan.repository)
        if state is None or state["publishing"] or state["published"] != look.head:
            raise Stopped("what is on the host is not published yet", "the next backup publishes it")
        if not plan.remote.has_config(state["config"]):
            where = f"somebody else wrote to {plan.remote.address}"
            raise Stopped(f"{where}: config is not as it was published", "look what happened there, and who has access")
        return {"published": look.head}


def swept(folder: Path) -> None:
    """Remove what drills with a lost connection left in a folder: up to a whole repository each."""
    for left in folder.glob(f"{DRILL}*"):
        if time.time() - left.stat().st_mtime > ABANDONED:
            shutil.rmtree(left, ignore_errors=True)


def free(plan: Plan) -> dict[str, Any]:
    """Delete the segments that the published repository no longer has, oldest first."""
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
    """Delete the unfinished remains of a run that nobody continues: the `leftovers` of a refill.

    Their names come from the host, and this runs with the operator's credentials, so what is published is never
    deleted.
    """
    state = plan.remote.state(plan.remote.listing())
    if state is None:
        raise Stopped(f"{STATE} is missing in {plan.remote.address}", "look what happened there")
    last = -1 if state["published"] is None else state["published"]
    for name in plan.values["leftovers"]:
        if not SEGMENT.fullmatch(name) or name in state["segments"] or number(name) <= last:
            raise Stopped(f"the host asks to delete {name}, which is published", "look what happened on that host")
        plan.remote.delete(name)
    return {}


VERBS: dict[str, Callable[[Plan], dict[str, Any]]] = {
    verb.__name__: verb for verb in (publish, examine, republish, confirm, refill, mirror, free, drop)
}


def main() -> None:
    """Do what the plan says and print the result."""
    values = json.loads(os.environ["CLOUDBACKUP_PLAN"])
    try:
        answer = VERBS[values["do"]](Plan(values))
    except Stopped as stopped:
        answer = {"stopped": stopped.args[0], "remedy": stopped.args[1], "transient": stopped.transient}
        answer["lost"] = stopped.lost
    except OSError as error:
        answer = {"stopped": f"{error.filename}: {error.strerror}", "remedy": "", "transient": False}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
