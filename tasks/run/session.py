"""One run of one command: the inventory, and its hosts and storages, each opened once."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import TypeVar

from tasks.errors import CloudbackupError, UsageError
from tasks.inventory.inventory import Inventory
from tasks.inventory.models import App
from tasks.records.record import Record
from tasks.remote.agent import KeyAgent
from tasks.remote.become import Become
from tasks.remote.host import Host, LocalHost
from tasks.remote.secret import Secret, resolve
from tasks.remote.ssh import SshHost, SshTarget
from tasks.storage import registry
from tasks.storage.base import Client, Means, Storage
from tasks.storage.repository import Repository, Side
from tasks.storage.served import Served, on_host
from tasks.storage.ssh import agent_key_path
from tasks.version import VERSION

Result = TypeVar("Result")
Tell = Callable[[CloudbackupError, float], None]


class Session:
    """Use as a context manager: leaving it closes all connections. Setting `cancelled` ends everything that runs."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self.cancelled = threading.Event()
        self.operator: Host = LocalHost(self.cancelled)
        self._hosts: dict[object, Host] = {}
        self._storages: dict[str, Storage] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for storage in self._storages.values():
            storage.close()
        for host in self._hosts.values():
            host.close()

    def host(self, app: App) -> Host:
        """Return the app's host; two apps on one host share the connection, unless a key is served over it."""
        if app.host == "local":
            return self.operator
        where = target(app)
        agent = agent_key_path(self.inventory.agent_keys, app) if app.storage_key == "agent" else None
        with self._lock:
            if (where, agent) not in self._hosts:  # an agent's key belongs to one app, so its connection does too
                self._hosts[where, agent] = SshHost(where, self.cancelled, KeyAgent(agent) if agent else None)
            return self._hosts[where, agent]

    def storage(self, name: str) -> Storage:
        """Return the storage of that name in the inventory, opened at most once. Raises UsageError."""
        with self._lock:
            if name not in self._storages:
                self._storages[name] = self._open(name)
            return self._storages[name]

    def _open(self, name: str) -> Storage:
        inventory, limit = self.inventory, self.inventory.defaults.time_limit.total_seconds()
        means = Means(self.host, self.operator, inventory.cache, inventory.agent_keys, limit, self.cancelled)
        return registry.opened(name, inventory.storages[name], means)

    def storage_of(self, app: App) -> Storage:
        """Return the app's storage."""
        return self.storage(app.storage)

    def write_record(self, app: App, record: Record, *, patient: bool = True) -> None:
        """Write a record to the app's storage. If `patient`, transient faults are retried as for a backup.

        Use False if the action itself met such a fault (waiting was done already) or if a person waits. Raises
        AppError.
        """
        storage, record = self.storage_of(app), replace(record, tool=VERSION)
        if patient:
            self.patiently(lambda: storage.write_record(app, record))
        else:
            storage.write_record(app, record)

    def patiently(self, act: Callable[[], Result], tell: Tell = lambda _error, _wait: None) -> Result:
        """Return the result of `act`. Transient faults are retried as often as `defaults: retries` says.

        The pause before each attempt is twice as long as the one before; `tell` gets the fault and the pause in
        seconds. Raises the last fault.
        """
        pauses = self.pauses()
        while True:
            try:
                return act()
            except CloudbackupError as error:
                if not error.transient or not pauses:
                    raise
                pause = pauses.pop(0)
                tell(error, pause)
                if self.cancelled.wait(pause):
                    raise
                if error.once:
                    pauses.clear()

    def pauses(self) -> list[float]:
        """Return the pauses before further attempts, in seconds: `defaults: retries` of them, each twice the last."""
        first = self.inventory.defaults.retry_wait.total_seconds()
        return [first * 2**number for number in range(self.inventory.defaults.retries)]

    def passphrase(self, app: App) -> Secret:
        """Return the passphrase of the app's repository. Raises UsageError."""
        return resolve(app.passphrase, f"the passphrase of {app.name}")

    def _client(self, app: App, side: Side, host: Host) -> Client:
        defaults = self.inventory.defaults
        lock_wait, limit = round(defaults.lock_wait.total_seconds()), defaults.time_limit.total_seconds()
        base = None
        if side is Side.OPERATOR and host is self.operator:
            base = str(self.inventory.cache / "borg" / app.storage / app.name)
        return Client(side, host, self.passphrase(app), base, lock_wait, limit)

    def repository(self, app: App, side: Side) -> Repository:
        """Return the app's repository as one side sees it. Raises UsageError, HostError."""
        storage = self.storage_of(app)
        host = storage.client_host(self.host(app), self.operator, side)
        return storage.repository(app, self._client(app, side, host))

    def without_host(self, app: App) -> Repository:
        """Return the app's repository as this machine reaches it without the app's host. Raises AppError."""
        return self.storage_of(app).without_host(app, self._client(app, Side.OPERATOR, self.operator))

    @contextmanager
    def to_drill(self, app: App, *, here: bool) -> Iterator[Repository]:
        """Yield the app's repository for a drill on its host, or `here`: the published copy, if any, not `staging`.

        Raises UsageError if it cannot be reached from here, AppError, HostError.
        """
        side, host = (Side.OPERATOR, self.operator) if here else (Side.HOST, self.host(app))
        with self.storage_of(app).fetched(app, self._client(app, side, host)) as repository:
            yield self._here(app, repository) if here else repository

    @contextmanager
    def on_host_of(self, app: App, other: App) -> Iterator[Repository]:
        """Yield an app's repository for a borg on another app's host, through this machine, which serves it.

        That host gets the passphrase while borg runs there, and no key. Raises UsageError if the repository cannot be
        reached from here, AppError, HostError.
        """
        with self.to_drill(app, here=True) as repository:
            if other.host == "local":
                yield repository
                return
            served = Served(self.storage_of(app).serve_words(app, repository))
            host = SshHost(target(other), self.cancelled, served)
            try:
                yield on_host(repository, host)
            finally:
                host.close()

    def on_this_machine(self, app: App) -> Repository:
        """Return the app's repository for a borg on this machine. Raises UsageError if it is out of reach."""
        return self._here(app, self.without_host(app))

    def _here(self, app: App, repository: Repository) -> Repository:
        """Return a repository that this machine can reach. Raises UsageError for any other."""
        if repository.host is not self.operator:
            raise UsageError(
                f"the storage {app.storage} is a directory of {app.host}, which this machine does not reach",
                "leave --to out, or mount the directory here and set `host: local`",
            )
        return repository


def target(app: App) -> SshTarget:
    """Return where the operator logs in to reach an app's host, and as whom it is worked on there."""
    configured = app.become
    become = Become(configured.program, configured.user, configured.password) if configured is not None else None
    return SshTarget(app.host, app.ssh.port, app.ssh.key, app.ssh.host_key, become=become)
