"""A repository as one side reaches it: the address, borg's environment, and where borg runs."""

from dataclasses import dataclass
from enum import Enum

from tasks.remote.host import Host
from tasks.remote.script import Environment
from tasks.storage.published.publication import Publication

LOCK_WAIT = 300  # seconds; borg retries after a tenth of it, except for a lock that a lost run left (borg 1.2.4)


class Side(Enum):
    """Who runs borg. The app's host may only append; the operator has full access."""

    HOST = "host"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Repository:
    """One app's Borg repository in one storage, reached from `host`.

    `environment` contains BORG_REPO, BORG_PASSPHRASE and whatever else borg needs, so that commands never name the
    repository: two spellings of one address make borg stop and ask (tried, borg 1.2.4). `lock_wait` is the number of
    seconds for which borg waits for another borg there, `time_limit` the seconds it may take for one command, None for
    no limit. `publication` is set for a repository in `staging`: changes to it must be published.
    """

    app: str
    storage: str
    url: str
    host: Host
    environment: Environment
    side: Side
    lock_wait: int = LOCK_WAIT
    time_limit: float | None = None
    publication: Publication | None = None
