"""The CronJobs of one app in Kubernetes: backup, binary logs, drill, check and prune, and a restore on demand."""

import zlib
from dataclasses import replace
from datetime import timedelta

from tasks.app.pods import RESTORES, Mount, Plan, Run, Values, cron_job
from tasks.inventory.models import App
from tasks.sources.kinds import is_log

USER = 10001  # the image's user id
SCRATCH, RESTORED = "/scratch", "/restored"
INV = "/opt/cloudbackup/inv"


def jobs(plan: Plan, app: App, schedule: str, binlog: timedelta | None, room: int) -> list[Values]:
    """Return them all. `schedule` is that of backups, empty: a minute of the app's own; `room` in GiB, for drills.

    The pod's inventory has this app alone. Named by --app, it would fail while it is paused.
    """
    minute = minute_of(app)
    storage = replace(plan, user=plan.user or USER, mounts=[mount for mount in plan.mounts if mount.writable])
    # Only dumps are judged by the tools in their own pod; whatever else looks at the storage alone gets no token.
    drills = replace(storage, account=plan.account and bool(app.dumps))
    keeps = replace(storage, account=False)
    upkeep = f"{INV} check && exec {INV} prune --yes" if app.prunable else f"exec {INV} check"
    made = [
        cron_job(plan, Run(plan.name, schedule or f"{minute} 3 * * *", ["backup"])),
        cron_job(drills, _drill(plan, app, minute, room)),
        # After the drill: a prune goes by what was proven last.
        cron_job(keeps, Run(f"{plan.name}-upkeep", f"{minute} 7 * * 0", [upkeep], line=True)),
    ]
    if binlog is not None and any(map(is_log, app.sources)):
        words = ["mariadb.binlog", "--quiet"]
        made.append(cron_job(plan, Run(f"{plan.name}-binlog", every(binlog, minute), words)))
    if app.is_local:
        made.append(_restore(plan, app, keeps))
    return made


def _drill(plan: Plan, app: App, minute: int, room: int) -> Run:
    """Return the weekly drill. It never runs as root, which would have to switch users for the private server.

    A pod may not create namespaces: a restored server is confined by Landlock and seccomp, or, if the node has
    neither, by its container alone.
    """
    when = f"{minute} 5 * * 0"
    if not app.is_local or not (app.mariadb or app.dumps):
        return Run(f"{plan.name}-drill", when, ["verify"])
    words = ["verify", "--scratch", SCRATCH, "--trust-archive"]
    return Run(f"{plan.name}-drill", when, words, SCRATCH, room)


def _restore(plan: Plan, app: App, keeps: Plan) -> Values:
    """Return a template that restores everything into new folders of a claim of its own; it never runs by itself.

    As root, so that owners come back; where the storage is a directory of another user, as that user.
    """
    claim = Mount(f"{plan.name}-restored", RESTORED, writable=True)
    user = plan.user if keeps.mounts else 0
    restores = replace(keeps, user=user, mounts=[*keeps.mounts, claim], capabilities=RESTORES, beside={})
    words = ["restore", "--app", app.name, "--target", f"{RESTORED}/latest", "--trust-archive"]
    return cron_job(restores, Run(f"{plan.name}-restore", "0 0 1 1 *", words, suspended=True))


def every(interval: timedelta, minute: int) -> str:
    """Return the schedule of a run that comes again after an interval, as near as cron's fields come to it."""
    minutes = max(1, round(interval.total_seconds() / 60))
    if minutes < 60:
        return f"*/{minutes} * * * *"
    hours = min(24, round(minutes / 60))
    return f"{minute} */{hours} * * *" if hours < 24 else f"{minute} 0 * * *"


def minute_of(app: App) -> int:
    """Return a minute that goes by the app's name, so that many apps do not begin at once: a box takes ten logins."""
    return zlib.crc32(app.name.encode()) % 60
