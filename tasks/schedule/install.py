"""`schedule.install`: systemd units or cron lines that run what `schedule` says. Only written, never started."""

import getpass
import hashlib
import shlex
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import time
from pathlib import Path

from tasks.errors import AppError, UsageError
from tasks.files import write_whole
from tasks.inventory.inventory import Inventory
from tasks.inventory.schedule import DAYS, When
from tasks.schedule.show import has_logs
from tasks.storage.registry import load

INV = Path(__file__).parents[2] / "inv"
MINUTES = 24 * 60
EVERY_DAY = frozenset(range(len(DAYS)))

SERVICE = """\
[Unit]
Description=cloudbackup: {does}
Wants=network-online.target
After=network-online.target
# to hear of a failure by systemd as well: OnFailure=some-mailer@%n.service

[Service]
Type=oneshot
ExecStart={command}
User={user}
Environment={inventory}
Environment={home}
TimeoutStartSec={limit}
# A stopped backup ends what it started on hosts, and lets go of the repository.
TimeoutStopSec=60
Nice=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7
UMask=0077
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=strict
ReadWritePaths={writable}
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
"""
TIMER = """\
[Unit]
Description=cloudbackup: when to {does}

[Timer]
{when}
{more}
[Install]
WantedBy=timers.target
"""
PERSISTENT = """\
RandomizedDelaySec={jitter}
FixedRandomDelay=yes
# a machine that was off at that time does it when it is on
Persistent=yes
"""


@dataclass(frozen=True)
class Place:
    """What the units say of this machine: who runs what, where."""

    inv: Path
    inventory: Path
    user: str
    home: Path
    host: str

    @classmethod
    def here(cls, inventory: Path) -> "Place":
        """Return this machine's. Raises UsageError without a home."""
        try:
            return cls(INV, inventory.resolve(), getpass.getuser(), Path.home(), socket.gethostname())
        except (RuntimeError, KeyError, OSError) as error:
            raise UsageError("no user or home is known here: set USER and HOME") from error


def run(folder: str, output: str, *, cron: bool) -> str:
    """Return what is to be printed: units or lines, or, with `output`, what was written and how to start it.

    `output` is a folder for units, a file for lines of cron. Raises UsageError, AppError.
    """
    inventory = load(Path(folder))
    place = Place.here(inventory.folder)
    if cron:
        lines = cron_lines(inventory, place)
        if not output:
            return lines.rstrip("\n")
        write_whole(Path(output), lines, "the lines")
        return f"{output} written; nothing was started: `crontab {shlex.quote(output)}` would replace your crontab"
    units = systemd_units(inventory, place)
    if not output:
        return "\n".join(f"# {name}\n{text}" for name, text in units.items()).rstrip("\n")
    target = Path(output)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AppError(f"cannot make {target}: {error.strerror}") from error
    for name, text in units.items():
        write_whole(target / name, text, "the unit")
    timers = " ".join(name for name in units if name.endswith(".timer"))
    return (
        f"{', '.join(units)} written into {target}; nothing was started. As root:\n"
        f"  systemctl daemon-reload && systemctl enable --now {timers}"
    )


def systemd_units(inventory: Inventory, place: Place) -> Mapping[str, str]:
    """Return a service and a timer for `nightly`, and for binary logs if an app has them, by file name."""
    jitter = int(inventory.schedule.spread.total_seconds())
    calendar = "\n".join(f"OnCalendar={_calendar(when)}" for when in _starts(inventory))
    more = PERSISTENT.format(jitter=jitter)
    units = {
        "cloudbackup.service": _service(inventory, place, "nightly", "do what is due", "24h"),
        "cloudbackup.timer": TIMER.format(does="do what is due", when=calendar, more=more),
    }
    every = inventory.schedule.binlog
    if every is not None and has_logs(inventory):
        seconds = int(every.total_seconds())
        when = f"OnBootSec={seconds}\nOnUnitInactiveSec={seconds}"
        does = "save binary logs"
        units |= {
            "cloudbackup-binlog.service": _service(inventory, place, "mariadb.binlog --quiet", does, "1h"),
            "cloudbackup-binlog.timer": TIMER.format(does=does, when=when, more=""),
        }
    return units


