"""A repository as one side sees it: the address, the environment that borg needs, and where borg runs."""

from dataclasses import dataclass
from enum import Enum

from tasks.remote.host import Host
from tasks.remote.script import Environment
from tasks.storage.published.publication import Publication

LOCK_WAIT = 300  # seconds; borg tries again after a tenth of it, but for a lock that a lost run left (borg 1.2.4)


class Side(Enum):
    """Who asks. The app's host may only append; the operator has full access."""

    HOST = "host"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Repository:
    """One app's Borg repository in one storage, reached from `host`.

    `environment` holds BORG_REPO, BORG_PASSPHRASE and whatever else borg needs to reach it, so that a command names
    the repository nowhere: two spellings of one address make borg stop and ask (tried, borg 1.2.4). `lock_wait` is for
    how many seconds borg waits for another borg there, `time_limit` how many it may take for one command, None for as
    long as it likes. `publication` is there for a repository that lies in `staging`: what changes in it must be
    published.
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
