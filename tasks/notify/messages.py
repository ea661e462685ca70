"""Sends messages to the recipients in the inventory. Nothing here raises: notifying must not change a run's outcome."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from tasks.errors import CloudbackupError
from tasks.inventory.notifications import Notification
from tasks.notify import send
from tasks.notify.outbox import Outbox
from tasks.remote.secret import resolve
from tasks.terminal import one_line, printable

LONGEST = 3500  # characters of a message, which most services accept


@dataclass(frozen=True)
class News:
    """How a task ended.

    `whole` is True if everything was done: a service that watches for missed backups must not take the backup of one
    app or one source for a complete one. `periodic` is for what comes by itself from time to time: everybody who gets
    messages gets it, well or not, and no such service does.
    """

    action: str
    title: str
    body: str
    failed: bool
    whole: bool = True
    periodic: bool = False

    def is_for(self, who: Notification) -> bool:
        """Whether a recipient that follows the task gets it."""
        if self.periodic:
            return who.url is not None
        return self.failed or (who.always and (self.whole or not who.ping))


@dataclass(frozen=True)
class Circle:
    """The recipients for `what` (an app, or everything); what they get goes through `outbox`."""

    what: str
    notifications: Sequence[Notification]
    outbox: Outbox = field(default_factory=Outbox, compare=False)

    def began(self, action: str) -> None:
        """Notify services that measure durations that a task begins."""
        for number, each in enumerate(self.notifications, 1):
            if each.ping and each.always and each.follows(action):
                self._sent(each, number, "start", News(action, "", f"{action} begins", failed=False))

    def ended(self, news: News) -> None:
        """Notify that a task ended."""
        self.ended_together([news])

    def ended_together(self, parts: Sequence[News]) -> None:
        """Notify that several tasks ended: each recipient gets one message, about those that it follows."""
        for number, each in enumerate(self.notifications, 1):
            followed = [part for part in parts if each.follows(part.action)]
            if not followed:
                continue
            news = joined(followed)
            if news.is_for(each):
                self._sent(each, number, "fail" if news.failed else "", news)

    def _sent(self, notification: Notification, number: int, state: str, news: News) -> None:
        purpose = f"notification {number} of {self.what}"
        self.outbox.put(lambda: self._delivered(notification, purpose, state, news))

    def _delivered(self, notification: Notification, purpose: str, state: str, news: News) -> None:
        try:
            if notification.ping:
                address = resolve(notification.ping, purpose)
                sending = partial(send.ping, address, state, printable(_text(news)))
            else:
                assert notification.url is not None
                address = resolve(notification.url, purpose)
                title, body = one_line(news.title), printable(shortened(news.body))
                sending = partial(send.message, address, title, body, failed=news.failed)
            again = partial(self._delivered, notification, purpose, state, news)
            self.outbox.ask(send.service(address), sending, start=state == "start", again=again)
        except CloudbackupError as error:
            _say(f"{error.what.removeprefix(f'{purpose}: ')}", purpose)
        except Exception as error:  # one of Apprise's hundred service plugins failed
            _say(f"{type(error).__name__}", purpose)


def joined(parts: Sequence[News]) -> News:
    """Return several tasks' news, at least one, as one: what failed comes first."""
    if len(parts) == 1:
        return parts[0]
    worst_first = sorted(parts, key=lambda part: not part.failed)
    return News(
        action=worst_first[0].action,
        title="; ".join(part.title for part in worst_first),
        body="\n\n".join(_text(part) for part in worst_first),
        failed=any(part.failed for part in parts),
        whole=all(part.whole for part in parts),
    )


def _text(news: News) -> str:
    return f"{news.title}\n\n{news.body}" if news.title else news.body


def shortened(text: str) -> str:
    """Return a message's text, cut at a line end if it is too long for most services."""
    if len(text) <= LONGEST:
        return text
    lines = text[:LONGEST].splitlines()[:-1]
    return "\n".join([*lines, f"... and {len(text.splitlines()) - len(lines)} more lines"])


def _say(what: str, purpose: str) -> None:
    print(f"cloudbackup: {purpose}: {what}", file=sys.stderr, flush=True)
