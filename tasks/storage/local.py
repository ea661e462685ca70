"""Storage kind `local`: a directory on the app's own host: a disk, an NFS mount, a Kubernetes volume."""

from dataclasses import replace
from typing import Literal

from pydantic import Field

from tasks.inventory.models import App
from tasks.inventory.storages import StorageConfig
from tasks.inventory.values import HostPath
from tasks.remote.files import Files
from tasks.remote.host import Host
from tasks.remote.script import Environment, Script, quote
from tasks.storage.base import Client, Means, Storage, Usage
from tasks.storage.repository import Repository, Side
from tasks.storage.space import parse_df


class LocalStorage(StorageConfig):
    """A directory on the machine where borg runs: a disk, NFS, a Kubernetes volume."""

    kind: Literal["local"]
    directory: HostPath = Field(description="repositories are <directory>/<app>")

    @property
    def mounted(self) -> str:
        """The directory itself."""
        return self.directory


class Directory(Storage):
    """A directory. Both sides reach it through the app's host, so nothing protects it from that host."""

    def __init__(self, name: str, config: LocalStorage, means: Means) -> None:
        super().__init__(name, config.kind, config.directory)
        self._host_of = means.host_of

    def url(self, app: App) -> str:
        """Return the folder itself."""
        return self.path(app)

    def reach(self, app: App, client: Client) -> Environment:  # noqa: ARG002
        """Return nothing: a folder needs no more than its path."""
        return {}

    def client_host(self, app_host: Host, operator: Host, side: Side) -> Host:  # noqa: ARG002
        """Return the app's host for both sides."""
        return app_host

    def repository(self, app: App, client: Client) -> Repository:
        """Return the repository; one borg serves both sides, so they share its cache."""
        return super().repository(app, replace(client, base=None))

    def without_host(self, app: App, client: Client) -> Repository:
        """Return the repository on the app's host, the only place where it is."""
        return self.repository(app, replace(client, host=self._host_of(app)))

    def files(self, app: App) -> Files:
        """Return the files of the app's host."""
        return self._host_of(app).files()

    def neighbourhood(self, app: App) -> str:
        """Return the app's host: each has its own directory."""
        return f"{self.name} of {app.host}"

    def close(self) -> None:
        """Nothing to close: the hosts belong to the session."""

    def usage(self, apps: tuple[App, ...]) -> Usage:
        """Run `df` on each host with such a directory, and add the results up."""
        hosts = {host.name: host for host in map(self._host_of, apps)}
        script = Script(quote(("df", "-Pk", self.directory)))
        each = [parse_df(host.run(script, timeout=60), name) for name, host in hosts.items()]
        return Usage(used=sum(usage.used for usage in each), size=sum(usage.size or 0 for usage in each))
