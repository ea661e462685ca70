"""`app.add` on a host whose login may not read everything: would sudo without a password let it?"""

import sys
from contextlib import suppress

from tasks.app.check_result import Check
from tasks.app.checks import host_checks
from tasks.cli import confirm
from tasks.errors import CloudbackupError
from tasks.inventory.models import App, BecomeOptions
from tasks.run.session import Session

SUDO = BecomeOptions.model_validate("sudo")


def becoming(app: App) -> App:
    """Return the app with `become: sudo`."""
    return app.model_copy(update={"become": SUDO})


def helps(session: Session, app: App, wrong: int) -> bool:
    """Return whether fewer than the `wrong` checks of the host fail with `become: sudo`, which the app has not."""
    if app.is_local or app.become is not None:
        return False
    with suppress(CloudbackupError):
        if session.host(app).facts().user == "root":
            return False
        session.host(becoming(app)).facts()
        return sum(each.level == "error" for each in host_checks(session, becoming(app))) < wrong
    return False


def agreed(app: App) -> bool:
    """Return whether a person at a terminal agrees to it; False without one."""
    question = f"The login at {app.host} may not read it all, and may become root by sudo without a password. Do so?"
    return sys.stdin.isatty() and confirm(question, yes=False)


def advice(app: App) -> Check:
    """Return the line that names the way."""
    return Check(app.name, "sudo", "error", "the login may become root by sudo without a password", "`--become sudo`")
