"""Isolates a command that reads untrusted data. Runs alone on a host, Python 3.8 and later, standard library.

    python3 -I -S -c "$WALLS" JSON COMMAND...

JSON: `folder`, writable for the command, and `also`, further ones; `keep`, names of variables passed to it; `trust`,
whether it may run without walls if none can be built; `keys`, an option file of mariadb-backup below the folder that
names files with encryption keys, or absent; `owner`, whether what it leaves behind is given to the folder's owner.

The walls (user_namespaces(7), mount_namespaces(7), pid_namespaces(7), network_namespaces(7)):
- another user: root becomes `nobody`, anybody else stays themselves, in a user namespace without capabilities;
- its own root directory, with the system's programs read-only, the folder, and no home directories;
- an empty network namespace, so that no connection leaves it;
- its own processes, which end with the first of them or with the process that started this program;
- no way to gain privileges: setuid programs do not work, and programs in the folder cannot be executed or loaded.

Without namespaces, bubblewrap is tried, and then `confinement`, which gives less: the first, third and last of these,
without any network.

The variable CLOUDBACKUP_WALLS lists the command's walls as JSON. If none can be built, the exit code is 66 and the last
line of standard error begins with `cloudbackup: `. Otherwise the exit code is the command's.
"""

from __future__ import annotations

import json
import os
import pwd
import resource
import shutil
import signal
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.remote.confinement import confine
from tasks.remote.confinement import require as require_confinement
from tasks.remote.key_files import DangerError, key_files
from tasks.remote.own_root import (
    NEW_IPC,
    NEW_MOUNTS,
    NEW_NAMES,
    NEW_NETWORK,
    NEW_PIDS,
    NEW_USERS,
    SETTINGS,
    SYSTEM,
    NoWallsError,
    build,
    library,
    unshare,
)

if TYPE_CHECKING:
    from typing import NoReturn

REFUSED = 66  # exit code: walls could not be built
WITHOUT = "no walls can be built for what comes out of the archive"
NAME = "CLOUDBACKUP_WALLS"  # variable that lists the command's walls
ORDINARY = "nobody"  # not `mysql`: it could open the files of a server on the same host
NAMESPACES = ("mount namespace", "network namespace", "process namespace")
SPECIAL = ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp")  # noqa: S108 (its own)
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

DIES_WITH_PARENT, DUMPABLE, DROP_CAPABILITY, NO_NEW_PRIVILEGES = 1, 4, 24, 38  # prctl(2)


def give_up_rights(user: pwd.struct_passwd | None) -> None:
    """Become the user, for good, and die with the parent process."""
    leave_no_core()  # first: an ordinary user may not raise the limit of 0 that sudo leaves
    for number in range(64):
        library.prctl(DROP_CAPABILITY, number, 0, 0, 0)
    if user is not None:
        become(user)
    library.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    library.prctl(DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0)  # after changing the user, which would reset it


def leave_no_core() -> None:
    """Let a crash write no copy of its memory: by a limit of 1 not even through a pipe, core(5)."""
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    except (ValueError, OSError):  # it is 0 already, and root in a container may not raise it either
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def become(user: pwd.struct_passwd) -> None:
    """Become an ordinary user, who can then enter a user namespace."""
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    library.prctl(DUMPABLE, 1, 0, 0, 0)


def own_users() -> None:
    """Enter a user namespace that maps our own ids, in which the rest can be built."""
    user, group = os.geteuid(), os.getegid()
    unshare(NEW_USERS)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        Path("/proc/self", name).write_text(text)


