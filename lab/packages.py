"""Debian packages that the lab, the demo and the tests stand on: what is missing, and how it is installed.

Nothing that the machine runs is started, restarted or touched by it; see `_INSTALL` and `_refuse_touching_services`.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence

from lab import installers
from tasks.errors import CloudbackupError, UsageError

# mariadb-server-core and not mariadb-server: it holds the server's programs, but no service, no data directory, no user
# and no maintainer script, so installing it can neither start a server nor touch one that the machine has.
PACKAGE_OF = {
    "borg": "borgbackup",
    "mariadbd": "mariadb-server-core",
    "mariadb-install-db": "mariadb-server-core",
    "mariadb": "mariadb-client-core",
    "mariadb-binlog": "mariadb-client",
    "mariadb-backup": "mariadb-backup",
    "mbstream": "mariadb-backup",
    "sshd": "openssh-server",
    "sftp-server": "openssh-sftp-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "fusermount3": "fuse3",
    "systemd-analyze": "systemd",
    "chromium-headless-shell": "chromium-headless-shell",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "faketime": "faketime",
    "fish": "fish",
    "zsh": "zsh",
    "rsync": "rsync",
    "sudo": "sudo",
    "doas": "opendoas",
    "mkfs.btrfs": "btrfs-progs",
    "sqlite3": "sqlite3",
    "podman": "podman",
    "redis-server": "redis-server",
    "redis-cli": "redis-tools",
    "slapd": "slapd",
    "ldapsearch": "ldap-utils",
    "crun": "crun",
    "busybox": "busybox",
    "ssh1": "openssh-client-ssh1",  # OpenSSH 7.5, an older client
}
TESTS = (
    "fusermount3",
    "systemd-analyze",
    "chromium-headless-shell",
    "prometheus",
    "promtool",
    "faketime",
    "fish",
    "zsh",
    "rsync",
    "sudo",
    "doas",
    "mkfs.btrfs",
    "sqlite3",
    "podman",
    "redis-server",
    "redis-cli",
    "slapd",
    "ldapsearch",
    "crun",
    "busybox",
    "ssh1",
)
"""The commands that the tests want beside the lab's."""
LAB = tuple(command for command in PACKAGE_OF if command not in TESTS)
"""The commands of the demo and of `lab.up`."""

# Debian keeps these off an ordinary user's PATH.
_MORE_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/lib/openssh", "/usr/lib/sftp-server")
_APT = "apt-get install --yes --no-install-recommends"

# Run as root with the packages as its arguments. invoke-rc.d and deb-systemd-invoke ask /usr/sbin/policy-rc.d before
# they start, stop or restart a service (Debian Policy 9.3.3.1); 101 denies. It denies only while this shell lives, so
# one that a power cut left behind cannot hold the machine's services. A policy that the machine has is left as it is.
# Those named below come enabled: unless they were here before, they are disabled again, or the next boot would start
# them. update-rc.d fails for a service that has no script in /etc/init.d. The first postgresql of a machine makes no
# server's data, which nobody asked for (createcluster.conf(5)), nor does the first slapd (its own debconf question).
_INSTALL = r"""
policy=/usr/sbin/policy-rc.d
mark='put here by cloudbackup while apt installs'
grep -qsF "$mark" "$policy" && rm -f "$policy"
if [ -e "$policy" ]; then
    "$policy" ssh start >/dev/null 2>&1
    [ $? -eq 101 ] || { echo "E: $policy of this machine lets an installation start services"; exit 1; }
else
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' HUP INT TERM
    (umask 022; set -C; printf '#!/bin/sh\n# %s\n[ ! -d /proc/%s ] || exit 101\n' "$mark" "$$" >"$policy") || exit 1
    chmod 755 "$policy"
fi
fresh=
for package in openssh-server podman postgresql prometheus redis-server rsync slapd; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || fresh="$fresh $package"
done
asked=" $* "
if [ "${asked#* postgresql }" != "$asked" ] && [ "${fresh#* postgresql}" != "$fresh" ]; then
    own=/etc/postgresql-common/createcluster.d
    (umask 022; mkdir -p $own && echo 'create_main_cluster = false' >$own/no-main-cluster.conf) || exit
fi
if [ "${asked#* slapd }" != "$asked" ] && [ "${fresh#* slapd}" != "$fresh" ]; then
    echo 'slapd slapd/no_configuration boolean true' | debconf-set-selections || exit
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -o DPkg::Lock::Timeout=120 install --yes --no-install-recommends --no-remove "$@" </dev/null || exit
for package in $fresh; do
    case " $* " in *" $package "*) ;; *) continue ;; esac
    case $package in openssh-server) service=ssh ;; *) service=$package ;; esac
    if [ "$package" = podman ]; then
        deb-systemd-helper disable podman.socket podman.service podman-auto-update.timer podman-restart.service || exit
        continue
    fi
    update-rc.d "$service" disable || deb-systemd-helper disable "$service.service" || exit
done
"""


