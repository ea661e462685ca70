"""Compares a published copy with what this side remembers of it: was it written here, and is it complete?

Runs on a host as a part of the program `publishing`. Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.storage.published.host.plan import GOES_ON
from tasks.storage.published.host.rclone import STATE, Sizes, Stopped
from tasks.storage.published.host.segments import data_of

if TYPE_CHECKING:
    from tasks.storage.published.host.plan import Plan

LOOK = "look what happened there, and who has access"


class Copy:
    """A published copy last written by this side: `known` here, `state` there, the `listing` of all its objects.

    `segments` is the part of the listing with the segments. `missing` are the paths of objects that should exist and do
    not, `changed` those of segments whose size differs.
    """

    def __init__(self, plan: Plan) -> None:
        self.known = plan.known()
        self.listing: Sizes = plan.remote.listing()
        self.state: dict[str, Any] | None = plan.remote.state(self.listing)
        self.segments = data_of(self.listing)
        _ours(plan, self)
        sizes = (self.told or {"segments": {}})["segments"].items()
        self.missing = _missing(plan, self)
        self.changed = [name for name, size in sizes if self.listing.get(name, size) != size]

    @property
    def told(self) -> dict[str, Any] | None:
        """Return the copy's own state; if the copy has lost it, the last one known."""
        return self.state or self.known["state"]

    def whole(self, plan: Plan) -> None:
        """Raise Stopped if objects are missing or are not as they were published."""
        where = plan.remote.address
        if self.changed:
            raise Stopped(f"somebody else wrote to {where}: {self.changed[0]} is not as it was published", LOOK)
        if self.missing:
            raise lost(plan, self)


def lost(plan: Plan, copy: Copy) -> Stopped:
    """Return the error for missing objects, with the most likely cause and the remedy."""
    count, where = len(copy.missing), plan.remote.address
    more = f" and {count - 1} more" if count > 1 else ""
    what = f"{count} object{'s are' if count > 1 else ' is'} missing in {where}: {copy.missing[0]}{more}"
    cause = "mostly a lifecycle rule of the bucket deletes what is old, or somebody tidied up: see to it that this ends"
    if not copy.segments:
        cause = f"all is gone: is the inventory's way to it still the right one? If so: {cause}"
    way = f"`inv borg.publish --app {plan.values['app']}` publishes again what the host has"
    return Stopped(what, f"{cause}; then {way}", lost=True)


def _missing(plan: Plan, copy: Copy) -> list[str]:
    told = copy.told
    if told is None:
        return []
    names = [*told["segments"], *(["config"] if told["config"] else [])]
    if told["published"] is not None and (plan.repository / "nonce").exists():
        names.append("nonce")
    return [name for name in (*names, STATE) if name not in copy.listing]


def _ours(plan: Plan, copy: Copy) -> None:
    """Raise Stopped if somebody else wrote the copy. Adopt what this side wrote but could not record."""
    where, known, state = plan.remote.address, copy.known, copy.state
    if state is None:
        if copy.segments and not known["state"]:
            raise Stopped(
                f"{where} holds a repository that is not ours", f"look what happened there; {STATE} is missing"
            )
    else:
        _written_here(plan, known, state)
        if state["run"] == known["intends"]:
            known["state"] = state  # the run ended after writing there and before recording it here
    strange = [name for name in copy.segments if name not in known["objects"]]
    if strange:
        raise Stopped(f"somebody else wrote to {where}: {strange[0]} is not from here", LOOK)


def _written_here(plan: Plan, known: dict[str, Any], state: dict[str, Any]) -> None:
    mine = {known["state"] and known["state"]["run"], known["intends"]} - {None}
    writing = (state["publishing"] or {}).get("run")
    if (state["run"] or writing) in mine and (not writing or writing in mine):
        return
    who = (state["publishing"] or state)["writer"]
    if who == plan.values["writer"]:
        raise Stopped(
            f"this host itself published to {plan.remote.address} at {state['time']}, and not from what lies in "
            f"{plan.repository} now: was the disk below {plan.repository.parent} not mounted then?",
            f"what was published is newer: move {plan.repository} away: {GOES_ON}",
        )
    raise Stopped(
        f"somebody else wrote to {plan.remote.address}: {who} at {state['time']}",
        f"if this host is the right one, move its folder {plan.repository} away: {GOES_ON}; if not, stop the other",
    )