class Walls:
    """One isolated run of a command."""

    def __init__(self, plan: dict[str, object], words: list[str]) -> None:
        self.folder = os.path.abspath(str(plan["folder"]))  # noqa: PTH100  # symlinks are not followed
        also = plan.get("also") or []
        assert isinstance(also, list)
        self.also = [os.path.abspath(str(path)) for path in also]  # noqa: PTH100
        self.trust = bool(plan.get("trust"))
        self.words = words
        kept = plan.get("keep") or []
        assert isinstance(kept, list)
        self.environment = {name: os.environ[name] for name in map(str, kept) if name in os.environ}
        self.environment.update(LC_ALL="C.UTF-8", HOME="/nonexistent", TMPDIR="/tmp")  # noqa: S108 (its own)
        self.environment["PATH"] = os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        os.chdir(self.folder)  # the source of the mount, even for a user who may not search its parents
        self.user = pwd.getpwnam(ORDINARY) if os.geteuid() == 0 else None
        self.owner = Path(self.folder).stat()
        self.names = [f"user {ORDINARY}" if self.user else "user namespace", *NAMESPACES]
        self.keys = key_files(Path(self.folder, str(plan["keys"]))) if plan.get("keys") else {}

    def run(self) -> int:
        """Return the command's exit code. Raises NoWallsError, DangerError."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            self.outer(writing)
        os.close(writing)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)  # the command handles them; this program ends after it
        with os.fdopen(reading, "rb") as answers:
            answer = answers.read().decode(errors="replace")
        code = exit_code(child)
        if answer != "built":
            raise NoWallsError(answer or "they could not be built")
        return code

    def outer(self, tell: int) -> NoReturn:
        """Enter the namespaces and wait for the first process in them."""
        code = 1
        try:
            library.prctl(DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
            self.enter()
            child = os.fork()
            if child == 0:
                self.inner(tell)
            os.close(tell)
            code = exit_code(child)
        except (NoWallsError, OSError) as error:
            os.write(tell, str(error).encode())
        os._exit(code)

    def enter(self) -> None:
        """Enter a PID namespace; in a user namespace, except for a root that needs none."""
        if self.user is not None:
            try:
                return unshare(NEW_PIDS)
            except NoWallsError:  # root in a container, without more rights than an ordinary user
                become(self.user)
                self.user = None
                self.names[0] += ", user namespace"
        own_users()
        return unshare(NEW_PIDS)

    def inner(self, tell: int) -> NoReturn:
        """Be the first process: build the rest, start the command, and end everything when it ends."""
        try:
            unshare(NEW_MOUNTS | NEW_NETWORK | NEW_IPC | NEW_NAMES)
            build(self.folder, self.also, self.keys, self.user)
            give_up_rights(self.user)
            os.chdir(self.folder)
        except (NoWallsError, OSError) as error:
            os.write(tell, str(error).encode())
            os._exit(1)
        os.write(tell, b"built")
        os.close(tell)
        child = os.fork()
        if child == 0:
            self.command()
        library.prctl(DUMPABLE, 0, 0, 0, 0)
        os._exit(exit_code(child))

    def bubblewrap(self, program: str) -> int:
        """Run the command in bubblewrap, which may be allowed where our own walls are not. Raises NoWallsError."""
        words = [program, "--unshare-all", "--die-with-parent", *SPECIAL]
        for name in (*SYSTEM, *(f"etc/{each}" for each in SETTINGS)):
            path = Path("/", name)
            if path.is_symlink() and not name.startswith("etc"):
                words += ["--symlink", os.readlink(str(path)), str(path)]  # noqa: PTH115
            elif path.exists():
                words += ["--ro-bind", str(path), str(path)]
        for own in (self.folder, *self.also):
            words += ["--bind", os.path.realpath(own), own]
        words += ["--chdir", self.folder]
        for path_of, content in self.keys.items():
            file = os.memfd_create("keys", 0)
            os.write(file, content)
            os.lseek(file, 0, os.SEEK_SET)
            words += ["--ro-bind-data", str(file), path_of]
        if self.spawned([*words, "true"], ""):
            raise NoWallsError("bubblewrap is refused as well")
        self.names = ["bubblewrap", *self.names]
        return self.spawned([*words, *self.words])

    def spawned(self, words: list[str], silent: str | None = None) -> int:
        """Run words as the command; return its exit code."""
        child = os.fork()
        if child == 0:
            if silent is not None:
                os.dup2(os.open("/dev/null", os.O_RDWR), 2)
            self.words = words
            self.command()
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        return exit_code(child)

    def confined(self) -> int:
        """Run the command with access to only the system's files and its folder; no network. Raises NoWallsError."""
        require_confinement()
        self.names = [*([f"user {ORDINARY}"] if self.user else []), "Landlock", "seccomp"]
        reading, writing = os.pipe()  # closed by the start of the command
        child = os.fork()
        if child == 0:
            try:
                give_up_rights(self.user)
                self.environment["TMPDIR"] = self.folder
                confine((self.folder, *self.also), self.keys)
            except (NoWallsError, OSError) as error:
                os.write(writing, str(error).encode(errors="replace"))
                os._exit(REFUSED)
            self.command()
        os.close(writing)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        with os.fdopen(reading, "rb") as answers:
            fault = answers.read()
        code = exit_code(child)
        if fault:  # such as root in a container that may not become another user
            raise NoWallsError(fault.decode(errors="replace"))
        return code

    def trusting(self) -> int:
        """Run the command without walls."""
        self.names = []
        return self.spawned(self.words)

    def command(self) -> NoReturn:
        """Become the command."""
        for number in (*SIGNALS, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        environment = {**self.environment, NAME: json.dumps(self.names)}
        try:
            os.execvpe(self.words[0], self.words, environment)  # noqa: S606 (the words come from the caller)
        except OSError as error:
            sys.stderr.write(f"cloudbackup: {self.words[0]}: {error.strerror}\n")
            sys.stderr.flush()
            os._exit(127)


def exit_code(child: int) -> int:
    """Wait for a child, and reap adopted processes meanwhile; return its exit code as a shell reports it."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def give(folders: tuple[str, ...], user: int, group: int) -> None:
    """Give directories and everything in them to a user. Of a symlink, the link itself is given."""
    for folder in folders:
        os.chown(os.path.join(folder, "."), user, group)  # noqa: PTH118 (the target of a link)
        for above, within, files in os.walk(folder):
            for name in (*within, *files):
                os.chown(os.path.join(above, name), user, group, follow_symlinks=False)  # noqa: PTH118 (any bytes)


def require_plain(folder: str) -> None:
    """Raise DangerError if a folder contains anything but directories and plain files, or setuid or setgid files."""
    for above, within, files in os.walk(folder):
        for name in (*within, *files):
            mode = os.lstat(os.path.join(above, name)).st_mode  # noqa: PTH118 (any bytes)
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)) or mode & (stat.S_ISUID | stat.S_ISGID):
                raise DangerError(f"what was restored holds {name!r}, which is not a plain file")


def main() -> int:
    """Run what the arguments say; return the exit code."""
    plan = json.loads(sys.argv[1])
    try:
        walls = Walls(plan, sys.argv[2:])
        folders = (walls.folder, *walls.also)
        code = behind(walls, folders)
        if plan.get("owner"):
            require_plain(walls.folder)
            give(folders, walls.owner.st_uid, walls.owner.st_gid)
    except DangerError as error:
        return refused(str(error))
    except NoWallsError as error:
        return refused(f"{WITHOUT}: {error}")
    return code


def behind(walls: Walls, folders: tuple[str, ...]) -> int:
    """Return the command's exit code. Raises NoWallsError if walls are unavailable and may not be given up."""
    if walls.user is not None:
        try:
            give(folders, walls.user.pw_uid, walls.user.pw_gid)
        except PermissionError as error:  # root in a container without CAP_CHOWN
            if walls.trust:
                return walls.trusting()
            raise NoWallsError(f"{walls.folder} cannot be given to {ORDINARY}") from error
    try:
        return walls.run()
    except NoWallsError as error:
        program = shutil.which("bwrap") if walls.user is None else None
        ways = [*([lambda: walls.bubblewrap(str(program))] if program else []), walls.confined]
        for way in [*ways, *([walls.trusting] if walls.trust else [])]:
            try:
                return way()
            except NoWallsError:
                continue
        raise error from None


def refused(why: str) -> int:
    """Print why nothing was done; return the exit code."""
    sys.stderr.write(f"cloudbackup: {why}\n")
    sys.stderr.flush()
    return REFUSED


if __name__ == "__main__":
    sys.exit(main())