def find(command: str) -> str | None:
    """Return the full path of a command, also where Debian keeps it off the user's PATH, or None."""
    return shutil.which(command, path=os.pathsep.join((os.environ.get("PATH", os.defpath), *_MORE_FOLDERS)))


def ensure(*commands: str, packages: Sequence[str] = (), why: str) -> None:
    """Install what is missing of `commands` (keys of `PACKAGE_OF`) and of further Debian `packages`; say so first.

    `why` completes the sentence "needed for ...". Nothing missing: nothing is said, no apt is called. Raises UsageError
    with the exact line to run when this user or system cannot install, CloudbackupError when apt fails.
    """
    missing = tuple(command for command in commands if find(command) is None)
    lacking = sorted({PACKAGE_OF[command] for command in missing} | set(_not_installed(packages)))
    if not lacking:
        return
    if shutil.which("apt-get") is None:
        raise UsageError(
            f"{why} needs {', '.join(missing or lacking)}, and this system has no apt-get",
            f"install what Debian packs as {', '.join(lacking)}",
        )
    as_root = _as_root(lacking, why)
    installers.say(f"installing for {why}, from Debian's packages: {', '.join(lacking)} (no service is started)")
    started = time.monotonic()
    with installers.new_log("apt") as log:
        installers.run((*as_root, "apt-get", "update"), log, "apt-get update failed")
    _refuse_touching_services(lacking)
    with installers.new_log("apt") as log:
        words = (*as_root, "sh", "-c", _INSTALL, "sh", *lacking)
        installers.run(words, log, f"apt-get could not install {', '.join(lacking)}")
    still = [command for command in commands if find(command) is None]
    if still:
        raise CloudbackupError(f"{', '.join(lacking)} installed, but {', '.join(still)} did not come with it")
    installers.say(f"installed in {time.monotonic() - started:.0f} s")


def _not_installed(packages: Sequence[str]) -> tuple[str, ...]:
    if not packages or shutil.which("dpkg-query") is None:
        return tuple(packages)
    words = ("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *packages)
    lines = subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines()
    return tuple(package for package in packages if f"{package} installed" not in lines)


def _as_root(packages: Sequence[str], why: str) -> tuple[str, ...]:
    """Return the words that make a command run as root: none, or sudo's."""
    if os.geteuid() == 0:
        return ()
    if shutil.which("sudo") is not None:
        if subprocess.run(("sudo", "-n", "true"), capture_output=True, check=False).returncode == 0:
            return ("sudo", "-n")
        if sys.stdin.isatty() and sys.stderr.isatty():
            return ("sudo",)
    line = f"apt-get update && {_APT} {' '.join(packages)}"
    note = (
        "\n  (apt starts openssh-server; `systemctl disable --now ssh` ends that)"
        if "openssh-server" in packages
        else ""
    )
    raise UsageError(f"{why} needs Debian's {', '.join(packages)}; as root, run:", line + note)


def _refuse_touching_services(packages: Sequence[str]) -> None:
    """Raise UsageError where the installation would upgrade or remove a package that runs a service of this machine."""
    words = ("apt-get", "install", "--simulate", "--no-install-recommends", *packages)
    plan = subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C.UTF-8"})
    touched = [package for package in changed_by(plan.stdout) if _has_service(package)]
    if touched:
        raise UsageError(
            f"installing {', '.join(packages)} would change {', '.join(touched)}, which runs a service here",
            f"at a time that suits it, as root, run: apt-get update && {_APT} {' '.join(packages)}",
        )


def changed_by(plan: str) -> tuple[str, ...]:
    """Return the installed packages that a plan of `apt-get --simulate` upgrades or removes.

    Its lines are `Inst name [old version] (new version ...)`, the old one only where there is one, and `Remv name ...`.
    """
    return tuple(re.findall(r"^(?:Inst (?=\S+ \[)|Remv )(\S+)", plan, flags=re.MULTILINE))


def _has_service(package: str) -> bool:
    """Tell whether an installed package brings a service."""
    files = subprocess.run(("dpkg", "-L", package), capture_output=True, text=True, check=False).stdout
    return (
        re.search(r"/systemd/system/[^/\n]+\.(?:service|socket)$|^/etc/init\.d/.", files, flags=re.MULTILINE)
        is not None
    )
