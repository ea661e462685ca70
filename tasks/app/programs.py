"""The programs that a host needs, with their minimum versions: one line each (docs/requirements.md)."""

import re
from collections.abc import Iterator

from tasks.app.check_result import Check
from tasks.inventory.models import App
from tasks.remote.facts import Facts, Tools

BORG, BORG_BEFORE = (1, 2), (2, 0)  # borg 2 has another repository format
PYTHON = (3, 8)
BASH = (4, 4)
OPENSSH = (7, 4)
Version = tuple[int, int]


def version(text: str | None) -> Version | None:
    """Return the first two numbers of a version such as "9.2p1"; None if there are none."""
    found = re.match(r"([0-9]{1,4})\.([0-9]{1,6})", text or "", re.ASCII)
    return (int(found[1]), int(found[2])) if found else None


def shown(least: Version) -> str:
    """Format a version for people."""
    return ".".join(map(str, least))


def programs(app: App, facts: Facts, tools: Tools, *, over_ssh: bool) -> Iterator[Check]:
    """Yield a line for python3 and for borg, and one for an unusable home or bash.

    Also one for ssh, if borg reaches the storage `over_ssh`.
    """
    if facts.home_closed:
        what = f"{facts.home} on {app.host} may not be written by {facts.user}, and borg keeps its cache there"
        yield Check(app.name, "home", "error", what, "give the login a home of its own")
    bash = version(facts.bash)
    if bash is None or bash < BASH:
        what = f"bash {facts.bash or 'of no known version'} on {app.host} is too old: {shown(BASH)} or later is needed"
        yield Check(app.name, "bash", "error", what, "install a newer bash, or a newer release of the system")
    yield _borg(app, tools)
    yield _python(app, tools)
    if over_ssh:
        yield _ssh(app, facts)


def _python(app: App, tools: Tools) -> Check:
    if tools.python3 is None and tools.python3_said:
        what = f"is there on {app.host} and does not start: {tools.python3_said}"
        return Check(app.name, "python3", "error", what, "install the package python3 again, or mend the login's PATH")
    if tools.python3 is None:
        remedy = "install python3: borg and parts of every backup run on it"
        return Check(app.name, "python3", "error", f"is not installed on {app.host}", remedy)
    found = version(tools.python3)
    if found is None or found < PYTHON:
        what = f"python {tools.python3} on {app.host} is too old: {shown(PYTHON)} or later is needed"
        remedy = "install a newer one, so that `python3` on the login's PATH is it"
        return Check(app.name, "python3", "error", what, remedy)
    return Check(app.name, "python3", "ok", f"python {tools.python3}")


def _borg(app: App, tools: Tools) -> Check:
    if tools.borg is None and tools.python3 is None:
        return Check(
            app.name, "borg", "error", f"cannot be asked without python3 on {app.host}", "install python3 first"
        )
    if tools.borg is None and tools.borg_said:
        what = f"is there on {app.host} and does not start: {tools.borg_said}"
        return Check(app.name, "borg", "error", what, "install the package borgbackup again")
    found = version(tools.borg)
    if found is None:
        return Check(app.name, "borg", "error", f"is not installed on {app.host}", "install the package borgbackup")
    if not BORG <= found < BORG_BEFORE:
        what = f"borg {tools.borg} on {app.host} is not supported"
        return Check(app.name, "borg", "error", what, "install borg 1.2 or 1.4")
    return Check(app.name, "borg", "ok", f"borg {tools.borg}")


def _ssh(app: App, facts: Facts) -> Check:
    found = version(facts.ssh.version)
    if found is None:
        what = f"OpenSSH's ssh is not installed on {app.host}"
        return Check(app.name, "ssh", "error", what, "install openssh-client: borg reaches the storage by it")
    if found < OPENSSH:
        what = f"OpenSSH {facts.ssh.version} on {app.host} is too old: {shown(OPENSSH)} or later is needed"
        return Check(app.name, "ssh", "error", what, "install a newer openssh-client")
    return Check(app.name, "ssh", "ok", f"OpenSSH {facts.ssh.version}")
