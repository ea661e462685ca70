"""Sends messages by Apprise and pings by HTTP. Addresses contain tokens, so errors never show one."""

import threading
import time
import urllib.error
import urllib.parse

from tasks.errors import CloudbackupError
from tasks.remote.secret import Secret

PATIENCE = 10.0  # seconds per attempt
TRIES = 3
TRIES_HUNG = 2  # of a service that does not answer
PAUSE = 1.0  # seconds between two attempts
HUNG = 3.0  # seconds after which a message that failed did so for want of an answer: Apprise itself waits for 4 or more
LONGEST = 10_000  # bytes of a ping's body: most Healthchecks servers keep no more
_TALK = threading.Lock()  # Apprise reports errors through one log for the whole process


class NoticeError(CloudbackupError):
    """A notification could not be delivered."""


class HungError(NoticeError):
    """The service took long, and did not answer."""


def service(address: Secret) -> str:
    """Return what identifies the service of an address: the host and port of a ping, else all of it. Never print it."""
    try:
        parts = urllib.parse.urlsplit(address.reveal())
    except ValueError:
        return address.reveal()
    return parts.netloc if parts.scheme in ("http", "https") else address.reveal()


def ping(address: Secret, state: str, body: str) -> None:
    """Post `body` to the address with `state` (`start`, `fail`, or empty for success) appended to its path.

    Retries if the service does not answer, or answers 5xx or 429. Raises NoticeError, HungError.
    """
    tries = 1 if state == "start" else TRIES  # a backup is not delayed for long by its start ping
    for number in range(1, tries + 1):
        fault = _posted(address, state, body)
        if fault is None:
            return
        final, why, hung = fault
        if final or number == tries or (hung and number == TRIES_HUNG):
            raise (HungError if hung else NoticeError)(f"the ping did not get through: {why}")
        time.sleep(PAUSE)


def _posted(address: Secret, state: str, body: str) -> tuple[bool, str, bool] | None:
    """Return None on success, else whether retrying is useless, what went wrong, and whether no answer came."""
    import urllib.request  # imported here, so that a backup without pings does not load it

    try:
        parts = urllib.parse.urlsplit(address.reveal())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return True, "the address is not one of https:// or http://", False
        path = f"{parts.path.rstrip('/')}/{state}" if state else parts.path
        url = urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
        data = body.encode()[:LONGEST]
        headers = {"User-Agent": "cloudbackup", "Content-Type": "text/plain; charset=utf-8"}
        request = urllib.request.Request(url, data, headers)  # noqa: S310  # the scheme was checked
        with urllib.request.urlopen(request, timeout=PATIENCE):  # noqa: S310
            return None
    except urllib.error.HTTPError as error:
        with error:
            why = f"{parts.hostname} answered {error.code} {error.reason}"
            return error.code < 500 and error.code != 429, why, False
    except urllib.error.URLError as error:
        return False, f"{parts.hostname}: {error.reason}", isinstance(error.reason, TimeoutError)
    except OSError as error:
        return False, f"{parts.hostname}: {error}", isinstance(error, TimeoutError)
    except ValueError:
        return True, "the address is not a valid one", False


def message(address: Secret, title: str, body: str, *, failed: bool) -> None:
    """Send a message to an Apprise address. Raises NoticeError, HungError."""
    import apprise

    began = time.monotonic()

    with _TALK, apprise.LogCapture(level=apprise.logging.WARNING) as log:  # type: ignore[no-untyped-call]
        sender = apprise.Apprise()
        if not sender.add(address.reveal()):
            raise NoticeError("the message was not sent: Apprise does not know such an address")
        kind = apprise.NotifyType.FAILURE if failed else apprise.NotifyType.SUCCESS
        sent = sender.notify(body=body, title=title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT)
        said = log.getvalue()
    if not sent:
        hung = time.monotonic() - began >= HUNG
        raise (HungError if hung else NoticeError)(f"the message was not sent: {_cause(said, address)}")


def _cause(said: str, address: Secret) -> str:
    """Return the last line that Apprise logged, without its time, unless it contains a part of the address."""
    line = (said.strip().splitlines() or ["the service did not take it"])[-1]
    text = line.rpartition(" - ")[2]
    parts = urllib.parse.urlsplit(address.reveal())
    pieces = [parts.username, parts.password, *parts.path.split("/"), *urllib.parse.parse_qs(parts.query)]
    pieces += [value for values in urllib.parse.parse_qs(parts.query).values() for value in values]
    return "the service did not take it" if any(piece and piece in text for piece in pieces) else text
