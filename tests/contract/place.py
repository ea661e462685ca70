"""What the suite needs of a real storage of some kind, beyond the storage itself: its inside, and ways to break it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lab.lab import Lab
from tasks.storage.base import Usage

Values = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """Where all kinds of storage are: the lab with the app hosts, and the flag file of the full disk."""

    lab: Lab
    full_flag: Path


class Place(ABC):
    """One real storage.

    `lacks` names promises that this kind cannot give or that cannot be tried on it, each with the reason: no test of
    them is made for it.
    """

    lacks: ClassVar[Mapping[str, str]] = {}
    directory: ClassVar[str] = ""
    inexact: ClassVar[int] = 500_000_000  # bytes by which `used` may differ: others write to the same disk

    def __init__(self, site: Site) -> None:
        self.site = site
        self.lab = site.lab

    @property
    @abstractmethod
    def config(self) -> Values:
        """Return what an operator writes into `storages` of cloudbackup.yml, before any setup."""

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Return where the storage's `directory` lies on this machine."""

    @property
    def records(self) -> Path:
        """Return where the storage's `records` lie on this machine."""
        return self.folder / "records"

    @property
    def stored(self) -> Path:
        """Return where the storage keeps repositories for good, on this machine."""
        return self.folder

    @abstractmethod
    def truth(self) -> Usage:
        """Return the used and the whole space, by this machine's own means."""

    @abstractmethod
    def away(self) -> AbstractContextManager[None]:
        """Make the storage unreachable inside the block."""

    @abstractmethod
    def full(self) -> AbstractContextManager[None]:
        """Let no new data fit inside the block."""

    def full_once(self) -> None:
        """Let the next large write not fit, and everything after it; a kind that cannot has the reason in `lacks`."""
        raise AssertionError(self.lacks["full once"])

    @abstractmethod
    def cut(self) -> None:
        """Break off now, without a word, what runs between a borg and the repository."""

    def host_gone(self, app: Values) -> None:
        """Change an app's file as an operator does when its host burnt down."""
        app["ssh"]["port"] = 1

    @property
    def home(self) -> Path:
        """Return the account's home, for kinds with a server."""
        return self.folder

    @property
    def host_key(self) -> str:
        """Return the key that the server really has, for kinds with a server."""
        return ""

    def environment(self) -> Mapping[str, str]:
        """Return what the operator's first login needs in the environment."""
        return {}

    def close(self) -> None:
        """End what was started."""
        return
