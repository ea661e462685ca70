"""`app.add --container`: the containers of a new app's host, and what its file says of them."""

from tasks.app.new_app import NewApp
from tasks.containers.container import chosen, look
from tasks.errors import AppError
from tasks.remote.host import Host
from tasks.sources.container_sources import PROBE, FromContainers, proposed


def in_containers(host: Host, new: NewApp) -> FromContainers:
    """Return what the named containers, or those of the project, hold. Raises AppError, UsageError, HostError."""
    every = look(host, new.container, new.project, PROBE)
    found = proposed(chosen(host, every, new.container, new.project), binlog=new.binlog)
    if not set(found.values) - {"container"} and not new.files:
        names = ", ".join(found.containers)
        raise AppError(f"{host.name}: {names}: no volume, and no database that is known", "name paths by --files")
    return found