def cron_lines(inventory: Inventory, place: Place) -> str:
    """Return lines for a crontab: `nightly` at each time at which something is due."""
    shown = {"INVOKE_INVENTORY": str(place.inventory), "inv": str(place.inv)}
    for what, value in shown.items():
        if not value.isprintable():
            raise UsageError(f"{what} has a character in its path that a line of cron cannot hold")
    command = f"INVOKE_INVENTORY={shlex.quote(str(place.inventory))} {shlex.quote(str(place.inv))}".replace("%", "\\%")
    lines = ["# cloudbackup: made by `inv schedule.install --cron`; cron mails what is printed"]
    for when in _starts(inventory):
        at = _delayed(when.at or time(0), inventory, place)
        days = "*" if when.days == EVERY_DAY else ",".join(str((day + 1) % 7) for day in sorted(when.days))
        lines.append(f"{at.minute} {at.hour} * * {days} {command} nightly --quiet")
    every = inventory.schedule.binlog
    if every is not None and has_logs(inventory):
        minutes = max(1, min(59, int(every.total_seconds() // 60)))
        lines.append(f"*/{minutes} * * * * {command} mariadb.binlog --quiet")
    return "\n".join(lines) + "\n"


def _starts(inventory: Inventory) -> Iterable[When]:
    """Return each time of day at which a task is due, once, with all its days."""
    days: dict[time, frozenset[int]] = {}
    for _, when in inventory.schedule.tasks():
        if when.days and when.at is not None:
            days[when.at] = days.get(when.at, frozenset()) | when.days
    if not days:
        raise UsageError("`schedule` in cloudbackup.yml has no task that is ever due")
    return [When("", days[at], at) for at in sorted(days)]


def _calendar(when: When) -> str:
    names = "" if when.days == EVERY_DAY else ",".join(DAYS[day].capitalize() for day in sorted(when.days)) + " "
    return f"{names}*-*-* {when.at:%H:%M}:00"


def _delayed(at: time, inventory: Inventory, place: Place) -> time:
    """Return a time later by this machine's own part of `jitter`, on the same day: cron has no such thing itself."""
    minute = at.hour * 60 + at.minute
    longest = int(inventory.schedule.spread.total_seconds() // 60)
    own = hashlib.sha256(f"{place.host} {place.inventory}".encode()).digest()
    later = min(minute + int.from_bytes(own[:4]) % (longest + 1), MINUTES - 1)
    return time(*divmod(later, 60))


def _service(inventory: Inventory, place: Place, task: str, does: str, limit: str) -> str:
    return SERVICE.format(
        does=does,
        command=f"{_word(str(place.inv))} {task}",
        user=place.user,
        inventory=_word(f"INVOKE_INVENTORY={place.inventory}"),
        home=_word(f"HOME={place.home}"),
        limit=limit,
        writable=" ".join(_word(f"-{each}") for each in _writable(inventory)),
    )


def _writable(inventory: Inventory) -> list[Path]:
    """Return the folders on this machine that a run writes to: caches, copies of keys, and directories for backups."""
    local = any(app.is_local for app in inventory.apps.values())
    mounted = [Path(each.mounted) for each in inventory.storages.values() if each.mounted] if local else []
    folders = [inventory.cache, inventory.escrow, inventory.agent_keys, *mounted]
    return list(dict.fromkeys(folders))


def _word(text: str) -> str:
    """Return a text as one word of a unit: systemd.syntax(7) and systemd.service(5) say what stands for what."""
    if not text.isprintable():
        raise UsageError(f"{text!r} has a character that a unit of systemd cannot hold")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if " " in escaped or escaped != text else escaped
